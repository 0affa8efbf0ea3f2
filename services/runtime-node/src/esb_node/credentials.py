"""Who may call the box: `credentials.yml`, made by the gateway's own command, read here for people.

The gateway owns the file; functions sign with its pair "functions". Nothing of it gets into a log or an
argument of a process.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from esb_node.box_state import BoxState
from esb_node.errors import NodeError
from esb_node.parts import GATEWAY, REGION, Plan

_OPERATOR = "operator"
_MAKE_SECONDS = 60.0


@frozen
class Credentials:
    """What a person needs to call the box: a pair that signs, an API key, an admin key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    api_key: str = field(repr=False)
    admin_key: str = field(repr=False)


def make_credentials(plan: Plan) -> str:
    """Make what is missing in the box's file; returns it as YAML, nothing when all was there.

    Raises:
        NodeError: the gateway refuses the file; has what it said.
    """
    gateway = next(service for service in plan.services if service.name == GATEWAY)
    argv = [*gateway.argv, "credentials"]
    try:
        done = subprocess.run(
            argv,
            env=dict(gateway.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_MAKE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NodeError(f"credentials were not made within {_MAKE_SECONDS:g} s") from error
    if done.returncode:
        raise NodeError(f"{done.stderr.strip() or 'credentials could not be made'}")
    return done.stdout


def read_credentials(path: Path) -> Credentials:
    """The operator's pair, the first API key and the first admin key of a file.

    Raises:
        NodeError: it can't be read, or has no such thing.
    """
    document = _document(path)
    try:
        keys = document["access_keys"]
        pair = next((key for key in keys if key.get("name") == _OPERATOR), keys[0])
        return Credentials(
            access_key_id=str(pair["access_key_id"]),
            secret_access_key=str(pair["secret_access_key"]),
            api_key=str(document["api_keys"][0]["value"]),
            admin_key=str(document["admin_keys"][0]["value"]),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        expected = "access_keys, api_keys and admin_keys, each with one entry at least"
        raise NodeError(f"{path}: expected {expected}") from error


def _document(path: Path) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 - most commands need no YAML
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NodeError(f"{path}: not there; it is made when the box starts for the first time") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise NodeError(f"{path}: is no YAML") from error


def variables(state: BoxState, found: Credentials) -> Mapping[str, str]:
    """What AWS SDKs, the AWS CLI and curl need in their environment to call this box."""
    urls = state.urls
    return {
        "AWS_ENDPOINT_URL": urls["data-plane"],
        "AWS_ENDPOINT_URL_LAMBDA": urls["gateway"],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": found.access_key_id,
        "AWS_SECRET_ACCESS_KEY": found.secret_access_key,
        "ESB_API_KEY": found.api_key,
        "ESB_ADMIN_KEY": found.admin_key,
    }


def export_lines(values: Mapping[str, str]) -> str:
    """The variables as a shell takes them."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def how_to_use(state: BoxState, export: str) -> str:
    """How to call the box, without any secret; `export` is the command that prints the variables."""
    url = state.urls["gateway"]
    invoke = f"{url}/2015-03-31/functions/NAME/invocations"
    return f"""\
credentials  {state.credentials_file}
             access keys (operator, functions), API keys of route clients, admin keys, the secret of tokens,
             users; edit it as you like

Set the endpoints and the operator's key in a shell:
  eval "$({export})"
then
  aws lambda invoke --function-name NAME --payload '{{}}' /dev/stdout
  python -c 'import boto3; print(boto3.client("lambda").invoke(FunctionName="NAME")["Payload"].read())'
  curl --aws-sigv4 aws:amz:{REGION}:lambda --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \\
    -d '{{}}' {invoke}
  curl -H "x-api-key: $ESB_ADMIN_KEY" {url}/functions

A token for routes with jwt, for a user of the file:
  curl -H "x-api-key: $ESB_API_KEY" {url}/user/auth/v1 \\
    -d '{{"AuthParameters": {{"USERNAME": "admin", "PASSWORD": "..."}}}}'
"""
