"""A registry in this process that follows the distribution specification, and fails when it is told to."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

import pytest
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.config import RegistryConfig
from attrs import define, evolve, field
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@define
class Failure:
    """What to do instead of answering: a status with headers, or hang up.

    Before that `keep` bytes of the body are taken, or `cut` bytes of the answer given; `after` go well.
    """

    method: str
    path: str
    status: int = 0
    headers: dict[str, str] = field(factory=dict)
    body: bytes = b""
    keep: int = 0
    cut: int = 0
    after: int = 0
    times: int = 1


@define
class FakeRegistry:
    name: str = ""
    blobs: dict[str, dict[str, bytes]] = field(factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(factory=dict)
    uploads: dict[str, bytearray] = field(factory=dict)
    log: list[str] = field(factory=list)
    sent: list[dict[str, str]] = field(factory=list)
    failures: list[Failure] = field(factory=list)
    mounts: bool = True
    basic: str = ""
    token_login: str = ""
    tokens: dict[str, list[str]] = field(factory=dict)
    token_requests: list[tuple[dict[str, list[str]], dict[str, str]]] = field(factory=list)
    blob_host: str = ""
    guard: Lock = field(factory=Lock)

    def fail(self, method: str, path: str, **more: object) -> None:
        self.failures.append(Failure(method, path, **more))

    def add_blob(self, repository: str, data: bytes) -> str:
        digest = f"sha256:{sha256(data).hexdigest()}"
        self.blobs.setdefault(repository, {})[digest] = data
        return digest

    def add_manifest(self, repository: str, tag: str, media_type: str, document: dict) -> str:
        data = json.dumps(document).encode()
        digest = f"sha256:{sha256(data).hexdigest()}"
        for ref in (tag, digest):
            self.manifests[repository, ref] = (media_type, data)
        return digest

    def add_image(
        self,
        repository: str,
        tag: str,
        config: dict | None = None,
        layers: tuple[bytes, ...] = (b"base layer",),
    ) -> str:
        """An image as Docker pushes it."""
        facts = {"os": "linux", "architecture": "amd64", **(config or {})}
        facts["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{n:064x}" for n in range(len(layers))]}
        data = json.dumps(facts).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(data),
                "digest": self.add_blob(repository, data),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": len(layer),
                    "digest": self.add_blob(repository, layer),
                }
                for layer in layers
            ],
        }
        return self.add_manifest(repository, tag, document["mediaType"], document)

    def document(self, repository: str, ref: str) -> dict:
        return json.loads(self.manifests[repository, ref][1])

    def count(self, method: str) -> int:
        return sum(line.startswith(f"{method} ") for line in self.log)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # the answer's head and body in one packet
    wbufsize = -1
    disable_nagle_algorithm = True
    registry: FakeRegistry

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.registry.guard:
            self.registry.log.append(f"{self.command} {self.path}")
            self.registry.sent.append(dict(self.headers))
            failure = self.failure(parts.path)
        if failure:
            self.fail(failure)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if parts.path == "/token":
            self.token(parts.query, body)
            return
        if not self.allowed(parts.path, query):
            return
        for pattern, action in (
            (r"/v2/(.+)/manifests/([^/]+)", self.manifest),
            (r"/v2/(.+)/blobs/uploads/([^/]*)", self.upload),
            (r"/v2/(.+)/blobs/([^/]+)", self.blob),
        ):
            found = re.fullmatch(pattern, parts.path)
            if found:
                action(found[1], found[2], query, body)
                return
        self.answer(404)

    def do_GET(self) -> None:
        self.handle_any()

    def do_HEAD(self) -> None:
        self.handle_any()

    def do_POST(self) -> None:
        self.handle_any()

    def do_PUT(self) -> None:
        self.handle_any()

    def do_PATCH(self) -> None:
        self.handle_any()

    def failure(self, path: str) -> Failure | None:
        for failure in self.registry.failures:
            if failure.times and failure.method == self.command and re.search(failure.path, path):
                failure.after -= 1
                if failure.after < 0:
                    failure.times -= 1
                    return failure
        return None

    def fail(self, failure: Failure) -> None:
        if failure.status:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.answer(failure.status, failure.headers, failure.body)
            return
        if failure.cut:
            self.cut(failure)
        else:
            self.kept(failure)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def cut(self, failure: Failure) -> None:
        _, _, repository, _, digest = re.fullmatch(r"(/)(v2)/(.+)/(blobs)/([^/]+)", self.path).groups()
        data = self.registry.blobs[repository][digest]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: failure.cut])
        self.wfile.flush()

    def kept(self, failure: Failure) -> None:
        """What came of a body before the connection broke stays in the upload."""
        name = urlsplit(self.path).path.rpartition("/")[2]
        data = self.rfile.read(min(failure.keep, int(self.headers.get("Content-Length") or 0)))
        if name in self.registry.uploads:
            self.registry.uploads[name] += data

    def allowed(self, path: str, query: dict[str, str]) -> bool:
        registry, sent = self.registry, self.headers.get("Authorization", "")
        if registry.basic and sent != f"Basic {base64.b64encode(registry.basic.encode()).decode()}":
            self.answer(401, {"WWW-Authenticate": 'Basic realm="fake"'}, ERROR)
            return False
        if not registry.token_login:
            return True
        name = re.match(r"/v2/(.+?)/(?:manifests|blobs)/", path)[1]
        action = "pull" if self.command in ("GET", "HEAD") else "pull,push"
        needed = [f"repository:{name}:{action}"]
        if "from" in query:
            needed.append(f"repository:{query['from']}:pull")
        granted = registry.tokens.get(sent.removeprefix("Bearer "), [])
        if all(any(one.startswith(need) for one in granted) for need in needed):
            return True
        realm = f'Bearer realm="http://{registry.name}/token",service="fake",scope="{needed[0]}"'
        self.answer(401, {"WWW-Authenticate": realm}, ERROR)
        return False

    def token(self, query: str, body: bytes) -> None:
        form = parse_qs(body.decode() or query)
        registry = self.registry
        registry.token_requests.append((form, dict(self.headers)))
        login = self.headers.get("Authorization", "").removeprefix("Basic ")
        is_known = base64.b64decode(login).decode() == registry.token_login
        if not is_known and form.get("refresh_token", [""])[0] != registry.token_login:
            self.answer(401, {}, ERROR)
            return
        scopes = [one for text in form["scope"] for one in text.split()]
        token = f"token-{len(registry.tokens)}"
        registry.tokens[token] = scopes
        self.answer(200, {}, json.dumps({"token": token, "expires_in": 300}).encode())

    def manifest(self, repository: str, ref: str, _query: dict[str, str], body: bytes) -> None:
        registry = self.registry
        if self.command == "PUT":
            missing = self.missing(repository, json.loads(body))
            if missing:
                self.answer(400, {}, errors("MANIFEST_BLOB_UNKNOWN", f"blob unknown: {missing}"))
                return
            digest = f"sha256:{sha256(body).hexdigest()}"
            for name in (ref, digest):
                registry.manifests[repository, name] = (self.headers["Content-Type"], body)
            self.answer(201, {"Docker-Content-Digest": digest})
            return
        media_type, data = registry.manifests.get((repository, ref), ("", b""))
        if not media_type:
            self.answer(404, {}, errors("MANIFEST_UNKNOWN", "manifest unknown"))
            return
        assert media_type in self.headers["Accept"]
        digest = f"sha256:{sha256(data).hexdigest()}"
        self.answer(200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, data)

    def missing(self, repository: str, document: dict) -> str:
        blobs = self.registry.blobs.get(repository, {})
        for blob in [document["config"], *document["layers"]] if "config" in document else []:
            if len(blobs.get(blob["digest"], b"")) != blob["size"]:
                return blob["digest"]
        for image in document.get("manifests", []):
            if (repository, image["digest"]) not in self.registry.manifests:
                return image["digest"]
        return ""

    def blob(self, repository: str, digest: str, _query: dict[str, str], _body: bytes) -> None:
        data = self.registry.blobs.get(repository, {}).get(digest)
        if data is None:
            self.answer(404, {}, errors("BLOB_UNKNOWN", "blob unknown to registry"))
        elif self.registry.blob_host:
            self.answer(307, {"Location": f"http://{self.registry.blob_host}{self.path}"})
        elif "Range" in self.headers:
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            self.answer(206, {}, data[start:])
        else:
            self.answer(200, {}, data)

    def upload(self, repository: str, name: str, query: dict[str, str], body: bytes) -> None:
        registry = self.registry
        if self.command == "POST":
            source = registry.blobs.get(query.get("from", ""), {}).get(query.get("mount", ""))
            if registry.mounts and source is not None:
                registry.add_blob(repository, source)
                self.answer(201)
                return
            with registry.guard:
                name = f"u{len(registry.uploads)}"
                registry.uploads[name] = bytearray()
            self.answer(202, {"Location": f"/v2/{repository}/blobs/uploads/{name}?state=1"})
            return
        data = registry.uploads.get(name)
        if data is None:
            self.answer(404, {}, errors("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
            return
        headers = {"Location": self.path.partition("&digest")[0], "Range": f"0-{max(0, len(data) - 1)}"}
        if self.command == "GET":
            self.answer(204, headers)
            return
        at = self.headers.get("Content-Range", f"{len(data)}-").partition("-")[0]
        if int(at) != len(data):
            self.answer(416, headers)
            return
        data += body
        headers["Range"] = f"0-{len(data) - 1}"
        if self.command == "PATCH":
            self.answer(202, headers)
            return
        if f"sha256:{sha256(data).hexdigest()}" != query["digest"]:
            self.answer(400, {}, errors("DIGEST_INVALID", "provided digest did not match uploaded content"))
            return
        registry.add_blob(repository, bytes(data))
        del registry.uploads[name]
        registry.uploads[f"{name}-done"] = bytearray()
        self.answer(201)

    def answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


ERROR = errors("UNAUTHORIZED", "authentication required")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


def serve(registry: FakeRegistry, context: ssl.SSLContext | None = None) -> ThreadingHTTPServer:
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"registry": registry}))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    registry.name = f"127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def registries() -> Iterator[Callable[..., FakeRegistry]]:
    """Make another registry; all end with the test."""
    servers = []

    def make(context: ssl.SSLContext | None = None) -> FakeRegistry:
        registry = FakeRegistry()
        servers.append(serve(registry, context))
        return registry

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def registry(registries: Callable[..., FakeRegistry]) -> FakeRegistry:
    return registries()


@define
class Clients:
    """Makes clients that never really sleep; `waits` has the seconds they would have."""

    waits: list[float] = field(factory=list)
    made: list[RegistryClient] = field(factory=list)

    def __call__(self, config: RegistryConfig | None = None, **changes: object) -> RegistryClient:
        client = RegistryClient(evolve(config or RegistryConfig(), **changes), sleep=self.waits.append)
        self.made.append(client)
        return client


@pytest.fixture
def clients() -> Iterator[Clients]:
    made = Clients()
    yield made
    for client in made.made:
        client.close()


@pytest.fixture
def client(clients: Clients) -> RegistryClient:
    return clients(chunk_size=100)


@pytest.fixture(scope="session")
def real_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The registry of the distribution project, where its program is installed."""
    program = shutil.which("docker-registry") or shutil.which("registry")
    if not program:
        pytest.skip("no docker-registry on PATH")
    place = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = place / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {place}/data}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log, cwd=place)
    try:
        wait_for_port(port, Path(log.name))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def wait_for_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"the registry doesn't listen:\n{log.read_text()}")
