"""What the driver is told: where the engine is, what its containers are called, how images come.

Apart from the driver, so that reading the configuration does not load it.
"""

from enum import Enum
from pathlib import Path

from artifact_contract.runtime_identity import RuntimeIdentity
from attrs import frozen


class PullPolicy(Enum):
    """When an image is asked of its registry: never, when the engine has none, or before each start."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


@frozen(kw_only=True)
class DockerConfig:
    """`host` is `unix:///path` or `tcp://host:port`; `identity` is what its containers are named after.

    `auth_file` is a docker configuration file with the registries' credentials, if there are any.
    """

    state_dir: Path
    identity: RuntimeIdentity
    host: str = "unix:///var/run/docker.sock"
    pull: PullPolicy = PullPolicy.MISSING
    auth_file: Path | None = None
    init_seconds: float = 10.0
    log_max_bytes: int = 10 * 1024 * 1024
    log_backups: int = 3
