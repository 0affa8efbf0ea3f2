"""Check rules of this repository that no other tool knows.

No tracked file names a package registry's host (mirrors differ from site to site), uv.lock stays untracked
(it names one), every member carries its papers, all members have one version, and every test that the table
of AWS's behaviours names exists, as does every test of hostile functions that the page on security names.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Written in two halves: this file is tracked too.
REGISTRY_HOSTS = [
    f"{name}.{domain}"
    for name, domain in [
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
        ("security.debian", "org"),
        ("snapshot.debian", "org"),
    ]
]
GATEWAY_TESTS = Path("services/gateway/tests")
BEHAVIOURS = Path("docs/aws-behaviour.md")
SECURITY, HOSTILE = Path("docs/security.md"), Path("e2e/test_hostile_functions.py")
PAPERS = ["README.md", "CHANGELOG.md", "pyproject.toml"]


def main() -> int:
    """Print each broken rule; return non-zero when there is one."""
    tracked = [Path(line) for line in git("ls-files").splitlines()]
    problems = [
        *registry_hosts(tracked),
        *untracked_lock(tracked),
        *papers(),
        *versions(),
        *named_tests(),
        *attacks(),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def registry_hosts(tracked: list[Path]) -> list[str]:
    """Return a line for each tracked file that names a registry's host."""
    found = []
    for path in tracked:
        file = ROOT / path
        data = file.read_bytes() if file.is_file() and not file.is_symlink() else b""
        found += [
            f"{path}: names the registry host {host}" for host in REGISTRY_HOSTS if host.encode() in data
        ]
    return found


def untracked_lock(tracked: list[Path]) -> list[str]:
    """Return a line when uv.lock is tracked."""
    return (
        ["uv.lock is tracked; requirements.lock is the committed lock"] if Path("uv.lock") in tracked else []
    )


def papers() -> list[str]:
    """Return a line for each member without README, changelog or tests."""
    members = [
        path.parent
        for path in [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    ]
    missing = [
        f"{member.relative_to(ROOT)}: no {name}"
        for member in members
        for name in PAPERS
        if not (member / name).exists()
    ]
    untested = [
        f"{member.relative_to(ROOT)}: no tests"
        for member in members
        if not list(member.glob("tests/test_*.py"))
    ]
    return missing + untested


def versions() -> list[str]:
    """Return a line when the members' versions differ."""
    found = {
        str(path.parent.relative_to(ROOT)): tomllib.loads(path.read_text())["project"]["version"]
        for path in [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    }
    return [f"members differ in version: {found}"] if len(set(found.values())) > 1 else []


def named_tests() -> list[str]:
    """Return a line for each test that the table of AWS's behaviours names and nobody wrote."""
    missing = []
    for place, name in re.findall(r"`([\w/.-]+\.py)::(\w+)`", (ROOT / BEHAVIOURS).read_text()):
        path = Path(place) if place.startswith(("services/", "e2e/")) else GATEWAY_TESTS / place
        file = ROOT / path
        if not file.exists() or not re.search(rf"^ *(async )?def {name}\(", file.read_text(), re.MULTILINE):
            missing.append(f"{BEHAVIOURS}: no test {path}::{name}")
    return missing


def attacks() -> list[str]:
    """Return a line for each test of hostile functions that only its page knows, or only its file."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / SECURITY).read_text()))
    written = set(re.findall(r"^def (test_\w+)\(", (ROOT / HOSTILE).read_text(), re.MULTILINE))
    return [f"{SECURITY} and {HOSTILE} differ: {name}" for name in sorted(named ^ written)]


def git(*arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
