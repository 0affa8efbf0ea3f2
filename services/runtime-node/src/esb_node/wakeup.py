"""Signals as something a loop can sleep on: SIGINT, SIGTERM and SIGHUP say stop, an ended child wakes."""

from __future__ import annotations

import select
import signal
import socket
from types import FrameType

from attrs import define, field

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@define
class Wakeup:
    """Takes over the signals of this process, for good."""

    stopping: bool = False
    _sockets: tuple[socket.socket, socket.socket] = field(factory=socket.socketpair)

    def install(self) -> None:
        """Handle signals from now on; only in the main thread."""
        reader, writer = self._sockets
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for number in _STOP:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, _note)

    def pause(self, seconds: float) -> None:
        """Sleep, at most until the next signal."""
        reader = self._sockets[0]
        if select.select([reader], [], [], seconds)[0]:
            reader.recv(4096)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True


def _note(_number: int, _frame: FrameType | None) -> None:
    """A handler is needed for the wake-up; there is nothing to do in it."""
