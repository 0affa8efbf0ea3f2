"""From the keeper's fork to the function's runtime client: what a newborn worker does before it is one.

Everything here runs in the child only, which has one thread and a copy of the keeper's memory.
"""

import ctypes
import os
import resource
import runpy
import signal
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from esb_agent.drivers.process.keeper.messages import Spawn
from esb_agent.drivers.process.keeper.procfs import MARKER

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
# What Lambda gives a function, however many the agent itself needs.
LAMBDA_OPEN_FILES = 1024
# What the runtime client and the handlers of most functions import, and what is safe to share with a fork. Of
# awslambdaric only definitions: its other modules read their environment and start its native client when
# imported, so they are for the fork.
PRELOAD = (
    "argparse",
    "awslambdaric.lambda_config",
    "awslambdaric.lambda_context",
    "awslambdaric.lambda_literals",
    "awslambdaric.lambda_runtime_exception",
    "awslambdaric.lambda_runtime_log_utils",
    "http",
    "importlib.metadata",
    "json",
    "logging",
    "simplejson",
    "time",
    "traceback",
    "uuid",
    "warnings",
)


def preload() -> list[str]:
    """Import ahead what forked workers then have for nothing.

    Returns the top-level names of all that is loaded.
    """
    for name in PRELOAD:
        with suppress(ImportError):
            __import__(name)
    return sorted({name.partition(".")[0] for name in sys.modules} - {"__main__"})


def detach(keeper_pid: int, libc: ctypes.CDLL) -> None:
    """A session and process group of its own.

    Killed by the kernel when the keeper dies, however that dies.
    """
    os.setsid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NAME, b"esb-worker", 0, 0, 0)
    if os.getppid() != keeper_pid:
        # It died before prctl could take effect.
        os._exit(1)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def limit(data_bytes: int) -> None:
    """Bound private memory (the real limit is the watch over resident memory); no core files.

    The kernel's own OOM killer is pointed here first, away from agent and gateway.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = data_bytes if hard == resource.RLIM_INFINITY else min(data_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(LAMBDA_OPEN_FILES, files), files))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def redirect(stdout: int, stderr: int) -> None:
    """Nothing to read, two pipes to write, and none of the keeper's own descriptors."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.closerange(3, 256)


def settle(spawn: Spawn, stdout: int, stderr: int, keeper_pid: int, libc: ctypes.CDLL) -> None:
    """Everything that is the same however the worker goes on.

    An error is written to the worker's log, and ends it.
    """
    try:
        detach(keeper_pid, libc)
        redirect(stdout, stderr)
        limit(spawn.data_bytes)
        os.chdir(spawn.directory)
    except (OSError, ValueError) as error:
        os.write(2, f"worker could not be set up: {error}\n".encode())
        os._exit(126)


def execute(spawn: Spawn) -> NoReturn:
    """Become a fresh interpreter."""
    try:
        os.execve(spawn.arguments[0], spawn.arguments, spawn.environment)  # noqa: S606 - no shell is the point
    except (OSError, ValueError) as error:
        os.write(2, f"{spawn.arguments[0]}: {error}\n".encode())
        os._exit(127)


def mark(directory: str) -> None:
    """Write the worker's mark where the kernel shows a process's environment, over the keeper's room for it.

    That shows what a process was started with, whatever it did to its environment since; so what a fork
    forks in turn, and detaches from itself, would else be known by nothing.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    room = libc.getenv(MARKER.encode())
    mark = os.fsencode(directory)
    if room and len(mark) <= len(os.environb.get(MARKER.encode(), b"")):
        ctypes.memmove(room, mark + b"\0", len(mark) + 1)


def become(spawn: Spawn) -> None:
    """Become what `python -m MODULE ARGUMENT...` would be, without starting another interpreter.

    Returns, or raises SystemExit, when the function's process is to end; the interpreter then ends as it
    always does.
    """
    # As an interpreter sets them at its start: writing to a closed connection is an error, not the end.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mark(spawn.environment[MARKER])
    os.environ.clear()
    os.environ.update(spawn.environment)
    time.tzset()
    sys.path[:0] = [spawn.directory, *filter(None, spawn.environment.get("PYTHONPATH", "").split(os.pathsep))]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("esb_agent", "sitecustomize")]:
        del sys.modules[name]
    # `site` would have done this at start-up, with the function's PYTHONPATH.
    if find_spec("sitecustomize"):
        __import__("sitecustomize")
    module, *arguments = spawn.arguments[2:]
    sys.argv[:] = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
