"""A containerd of the tests' own, a registry that a test fills, networks on real plugins."""

import gzip
import hashlib
import http.server
import json
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64encode
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from esb_agent.drivers.containerd.client import Containerd
from esb_agent.drivers.containerd.network import Network, NetworkConfig

PLUGINS = Path(os.environ.get("ESB_CNI_BIN_DIR", "/usr/lib/cni"))


KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 1)
except OSError as error:
    print(type(error).__name__)
"""


def why_no_networks():
    """What this host lacks; "" when nothing."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [name for name in ("bridge", "host-local") if not os.access(PLUGINS / name, os.X_OK)]
    if missing:
        return f"no CNI plugins {', '.join(missing)} in {PLUGINS}"
    return "" if shutil.which("ip") else "no command ip"


def run(*words, check=True):
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=20).stdout


class NetworkBox:
    """Networks of one box, one after the other."""

    def __init__(self, folder):
        mark = secrets.token_hex(3)
        number = secrets.randbelow(200)
        self.config = NetworkConfig(
            state_dir=folder,
            bridge=f"esbt{mark}",
            name=f"esbt-{mark}",
            prefix=f"esbt-{mark}",
            subnet=IPv4Network(f"10.213.{number}.0/24"),
            bin_dir=PLUGINS,
            pool=2,
        )
        self.networks = []

    def network(self, **more):
        values = {name: getattr(self.config, name) for name in NetworkConfig.__slots__ if name[0] != "_"}
        made = Network(NetworkConfig(**{**values, **more}))
        self.networks.append(made)
        return made

    def namespaces(self):
        folder = self.config.netns_dir
        return sorted(path.name for path in folder.glob(f"{self.config.prefix}*"))

    def addresses(self):
        folder = self.config.state_dir / "cni" / self.config.name
        return sorted(file.name for file in folder.glob("*.*.*.*"))

    def ports(self):
        folder = Path("/sys/class/net") / self.config.bridge / "brif"
        return sorted(path.name for path in folder.glob("*"))

    def inside(self, namespace, *words, check=True):
        return run("ip", "netns", "exec", namespace.name, *words, check=check)

    def answers(self, namespace, address):
        """Somebody at that address answers one in the namespace: with a refusal, as nobody listens."""
        said = self.inside(namespace, sys.executable, "-S", "-c", KNOCK, address)
        return said.strip() == "ConnectionRefusedError"

    def remove(self):
        for name in self.namespaces():
            run("ip", "netns", "delete", name, check=False)
        run("ip", "link", "delete", self.config.bridge, check=False)


@pytest.fixture
async def network_box(tmp_path):
    if reason := why_no_networks():
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    box = NetworkBox(tmp_path)
    try:
        yield box
    finally:
        for network in box.networks:
            await network.close()
        box.remove()


@pytest.fixture
async def box(new_containerd_box):
    """A driver that has started; nothing of it is there afterwards."""
    made = new_containerd_box()
    await made.start()
    try:
        yield made
    finally:
        await made.driver.close()
        await made.clear()


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture
async def client(real_containerd):
    """A client in the tests' namespace."""
    made = Containerd(real_containerd.address, real_containerd.namespace)
    await made.connect()
    yield made
    await made.close()


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class FakeRegistry:
    """A registry on loopback: `documents` by tag or digest, `blobs` by digest; and how it misbehaves."""

    def __init__(self):
        self.documents, self.blobs, self.asked = {}, {}, []
        self.cut, self.slow, self.user, self.token, self.refresh = set(), 0.0, "", "", ""
        self.token_document = None
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                registry.answer(self)

            def do_POST(self):
                registry.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def image(self, name, *layers, gzipped=True, config=None, tag="1", kind=MANIFEST, diff_ids=None):
        """Add an image; returns its reference and its manifest's descriptor."""
        packed = [gzip.compress(layer) if gzipped else layer for layer in layers]
        blobs = [self.blob(one, LAYER + ("+gzip" if gzipped else "")) for one in packed]
        ids = diff_ids or [digest_of(layer) for layer in layers]
        written = {"os": "linux", "architecture": "amd64", "config": config or {}}
        written["rootfs"] = {"type": "layers", "diff_ids": ids}
        described = self.blob(json.dumps(written).encode(), "application/vnd.oci.image.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": described, "layers": blobs}
        return f"{self.host}/{name}:{tag}", self.document(manifest, tag)

    def document(self, value, tag):
        data, kind = json.dumps(value).encode(), value["mediaType"]
        self.documents[tag] = self.documents[digest_of(data)] = (data, kind)
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def blob(self, data, kind):
        self.blobs[digest_of(data)] = data
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def count(self, what):
        return len([path for path in self.asked if what in path])

    def answer(self, request):
        path = request.path
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        self.asked.append(path + body)
        told = request.headers.get("Authorization", "")
        basic = "Basic " + b64encode(self.user.encode()).decode()
        if path.startswith("/token"):
            known = self.refresh in body if self.refresh else told == (basic if self.user else "")
            told = self.token_document or {"token": self.token}
            return self.send(request, 200 if known else 401, json.dumps(told).encode())
        if self.token and told != f"Bearer {self.token}":
            where = f'Bearer realm="http://{self.host}/token",service="s",scope="repository:x:pull"'
            return self.send(request, 401, b"no", {"WWW-Authenticate": where})
        if self.user and not self.token and told != basic:
            return self.send(request, 401, b"no", {"WWW-Authenticate": 'Basic realm="r"'})
        kind, _, name = path.rpartition("/")
        time.sleep(self.slow)
        if kind.endswith("/manifests") and name in self.documents:
            data, media = self.documents[name]
            headers = {"Content-Type": media, "Docker-Content-Digest": digest_of(data)}
            return self.send(request, 200, data, headers)
        if kind.endswith("/blobs") and name in self.blobs:
            return self.send(request, 200, self.blobs[name], cut=name in self.cut)
        return self.send(request, 404, b'{"errors":[{"code":"UNKNOWN"}]}')

    def send(self, request, status, body, headers=None, cut=False):
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            request.close_connection = True


@pytest.fixture
def registry():
    made = FakeRegistry()
    yield made
    made.close()
