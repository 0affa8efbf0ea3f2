"""What was delivered, kept outside of the box: no fault of the box takes anything from it.

A function writes a number and a newline, and is told once the number is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

KEPT = b"kept\n"
# As a function does it. In containerd mode its name server is the host's end of the bridge.
WRITE = f"""
import os
import socket


def write(number):
    host = open("/etc/resolv.conf").read().split()[1]
    with socket.create_connection((host, int(os.environ["LEDGER_PORT"])), timeout=5) as ledger:
        ledger.sendall(b"%d\\n" % number)
        if ledger.makefile("rb").readline() != {KEPT!r}:
            raise OSError("the number is not kept")
"""


class Ledger(ThreadingTCPServer):
    """Listens on every address; `numbers` are those it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), _Entry)
        self.numbers: set[int] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Entry(StreamRequestHandler):
    server: Ledger

    def handle(self) -> None:
        self.server.numbers.add(int(self.rfile.readline()))
        self.wfile.write(KEPT)


@contextmanager
def ledger() -> Iterator[Ledger]:
    """One, until the end."""
    with Ledger() as open_one:
        thread = threading.Thread(target=open_one.serve_forever, daemon=True)
        thread.start()
        try:
            yield open_one
        finally:
            open_one.shutdown()
            thread.join()
