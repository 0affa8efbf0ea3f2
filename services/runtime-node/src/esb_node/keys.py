"""The keys with which functions sign calls to the data plane: made for this box, kept in a 0600 file."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from attrs import field, frozen

from esb_node.files import write_private

FILE = "credentials.json"


@frozen
class Keys:
    """An access key pair in AWS's shape; it opens nothing outside the box."""

    access_key: str
    secret_key: str = field(repr=False)


def load_or_make(state: Path) -> Keys:
    """The keys of the box, made at its first start."""
    path = state / FILE
    keys = _load(path)
    if keys is None:
        keys = Keys(f"ESB{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))
        text = json.dumps({"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}, indent=2)
        write_private(path, text + "\n")
    return keys


def _load(path: Path) -> Keys | None:
    try:
        document = json.loads(path.read_text("utf-8"))
        return Keys(str(document["AccessKeyId"]), str(document["SecretAccessKey"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
