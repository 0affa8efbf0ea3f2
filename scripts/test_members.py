"""Run each member's tests in an environment that holds only what the member declares.

An import that a member forgot to declare fails here, although the shared development environment has it.
Environments are kept under .venvs/ and rebuilt when the lock or the metadata of a member changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".venvs"
MEMBERS = {
    tomllib.loads(pyproject.read_text())["project"]["name"]: pyproject.parent
    for pyproject in sorted(
        [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    )
}


def main(selected: list[str]) -> int:
    """Test the named members, or all; return non-zero when any of them failed."""
    unknown = set(selected) - set(MEMBERS)
    if unknown:
        print(f"unknown members {sorted(unknown)}; known: {', '.join(MEMBERS)}", file=sys.stderr)
        return 2
    failed = [name for name in selected or MEMBERS if not test_member(name)]
    if failed:
        print(f"members with failing tests: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def test_member(name: str) -> bool:
    """Run one member's tests in its own environment; an absent test directory counts as a failure."""
    member = MEMBERS[name]
    print(f"── {name}", flush=True)
    python = environment(name)
    options = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command = [str(python), "-m", "pytest", *options, str(member / "tests")]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def environment(name: str) -> Path:
    """Return the interpreter of the member's environment, made when missing or out of date."""
    home = ENVIRONMENTS / name
    python = home / "bin" / "python"
    members = sorted(closure(name))
    inputs = [ROOT / "requirements.lock", *(MEMBERS[each] / "pyproject.toml" for each in members)]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in inputs)).hexdigest()
    stamp = home / ".state"
    if python.exists() and stamp.exists() and stamp.read_text() == state:
        return python
    shutil.rmtree(home, ignore_errors=True)
    uv("venv", "--quiet", "--python", sys.executable, home)
    editable = [
        part for each in members for part in ("--editable", f"{MEMBERS[each]}{optional(each, of=name)}")
    ]
    uv(
        *("pip", "install", "--quiet", "--compile-bytecode", "--python", python),
        *("--constraints", ROOT / "requirements.lock", "--group", f"{MEMBERS[name] / 'pyproject.toml'}:test"),
        *editable,
    )
    stamp.write_text(state)
    return python


def closure(name: str) -> set[str]:
    """Return the member and the workspace members it declares, as needed or optional, directly or not."""
    project = metadata(name)
    declared = [*project.get("dependencies", []), *chain(*project.get("optional-dependencies", {}).values())]
    wanted = {requirement.split("==")[0].split("[")[0] for requirement in declared}
    return {name}.union(*(closure(other) for other in wanted & set(MEMBERS)))


def optional(member: str, *, of: str) -> str:
    """Return the extras to ask for: all of the tested member, none of those it depends on."""
    names = metadata(member).get("optional-dependencies", {}) if member == of else {}
    return f"[{','.join(names)}]" if names else ""


def metadata(name: str) -> dict[str, Any]:
    """Return the [project] table of a member."""
    project: dict[str, Any] = tomllib.loads((MEMBERS[name] / "pyproject.toml").read_text())["project"]
    return project


def uv(*arguments: str | Path) -> None:
    """Run uv, from .tools or PATH; a failure ends the run with uv's own message."""
    local = ROOT / ".tools" / "uv" / "bin" / "uv"
    program = local if local.exists() else "uv"
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    subprocess.run([program, *arguments], check=True, env=environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
