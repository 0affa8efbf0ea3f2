"""`python -m esb_gateway credentials` and `hash-password`: commands that need no running gateway.

0 done, 2 wrong usage, settings or file, 4 the world failed.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence

from esb_gateway.auth.credentials_file import CredentialsError, load_or_create
from esb_gateway.auth.passwords import hash_password
from esb_gateway.config import ConfigError, environment_key, read_credentials_file

_USAGE = "usage: python -m esb_gateway [credentials | hash-password]"


def run_command(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command and return the exit code."""
    if list(arguments) == ["credentials"]:
        return _credentials(environ)
    if list(arguments) == ["hash-password"]:
        return _hash_password()
    _say(_USAGE)
    return 2


def _credentials(environ: Mapping[str, str]) -> int:
    """Make what the file lacks and print what was made, and only that, as YAML on stdout."""
    try:
        path = read_credentials_file(environ)
        _, made = load_or_create(path, environment_key(environ))
    except (ConfigError, CredentialsError) as error:
        _say(*str(error).splitlines())
        return 2
    if made:
        sys.stdout.write(made.yaml)
        _say(f"made in {path}; shown this once")
    else:
        _say(f"nothing was missing in {path}")
    return 0


def _hash_password() -> int:
    """Print the hash of a password that is asked for, or of the first line of stdin."""
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        _say("expected a password, found nothing")
        return 2
    sys.stdout.write(f"{hash_password(password)}\n")
    return 0


def _say(*lines: str) -> None:
    for line in lines:
        print(f"esb-gateway: {line}", file=sys.stderr)  # noqa: T201 - stderr is for what a person reads
