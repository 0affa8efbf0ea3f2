"""What the public functions take and give (contract §11, §12): frozen values, for the CLI and for callers.

Nothing here reads the environment, the clock or the working directory: the caller does, and passes it in.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from artifact_contract.errors import Problem
from attrs import frozen

from artifactctl.generations import Generation
from artifactctl.merging import EntryChanges

DEFAULT_KEEP = 10
DEFAULT_LOCK_TIMEOUT = 60.0


@frozen(kw_only=True)
class MergeRequest:
    """Merge an artifact into CONFIG_DIR, without asking for its secrets.

    `now` is when; `keep` how many generations to keep besides the current one; `lock_timeout` is in
    seconds; `command` names the caller to those who wait for the lock.
    """

    artifact: Path
    config_dir: Path
    now: datetime
    strict: bool = False
    keep: int = DEFAULT_KEEP
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    command: str = "artifactctl merge"


@frozen(kw_only=True)
class ApplyRequest(MergeRequest):
    """Merge an artifact into CONFIG_DIR when all its secrets are there; `secret_env` is a dotenv file."""

    secret_env: Path | None = None
    command: str = "artifactctl apply"


@frozen(kw_only=True)
class PlanRequest:
    """Ask what applying an artifact would change; secrets are checked when `secret_env` is given."""

    artifact: Path
    config_dir: Path
    strict: bool = False
    secret_env: Path | None = None


@frozen(kw_only=True)
class PlanResult:
    """What an apply would do now.

    `generation` is the one it would make current, `previous` is current now (None: none); `changed` is False
    when nothing would be written. `adopted` is the generation that a person's files would become first,
    `relinked` are links that would be put (back) in place.
    """

    config_dir: Path
    project: str
    env: str
    changed: bool
    generation: int
    previous: int | None
    entries: tuple[EntryChanges, ...]
    adopted: int | None = None
    relinked: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class ApplyResult(PlanResult):
    """What an apply or a merge did: a plan come true; `removed_generations` were older than wanted."""

    removed_generations: tuple[int, ...] = ()


@frozen(kw_only=True)
class HistoryRequest:
    """List the generations of CONFIG_DIR."""

    config_dir: Path


@frozen(kw_only=True)
class HistoryResult:
    """The generations kept, oldest first; `current` is the number of the one in force."""

    config_dir: Path
    current: int | None
    generations: tuple[Generation, ...]
    warnings: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class RollbackRequest:
    """Make an earlier generation current again: number `to`, or the newest one before the current."""

    config_dir: Path
    now: datetime
    to: int | None = None
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    command: str = "artifactctl rollback"


@frozen(kw_only=True)
class RollbackResult:
    """What a rollback did; `set_aside` are files that a person had put in the way, under their new names."""

    config_dir: Path
    changed: bool
    generation: Generation
    previous: int
    set_aside: tuple[Path, ...] = ()
    warnings: tuple[Problem, ...] = ()


@frozen(kw_only=True)
class StatusRequest:
    """Ask what CONFIG_DIR holds."""

    config_dir: Path


@frozen(kw_only=True)
class Drift:
    """A file that isn't what the current generation was written with."""

    file: Path
    fact: str


@frozen(kw_only=True)
class StatusResult:
    """The current generation (None: nothing applied), how many are kept, and what was edited by hand."""

    config_dir: Path
    current: Generation | None
    generations: tuple[int, ...]
    drift: tuple[Drift, ...] = ()
