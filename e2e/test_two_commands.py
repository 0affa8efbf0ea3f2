"""What the first screen of the README promises: after `git clone`, `make demo` works, for anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.gate
NOBODY = 65534


def test_make_demo_works_from_a_clean_clone_twice(clean_clone: Path, run: Callable[..., object]) -> None:
    for attempt in ("first", "second"):
        started = time.monotonic()
        done = run("make", "demo", cwd=clean_clone)
        print(f"make demo, {attempt} run: {time.monotonic() - started:.1f} s")
        assert "POST /orders" in done.stdout
        assert leftovers(clean_clone) == []
    run("bash", "-c", "make demo | head -n 40", cwd=clean_clone)
    assert leftovers(clean_clone) == [], "a reader that leaves must not leave the box running"


@pytest.fixture
def foreign_clone(root: Path, uv: str) -> Iterator[Path]:
    """A clone that belongs to an unprivileged user, in a directory such a user can reach."""
    if os.geteuid() != 0:
        pytest.skip("already an unprivileged user: the other test covers this")
    home = Path("/var/tmp") / f"esb-demo-{os.getpid()}"
    home.mkdir(mode=0o755)
    try:
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", root, home / "clone"], check=True)
        (home / "bin").mkdir()
        shutil.copy(uv, home / "bin" / "uv")
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", home], check=True)
        yield home / "clone"
    finally:
        shutil.rmtree(home)


def test_make_demo_works_for_a_normal_user(foreign_clone: Path, run: Callable[..., object]) -> None:
    home = foreign_clone.parent
    keep = {name: value for name, value in os.environ.items() if name.endswith(("CERT_FILE", "CERT_DIR"))}
    environ = {**keep, "HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin", "PYTHON": "/usr/bin/python3"}
    if not Path("/usr/bin/python3").exists():
        pytest.skip("no system Python that another user could run")
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    done = run(*drop, "make", "demo", cwd=foreign_clone, env=environ)
    assert "POST /orders" in done.stdout
    assert leftovers(foreign_clone) == []


def leftovers(place: Path) -> list[str]:
    """Return the command lines of processes that still run from this checkout."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if entry.name.isdigit() and str(place) in line and entry.name != str(os.getpid()):
            found.append(line)
    return found
