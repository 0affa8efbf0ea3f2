"""Tiny OCI layouts, a process driver over them, and a caller."""

import asyncio
import gzip
import hashlib
import http.client
import io
import json
import os
import secrets
import socket
import sys
import tarfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import structlog
from esb_agent.drivers.process.driver import ProcessConfig, ProcessDriver
from esb_agent.model import FunctionSpec, Identity

BASE_IMAGE = "127.0.0.1:5010/lambda-python:3.12"
# A function that does as its event says.
WILD = """
import os, sys, time, uuid
run = str(uuid.uuid4())
print("initialised")
def handler(event, context):
    what = event.get("do")
    print("told to", what)
    if what == "fail": raise ValueError("as told")
    if what == "exit": sys.exit(3)
    if what == "talk": print("\\n".join(f"line {n} " + "x" * 90 for n in range(event["lines"])))
    if what == "sleep": time.sleep(event["seconds"])
    if what == "eat": return len([b"x" * 1048576 for _ in range(event["mb"])])
    if what == "write":
        try:
            open(event["path"], "w").write("x")
        except OSError as error:
            return error.strerror
    if what == "look":
        status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
        return {"uid": os.getuid(), "capabilities": status["CapEff"].strip(), "env": dict(os.environ),
                "no_new_privileges": status.get("NoNewPrivs", "").strip(), "run": run,
                "filter": status.get("Seccomp", "").strip(), "kernel": os.uname().version}
    return run
"""
INVOCATIONS = "/2015-03-31/functions/function/invocations"
REF_NAME = "org.opencontainers.image.ref.name"


class Layout:
    """An OCI image layout that a test fills."""

    def __init__(self, path: Path):
        self.path = path
        self.manifests = []
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.write_index()

    def write_index(self):
        text = json.dumps({"schemaVersion": 2, "manifests": self.manifests})
        temporary = self.path / ".index.json"
        temporary.write_text(text)
        temporary.replace(self.path / "index.json")

    def blob(self, data: bytes, media_type: str) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def blob_path(self, descriptor: dict) -> Path:
        return self.path / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")

    def image(self, ref: str, *layers: bytes, config: dict | None = None, gzipped: bool = False) -> dict:
        """Add an image; returns its manifest."""
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if gzipped else "")
        blobs = [self.blob(gzip.compress(layer) if gzipped else layer, kind) for layer in layers]
        config_blob = self.blob(
            json.dumps({"architecture": "amd64", "os": "linux", "config": config or {}}).encode(),
            "application/vnd.oci.image.config.v1+json",
        )
        manifest = {"schemaVersion": 2, "config": config_blob, "layers": blobs}
        descriptor = self.blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
        self.manifests.append({**descriptor, "annotations": {REF_NAME: ref}})
        self.write_index()
        return manifest

    def function(self, ref: str, code: str, config: dict | None = None, **files: str) -> dict:
        """Add a Python function whose handler is app.handler."""
        tree = {"var/task/app.py": code, **files}
        config = {"Cmd": ["app.handler"], "WorkingDir": "/var/task", **(config or {})}
        return self.image(ref, make_tar(tree), config=config)


def make_tar(files: dict) -> bytes:
    """path -> text, bytes, None (a directory) or a TarInfo."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = path
                archive.addfile(content)
                continue
            info = tarfile.TarInfo(path)
            info.mode = 0o755 if content is None else 0o644
            if content is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
                continue
            data = content.encode() if isinstance(content, str) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def logs_as_they_were():
    """An agent's setting of the logs, to a stream that goes with its test, does not outlive the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def tar():
    return make_tar


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "layout")


class Engine:
    """This host's Docker Engine, asked without the code under test."""

    def __init__(self, path: str = "/var/run/docker.sock"):
        self.path = path

    def ask(self, method: str, path: str, body=None, headers=None):
        connection = UnixConnection(self.path)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def why_not(self) -> str:
        """Why there is no engine to test on; "" when there is one, with the image functions are made from."""
        try:
            status, _ = self.ask("GET", f"/images/{BASE_IMAGE}/json")
        except OSError as error:
            return f"no Docker Engine at {self.path}: {error}"
        return "" if status == 200 else f"the Docker Engine has no image {BASE_IMAGE}"

    def containers(self, environment: str) -> list[str]:
        wanted = urllib.parse.quote(json.dumps({"label": [f"io.esb.env={environment}"]}))
        _, body = self.ask("GET", f"/containers/json?all=1&filters={wanted}")
        return [one["Names"][0] for one in json.loads(body)]

    def inspect(self, container: str) -> dict:
        return json.loads(self.ask("GET", f"/containers/{container}/json")[1])

    def kill(self, container: str) -> None:
        status, body = self.ask("POST", f"/containers/{container}/kill")
        assert status == 204, body

    def remove(self, container: str) -> None:
        self.ask("DELETE", f"/containers/{container}?force=1&v=1")

    def remove_network(self, name: str) -> None:
        status, body = self.ask("DELETE", f"/networks/{name}")
        assert status in (204, 404), body

    def build(self, ref: str, code: str) -> None:
        """A function image: the base and `/var/task/app.py`."""
        dockerfile = f'FROM {BASE_IMAGE}\nCOPY app.py /var/task/\nCMD ["app.handler"]\n'
        context = make_tar({"Dockerfile": dockerfile, "app.py": code})
        status, body = self.ask(
            "POST", f"/build?t={ref}&rm=1", context, {"Content-Type": "application/x-tar"}
        )
        assert status == 200, body
        assert b'"error"' not in body, body

    def push(self, local: str, repository: str, tag: str) -> str:
        """Name an image after a registry and bring it there; returns the name."""
        self.ask("POST", f"/images/{local}/tag?repo={repository}&tag={tag}")
        headers = {"X-Registry-Auth": "e30="}
        status, told = self.ask("POST", f"/images/{repository}/push?tag={tag}", headers=headers)
        assert (status, b'"error"' in told) == (200, False), told
        return f"{repository}:{tag}"

    def unpublish(self, ref: str) -> None:
        """Take an image out of its registry, which listens without TLS."""
        registry, _, rest = ref.partition("/")
        repository, _, tag = rest.rpartition(":")
        address = f"http://{registry}/v2/{repository}/manifests/"
        accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
        with urllib.request.urlopen(urllib.request.Request(address + tag, headers=accept)) as found:
            digest = found.headers["Docker-Content-Digest"]
        urllib.request.urlopen(urllib.request.Request(address + digest, method="DELETE")).close()

    @contextmanager
    def build_from(self, dockerfile: str):
        """An image from a Dockerfile, for as long as it is used."""
        ref = f"esb-test-image:{secrets.token_hex(4)}"
        context = make_tar({"Dockerfile": dockerfile.format(base=BASE_IMAGE)})
        status, body = self.ask(
            "POST", f"/build?t={ref}&rm=1", context, {"Content-Type": "application/x-tar"}
        )
        assert status == 200, body
        try:
            yield ref
        finally:
            self.remove_image(ref)

    def remove_image(self, ref: str) -> None:
        self.ask("DELETE", f"/images/{ref}?force=1")


