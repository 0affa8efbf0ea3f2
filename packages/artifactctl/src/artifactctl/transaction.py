"""Merge, apply and plan: the driver of contract §11.

    artifact ─check▶ entries ───┐
    CONFIG_DIR ─snapshot▶ base ─┴─merge▶ changes ─(lock, if there are any)▶ generation ─switch▶ CONFIG_DIR

The merge is computed before the lock is taken: a rejected artifact, and one that changes nothing, writes
nothing at all, and the lock is held for the writing only. Under it the merge is repeated if CONFIG_DIR has
changed.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artifact_contract.codec import Reader
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.errors import Problem, raise_errors
from attrs import evolve, frozen

from artifactctl.api import ApplyRequest, ApplyResult, MergeRequest, PlanRequest, PlanResult
from artifactctl.block_yaml import block_reader
from artifactctl.checks import Checked, Secrets, check_artifact
from artifactctl.config_files import dump_files
from artifactctl.disk import Disk, LocalDisk
from artifactctl.generations import AppliedEntry, Generation
from artifactctl.lock import OnWait, current_holder, exclusive
from artifactctl.merging import Merged, dangling_routes, merge_entries
from artifactctl.ownership import OWNERSHIP_FILE, Owners, dump_owners
from artifactctl.publishing import (
    clear_leftovers,
    make_links,
    next_number,
    prepare_directory,
    prune_generations,
    switch_to,
    write_generation,
)
from artifactctl.slots import Slots
from artifactctl.snapshot import Snapshot, read_snapshot, read_state
from artifactctl.version import TOOL

_LOCAL_DISK = LocalDisk()


def ignore_wait(_: object) -> None:
    """Nobody is there to be told."""


def merge(request: MergeRequest, *, on_wait: OnWait = ignore_wait, disk: Disk = _LOCAL_DISK) -> ApplyResult:
    """Merge an artifact into CONFIG_DIR as one transaction; all checks of `apply` but the one for secrets.

    Raises:
        ArtifactError: the artifact is rejected; nothing was written.
        WorldError: CONFIG_DIR can't be read, locked or written; what was current still is.
        RequestError: CONFIG_DIR is inside the artifact.
        OSError: the artifact can't be read.
    """
    return _transact(request, None, on_wait, disk)


def apply(request: ApplyRequest, *, on_wait: OnWait = ignore_wait, disk: Disk = _LOCAL_DISK) -> ApplyResult:
    """Check an artifact in full and merge it into CONFIG_DIR as one transaction.

    Raises:
        ArtifactError: the artifact is rejected, or a secret is missing; nothing was written.
        WorldError: CONFIG_DIR can't be read, locked or written; what was current still is.
        RequestError: CONFIG_DIR is inside the artifact.
        OSError: the artifact can't be read.
    """
    return _transact(request, Secrets(request.secret_env), on_wait, disk)


def plan(request: PlanRequest) -> PlanResult:
    """What applying would change now; writes nothing and takes no lock.

    Raises:
        As `apply`; secrets are checked when a file is given for them.
    """
    secrets = Secrets(request.secret_env) if request.secret_env else None
    with _no_collector():
        reader = block_reader()
        checked = check_artifact(
            request.artifact, request.config_dir, strict=request.strict, secrets=secrets, reader=reader
        )
        work = _Work.of(request.config_dir, checked, request.strict, reader)
    first = next_number(request.config_dir)
    adopts, writes = work.snapshot.adoption is not None, work.writes_generation
    return PlanResult(
        config_dir=request.config_dir,
        project=checked.loaded.manifest.project,
        env=checked.loaded.manifest.env,
        changed=work.writes,
        generation=first + adopts + writes - 1 if adopts or writes else work.snapshot.current or first,
        previous=work.snapshot.current,
        entries=work.merged.entries,
        adopted=first if adopts else None,
        relinked=work.to_link,
        warnings=work.warnings,
    )


@frozen
class _Work:
    """What there is to do, given what CONFIG_DIR holds."""

    snapshot: Snapshot
    merged: Merged
    warnings: tuple[Problem, ...]

    @classmethod
    def of(cls, config_dir: Path, checked: Checked, strict: bool, reader: Reader) -> _Work:
        """Merge onto what CONFIG_DIR holds now."""
        snapshot = read_snapshot(config_dir, reader)
        merged = merge_entries(snapshot.base, checked.entries)
        found = (*checked.warnings, *snapshot.warnings, *merged.warnings, *dangling_routes(merged))
        return cls(snapshot, merged, raise_errors(found, strict=strict))

    @property
    def writes_generation(self) -> bool:
        """Whether the merge gives something else than what is there."""
        nothing_yet = self.snapshot.current is None and self.snapshot.adoption is None
        return self.merged.changed or nothing_yet

    @property
    def to_link(self) -> tuple[str, ...]:
        """The files at the top of CONFIG_DIR that should be links and aren't."""
        odd = {*self.snapshot.plain, *self.snapshot.missing}
        return tuple(name for name in CONFIG_FILES if name in odd)

    @property
    def writes(self) -> bool:
        """Whether there is anything to write at all."""
        return self.writes_generation or self.snapshot.adoption is not None or bool(self.to_link)


