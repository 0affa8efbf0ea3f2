"""A real box of containerd mode for tests of the gate, where the host has what it needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.containerd_box import ContainerdBox, registry
from runner.matrix import load
from runner.probes import PROBES, missing
from runner.run import DRIVERS

ROOT = Path(__file__).resolve().parent.parent


def require(profile: str) -> None:
    """Skip where the matrix defers a profile, or the host lacks what it needs; there it may be a failure."""
    matrix = ROOT / "e2e/environments/test_matrix.yaml"
    found = load(matrix, ROOT, tuple(DRIVERS), tuple(PROBES))[profile]
    if found.deferred:
        pytest.skip("; ".join(found.deferred))
    if reasons := missing(found.requires):
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail("; ".join(reasons))
        pytest.skip("; ".join(reasons))


@contextmanager
def real_box(
    place: Path,
    template: str,
    sources: Mapping[str, str],
    environ: Mapping[str, str],
    open_ports: Sequence[int] = (),
) -> Iterator[tuple[ContainerdBox, Callable[[], None]]]:
    """A box that serves, and a way to take its registry from it; nothing of it is there afterwards."""
    require("e2e-containerd")
    with registry(place) as (address, process):

        def unplug() -> None:
            process.kill()
            process.wait()

        box = ContainerdBox(place, address, environ, open_ports=open_ports)
        box.generate(template, sources)
        try:
            with box.serving():
                names = box.names()
                yield box, unplug
            assert box.kept(names) == []
        finally:
            # What the box logged tells of a failure; its images are too large to stay.
            shutil.copytree(box.state / "logs", place / "logs", dirs_exist_ok=True)
            shutil.rmtree(box.state, ignore_errors=True)
