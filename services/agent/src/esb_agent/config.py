"""What an agent is told by its environment. Parsed here, read in main.py, passed on as values."""

import re
import shutil
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_address
from pathlib import Path

from artifact_contract.runtime_identity import IdentityError, RuntimeIdentity, resolve_identity
from attrs import frozen

from esb_agent.address import Address, TcpAddress, TlsFiles, UnixAddress
from esb_agent.drivers.containerd.settings import (
    FIRECRACKER,
    FIRECRACKER_SNAPSHOTTER,
    RUNTIMES,
    SUBNET,
    ContainerdConfig,
)
from esb_agent.drivers.docker.settings import DockerConfig, PullPolicy
from esb_agent.drivers.process.driver import ProcessConfig
from esb_agent.errors import ConfigError
from esb_agent.log_shipping import Endpoint, parse_endpoint
from esb_agent.unix_socket import check_path

DRIVERS = ("process", "docker", "containerd")
TLS_OFF = "off-trusted-network"
TLS_NAMES = ("ESB_AGENT_TLS_CERT", "ESB_AGENT_TLS_KEY", "ESB_AGENT_TLS_CA")
MIB = 1024 * 1024
# What container names may begin with.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# As an image's name begins, without a scheme.
REGISTRY = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?")
ENGINE_ADDRESS = re.compile(r"unix:///.+|tcp://[^/]+:\d+")


@frozen(kw_only=True)
class Config:
    """`metrics_port` 0: no metrics are served. `owner_grace` 0: owners are waited for without end.

    `driver` says which driver, and how.
    """

    address: Address
    driver: ProcessConfig | DockerConfig | ContainerdConfig
    metrics_port: int
    owner_grace: int
    log_endpoint: Endpoint | None
    log_buffer_bytes: int


def parse_config(environment: Mapping[str, str], python: str) -> Config:
    """The configuration; `python` is the interpreter for functions when none is named.

    Raises:
        ConfigError: a variable is missing or wrong; the text names it, what was expected and what was found.
    """
    driver = environment.get("ESB_AGENT_DRIVER", "process")
    if driver not in DRIVERS:
        raise ConfigError(f"ESB_AGENT_DRIVER: expected one of {', '.join(DRIVERS)}, found {driver!r}")
    return Config(
        address=_address(environment),
        driver=_driver(driver, environment, python),
        metrics_port=_number(environment, "ESB_AGENT_METRICS_PORT", 0, least=0, most=65535),
        owner_grace=_number(environment, "ESB_AGENT_OWNER_GRACE", 60, least=0, most=86_400),
        log_endpoint=parse_endpoint(url) if (url := environment.get("ESB_LOG_SHIP_URL")) else None,
        log_buffer_bytes=_number(environment, "ESB_LOG_SHIP_BUFFER_MB", 16, least=1, most=10_000) * MIB,
    )


def _driver(
    name: str, environment: Mapping[str, str], python: str
) -> ProcessConfig | DockerConfig | ContainerdConfig:
    if name == "docker":
        return _docker(environment)
    if name == "containerd":
        return _containerd(environment)
    return _process(environment, python)


def _process(environment: Mapping[str, str], python: str) -> ProcessConfig:
    return ProcessConfig(
        state_dir=_path(environment, "ESB_AGENT_STATE_DIR"),
        layout=_path(environment, "ESB_IMAGE_LAYOUT"),
        python=_interpreter(environment.get("ESB_PROCESS_PYTHON") or python),
        init_seconds=_init_seconds(environment),
        drain_seconds=_number(environment, "ESB_AGENT_DRAIN_SECONDS", 2, least=0, most=900),
        log_max_bytes=_log_max_bytes(environment),
        log_backups=_log_backups(environment),
        fork=_choice(environment, "ESB_PROCESS_START", ("fork", "exec")) == "fork",
    )


def _docker(environment: Mapping[str, str]) -> DockerConfig:
    host = environment.get("ESB_DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not ENGINE_ADDRESS.fullmatch(host):
        raise ConfigError(f"ESB_DOCKER_HOST: expected unix:///path or tcp://host:port, found {host!r}")
    return DockerConfig(
        state_dir=_path(environment, "ESB_AGENT_STATE_DIR"),
        host=host,
        identity=_identity(environment, "ESB_DOCKER_NETWORK"),
        pull=_pull(environment),
        auth_file=_optional_path(environment, "ESB_DOCKER_CONFIG"),
        init_seconds=_init_seconds(environment),
        log_max_bytes=_log_max_bytes(environment),
        log_backups=_log_backups(environment),
    )


def _containerd(environment: Mapping[str, str]) -> ContainerdConfig:
    runtime = RUNTIMES[_choice(environment, "CONTAINERD_RUNTIME", tuple(RUNTIMES))]
    usual = FIRECRACKER_SNAPSHOTTER if runtime == FIRECRACKER else "overlayfs"
    address = environment.get("ESB_CONTAINERD_ADDRESS") or "/run/esb/containerd/containerd.sock"
    return ContainerdConfig(
        state_dir=_path(environment, "ESB_AGENT_STATE_DIR"),
        identity=_identity(environment),
        address=str(_path({"ESB_CONTAINERD_ADDRESS": address}, "ESB_CONTAINERD_ADDRESS")),
        runtime=runtime,
        snapshotter=_name(environment, "CONTAINERD_SNAPSHOTTER", usual),
        runsc=_optional_path(environment, "ESB_RUNSC_BINARY"),
        cni_bin_dir=_optional_path(environment, "ESB_CNI_BIN_DIR") or Path("/usr/lib/cni"),
        subnet=_subnet(environment),
        dns=_name_servers(environment),
        netns_pool=_number(environment, "ESB_NETNS_POOL", 8, least=0, most=256),
        seccomp=_seccomp(environment),
        pull=_pull(environment),
        auth_file=_optional_path(environment, "ESB_DOCKER_CONFIG"),
        insecure=_registries(environment),
        ca=_optional_path(environment, "ESB_REGISTRY_CA"),
        init_seconds=_init_seconds(environment),
        log_max_bytes=_log_max_bytes(environment),
        log_backups=_log_backups(environment),
    )


def _subnet(environment: Mapping[str, str]) -> IPv4Network:
    value = environment.get("ESB_CNI_SUBNET") or str(SUBNET)
    try:
        found = IPv4Network(value)
    except ValueError as error:
        raise ConfigError(f"ESB_CNI_SUBNET: expected a network as {SUBNET}, found {value!r}") from error
    if found.num_addresses < 8:
        raise ConfigError(f"ESB_CNI_SUBNET: expected room for workers, found {value!r}")
    return found


def _name_servers(environment: Mapping[str, str]) -> tuple[str, ...]:
    found = _words(environment, "ESB_WORKER_DNS")
    for one in found:
        try:
            ip_address(one)
        except ValueError as error:
            raise ConfigError(f"ESB_WORKER_DNS: expected addresses, found {one!r}") from error
    return found


def _registries(environment: Mapping[str, str]) -> frozenset[str]:
    name = "ESB_INSECURE_REGISTRIES"
    found = _words(environment, name)
    for one in found:
        if not REGISTRY.fullmatch(one):
            raise ConfigError(f"{name}: expected host or host:port, as in images' names, found {one!r}")
    return frozenset(found)


def _seccomp(environment: Mapping[str, str]) -> str:
    value = environment.get("ESB_SECCOMP_PROFILE", "")
    if value and value != "unconfined" and not value.startswith("/"):
        raise ConfigError(f"ESB_SECCOMP_PROFILE: expected an absolute path or unconfined, found {value!r}")
    return value


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in environment.get(name, "").split(",") if word.strip())


