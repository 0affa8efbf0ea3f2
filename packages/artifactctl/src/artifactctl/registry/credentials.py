"""Who we are to a registry: Docker's `config.json` and the credential helpers it names.

A helper of the one registry comes first, then the one for all, then what the file itself holds. Secrets are
in no `repr` and no message.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HELPER_TIMEOUT = 30.0
_NOT_FOUND = "credentials not found"
_TOKEN_USER = "<token>"  # noqa: S105 - the name that says the secret is an identity token


@frozen
class Credentials:
    """A user with a password, or an identity token that buys access tokens."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@frozen
class DockerConfig:
    """What `config.json` says about registries; `path` is for messages."""

    path: Path | None = None
    auths: Mapping[str, Mapping[str, object]] = field(factory=dict, repr=False)
    helpers: Mapping[str, str] = field(factory=dict)
    store: str = ""


def read_docker_config(path: Path | None) -> DockerConfig:
    """The file as values; one that doesn't exist says nothing.

    Raises:
        RegistryError: it can't be read or isn't what Docker writes.
    """
    if path is None:
        return DockerConfig()
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return DockerConfig()
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError):
        # no `from`: what the parser shows may be a secret
        raise _unusable(path, "it isn't JSON") from None
    if not isinstance(document, dict):
        raise _unusable(path, "it isn't a JSON object")
    auths, helpers = document.get("auths") or {}, document.get("credHelpers") or {}
    if not isinstance(auths, dict) or not isinstance(helpers, dict):
        raise _unusable(path, "auths and credHelpers must be objects")
    return DockerConfig(
        path,
        {_host(name): value for name, value in auths.items() if isinstance(value, dict)},
        {_host(name): value for name, value in helpers.items() if isinstance(value, str)},
        str(document.get("credsStore") or ""),
    )


def credentials_for(
    registry: str, config: DockerConfig, environment: Mapping[str, str]
) -> Credentials | None:
    """What to log in to a registry with, nothing when it has never been logged in to.

    Raises:
        RegistryError: a helper failed, or an entry isn't what Docker writes.
    """
    helper = config.helpers.get(registry) or config.store
    found = _ask(helper, registry, environment) if helper else None
    if found:
        return found
    entry = config.auths.get(registry)
    return _from_entry(entry, registry, config) if entry else None


def _from_entry(entry: Mapping[str, object], registry: str, config: DockerConfig) -> Credentials | None:
    values = {name: value for name, value in entry.items() if isinstance(value, str)}
    user, password = values.get("username", ""), values.get("password", "")
    if values.get("auth"):
        try:
            user, _, password = base64.b64decode(values["auth"]).decode().partition(":")
        except ValueError:
            where = str(config.path or "config.json")
            raise RegistryError(
                registry, "log in", f"{where}: the entry's auth isn't Base64", hint="docker login"
            ) from None
    token = values.get("identitytoken", "")
    return Credentials(user, password.rstrip("\0"), token) if user or token else None


def _ask(name: str, registry: str, environment: Mapping[str, str]) -> Credentials | None:
    program = f"docker-credential-{name}"
    path = shutil.which(program, path=environment.get("PATH"))
    if path is None:
        raise RegistryError(registry, "log in", f"{program} isn't on PATH", hint="config.json names it")
    server = _HUB_KEY if registry == DOCKER_HUB else registry
    try:
        done = subprocess.run(
            [path, "get"],
            input=server.encode(),
            env=dict(environment),
            capture_output=True,
            timeout=_HELPER_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise RegistryError(
            registry, "log in", f"{program} has said nothing for {_HELPER_TIMEOUT:g} s"
        ) from None
    except OSError as error:
        raise RegistryError(registry, "log in", f"{program}: {error.strerror}") from error
    if done.returncode:
        if _NOT_FOUND in (done.stdout + done.stderr).decode(errors="replace"):
            return None
        # what it printed may hold anything
        raise RegistryError(registry, "log in", f"{program} ended with status {done.returncode}")
    return _from_helper(done.stdout, program, registry)


def _from_helper(output: bytes, program: str, registry: str) -> Credentials:
    try:
        document = json.loads(output)
        user, secret = document["Username"], document["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(registry, "log in", f"{program} printed no credentials") from None
    if user == _TOKEN_USER:
        return Credentials(identity_token=str(secret))
    return Credentials(str(user), str(secret))


def _host(key: str) -> str:
    """The registry a key stands for: keys are hosts, or URLs of old versions of the API."""
    host = key.partition("://")[2] or key
    host = host.partition("/")[0]
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def _unusable(path: Path, reason: str) -> RegistryError:
    return RegistryError("of every name", f"read {path}", reason, hint="docker login writes it")
