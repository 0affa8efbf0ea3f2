"""The gateway's settings, all from environment variables; README.md has the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from attrs import define, evolve, field, frozen

from esb_gateway.auth.credentials import FUNCTIONS, AccessKey
from esb_gateway.deployment import LOGIN_PATH, RESERVED_PATHS, Box
from esb_gateway.routes.client import TrustedProxies, parse_trusted_proxies
from esb_gateway.slow_clients import CLIENT_TIMEOUT
from esb_gateway.workers.agent_channel import AgentTls
from esb_gateway.workers.worker import PoolLimits

_T = TypeVar("_T")
_WORKER_NAMES = frozenset(
    {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
)
_ENDPOINTS = "AWS_ENDPOINT_URL"
CREDENTIALS_FILE = "credentials.yml"
_TLS_OFF = "off-trusted-network"
_LOG_LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    """Settings that the gateway can't start with; one line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@frozen
class GatewayConfig:
    """Everything the gateway is told; times in seconds."""

    config_dir: Path
    agent_address: str
    state_dir: Path
    credentials_file: Path
    agent_tls: AgentTls | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    owner_id: str = "esb-gateway"
    stage: str = "Prod"
    access_log: bool = True
    log_level: str = "info"
    event_queue_limit: int = 10_000
    event_retry_seconds: float = 60.0
    dead_letter_limit: int = 10_000
    schedule_grace: float = 300.0
    drain_timeout: float = 30.0
    client_timeout: float = CLIENT_TIMEOUT
    keep_workers: bool = True
    prefetch_images: bool = True
    trusted_proxies: TrustedProxies = field(factory=TrustedProxies)
    sigv4: bool = True
    box: Box = field(factory=Box)


@define
class _Reader:
    """Reads variables and collects what is wrong with them. A set but empty variable counts as not set."""

    environ: Mapping[str, str]
    problems: list[str] = field(factory=list)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.environ.get(name) or default
        if value is None:
            self.problems.append(f"{name}: expected a value, found nothing")
        return value or ""

    def parsed(self, name: str, default: _T, parse: Callable[[str], _T], expected: str) -> _T:
        value = self.environ.get(name)
        if not value:
            return default
        try:
            return parse(value)
        except ValueError:
            self.problems.append(f"{name}: expected {expected}, found {value!r}")
            return default


def read_config(environ: Mapping[str, str]) -> GatewayConfig:
    """Read the settings.

    Raises:
        ConfigError: with all that is wrong, not only the first.
    """
    reader = _Reader(environ)
    host = reader.text("ESB_GATEWAY_HOST", "127.0.0.1")
    port = reader.parsed("ESB_GATEWAY_PORT", 8080, _port, "a port from 1 to 65535")
    config = GatewayConfig(
        config_dir=Path(reader.text("ESB_CONFIG_DIR")),
        agent_address=reader.parsed("ESB_AGENT_ADDRESS", "", _agent_address, "unix:/path or tcp:host:port")
        or reader.text("ESB_AGENT_ADDRESS"),
        agent_tls=_agent_tls(reader),
        state_dir=Path(reader.text("ESB_GATEWAY_STATE_DIR")),
        credentials_file=_credentials_file(environ),
        host=host,
        port=port,
        owner_id=reader.text("ESB_OWNER_ID", "esb-gateway"),
        stage=reader.text("ESB_GATEWAY_STAGE", "Prod"),
        access_log=reader.parsed("ESB_GATEWAY_ACCESS_LOG", True, _switch, "on or off"),
        log_level=reader.parsed("ESB_GATEWAY_LOG_LEVEL", "info", _level, " or ".join(_LOG_LEVELS)),
        event_queue_limit=reader.parsed("ESB_GATEWAY_EVENT_QUEUE", 10_000, _whole, "a whole number from 1"),
        event_retry_seconds=reader.parsed(
            "ESB_GATEWAY_EVENT_RETRY_SECONDS", 60.0, _seconds, "seconds from 0"
        ),
        dead_letter_limit=reader.parsed("ESB_GATEWAY_DEAD_LETTERS", 10_000, _whole, "a whole number from 1"),
        schedule_grace=reader.parsed("ESB_GATEWAY_SCHEDULE_GRACE", 300.0, _seconds, "seconds from 0"),
        drain_timeout=reader.parsed("ESB_GATEWAY_DRAIN_TIMEOUT", 30.0, _seconds, "seconds from 0"),
        client_timeout=reader.parsed(
            "ESB_GATEWAY_CLIENT_TIMEOUT", CLIENT_TIMEOUT, _positive_seconds, "seconds above 0"
        ),
        keep_workers=reader.parsed("ESB_GATEWAY_STOP_WORKERS", True, _keep, "keep or end"),
        prefetch_images=reader.parsed("ESB_GATEWAY_PREFETCH_IMAGES", True, _switch, "on or off"),
        trusted_proxies=reader.parsed(
            "ESB_GATEWAY_TRUSTED_PROXIES", TrustedProxies(), parse_trusted_proxies, "addresses and networks"
        ),
        sigv4=reader.parsed("ESB_GATEWAY_SIGV4", True, _required, "required or off"),
        box=_box(reader, host, port),
    )
    if reader.problems:
        raise ConfigError(reader.problems)
    return config


