"""Environment variables to values, or one line that names the wrong one."""

import sys
from pathlib import Path

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.address import TcpAddress, TlsFiles, UnixAddress
from esb_agent.config import parse_config
from esb_agent.drivers.docker.settings import DockerConfig, PullPolicy
from esb_agent.errors import ConfigError
from esb_agent.log_shipping import Endpoint

GOOD = {
    "ESB_AGENT_ADDRESS": "unix:/run/esb/agent.sock",
    "ESB_AGENT_STATE_DIR": "/var/lib/esb",
    "ESB_IMAGE_LAYOUT": "/var/lib/images",
}


def test_the_least_there_must_be():
    config = parse_config(GOOD, sys.executable)
    assert config.address == UnixAddress(Path("/run/esb/agent.sock"))
    assert config.driver.layout == Path("/var/lib/images")
    assert config.driver.python == sys.executable
    assert (config.driver.init_seconds, config.driver.fork, config.metrics_port) == (10, True, 0)
    assert config.owner_grace == 60


def test_everything_can_be_set():
    config = parse_config(
        {
            **GOOD,
            "ESB_AGENT_DRIVER": "process",
            "ESB_PROCESS_PYTHON": "/bin/sh",
            "ESB_PROCESS_START": "exec",
            "ESB_AGENT_INIT_TIMEOUT": "30",
            "ESB_AGENT_DRAIN_SECONDS": "0",
            "ESB_AGENT_LOG_MAX_MB": "1",
            "ESB_AGENT_LOG_BACKUPS": "0",
            "ESB_AGENT_METRICS_PORT": "9100",
            "ESB_AGENT_OWNER_GRACE": "0",
            "ESB_LOG_SHIP_URL": "http://logs:9428",
            "ESB_LOG_SHIP_BUFFER_MB": "2",
        },
        sys.executable,
    )
    assert (config.metrics_port, config.owner_grace) == (9100, 0)
    assert config.log_endpoint == Endpoint(secure=False, host="logs", port=9428, path="/insert/jsonline")
    assert config.log_buffer_bytes == 2 * 1024 * 1024
    process = config.driver
    assert (process.python, process.fork, process.init_seconds) == ("/bin/sh", False, 30)
    assert (process.drain_seconds, process.log_max_bytes, process.log_backups) == (0, 1024 * 1024, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESB_AGENT_ADDRESS", ""),
        ("ESB_AGENT_ADDRESS", "127.0.0.1:50051"),
        ("ESB_AGENT_ADDRESS", "unix:relative.sock"),
        ("ESB_AGENT_ADDRESS", "tcp:7443"),
        ("ESB_AGENT_ADDRESS", "tcp:host:0"),
        ("ESB_AGENT_ADDRESS", "tcp:host:http"),
        ("ESB_AGENT_OWNER_GRACE", "-1"),
        ("ESB_AGENT_STATE_DIR", ""),
        ("ESB_AGENT_STATE_DIR", "relative"),
        ("ESB_IMAGE_LAYOUT", ""),
        ("ESB_AGENT_DRIVER", "podman"),
        ("ESB_PROCESS_PYTHON", "/nowhere/python"),
        ("ESB_PROCESS_START", "spawn"),
        ("ESB_AGENT_METRICS_PORT", "70000"),
        ("ESB_AGENT_METRICS_PORT", "http"),
        ("ESB_AGENT_METRICS_PORT", "-1"),
        ("ESB_AGENT_INIT_TIMEOUT", "0"),
        ("ESB_AGENT_INIT_TIMEOUT", "٣"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected_and_found(name, value):
    with pytest.raises(ConfigError) as caught:
        parse_config({**GOOD, name: value}, sys.executable)
    message = str(caught.value)
    assert message.startswith(f"{name}: expected ")
    assert value in message
    assert "\n" not in message


DOCKER = {**GOOD, "ESB_AGENT_DRIVER": "docker", "ESB_BRAND_SLUG": "acme"}


def test_mode_docker_needs_no_image_layout_and_no_interpreter():
    least = {name: value for name, value in DOCKER.items() if name != "ESB_IMAGE_LAYOUT"}
    assert parse_config(least, "/nowhere/python").driver == DockerConfig(
        state_dir=Path("/var/lib/esb"),
        identity=RuntimeIdentity(slug="acme", source="ESB_BRAND_SLUG"),
    )


def test_everything_of_mode_docker_can_be_set():
    config = parse_config(
        {
            **DOCKER,
            "ESB_DOCKER_HOST": "tcp://engine:2375",
            "ESB_DOCKER_NETWORK": "shop",
            "ESB_BRAND_SLUG": "acme",
            "ESB_ENV": "stage",
            "ESB_IMAGE_PULL": "always",
            "ESB_DOCKER_CONFIG": "/etc/docker.json",
            "ESB_AGENT_INIT_TIMEOUT": "20",
            "ESB_AGENT_LOG_MAX_MB": "1",
            "ESB_AGENT_LOG_BACKUPS": "0",
        },
        sys.executable,
    )
    assert config.driver == DockerConfig(
        state_dir=Path("/var/lib/esb"),
        host="tcp://engine:2375",
        identity=RuntimeIdentity(
            slug="acme", source="ESB_BRAND_SLUG", environment="stage", given_network="shop"
        ),
        pull=PullPolicy.ALWAYS,
        auth_file=Path("/etc/docker.json"),
        init_seconds=20,
        log_max_bytes=1024 * 1024,
        log_backups=0,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESB_DOCKER_HOST", "/var/run/docker.sock"),
        ("ESB_DOCKER_HOST", "tcp://engine"),
        ("ESB_DOCKER_NETWORK", "a network"),
        ("ESB_BRAND_SLUG", "---"),
        ("ESB_ENV", "x" * 64),
        ("ESB_IMAGE_PULL", "sometimes"),
        ("ESB_DOCKER_CONFIG", "relative.json"),
    ],
)
def test_a_wrong_value_of_mode_docker_is_named(name, value):
    with pytest.raises(ConfigError) as caught:
        parse_config({**DOCKER, name: value}, sys.executable)
    assert str(caught.value).startswith(f"{name}: expected ")
    assert value in str(caught.value)


@pytest.mark.parametrize("network", [{}, {"ESB_DOCKER_NETWORK": ""}])
def test_an_engines_driver_does_not_start_without_an_identity(network):
    unnamed = {name: value for name, value in DOCKER.items() if name != "ESB_BRAND_SLUG"}
    with pytest.raises(ConfigError, match=r"ESB_BRAND_SLUG.*PROJECT_NAME and ENV.*network"):
        parse_config({**unnamed, **network}, sys.executable)


@pytest.mark.parametrize(
    ("variables", "slug", "network"),
    [
        ({"PROJECT_NAME": "orders_env", "ENV": "prod"}, "orders-prod", "orders-prod"),
        ({"ESB_DOCKER_NETWORK": "shop-external"}, "shop", "shop-external"),
    ],
)
def test_project_or_network_give_the_identity_too(variables, slug, network):
    unnamed = {name: value for name, value in DOCKER.items() if name != "ESB_BRAND_SLUG"}
    identity = parse_config({**unnamed, **variables}, sys.executable).driver.identity
    assert (identity.slug, identity.network) == (slug, network)


def test_a_socket_path_over_the_kernels_limit_is_refused():
    with pytest.raises(ConfigError, match="at most 107"):
        parse_config({**GOOD, "ESB_AGENT_ADDRESS": "unix:/" + "x" * 200}, sys.executable)


TLS = {"ESB_AGENT_TLS_CERT": "/c/a.crt", "ESB_AGENT_TLS_KEY": "/c/a.key", "ESB_AGENT_TLS_CA": "/c/ca.crt"}


@pytest.mark.parametrize("host", ["127.0.0.1", "agent.box", "[::1]"])
def test_a_tcp_address_comes_with_its_certificates(host):
    config = parse_config({**GOOD, **TLS, "ESB_AGENT_ADDRESS": f"tcp:{host}:7443"}, sys.executable)
    files = TlsFiles(certificate=Path("/c/a.crt"), key=Path("/c/a.key"), authority=Path("/c/ca.crt"))
    assert config.address == TcpAddress(host, 7443, files)
    assert str(config.address) == f"tcp:{host}:7443"


def test_a_tcp_address_without_certificates_is_refused_unless_they_are_switched_off_by_name():
    tcp = {**GOOD, "ESB_AGENT_ADDRESS": "tcp:127.0.0.1:7443"}
    with pytest.raises(ConfigError, match="ESB_AGENT_TLS_KEY, ESB_AGENT_TLS_CA: expected the path"):
        parse_config({**tcp, "ESB_AGENT_TLS_CERT": "/c/a.crt"}, sys.executable)
    with pytest.raises(ConfigError, match="ESB_AGENT_TLS: expected off-trusted-network or nothing"):
        parse_config({**tcp, "ESB_AGENT_TLS": "off"}, sys.executable)
    off = parse_config({**tcp, "ESB_AGENT_TLS": "off-trusted-network"}, sys.executable)
    assert off.address == TcpAddress("127.0.0.1", 7443, None)
