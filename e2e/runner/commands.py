"""Commands of a profile: what they print goes to its log; a run that is stopped stops them first."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_STOP_SECONDS = 20.0
_SHORT = 120


class PhaseError(Exception):
    """A phase cannot go on; its log says more."""


class Commands:
    """Runs commands below `root`, with `environ`, into one log file."""

    def __init__(self, root: Path, environ: Mapping[str, str], log: Path) -> None:
        self.root = root
        self.log = log
        self._environ = dict(environ)
        log.parent.mkdir(parents=True, exist_ok=True)

    def note(self, text: str) -> None:
        """Write a line of the runner's own to the log."""
        with self.log.open("a") as file:
            file.write(f"{text}\n")

    async def run(
        self, *words: object, seconds: float, environ: Mapping[str, str] | None = None, check: bool = True
    ) -> int:
        """Run a command and return its exit code; PhaseError when that isn't 0 or the time is over."""
        code, _ = await self._run(words, seconds, environ or {}, keep=False)
        if check and code:
            raise PhaseError(f"`{_short(words)}` ended with {code}")
        return code

    async def ask(
        self, *words: object, seconds: float, environ: Mapping[str, str] | None = None, check: bool = True
    ) -> str:
        """The same for a command whose stdout is the result, which the log doesn't get."""
        code, said = await self._run(words, seconds, environ or {}, keep=True)
        if check and code:
            raise PhaseError(f"`{_short(words)}` ended with {code}")
        return said

    async def _run(
        self, words: tuple[object, ...], seconds: float, environ: Mapping[str, str], *, keep: bool
    ) -> tuple[int, str]:
        self.note(f"$ {_shown(words)}")
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *map(str, words),
                cwd=self.root,
                env=self._environ | dict(environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if keep else log,
                stderr=log,
                # Ctrl-C on a terminal is the runner's to handle, for each command in its turn.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(seconds):
                said, _ = await process.communicate()
        except TimeoutError:
            await _stop(process)
            raise PhaseError(f"`{_short(words)}` did not end within {seconds:g} s") from None
        except asyncio.CancelledError:
            await _stop(process)
            raise
        if process.returncode == -signal.SIGINT:  # a Ctrl-C that came before it had its own session
            raise asyncio.CancelledError
        return process.returncode or 0, (said or b"").decode(errors="replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Interrupt the command as a person would, and end it when that doesn't help."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    with suppress(ProcessLookupError):  # it, or what it started and left
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _short(words: tuple[object, ...]) -> str:
    """Begin and end of a command; the log has the whole."""
    text = _shown(words)
    return text if len(text) <= _SHORT else f"{text[: _SHORT // 2]} … {text[-_SHORT // 2 :]}"


def _shown(words: tuple[object, ...]) -> str:
    return shlex.join(map(str, words))
