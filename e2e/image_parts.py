"""Real parts for image tests to break: a registry of their own, a project for it, disks, engines, nets."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Thread

import pytest
import yaml
from attrs import Factory, define, frozen

SHARED_REGISTRY = "127.0.0.1:5010"
LAMBDA_BASE = f"{SHARED_REGISTRY}/lambda-python:3.12"
PUBLIC_BASE = "public.ecr.aws/lambda/python:3.12"
MIB = 1 << 20

_BIN = Path(sys.executable).parent
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)


def require(there: bool, what: str) -> None:
    """Skip a test for what isn't there; a failure where ESB_REQUIRE_ENGINES=1."""
    if not there:
        missing = f"{what}: e2e/setup-host.sh, run as root, brings it"
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


def require_base() -> None:
    """The base image, and the program of the registry that holds it."""
    require(shutil.which("docker-registry") is not None, "no docker-registry")
    url = f"http://{SHARED_REGISTRY}/v2/lambda-python/manifests/3.12"
    require(status(url) == 200, f"no image {LAMBDA_BASE}")


def require_engine() -> None:
    """The container engine of this host."""
    command = ("docker", "version", "--format", "{{.Server.Version}}")
    require(shutil.which("docker") is not None, "no docker command")
    require(subprocess.run(command, check=False, capture_output=True).returncode == 0, "no container engine")


def require_root() -> None:
    """Mounts and network namespaces are made by root."""
    require(os.geteuid() == 0, "not root")


def status(url: str) -> int:
    """The status that a registry answers with, 0 when nobody does."""
    request = urllib.request.Request(url, headers={"Accept": _MANIFESTS})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Look often until it is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.005)


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
        for file in self.storage.glob("docker/registry/v2/repositories/**/_uploads/*/data"):
            with suppress(OSError):
                found.append(file.stat().st_size)
        return max(found)

    def manifest(self, ref: str) -> dict[str, object]:
        """The manifest of a reference, with all its blobs seen in the right size."""
        repository, _, tag = ref.removeprefix(f"{self.host}/").rpartition(":")
        base = f"http://{self.host}/v2/{repository}"
        request = urllib.request.Request(f"{base}/manifests/{tag}", headers={"Accept": _MANIFESTS})
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


@frozen
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float
    peak: int

    def failed_clearly(self) -> str:
        """What it said, after making sure that the world is to blame and that it says so in words."""
        assert self.code == 4, f"{self.code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.err
        return self.err

    def worked(self) -> Done:
        """Itself, when it did."""
        assert self.code == 0, f"{self.code}\n{self.out}\n{self.err}"
        return self


@define
class Project:
    """An artifact whose images go to a registry, generated from a template of a few functions."""

    home: Path
    host: str
    prefix: tuple[str, ...] = ()
    environment: dict[str, str] = Factory(dict)

    @property
    def manifest(self) -> Path:
        """The artifact."""
        return self.home / "artifact" / "artifact.yml"

    def generate(self, *names: str, payload: int = 0, sparse: bool = False, mode: str = "docker") -> Project:
        """The artifact, with so many bytes beside the code of the first function."""
        resources = {}
        for name in names:
            source = self.home / name
            source.mkdir(parents=True, exist_ok=True)
            (source / "app.py").write_text(f"def handler(event, context):\n    return {{'{name}': event}}\n")
            properties = {"Runtime": "python3.12", "Handler": "app.handler", "CodeUri": f"{name}/"}
            resources[f"{name.title()}Function"] = {
                "Type": "AWS::Serverless::Function",
                "Properties": properties,
            }
        if payload:
            with (self.home / names[0] / "payload").open("wb") as file:
                while not sparse and file.tell() < payload:
                    file.write(os.urandom(MIB))
                file.truncate(payload)
        head = {"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31"}
        (self.home / "template.yaml").write_text(yaml.safe_dump({**head, "Resources": resources}))
        (self.home / "esb.toml").write_text(f'[project]\nname = "faults"\n[defaults]\nmode = "{mode}"\n')
        words = ("artifact", "generate", "--template", "template.yaml")
        self.finish(self.begin("esb", *words, CONTAINER_REGISTRY=self.host)).worked()
        return self

    def images(self) -> list[str]:
        """The references of the functions' images."""
        found: list[str] = []
        for file in sorted(self.home.glob("artifact/*/runtime-config/functions.yml")):
            functions = yaml.safe_load(file.read_text())["functions"]
            found += [each["image"] for each in functions.values()]
        assert found
        return found

    def needs_engine(self, name: str) -> None:
        """Give a function's Dockerfile a step that has to be executed."""
        (dockerfile,) = self.home.glob(f"artifact/*/functions/*{name.title()}*/Dockerfile")
        dockerfile.write_text(f"{dockerfile.read_text()}RUN python3 -c 'import app'\n")

    def prepare(self, *words: str, target: str = "registry", **environment: str) -> Done:
        """Run `artifactctl prepare-images` to its end."""
        return self.finish(self.begin_prepare(*words, target=target, **environment))

    def begin_prepare(
        self, *words: str, target: str = "registry", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start `artifactctl prepare-images`."""
        given = ("--artifact", str(self.manifest), "--target", target)
        base = (
            () if target.startswith("oci-layout:") else ("--image-override", f"{PUBLIC_BASE}={LAMBDA_BASE}")
        )
        return self.begin("artifactctl", "prepare-images", *given, *base, *words, **environment)

    def begin(self, program: str, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program of this checkout, with an environment that has nothing of the caller's."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "DOCKER_CONFIG": str(self.home / ".docker"),
        }
        environ |= {**self.environment, **environment}
        (self.home / ".docker").mkdir(exist_ok=True)
        with (self.home / "out").open("wb") as out, (self.home / "err").open("wb") as err:
            return subprocess.Popen(
                [*self.prefix, str(_BIN / program), *words],
                **{
                    "cwd": self.home,
                    "env": environ,
                    "stdin": subprocess.DEVNULL,
                    "stdout": out,
                    "stderr": err,
                },
            )

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 300) -> Done:
        """Wait for a program; also says how much memory it took, in bytes."""
        began = time.monotonic()
        while True:
            pid, code, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > seconds:
                process.kill()
                process.wait()
                pytest.fail(f"not done within {seconds} s\n{(self.home / 'err').read_text()}")
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(code)
        texts = ((self.home / name).read_text() for name in ("out", "err"))
        return Done(process.returncode, *texts, time.monotonic() - began, used.ru_maxrss * 1024)


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
