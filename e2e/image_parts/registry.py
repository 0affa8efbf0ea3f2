"""A registry of a test's own, to be killed, filled and locked."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from attrs import Factory, define

from image_parts.needs import LAMBDA_BASE, MANIFESTS, wait_until


@define
class Registry:
    """A process of Debian's docker-registry on a port of its own; what it stores outlives it."""

    directory: Path
    prefix: tuple[str, ...] = ()
    host: str = ""
    auth: Mapping[str, object] = Factory(dict)
    process: subprocess.Popen[bytes] | None = None

    def __attrs_post_init__(self) -> None:
        """Choose a port that is free."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.host = self.host or f"127.0.0.1:{server.getsockname()[1]}"

    @property
    def storage(self) -> Path:
        """Where blobs are, and uploads that aren't finished."""
        return self.directory / "storage"

    def start(self) -> None:
        """Start it; returns when it answers."""
        config = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
            "auth": self.auth,
        }
        self.storage.mkdir(parents=True, exist_ok=True)
        file = self.directory / "config.yml"
        file.write_text(yaml.safe_dump({key: value for key, value in config.items() if value}))
        with (self.directory / "log").open("ab") as log:
            command = [*self.prefix, "docker-registry", "serve", str(file)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        curl = [*self.prefix, "curl", "--silent", "--max-time", "2", f"http://{self.host}/v2/"]
        wait_until(lambda: subprocess.run(curl, check=False, capture_output=True).returncode == 0, 20)

    def kill(self) -> None:
        """Stop it at once, as a power cut does."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop it if it runs."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def take_base(self) -> None:
        """Put the base image in it."""
        ref = f"{self.host}/lambda-python:3.12"
        for words in (["tag", LAMBDA_BASE, ref], ["push", "--quiet", ref], ["rmi", ref]):
            subprocess.run(["docker", *words], check=True, capture_output=True)

    def unfinished(self) -> int:
        """The bytes of the biggest upload under way."""
        found = [0]
        with suppress(OSError):  # uploads end while they are looked for
            for file in self.storage.glob("docker/registry/v2/repositories/**/_uploads/*/data"):
                found.append(file.stat().st_size)
        return max(found)

    def manifest(self, ref: str) -> dict[str, object]:
        """The manifest of a reference, with all its blobs seen in the right size."""
        repository, _, tag = ref.removeprefix(f"{self.host}/").rpartition(":")
        base = f"http://{self.host}/v2/{repository}"
        request = urllib.request.Request(f"{base}/manifests/{tag}", headers={"Accept": MANIFESTS})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
        for blob in [found["config"], *found["layers"]]:  # type: ignore[misc]
            head = urllib.request.Request(f"{base}/blobs/{blob['digest']}", method="HEAD")  # type: ignore[index]
            with urllib.request.urlopen(head, timeout=30) as answer:
                assert int(answer.headers["Content-Length"]) == blob["size"]  # type: ignore[index]
        return found


@contextmanager
def running(registry: Registry) -> Iterator[Registry]:
    """The registry while it runs; its storage, which may be big, is deleted, and what engines kept of it."""
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()
        shutil.rmtree(registry.storage, ignore_errors=True)
        _forget(registry.host)


def _forget(host: str) -> None:
    """An engine that builds and pushes keeps the image."""
    if shutil.which("docker") is None:
        return
    names = ("images", "--filter", f"reference={host}/*", "--format", "{{.Repository}}:{{.Tag}}")
    found = subprocess.run(["docker", *names], check=False, capture_output=True, text=True).stdout.split()
    if found:
        subprocess.run(["docker", "rmi", *found], check=True, capture_output=True)
