"""What an agent is told by its environment. Parsed here, read in main.py, passed on as values."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from esb_agent.drivers.process.driver import ProcessConfig
from esb_agent.errors import ConfigError
from esb_agent.unix_socket import check_path

DRIVERS = ("process",)
MIB = 1024 * 1024


@frozen(kw_only=True)
class Config:
    """`metrics_port` 0: no metrics are served."""

    socket: Path
    process: ProcessConfig
    metrics_port: int


def parse_config(environment: Mapping[str, str], python: str) -> Config:
    """The configuration; `python` is the interpreter for functions when none is named.

    Raises:
        ConfigError: a variable is missing or wrong; the text names it, what was expected and what was found.
    """
    driver = environment.get("ESB_AGENT_DRIVER", "process")
    if driver not in DRIVERS:
        raise ConfigError(f"ESB_AGENT_DRIVER: expected one of {', '.join(DRIVERS)}, found {driver!r}")
    process = ProcessConfig(
        state_dir=_path(environment, "ESB_AGENT_STATE_DIR"),
        layout=_path(environment, "ESB_IMAGE_LAYOUT"),
        python=_interpreter(environment.get("ESB_PROCESS_PYTHON") or python),
        init_seconds=_number(environment, "ESB_AGENT_INIT_TIMEOUT", 10, least=1, most=900),
        drain_seconds=_number(environment, "ESB_AGENT_DRAIN_SECONDS", 2, least=0, most=900),
        log_max_bytes=_number(environment, "ESB_AGENT_LOG_MAX_MB", 10, least=1, most=10_000) * MIB,
        log_backups=_number(environment, "ESB_AGENT_LOG_BACKUPS", 3, least=0, most=1000),
        fork=_choice(environment, "ESB_PROCESS_START", ("fork", "exec")) == "fork",
    )
    return Config(
        socket=_socket(environment.get("ESB_AGENT_ADDRESS", "")),
        process=process,
        metrics_port=_number(environment, "ESB_AGENT_METRICS_PORT", 0, least=0, most=65535),
    )


def _socket(address: str) -> Path:
    scheme, _, path = address.partition(":")
    if scheme != "unix" or not path.startswith("/"):
        raise ConfigError(f"ESB_AGENT_ADDRESS: expected unix:/absolute/path, found {address!r}")
    check_path(Path(path))
    return Path(path)


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
