"""What the driver on containerd is told by environment variables, or one line that names the wrong one."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.config import parse_config
from esb_agent.drivers.containerd.settings import FIRECRACKER, GVISOR, RUNC, ContainerdConfig
from esb_agent.drivers.docker.settings import PullPolicy
from esb_agent.errors import ConfigError
from esb_agent.main import WRONG_CONFIG, main

LEAST = {
    "ESB_AGENT_ADDRESS": "unix:/run/esb/agent.sock",
    "ESB_AGENT_STATE_DIR": "/var/lib/esb",
    "ESB_AGENT_DRIVER": "containerd",
    "ESB_BRAND_SLUG": "acme",
}
NO_PYTHON = "/nowhere/python"


def told(**variables):
    return parse_config({**LEAST, **variables}, NO_PYTHON).driver


def test_the_least_there_must_be_gives_the_defaults_and_needs_no_interpreter():
    config = told()
    assert config == ContainerdConfig(
        state_dir=Path("/var/lib/esb"), identity=RuntimeIdentity(slug="acme", source="ESB_BRAND_SLUG")
    )
    assert (config.address, config.runtime, config.snapshotter) == (
        "/run/esb/containerd/containerd.sock",
        RUNC,
        "overlayfs",
    )
    assert (config.cni_bin_dir, config.subnet) == (Path("/usr/lib/cni"), IPv4Network("10.88.0.0/16"))
    assert (config.bridge_address, config.name_servers) == ("10.88.0.1", ("10.88.0.1",))
    assert (config.netns_pool, config.seccomp, config.pull) == (8, "", PullPolicy.MISSING)
    assert (config.runsc, config.auth_file, config.insecure, config.ca) == (None, None, frozenset(), None)


def test_everything_can_be_set():
    config = told(
        ESB_ENV="stage",
        ESB_CONTAINERD_ADDRESS="/run/containerd/containerd.sock",
        CONTAINERD_RUNTIME=GVISOR,
        CONTAINERD_SNAPSHOTTER="native",
        ESB_RUNSC_BINARY="/opt/runsc",
        ESB_CNI_BIN_DIR="/opt/cni/bin",
        ESB_CNI_SUBNET="10.77.4.0/24",
        ESB_WORKER_DNS="10.77.4.1, 192.0.2.53",
        ESB_NETNS_POOL="0",
        ESB_SECCOMP_PROFILE="/etc/esb/seccomp.json",
        ESB_IMAGE_PULL="never",
        ESB_DOCKER_CONFIG="/etc/docker.json",
        ESB_INSECURE_REGISTRIES="registry:5000, 10.0.0.7:5000,",
        ESB_REGISTRY_CA="/etc/esb/ca.pem",
        ESB_AGENT_INIT_TIMEOUT="20",
        ESB_AGENT_LOG_MAX_MB="1",
        ESB_AGENT_LOG_BACKUPS="0",
    )
    assert config == ContainerdConfig(
        state_dir=Path("/var/lib/esb"),
        identity=RuntimeIdentity(slug="acme", source="ESB_BRAND_SLUG", environment="stage"),
        address="/run/containerd/containerd.sock",
        runtime=GVISOR,
        snapshotter="native",
        runsc=Path("/opt/runsc"),
        cni_bin_dir=Path("/opt/cni/bin"),
        subnet=IPv4Network("10.77.4.0/24"),
        dns=("10.77.4.1", "192.0.2.53"),
        netns_pool=0,
        seccomp="/etc/esb/seccomp.json",
        pull=PullPolicy.NEVER,
        auth_file=Path("/etc/docker.json"),
        insecure=frozenset({"registry:5000", "10.0.0.7:5000"}),
        ca=Path("/etc/esb/ca.pem"),
        init_seconds=20,
        log_max_bytes=1024 * 1024,
        log_backups=0,
    )
    assert config.name_servers == ("10.77.4.1", "192.0.2.53")


@pytest.mark.parametrize(
    ("name", "runtime", "snapshotter"),
    [
        ("runc", RUNC, "overlayfs"),
        (RUNC, RUNC, "overlayfs"),
        (GVISOR, GVISOR, "overlayfs"),
        (FIRECRACKER, FIRECRACKER, "devmapper"),
    ],
)
def test_a_runtime_brings_the_snapshotter_it_needs_unless_another_is_named(name, runtime, snapshotter):
    found = told(CONTAINERD_RUNTIME=name)
    assert (found.runtime, found.snapshotter) == (runtime, snapshotter)
    assert told(CONTAINERD_RUNTIME=name, CONTAINERD_SNAPSHOTTER="stargz").snapshotter == "stargz"


def test_no_filter_of_system_calls_has_to_be_said_by_name():
    assert told(ESB_SECCOMP_PROFILE="unconfined").seccomp == "unconfined"


def test_a_variable_that_is_empty_is_as_one_that_is_not_there():
    names = (
        *("ESB_CONTAINERD_ADDRESS", "CONTAINERD_RUNTIME", "CONTAINERD_SNAPSHOTTER", "ESB_RUNSC_BINARY"),
        *("ESB_CNI_BIN_DIR", "ESB_CNI_SUBNET", "ESB_WORKER_DNS", "ESB_NETNS_POOL", "ESB_SECCOMP_PROFILE"),
        *("ESB_IMAGE_PULL", "ESB_DOCKER_CONFIG", "ESB_INSECURE_REGISTRIES", "ESB_REGISTRY_CA"),
    )
    assert told(**dict.fromkeys(names, "")) == told()


WRONG = [
    ("ESB_CONTAINERD_ADDRESS", "unix:///run/containerd.sock"),
    ("CONTAINERD_RUNTIME", "gvisor"),
    ("CONTAINERD_RUNTIME", "io.containerd.kata.v2"),
    ("CONTAINERD_SNAPSHOTTER", "over layfs"),
    ("ESB_RUNSC_BINARY", "runsc"),
    ("ESB_CNI_BIN_DIR", "cni/bin"),
    ("ESB_CNI_SUBNET", "10.88.0.1/16"),
    ("ESB_CNI_SUBNET", "10.88.0.0/30"),
    ("ESB_CNI_SUBNET", "fd00::/64"),
    ("ESB_CNI_SUBNET", "anywhere"),
    ("ESB_WORKER_DNS", "dns.example"),
    ("ESB_NETNS_POOL", "-1"),
    ("ESB_NETNS_POOL", "257"),
    ("ESB_NETNS_POOL", "many"),
    ("ESB_SECCOMP_PROFILE", "profile.json"),
    ("ESB_SECCOMP_PROFILE", "Unconfined"),
    ("ESB_IMAGE_PULL", "sometimes"),
    ("ESB_DOCKER_CONFIG", "config.json"),
    ("ESB_INSECURE_REGISTRIES", "http://registry:5000"),
    ("ESB_INSECURE_REGISTRIES", "registry:port"),
    ("ESB_REGISTRY_CA", "ca.pem"),
    ("ESB_AGENT_STATE_DIR", "state"),
    ("ESB_ENV", "a stage"),
    ("ESB_BRAND_SLUG", "---"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_what_was_expected_and_found(name, value):
    with pytest.raises(ConfigError) as caught:
        told(**{name: value})
    assert str(caught.value).startswith(f"{name}: expected ")
    assert repr(value) in str(caught.value)


def test_of_several_name_servers_and_registries_the_wrong_one_is_named():
    with pytest.raises(ConfigError, match="ESB_WORKER_DNS: expected addresses, found 'x'"):
        told(ESB_WORKER_DNS="192.0.2.1,x")
    with pytest.raises(ConfigError, match="found 'b/c'"):
        told(ESB_INSECURE_REGISTRIES="a:1,b/c")


def test_without_an_identity_it_does_not_start():
    unnamed = {name: value for name, value in LEAST.items() if name != "ESB_BRAND_SLUG"}
    with pytest.raises(ConfigError, match=r"ESB_BRAND_SLUG.*PROJECT_NAME and ENV"):
        parse_config(unnamed, NO_PYTHON)


def test_a_wrong_value_ends_the_agent_with_its_line_and_status_2(monkeypatch, capsys):
    for name, value in {**LEAST, "ESB_CNI_SUBNET": "anywhere"}.items():
        monkeypatch.setenv(name, value)
    assert main() == WRONG_CONFIG == 2
    expected = "esb-agent: ESB_CNI_SUBNET: expected a network as 10.88.0.0/16, found 'anywhere'\n"
    assert capsys.readouterr().err == expected
