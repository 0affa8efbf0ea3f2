"""Credentials for a registry out of a docker configuration file, read at each use: they may be replaced.

Looked for in docker's own order: `credHelpers` of that registry, `credsStore`, `auths`.
"""

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esb_agent.errors import DriverError

HUB = "https://index.docker.io/v1/"
# What a helper says instead of a name when its secret is an identity token.
TOKEN_USER = "<token>"  # noqa: S105 - no password
HELPER_SECONDS = 10.0


def registry_of(ref: str) -> str:
    """The registry an image reference names; Docker Hub's when it names none."""
    first, slash, _ = ref.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host else HUB


async def find_auth(file: Path, ref: str) -> Mapping[str, str] | None:
    """Who to be at the image's registry; None: nobody.

    Raises:
        DriverError: the file or its helper cannot be read.
    """
    registry = registry_of(ref)
    try:
        told: dict[str, Any] = json.loads(await asyncio.to_thread(file.read_bytes))
    except (OSError, ValueError) as error:
        raise DriverError(f"{file}: not readable as docker configuration: {error}") from error
    helper = (told.get("credHelpers") or {}).get(registry) or told.get("credsStore")
    if helper and (found := await _ask(str(helper), registry)):
        return found
    return parse_auth((told.get("auths") or {}).get(registry), registry, file)


def parse_auth(entry: Mapping[str, Any] | None, registry: str, file: Path) -> Mapping[str, str] | None:
    """An entry of `auths`, as the engine takes it. Raises DriverError."""
    if not entry:
        return None
    if token := entry.get("identitytoken"):
        return {"identitytoken": str(token), "serveraddress": registry}
    if not entry.get("auth"):
        return None
    try:
        user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (ValueError, TypeError) as error:
        raise DriverError(f"{file}: auths.{registry}.auth: expected base64 of user:password") from error
    return {"username": user, "password": password.rstrip("\0"), "serveraddress": registry}


async def _ask(helper: str, registry: str) -> Mapping[str, str] | None:
    """A credential helper's answer; None when it has none for this registry."""
    program = f"docker-credential-{helper}"
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(program, "get", stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise DriverError(f"{program}: cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(HELPER_SECONDS):
            out, _ = await process.communicate(registry.encode())
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise DriverError(f"{program}: no answer within {HELPER_SECONDS:g} s") from error
    if process.returncode != 0:
        return None
    try:
        answer = json.loads(out)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise DriverError(f"{program}: its answer is not what a credential helper says") from error
    if user == TOKEN_USER:
        return {"identitytoken": secret, "serveraddress": registry}
    return {"username": user, "password": secret, "serveraddress": registry}
