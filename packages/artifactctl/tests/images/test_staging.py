from __future__ import annotations

import os
from pathlib import Path

from artifactctl.images.context import Context
from artifactctl.images.ignore import IgnoreRules
from artifactctl.images.recipe import Platform
from artifactctl.images.staging import staged
from artifactctl.images.touched import Touched
from artifactctl.images.tree import walk
from artifactctl.images.work import Build


def staged_facts(root: Path) -> dict[str, tuple[str, int, str]]:
    touched = Touched(Context(root, IgnoreRules()))
    list(walk(touched, ""))
    build = Build(root / "Dockerfile", b"FROM x\n", touched.entries, (Platform("linux", "amd64"),))
    with staged(build) as (context, dockerfile):
        assert dockerfile.read_bytes() == b"FROM x\n"
        assert not dockerfile.is_relative_to(context)
        found = {}
        for path in sorted(context.rglob("*")):
            facts = path.lstat()
            text = str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
            found[str(path.relative_to(context))] = (f"{facts.st_mode:o}", int(facts.st_mtime), text)
    assert not context.exists()
    return found


def test_neither_umask_nor_clock_of_the_artifact_get_to_the_engine(tmp_path: Path) -> None:
    facts = []
    for number, (umask, mtime) in enumerate([(0o077, 5), (0o002, 10**9)]):
        before = os.umask(umask)
        try:
            root = tmp_path / str(number)
            (root / "src" / "bin").mkdir(parents=True)
            (root / "src" / "app.py").write_text("x")
            (root / "src" / "bin" / "tool").write_text("y")
            (root / "src" / "bin" / "tool").chmod(0o700 if number else 0o755)
            (root / "src" / "link").symlink_to("app.py")
            os.utime(root / "src" / "app.py", (mtime, mtime))
            facts.append(staged_facts(root))
        finally:
            os.umask(before)
    assert (
        facts[0]
        == facts[1]
        == {
            "src": ("40755", 0, ""),
            "src/app.py": ("100644", 0, "x"),
            "src/bin": ("40755", 0, ""),
            "src/bin/tool": ("100755", 0, "y"),
            "src/link": ("120777", 0, "app.py"),
        }
    )