def _transact(request: MergeRequest, secrets: Secrets | None, on_wait: OnWait, disk: Disk) -> ApplyResult:
    with _no_collector():
        reader = block_reader()
        config_dir = request.config_dir
        checked = check_artifact(
            request.artifact, config_dir, strict=request.strict, secrets=secrets, reader=reader
        )
        work = _Work.of(config_dir, checked, request.strict, reader)
        if not work.writes:
            return _result(request, checked, work)
        prepare_directory(config_dir, disk)
        holder = current_holder(request.command, request.now)
        with exclusive(config_dir, timeout=request.lock_timeout, holder=holder, on_wait=on_wait, disk=disk):
            if read_state(config_dir) != work.snapshot.state:
                work = _Work.of(config_dir, checked, request.strict, reader)
            return _write(request, checked, work, disk) if work.writes else _result(request, checked, work)


def _write(request: MergeRequest, checked: Checked, work: _Work, disk: Disk) -> ApplyResult:
    """Write what there is to write, in the order that keeps CONFIG_DIR whole (see `publishing`)."""
    config_dir, snapshot, merged = request.config_dir, work.snapshot, work.merged
    clear_leftovers(config_dir, disk)
    result = _result(request, checked, work)
    new = Generation(number=0, applied_at=request.now.isoformat(timespec="seconds"), tool=TOOL)
    if snapshot.adoption:
        files = {**snapshot.adoption.files, OWNERSHIP_FILE: dump_owners(snapshot.adoption.owners)}
        number = next_number(config_dir)
        write_generation(config_dir, evolve(new, number=number, adopted=True), files, disk)
        switch_to(config_dir, number, disk)
        result = evolve(result, generation=number, adopted=number)
    if snapshot.plain:
        # What these files say is current by now, so that nobody sees them change.
        make_links(config_dir, snapshot.plain, disk)
    if work.writes_generation:
        number = next_number(config_dir)
        generation = evolve(
            new,
            number=number,
            project=checked.loaded.manifest.project,
            env=checked.loaded.manifest.env,
            entries=tuple(AppliedEntry(entry.id, entry.owner.ref) for entry in checked.entries),
        )
        write_generation(config_dir, generation, _content(merged.slots, merged.owners), disk)
        make_links(config_dir, snapshot.missing, disk)
        switch_to(config_dir, number, disk)
        result = evolve(result, generation=number)
    make_links(config_dir, snapshot.missing, disk)
    removed, failures = prune_generations(config_dir, result.generation, request.keep, disk)
    return evolve(result, changed=True, removed_generations=removed, warnings=(*result.warnings, *failures))


def _content(slots: Slots, owners: Owners) -> dict[str, bytes]:
    return {**dump_files(slots), OWNERSHIP_FILE: dump_owners(owners)}


def _result(request: MergeRequest, checked: Checked, work: _Work) -> ApplyResult:
    """The result of writing nothing."""
    return ApplyResult(
        config_dir=request.config_dir,
        project=checked.loaded.manifest.project,
        env=checked.loaded.manifest.env,
        changed=False,
        generation=work.snapshot.current or 0,
        previous=work.snapshot.current,
        entries=work.merged.entries,
        relinked=work.to_link,
        warnings=work.warnings,
    )


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without the cyclic garbage collector: it would look again and again at nodes that all stay in use."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
