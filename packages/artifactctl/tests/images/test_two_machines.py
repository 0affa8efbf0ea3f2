"""The same inputs give the same digests wherever, whenever and as whoever they are built (contract §13)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MAIN = "import sys; from artifactctl.cli import main; sys.argv[0] = 'artifactctl'; main()"
NOBODY = 65534


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that another user may enter, too."""
    directory = Path(tempfile.mkdtemp(prefix="artifactctl-test-"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def copied(source: Path, target: Path, *, mtime: int, closed: bool) -> Path:
    """A copy as another machine has it: other times, other permissions as its umask has them."""
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod((0o700 if closed else 0o775) if executable else (0o600 if closed else 0o664))
        os.utime(path, (mtime, mtime))
    return target / "artifact.yml"


def digests(manifest: Path, layout: Path, *, user: int | None = None, umask: int) -> dict[str, str]:
    command = [sys.executable, "-c", MAIN, "prepare-images", "--artifact", str(manifest), "--output", "json"]
    if user is not None:
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
        for path in (manifest.parent, *manifest.parent.rglob("*")):
            os.chown(path, user, user)
    done = subprocess.run(
        [*command, "--target", f"oci-layout:{layout}"],
        cwd=manifest.parent,
        env={**os.environ, "HOME": str(manifest.parent)},
        umask=umask,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {image["ref"]: image["digest"] for image in json.loads(done.stdout)["images"]}


def test_two_machines_and_two_users_give_the_same_digests(artifact: Any, open_to_all: Path) -> None:
    entry = artifact.entry().base("import os\n")
    entry.function("a").function("b")
    entry.write("functions/a/src/bin/tool", "#!/bin/sh\n", 0o755)
    one = copied(artifact.directory, open_to_all / "one", mtime=5, closed=True)
    two = copied(artifact.directory, open_to_all / "far" / "two", mtime=10**9, closed=False)
    user = NOBODY if os.getuid() == 0 and shutil.which("setpriv") else None
    first = digests(one, open_to_all / "layout1", umask=0o077)
    second = digests(two, open_to_all / "layout2", umask=0o002, user=user)
    assert len(first) == 3
    assert first == second
