"""The keeper's life: start workers when told, say when they end, and take all along when the agent ends.

The agent holds the other end of one socket. It closing, however the agent died, is the order to kill
everything: the keeper is a subreaper, so even what a function detached from itself comes back here. Should
the keeper be killed, the kernel kills the workers (PR_SET_PDEATHSIG), and the agent, or its next start, the
rest.
"""

import ctypes
import gc
import os
import platform
import select
import signal
import socket
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from esb_agent.drivers.process.keeper import birth, procfs
from esb_agent.drivers.process.keeper.messages import (
    MAX_PACKET,
    Exited,
    Failed,
    Message,
    Ready,
    Signal,
    Spawn,
    Started,
    decode,
    encode,
)

PR_SET_CHILD_SUBREAPER = 36
# How long a killed process may take until it is gone, before it is left to the next round.
SWEEP_SECONDS = 0.5
# How long a process that becomes another program may be without an environment.
NAMELESS_SECONDS = 0.2


class Keeper:
    """The workers it started.

    Worker id -> leading process, and that -> the worker's directory, by which strays are known.
    """

    def __init__(self, agent: socket.socket, libc: ctypes.CDLL) -> None:
        self._pid = os.getpid()
        self._agent = agent
        self._libc = libc
        self._leaders: dict[str, int] = {}
        self._directories: dict[int, str] = {}
        self._never_named: set[int] = set()

    def run(self) -> Spawn | None:
        """Serve until the agent is gone (None). In a forked worker: returns what that is to become."""
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._agent, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
            if self._agent.fileno() in ready:
                packet, files = self._hear()
                if not packet:
                    return None
                newborn = self._obey(decode(packet), files)
                if newborn:
                    signal.set_wakeup_fd(-1)
                    return newborn

    def _hear(self) -> tuple[bytes, list[int]]:
        try:
            packet, files, _, _ = socket.recv_fds(self._agent, MAX_PACKET, 2)
        except ConnectionResetError:
            # The agent went away without having read all it was told.
            return b"", []
        return packet, files

    def end(self) -> None:
        """Kill all workers and all they started, until nothing is left or time is up.

        Called in a worker, which is a copy of the keeper, it does nothing.
        """
        if os.getpid() != self._pid:
            return
        for leader in self._directories:
            procfs.kill_group(leader)
        until = time.monotonic() + 2 * SWEEP_SECONDS
        while (left := procfs.family(os.getpid())[1:]) and time.monotonic() < until:
            procfs.send(left, signal.SIGKILL)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)

    def _tell(self, message: Message) -> None:
        # The agent being gone is seen by the next receive, which ends everything.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._agent.send(encode(message))

    def _obey(self, message: Message, files: list[int]) -> Spawn | None:
        if isinstance(message, Spawn):
            return self._spawn(message, *files)
        if isinstance(message, Signal) and message.worker in self._leaders:
            self._signal(self._leaders[message.worker], message.number)
        return None

    def _spawn(self, spawn: Spawn, stdout: int, stderr: int) -> Spawn | None:
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(Failed(spawn.worker, str(error)))
        else:
            if pid == 0:
                return self._newborn(spawn, stdout, stderr)
            stat = procfs.read_stat(pid)
            self._leaders[spawn.worker] = pid
            self._directories[pid] = spawn.environment[procfs.MARKER]
            self._tell(Started(spawn.worker, pid, stat.start_ticks if stat else 0))
        os.close(stdout)
        os.close(stderr)
        return None

    def _newborn(self, spawn: Spawn, stdout: int, stderr: int) -> Spawn:
        signal.set_wakeup_fd(-1)
        # Its descriptor is closed with all others; the object must not close that number again later.
        self._agent.detach()
        birth.settle(spawn, stdout, stderr, self._pid, self._libc)
        if not spawn.fork:
            birth.execute(spawn)
        return spawn

    def _strays(self) -> list[int]:
        return [pid for pid in procfs.children(os.getpid()) if pid not in self._directories]

    def _members(self, leader: int) -> list[int]:
        return procfs.members(leader, self._directories[leader], self._strays())

    def _nameless(self) -> set[int]:
        """Strays amid becoming another program, or amid their end: nothing tells then whose they are."""
        return {pid for pid in self._strays() if procfs.nameless(pid)} - self._never_named

    def _signal(self, leader: int, number: int) -> None:
        if number == signal.SIGKILL:
            procfs.kill_group(leader)
        # Stopped from the top, so that a parent cannot start another while its children are being stopped.
        procfs.send(self._members(leader), number)

    def _reap(self) -> None:
        """Report workers that ended, after their families ended too; collect strays."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid in self._directories:
                # Not reaped yet: until then no other process can get its number.
                self._sweep(found.si_pid)
            _, status = os.waitpid(found.si_pid, 0)
            self._forget(found.si_pid, status)

    def _sweep(self, leader: int) -> None:
        """Kill what an ended worker left behind."""
        procfs.kill_group(leader)
        begun = time.monotonic()
        while (waited := time.monotonic() - begun) <= SWEEP_SECONDS:
            nameless = self._nameless()  # before the others are told: who has a name by then is among them
            stats = [procfs.read_stat(pid) for pid in self._members(leader) if pid != leader]
            left = [stat.pid for stat in stats if stat and stat.alive]
            procfs.send(left, signal.SIGKILL)
            if not left and not nameless:
                return
            if not left and waited > NAMELESS_SECONDS:
                # Started without an environment, then: waited for this once, not at each worker's end.
                self._never_named = nameless | self._never_named.intersection(self._strays())
                return
            time.sleep(0.001)

    def _forget(self, pid: int, status: int) -> None:
        if self._directories.pop(pid, None) is None:
            return
        worker = next(worker for worker, leader in self._leaders.items() if leader == pid)
        del self._leaders[worker]
        self._tell(Exited(worker, status))


def client_version() -> str:
    """Of the Lambda runtime client this interpreter has; "" when it has none."""
    try:
        return version("awslambdaric")
    except PackageNotFoundError:
        return ""


def main() -> None:
    """Serve the agent on the socket that is standard input; in a forked worker, run the function."""
    agent = socket.socket(fileno=os.dup(0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(birth.PR_SET_NAME, b"esb-keeper", 0, 0, 0)
    preloaded = birth.preload()
    agent.send(encode(Ready(os.getpid(), platform.python_version(), client_version(), preloaded)))
    # What is there now is shared with every fork, unless a collection touches it.
    gc.collect()
    gc.freeze()
    keeper = Keeper(agent, libc)
    try:
        newborn = keeper.run()
    finally:
        keeper.end()
    if newborn:
        birth.become(newborn)