@pytest.fixture(scope="session")
def engine():
    """The real engine; without one the test is skipped, or fails where one is required."""
    found = Engine()
    if reason := found.why_not():
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@attrs.frozen
class FunctionImages:
    echo: str
    broken: str
    wild: str


@pytest.fixture(scope="session")
def function_images(engine):
    """Functions on the Lambda-like base image: one answers its event, one does not load, one does as told."""
    run = secrets.token_hex(4)
    images = FunctionImages(*(f"esb-test-{name}:{run}" for name in ("echo", "broken", "wild")))
    engine.build(images.echo, "def handler(event, context): return event")
    engine.build(images.broken, "import nothing_like_this")
    engine.build(images.wild, WILD)
    yield images
    for ref in attrs.astuple(images):
        engine.remove_image(ref)


def post_now(address: str, payload: bytes, headers: dict, seconds: float):
    host, _, port = address.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=seconds)
    try:
        connection.request("GET", "/")
        # The kernel takes a connection for a frozen worker; only an answer shows that it runs.
        connection.sock.settimeout(0.5)
        connection.getresponse().read()
        connection.sock.settimeout(seconds)
        connection.request("POST", INVOCATIONS, payload, headers)
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
    except TimeoutError as error:
        raise ConnectionError("no answer: paused") from error
    finally:
        connection.close()


@pytest.fixture
def http_call():
    """POST an event to a worker that listens on a port."""

    async def caller(worker, event, seconds=30.0, **headers) -> Answer:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(post_now, worker.address, data, named, seconds)

    return caller


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float = 30):
        super().__init__("worker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@attrs.frozen
class Answer:
    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.headers.get("x-amz-function-error", "")

    @property
    def gone(self) -> str:
        return self.headers.get("x-esb-worker-gone", "")


def call_now(address: str, payload: bytes, headers: dict | None = None) -> Answer:
    connection = UnixConnection(address.removeprefix("unix:"))
    try:
        connection.request("POST", INVOCATIONS, payload, headers or {})
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
    finally:
        connection.close()


@pytest.fixture
def call():
    """POST a payload (bytes, or anything as JSON) to a worker's address, without blocking the agent."""

    async def caller(worker, payload=None, **headers) -> Answer:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(call_now, worker.address, data, named)

    return caller


@pytest.fixture
def until():
    """Wait until a condition holds."""

    async def wait(condition, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"did not happen within {seconds} s"
            await asyncio.sleep(0.01)
        return found

    return wait


class Box:
    """A process driver and short ways to use it."""

    def __init__(self, layout: Layout, driver: ProcessDriver, state: Path):
        self.layout = layout
        self.driver = driver
        self.state = state
        self.count = 0

    async def worker(
        self, code: str, *, config: dict | None = None, files: dict | None = None, owner="box", **spec
    ):
        """A worker of a new function with this code."""
        self.count += 1
        ref = f"demo-dev-f{self.count}:1"
        self.layout.function(ref, code, config, **(files or {}))
        return await self.more(ref, owner=owner, **spec)

    async def more(self, ref: str, *, worker_id: str = "", owner="box", **spec):
        """Another worker of an image."""
        self.count += 1
        spec = {"name": f"f{self.count}", "image": ref, "timeout_ms": 5000, "memory_mb": 256, **spec}
        identity = Identity(owner_id=owner, worker_id=worker_id or f"w{self.count}")
        return await self.driver.create(identity, FunctionSpec(**spec))

    def pid(self, worker) -> int:
        return self.driver._workers[worker.identity.worker_id].process.pid

    def log(self, worker) -> list[dict]:
        path = self.state / "logs" / f"{worker.function}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(params=["fork", "exec"])
def start_mode(request):
    return request.param


@pytest.fixture
async def box(layout, tmp_path, start_mode):
    state = tmp_path / "state"
    config = ProcessConfig(
        state_dir=state,
        layout=layout.path,
        python=sys.executable,
        init_seconds=10.0,
        drain_seconds=0.0,
        fork=start_mode == "fork",
    )
    driver = ProcessDriver(config)
    await driver.start()
    try:
        yield Box(layout, driver, state)
    finally:
        await driver.close()