def _agent_tls(reader: _Reader) -> AgentTls | None:
    """TCP needs mutual TLS; to go without must be said by name."""
    off = reader.parsed("ESB_AGENT_TLS", False, _off, _TLS_OFF)
    if off or not reader.environ.get("ESB_AGENT_ADDRESS", "").startswith("tcp:"):
        return None
    expected = f"a PEM file, or ESB_AGENT_TLS={_TLS_OFF}"
    certificate, key, authority = (
        reader.parsed(name, None, _file, expected) or Path(reader.text(name))
        for name in ("ESB_AGENT_TLS_CERT", "ESB_AGENT_TLS_KEY", "ESB_AGENT_TLS_CA")
    )
    return AgentTls(certificate=certificate, key=key, authority=authority)


def _box(reader: _Reader, host: str, port: int) -> Box:
    region = reader.environ.get("AWS_REGION") or reader.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    pause = reader.parsed("ENABLE_CONTAINER_PAUSE", False, _truth, "true or false")
    pause_after = reader.parsed("ESB_GATEWAY_PAUSE_AFTER", 30.0, _seconds, "seconds from 0")
    limits = PoolLimits(
        max=reader.parsed("ESB_GATEWAY_MAX_WORKERS", 10, _whole, "a whole number from 1"),
        idle_timeout=reader.parsed("ESB_GATEWAY_IDLE_TIMEOUT", 300.0, _seconds, "seconds from 0"),
        acquire_timeout=reader.parsed("ESB_GATEWAY_ACQUIRE_TIMEOUT", 10.0, _seconds, "seconds from 0"),
        queue=reader.parsed("ESB_GATEWAY_QUEUE", 100, _whole, "a whole number from 1"),
        pause_after=pause_after if pause else None,
    )
    return Box(
        region=region,
        worker_environment=worker_environment(reader.environ, region, _own_url(host, port)),
        variables=dict(reader.environ),
        limits=limits,
        login_path=reader.parsed("ESB_GATEWAY_AUTH_PATH", LOGIN_PATH, _own_path, "a path like /user/auth/v1"),
    )


def _own_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def worker_environment(environ: Mapping[str, str], region: str, own_url: str) -> dict[str, str]:
    """Return what every worker gets: the box's endpoints, credentials and region.

    Functions that invoke functions come back to this gateway, unless AWS_ENDPOINT_URL_LAMBDA says otherwise.
    """
    passed = {
        name: value for name, value in environ.items() if name in _WORKER_NAMES or name.startswith(_ENDPOINTS)
    }
    defaults = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "AWS_ENDPOINT_URL_LAMBDA": own_url}
    return {**defaults, **passed}


def with_functions_key(config: GatewayConfig, key: AccessKey) -> GatewayConfig:
    """Return the settings with the pair that workers sign their calls with."""
    environment = {
        **config.box.worker_environment,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
    }
    environment.pop("AWS_SESSION_TOKEN", None)
    if key.session_token:
        environment["AWS_SESSION_TOKEN"] = key.session_token
    return evolve(config, box=evolve(config.box, worker_environment=environment))


def environment_key(environ: Mapping[str, str]) -> AccessKey | None:
    """Return the functions' pair where the gateway's environment has one: it opens stores and gateway."""
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    return AccessKey(FUNCTIONS, key_id, secret, environ.get("AWS_SESSION_TOKEN", ""))


def read_credentials_file(environ: Mapping[str, str]) -> Path:
    """Return where the credentials are.

    Raises:
        ConfigError: neither the file nor the state directory is named.
    """
    if not environ.get("ESB_GATEWAY_CREDENTIALS") and not environ.get("ESB_GATEWAY_STATE_DIR"):
        raise ConfigError(["ESB_GATEWAY_STATE_DIR: expected a value, found nothing"])
    return _credentials_file(environ)


def _credentials_file(environ: Mapping[str, str]) -> Path:
    named = environ.get("ESB_GATEWAY_CREDENTIALS")
    return Path(named or Path(environ.get("ESB_GATEWAY_STATE_DIR", "")) / CREDENTIALS_FILE)


def _agent_address(text: str) -> str:
    scheme, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if scheme == "tcp" and host:
        _port(port)
    elif scheme != "unix" or not rest:
        raise ValueError(text)
    return text


def _off(text: str) -> bool:
    if text != _TLS_OFF:
        raise ValueError(text)
    return True


def _file(text: str) -> Path | None:
    if not Path(text).is_file():
        raise ValueError(text)
    return Path(text)


def _port(text: str) -> int:
    number = _whole(text)
    if number > 65535:
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


def _positive_seconds(text: str) -> float:
    number = _seconds(text)
    if number == 0:
        raise ValueError(text)
    return number


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _keep(text: str) -> bool:
    if text not in ("keep", "end"):
        raise ValueError(text)
    return text == "keep"


def _own_path(text: str) -> str:
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", text) or text in RESERVED_PATHS:
        raise ValueError(text)
    return text


def _required(text: str) -> bool:
    if text not in ("required", "off"):
        raise ValueError(text)
    return text == "required"


def _level(text: str) -> str:
    if text not in _LOG_LEVELS:
        raise ValueError(text)
    return text
