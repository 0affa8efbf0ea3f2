from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from artifactctl.errors import RequestError
from artifactctl.registry.client import open_client
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import Reference, parse_reference


def image(name: str) -> Reference:
    return parse_reference(f"{name}/a:1")


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_where_nobody_listens_the_error_asks_whether_the_registry_runs(closed_port, clients) -> None:
    with pytest.raises(RegistryError) as caught:
        clients().manifests.get(image(closed_port))
    assert str(caught.value) == (
        f"registry {closed_port}: cannot read the manifest of {closed_port}/a:1: Connection refused "
        "(is the registry running?)"
    )
    assert len(clients.waits) == 5


def test_an_unknown_name_is_said_at_once(clients) -> None:
    with pytest.raises(RegistryError, match="its name isn't known"):
        clients().manifests.get(image("no-such-host.invalid"))
    assert clients.waits == []


def test_a_page_of_a_proxy_isnt_shown(registry, client) -> None:
    registry.fail("GET", "manifests", status=403, body=b"<html>long page</html>")
    with pytest.raises(RegistryError, match=r"403 \(is this account allowed to") as caught:
        client.manifests.get(image(registry.name))
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    "detail", ["write /data: no space left on device", {"Enclosed": {"Op": "mkdir", "Err": 28}}]
)
def test_what_a_registry_says_of_its_disk_is_shown(registry, client, detail) -> None:
    answer = {"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]}
    registry.fail("GET", "manifests", status=403, body=json.dumps(answer).encode())
    with pytest.raises(RegistryError, match=r"UNKNOWN: unknown error: .*no space left on device"):
        client.manifests.get(image(registry.name))


def test_a_registry_that_is_far_too_busy_is_not_waited_for(registry, client, clients) -> None:
    registry.fail("GET", "manifests", status=429, headers={"Retry-After": "3600"}, body=b"later")
    with pytest.raises(RegistryError, match=r"429 later \(too many requests\)"):
        client.manifests.get(image(registry.name))
    assert clients.waits == []


def test_a_request_whose_answer_never_comes_is_made_again(registry, client, clients) -> None:
    registry.fail("GET", "manifests", times=2)
    assert client.manifests.get(image(registry.name)) is None
    assert len(clients.waits) == 2


def test_the_port_of_a_proxy_that_is_down_is_a_clear_error(closed_port, clients) -> None:
    environment = {"HTTPS_PROXY": f"http://user:secret@{closed_port}"}
    with pytest.raises(RegistryError, match=r"Connection refused.*HTTPS_PROXY") as caught:
        clients(environment=environment).manifests.get(image("reg.example.com"))
    assert "secret" not in str(caught.value)


def test_plain_http_through_a_proxy_reaches_the_registry(registry, clients) -> None:
    """The fake takes absolute URLs as any proxy does."""
    environment = {"http_proxy": f"http://{registry.name}"}
    client = clients(environment=environment, insecure=frozenset({"reg.example.com"}))
    registry.fail("GET", "manifests", status=404)
    assert client.manifests.get(image("reg.example.com")) is None
    assert registry.log == ["GET http://reg.example.com/v2/a/manifests/1"]


@pytest.mark.parametrize("name", ["a b", "http://reg", "reg/path"])
def test_a_registry_name_that_isnt_one_is_a_wrong_request(name: str) -> None:
    with pytest.raises(RequestError, match="a registry such as"):
        open_client(RegistryConfig(container_registry=name))


def test_the_runtimes_name_of_the_registry_becomes_this_hosts(clients) -> None:
    client = clients(container_registry="registry:5000", host_registry="127.0.0.1:5010")
    assert str(client.locate("registry:5000/a:1")) == "127.0.0.1:5010/a:1"
    assert str(client.locate("python:3")) == "docker.io/library/python:3"
    assert str(client.locate_own("app:1")) == "127.0.0.1:5010/app:1"
    assert str(client.locate_own("other:5000/app:1")) == "other:5000/app:1"
    with pytest.raises(ValueError, match="a reference with a registry"):
        clients().locate_own("app:1")


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for this machine, and a server's context with it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    )
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", certificate]
    try:
        subprocess.run([*command.split(), *names], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl on PATH")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


def test_a_private_authority_is_trusted_when_it_is_given(
    authority, registries: Callable, clients, tmp_path
) -> None:
    certificate, context = authority
    registry = registries(context)
    assert clients(ca_file=certificate).manifests.get(image(registry.name)) is None


def test_another_authority_is_not(authority, registries: Callable, clients, tmp_path) -> None:
    registry = registries(authority[1])
    other = tmp_path / "other.pem"
    other.write_text("")
    with pytest.raises(RegistryError, match=r"read the authorities in .*other\.pem"):
        clients(ca_file=other).manifests.get(image(registry.name))


def test_a_registry_in_plain_http_stays_so_with_an_authority(authority, registry, clients) -> None:
    assert clients(ca_file=authority[0]).manifests.get(image(registry.name)) is None
