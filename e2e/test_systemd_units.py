"""What the units of deploy/systemd promise: systemd takes them, and they do what docs/systemd.md says."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNITS = ROOT / "deploy" / "systemd"
NAMES = ("esb-node", "esb-agent", "esb-gateway")
# Each of them gives a unit a mount namespace: what is mounted in it, others would not see.
OWN_MOUNTS = {
    *(
        "PrivateTmp",
        "PrivateDevices",
        "PrivateMounts",
        "ProtectSystem",
        "ProtectHome",
        "ProtectKernelModules",
    ),
    *(
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ReadOnlyPaths",
        "InaccessiblePaths",
    ),
}


def unit(name: str) -> configparser.ConfigParser:
    """The unit's sections; of an option that stands more than once, the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the module's own way to say it
    parser.read(UNITS / f"{name}.service")
    return parser


@pytest.mark.gate
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    assert shutil.which("systemd-analyze"), "systemd-analyze is not installed: apt-get install systemd"
    for name in NAMES:
        text = (UNITS / f"{name}.service").read_text()
        # It looks whether commands are there; here they are this environment's.
        (tmp_path / f"{name}.service").write_text(
            text.replace("/opt/esb/bin", str(Path(sys.executable).parent))
        )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / f"{name}.service") for name in NAMES)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    own = [line for line in done.stderr.splitlines() if re.search(r"\besb-\w+\.service", line)]
    assert own == []
    assert done.returncode == 0, done.stderr


def test_the_node_is_started_with_options_that_it_has() -> None:
    words = unit("esb-node")["Service"]["ExecStart"].split()
    shown = subprocess.run(
        [sys.executable, "-m", "esb_node", "up", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in shown, option


def test_workers_outlive_a_restart_of_the_node() -> None:
    service = unit("esb-node")["Service"]
    assert service["KillMode"] == "process"
    assert service["RuntimeDirectoryPreserve"] == "yes"
    assert "--keep-workers" in service["ExecStart"]
    for name in ("esb-agent", "esb-gateway"):
        assert "Requires" not in unit(name)["Unit"], name
        assert "esb-node.service" in unit(name)["Unit"]["After"], name


def test_what_makes_namespaces_for_others_has_no_mounts_of_its_own() -> None:
    for name in ("esb-node", "esb-agent"):
        assert not OWN_MOUNTS & set(unit(name)["Service"]), name


def test_the_gateway_has_no_power_of_root() -> None:
    service = unit("esb-gateway")["Service"]
    assert service["CapabilityBoundingSet"] == ""
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")


def test_every_unit_comes_back_and_takes_its_settings_from_files() -> None:
    for name in NAMES:
        text = (UNITS / f"{name}.service").read_text()
        assert "EnvironmentFile=/etc/esb/box.env" in text, name
        assert "Restart=always" in text, name
        assert ("EnvironmentFile=/run/esb/node.env" in text) == (name != "esb-node"), name


def test_no_secret_has_a_value() -> None:
    lines = (UNITS / "box.env.example").read_text().splitlines()
    assert {"AWS_SECRET_ACCESS_KEY=", "AWS_ACCESS_KEY_ID=", "ESB_BRAND_SLUG="} <= set(lines)
    assert not any("SECRET" in (UNITS / f"{name}.service").read_text() for name in NAMES)


def test_every_unit_and_setting_is_on_the_page() -> None:
    page = (ROOT / "docs" / "systemd.md").read_text()
    settings = re.findall(r"^(\w+)=", (UNITS / "box.env.example").read_text(), re.MULTILINE)
    for word in (*NAMES, *settings):
        assert f"`{word}`" in page, word
