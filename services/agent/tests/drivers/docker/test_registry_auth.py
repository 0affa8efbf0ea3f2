"""Credentials out of docker's configuration file and its helpers."""

import base64
import json
import os

import pytest
from esb_agent.drivers.docker.registry_auth import HUB, find_auth, registry_of
from esb_agent.errors import DriverError


@pytest.mark.parametrize(
    ("ref", "registry"),
    [
        ("python:3.12", HUB),
        ("library/python", HUB),
        ("127.0.0.1:5010/hello:1", "127.0.0.1:5010"),
        ("localhost/hello", "localhost"),
        ("ghcr.io/acme/hello@sha256:00", "ghcr.io"),
    ],
)
def test_a_reference_names_its_registry(ref, registry):
    assert registry_of(ref) == registry


@pytest.fixture
def write(tmp_path):
    def writer(**content):
        file = tmp_path / "config.json"
        file.write_text(json.dumps(content))
        return file

    return writer


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """A credential helper that says this, with this status."""

    def maker(answer, status=0):
        program = tmp_path / "bin" / "docker-credential-test"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\ncat >/dev/null\ncat <<'END'\n{answer}\nEND\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return maker


async def test_user_and_password_stand_in_the_file(write):
    auth = base64.b64encode(b"ada:se:cret").decode()
    file = write(auths={"ghcr.io": {"auth": auth}})
    found = await find_auth(file, "ghcr.io/acme/hello:1")
    assert found == {"username": "ada", "password": "se:cret", "serveraddress": "ghcr.io"}
    assert await find_auth(file, "other.io/acme/hello:1") is None


async def test_an_identity_token_is_passed_on(write):
    file = write(auths={"ghcr.io": {"identitytoken": "t"}, "quay.io": {}})
    assert await find_auth(file, "ghcr.io/a/b") == {"identitytoken": "t", "serveraddress": "ghcr.io"}
    assert await find_auth(file, "quay.io/a/b") is None


async def test_a_helper_is_asked(write, helper):
    helper('{"ServerURL": "ghcr.io", "Username": "ada", "Secret": "s"}')
    for file in (write(credHelpers={"ghcr.io": "test"}), write(credsStore="test")):
        found = await find_auth(file, "ghcr.io/a/b")
        assert found == {"username": "ada", "password": "s", "serveraddress": "ghcr.io"}


async def test_a_helpers_token_is_one(write, helper):
    helper('{"Username": "<token>", "Secret": "t"}')
    found = await find_auth(write(credsStore="test"), "ghcr.io/a/b")
    assert found == {"identitytoken": "t", "serveraddress": "ghcr.io"}


async def test_a_helper_that_knows_nothing_leaves_it_to_the_file(write, helper):
    helper("credentials not found in native keychain", 1)
    auth = base64.b64encode(b"ada:s").decode()
    file = write(credsStore="test", auths={"ghcr.io": {"auth": auth}})
    assert (await find_auth(file, "ghcr.io/a/b"))["username"] == "ada"


async def test_what_cannot_be_read_is_an_error_without_the_secret(write, helper, tmp_path):
    with pytest.raises(DriverError, match=r"none\.json: not readable"):
        await find_auth(tmp_path / "none.json", "ghcr.io/a/b")
    with pytest.raises(DriverError, match=r"expected base64") as caught:
        await find_auth(write(auths={"ghcr.io": {"auth": "§secret"}}), "ghcr.io/a/b")
    assert "secret" not in str(caught.value)
    with pytest.raises(DriverError, match="cannot be run"):
        await find_auth(write(credsStore="absent"), "ghcr.io/a/b")
    helper('"secret"')
    with pytest.raises(DriverError, match="not what a credential helper says") as caught:
        await find_auth(write(credsStore="test"), "ghcr.io/a/b")
    assert "secret" not in str(caught.value)
