"""The port to the host's own tools: ip, nft, iptables, ctr."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from esb_node.errors import NodeError

_SECONDS = 20.0
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str) -> str | None:
    """Where a program is; the system's own directories count too, which a user's PATH may lack."""
    return shutil.which(program) or shutil.which(program, path=_SYSTEM_PATH)


def run(argv: Sequence[str], text: str | None = None, seconds: float = _SECONDS) -> str:
    """What a program prints.

    Raises:
        NodeError: it is not installed, failed or took too long; has what it said.
    """
    try:
        done = _run(argv, text, seconds)
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"{argv[0]} does not end within {seconds:g} s: {' '.join(argv)}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise NodeError(f"{' '.join(argv)}: {said}")
    return done.stdout


def succeeds(argv: Sequence[str], text: str | None = None, seconds: float = _SECONDS) -> bool:
    """Whether a program does what it is asked, as with questions and with removing what may be gone."""
    try:
        return _run(argv, text, seconds).returncode == 0
    except (NodeError, subprocess.TimeoutExpired):
        return False


def lines(argv: Sequence[str], seconds: float = _SECONDS) -> list[str]:
    """The lines a program prints; none when it fails."""
    try:
        return run(argv, seconds=seconds).splitlines()
    except NodeError:
        return []


def _run(argv: Sequence[str], text: str | None, seconds: float) -> subprocess.CompletedProcess[str]:
    program = find(argv[0])
    if program is None:
        raise NodeError(f"{argv[0]} is not installed")
    return subprocess.run(
        [program, *argv[1:]],
        input=text,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C in a terminal must not stop a clean-up half-way
    )
