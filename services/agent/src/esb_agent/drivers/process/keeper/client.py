"""The agent's end: ask the keeper, hear what became of workers. The only place that talks to it."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

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
from esb_agent.drivers.process.keeper.procfs import MARKER
from esb_agent.errors import BadRequestError, ConfigError, DriverError

START_SECONDS = 20.0
STOP_SECONDS = 5.0
QUEUE_SECONDS = 0.002
# This distribution's place is on sys.path only while the keeper is imported: workers forked from it must
# not see it.
BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from esb_agent.drivers.process.keeper.main import main; "
    "del sys.path[0]; main()"
)


class KeeperClient:
    """One keeper process.

    `on_exit(worker_id, wait_status)` per worker that ended, `on_lost()` when the keeper itself did.
    """

    def __init__(self, python: str, on_exit: Callable[[str, int], None], on_lost: Callable[[], None]) -> None:
        self._python = python
        self._on_exit = on_exit
        self._on_lost = on_lost
        self._starting: dict[str, asyncio.Future[Started]] = {}
        self._ready: asyncio.Future[Ready] | None = None
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> Ready:
        """Start the keeper under the functions' interpreter.

        Raises:
            ConfigError: that interpreter does not run, or not this.
        """
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._ready = loop.create_future()
        try:
            self._process = _start(self._python, theirs)
        except OSError as error:
            ours.close()
            raise ConfigError(f"{self._python}: cannot be run: {error.strerror}") from error
        finally:
            theirs.close()
        self._socket = ours
        loop.add_reader(ours, self._receive)
        try:
            return await asyncio.wait_for(self._ready, START_SECONDS)
        except (TimeoutError, DriverError) as error:
            await self.stop()
            raise ConfigError(f"{self._python}: is no Python 3.11 or later that works: {error}") from error

    @property
    def pid(self) -> int:
        """Of the keeper; its children are the workers. 0: it does not run."""
        return self._process.pid if self._process else 0

    async def spawn(self, spawn: Spawn, stdout: int, stderr: int) -> Started:
        """Start a worker. The two descriptors stay the caller's to close.

        Raises:
            BadRequestError: its environment is too large.
            DriverError: no process can be made.
        """
        try:
            packet = encode(spawn)
        except ValueError as error:
            raise BadRequestError(str(error)) from error
        started: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._starting[spawn.worker] = started
        try:
            await self._give(packet, stdout, stderr, spawn.worker)
            return await started
        finally:
            self._starting.pop(spawn.worker, None)

    async def _give(self, packet: bytes, stdout: int, stderr: int, worker: str) -> None:
        try:
            await self._send(packet, [stdout, stderr])
        except asyncio.CancelledError:
            # The keeper never hears of it, so nobody else will say that it has ended.
            self._on_exit(worker, signal.SIGKILL)
            raise

    def signal(self, worker: str, number: int) -> None:
        """Send a signal to the worker and all it started; one that has ended is passed over."""
        if not self._socket:
            return
        try:
            self._socket.send(encode(Signal(worker, number)))
        except BlockingIOError:
            asyncio.get_running_loop().call_later(QUEUE_SECONDS, self.signal, worker, number)
        except OSError:
            # The keeper is gone, and with it its workers; the reader says so in a moment.
            return

    def kill(self, worker: str) -> None:
        """SIGKILL to the worker and all it started."""
        self.signal(worker, signal.SIGKILL)

    async def stop(self) -> None:
        """End the keeper, and with it everything it started."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._process:
            process, self._process = self._process, None
            await asyncio.to_thread(_wait_or_kill, process)

    async def _send(self, packet: bytes, files: list[int]) -> None:
        while True:
            if not self._socket:
                raise DriverError("the keeper is not running")
            try:
                socket.send_fds(self._socket, [packet], files)
            except BlockingIOError:
                # Its queue is full of other spawns; it empties within milliseconds.
                await asyncio.sleep(QUEUE_SECONDS)
            except OSError as error:
                raise DriverError(f"the keeper does not answer: {error}") from error
            else:
                return

    def _receive(self) -> None:
        while self._socket:
            try:
                packet = self._socket.recv(MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            self._hear(decode(packet))

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready) and self._ready and not self._ready.done():
            self._ready.set_result(message)
        elif isinstance(message, Started | Failed):
            waiting = self._starting.get(message.worker)
            if waiting and not waiting.done():
                _settle(waiting, message)
            elif isinstance(message, Failed):
                # Whoever asked gave up meanwhile, and waits for the end of what never began.
                self._on_exit(message.worker, signal.SIGKILL)
        elif isinstance(message, Exited):
            self._on_exit(message.worker, message.status)

    def _lost(self) -> None:
        error = DriverError("the keeper of the workers ended")
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for future in self._starting.values():
            if not future.done():
                future.set_exception(error)
        if self._ready and not self._ready.done():
            self._ready.set_exception(error)
        else:
            self._on_lost()


def _start(python: str, agent: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [python, "-c", BOOT, str(Path(__file__).resolve().parents[4])],
        stdin=agent.fileno(),
        stdout=subprocess.DEVNULL,
        # Clean as a worker's: what the operator's shell holds is not for functions, and a fork inherits it.
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            # Room for a fork's own, see `birth.mark`.
            MARKER: " " * os.pathconf("/", "PC_PATH_MAX"),
        },
        cwd="/",
        start_new_session=True,
    )


def _settle(waiting: asyncio.Future[Started], message: Started | Failed) -> None:
    if isinstance(message, Started):
        waiting.set_result(message)
    else:
        waiting.set_exception(DriverError(f"no process for the worker: {message.reason}"))


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """The keeper ends by itself once its socket closed.

    A stuck one is killed, and the kernel then kills its workers.
    """
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
