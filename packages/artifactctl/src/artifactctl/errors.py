"""What can go wrong besides the artifact (contract §12): the world failed, or the command makes no sense.

A rejected artifact is an `artifact_contract.errors.ArtifactError`; the exit codes stand in `cli.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from artifact_contract.errors import Problem


class WorldError(Exception):
    """Disk, lock, engine or registry failed: the same command may work later, with the same artifact."""


class DiskError(WorldError):
    """An operation on a file or directory failed; `path` is which."""

    def __init__(self, path: Path, action: str, cause: OSError) -> None:
        super().__init__(f"{path}: cannot {action}: {cause.strerror or cause}")
        self.path = path


class ConfigDirError(WorldError):
    """CONFIG_DIR holds something that can't be read as a runtime config; `problems` say where."""

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([message, *map(str, self.problems)]))


class LockTimeoutError(WorldError):
    """Another writer held CONFIG_DIR's lock for longer than the caller wanted to wait."""


class RequestError(Exception):
    """What was asked for is impossible, whatever the artifact and the world are like (exit code 2)."""