def _pull(environment: Mapping[str, str]) -> PullPolicy:
    policies = tuple(policy.value for policy in PullPolicy)
    return PullPolicy(_choice(environment, "ESB_IMAGE_PULL", policies))


def _optional_path(environment: Mapping[str, str], name: str) -> Path | None:
    return _path(environment, name) if environment.get(name) else None


def _identity(environment: Mapping[str, str], network: str = "") -> RuntimeIdentity:
    """Whose workers these are; `network` names the variable with the engine's network, where there is one."""
    names = ("ESB_ENV", "ENV", *([network] if network else []))
    for name in names:
        _name(environment, name, "unset")
    try:
        return resolve_identity(environment, environment.get(network, ""))
    except IdentityError as error:
        raise ConfigError(str(error)) from error


def _init_seconds(environment: Mapping[str, str]) -> int:
    return _number(environment, "ESB_AGENT_INIT_TIMEOUT", 10, least=1, most=900)


def _log_max_bytes(environment: Mapping[str, str]) -> int:
    return _number(environment, "ESB_AGENT_LOG_MAX_MB", 10, least=1, most=10_000) * MIB


def _log_backups(environment: Mapping[str, str]) -> int:
    return _number(environment, "ESB_AGENT_LOG_BACKUPS", 3, least=0, most=1000)


def _address(environment: Mapping[str, str]) -> Address:
    value = environment.get("ESB_AGENT_ADDRESS", "")
    scheme, _, rest = value.partition(":")
    if scheme == "unix" and rest.startswith("/"):
        check_path(Path(rest))
        return UnixAddress(Path(rest))
    host, _, port = rest.rpartition(":")
    if scheme != "tcp" or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(
            f"ESB_AGENT_ADDRESS: expected unix:/absolute/path or tcp:host:port, found {value!r}"
        )
    return TcpAddress(host, int(port), _tls(environment))


def _tls(environment: Mapping[str, str]) -> TlsFiles | None:
    """TCP needs mutual TLS; to go without must be said by name."""
    switch = environment.get("ESB_AGENT_TLS", "")
    if switch == TLS_OFF:
        return None
    if switch:
        raise ConfigError(f"ESB_AGENT_TLS: expected {TLS_OFF} or nothing, found {switch!r}")
    if missing := [name for name in TLS_NAMES if not environment.get(name)]:
        raise ConfigError(
            f"{', '.join(missing)}: expected the path of a PEM file each, as ESB_AGENT_ADDRESS is a TCP "
            f"one, found nothing (or say ESB_AGENT_TLS={TLS_OFF})"
        )
    certificate, key, authority = (_path(environment, name) for name in TLS_NAMES)
    return TlsFiles(certificate=certificate, key=key, authority=authority)


def _path(environment: Mapping[str, str], name: str) -> Path:
    value = environment.get(name, "")
    if not value.startswith("/"):
        raise ConfigError(f"{name}: expected an absolute path, found {value!r}")
    return Path(value)


def _interpreter(value: str) -> str:
    found = shutil.which(value)
    if not found:
        raise ConfigError(
            f"ESB_PROCESS_PYTHON: expected a Python interpreter, found {value!r}, which cannot be run"
        )
    return found


def _number(environment: Mapping[str, str], name: str, default: int, *, least: int, most: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdecimal() or not value.isascii() or not least <= int(value) <= most:
        raise ConfigError(f"{name}: expected a whole number from {least} to {most}, found {value!r}")
    return int(value)


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environment.get(name) or choices[0]
    if value not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(choices)}, found {value!r}")
    return value


def _name(environment: Mapping[str, str], name: str, default: str) -> str:
    value = environment.get(name) or default
    if not NAME.fullmatch(value):
        raise ConfigError(
            f"{name}: expected a letter or digit, then at most 62 of letters, digits, _ . -, found {value!r}"
        )
    return value
