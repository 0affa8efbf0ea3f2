"""Disks that are small, networks without a way out, and engines that are old."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Thread


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of this size at a directory; the function that it gives makes it bigger."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "esb-e2e", directory], check=True)

    def grow(mebibytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={mebibytes}m", directory], check=True)

    try:
        yield grow
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def no_way_out(name: str) -> Iterator[tuple[str, ...]]:
    """A network namespace with nothing but loopback; gives the words that run a command inside."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield "ip", "netns", "exec", name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@contextmanager
def engine_of_version(version: str, api: str, path: Path) -> Iterator[str]:
    """The address of something that answers as an engine of this version, and does nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            facts = {
                "Version": version,
                "ApiVersion": api,
                "MinAPIVersion": "1.12",
                "Os": "linux",
                "Arch": "amd64",
            }
            image = {"Id": "sha256:" + 64 * "0", "Os": "linux", "Architecture": "amd64", "Size": 0}
            image |= {"Config": {}, "RootFS": {"Layers": []}}
            found = image if "/images/" in self.path else facts
            self.answer(b"OK" if self.path.endswith("/_ping") else json.dumps(found).encode())

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Api-Version", api)
            self.send_header("Ostype", "linux")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
