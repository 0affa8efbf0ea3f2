"""What docker-compose.docker.yml promises, read from the file itself: no engine is needed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.docker.yml"
OWN = ["gateway", "agent", "provisioner"]
SOCKET = "/var/run/docker.sock"
# The box's name, as compose can derive it.
SLUG = re.escape("${ESB_BRAND_SLUG:-${PROJECT_NAME:+${PROJECT_NAME:-}-${ENV:-dev}}}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, as YAML has them."""
    return YAML(typ="safe", pure=True).load(FILE)["services"]


def mounts(service: dict[str, Any]) -> list[str]:
    return [mount["target"] if isinstance(mount, dict) else mount for mount in service.get("volumes", [])]


def settings(readme: str, prefix: str) -> set[str]:
    """The variables of a README's table of settings."""
    rows = [line.split("|")[1] for line in (ROOT / readme).read_text().splitlines() if line.startswith("| `")]
    return set(re.findall(rf"`({prefix}\w+|ENABLE_\w+)`", "".join(rows)))


def test_services_of_ours_run_with_as_little_as_they_need(services: dict[str, Any]) -> None:
    for name in OWN:
        service = services[name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert "user" not in service, name  # The image says 10001.
        dockerfile = (ROOT / "services" / name / "Dockerfile").read_text()
        assert "USER 10001:10001" in dockerfile, name
        assert "# syntax=" not in dockerfile, name


def test_the_agent_alone_has_the_engines_socket(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if SOCKET in mounts(service)] == ["agent"]


def test_config_is_mounted_read_only_where_it_is_read(services: dict[str, Any]) -> None:
    readers = {
        name: mount["read_only"]
        for name, service in services.items()
        for mount in service.get("volumes", [])
        if isinstance(mount, dict) and mount["target"] == "/etc/esb/config"
    }
    assert readers == {"gateway": True, "provisioner": True}


def test_only_gateway_and_registry_are_published_and_on_loopback_by_default(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {
        "gateway": ["${ESB_BIND_ADDRESS:-127.0.0.1}:${ESB_GATEWAY_PORT:-8080}:8080"],
        "registry": ["127.0.0.1:${ESB_REGISTRY_PORT:-5010}:5000"],
    }


def test_every_service_says_whether_it_is_well_and_keeps_its_logs_short(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        if name != "provisioner":
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_images_are_pinned_and_can_be_named(services: dict[str, Any]) -> None:
    for name, service in services.items():
        own = rf"\$\{{ESB_IMAGE_PREFIX:-{SLUG}\}}-{name}:\$\{{ESB_IMAGE_TAG:-\d+\.\d+\.\d+\}}"
        default = own if name in OWN else r"[\w./-]+:\d+\.\d+(\.\d+)?"
        assert re.fullmatch(rf"\$\{{ESB_{name.upper()}_IMAGE:-{default}\}}", service["image"]), service[
            "image"
        ]


def test_no_secret_has_a_default() -> None:
    secret = re.findall(r"\$\{(\w*(?:SECRET_ACCESS|ACCESS_KEY|PASSWORD|TOKEN)\w*)(:.)", FILE.read_text())
    assert secret == [("ESB_ACCESS_KEY_ID", ":?"), ("ESB_SECRET_ACCESS_KEY", ":?")]


def test_every_variable_is_documented() -> None:
    page = (ROOT / "docs" / "docker-mode.md").read_text()
    for name in set(re.findall(r"\$\{(\w+)[:}]", re.sub(r"#.*", "", FILE.read_text()))):
        assert f"`{name}`" in page, name


@pytest.mark.parametrize(
    ("service", "prefix", "placed"),
    [
        (
            "gateway",
            "ESB_GATEWAY_",
            {"ESB_GATEWAY_STATE_DIR", "ESB_GATEWAY_CREDENTIALS", "ESB_GATEWAY_HOST", "ESB_GATEWAY_PORT"},
        ),
        ("agent", "ESB_AGENT_(?!TLS|METRICS)", {"ESB_AGENT_ADDRESS", "ESB_AGENT_STATE_DIR"}),
    ],
)
def test_settings_of_the_services_are_handed_on(
    services: dict[str, Any], service: str, prefix: str, placed: set[str]
) -> None:
    documented = settings(f"services/{service}/README.md", prefix) - placed
    assert documented
    assert documented <= set(services[service]["environment"])
