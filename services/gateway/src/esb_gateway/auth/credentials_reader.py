"""The text of credentials.yml to `Credentials`: every mistake with file, line and field, and never a value.

access_keys:
  - {name: operator, access_key_id: ESB0123456789ABCDEF, secret_access_key: …}
api_keys:
  - {name: default, value: …}
admin_keys:
  - {name: operator, value: …}
jwt: {secret: …, ttl: 3600, issuers: [{issuer: https://…, jwks_file: … | jwks_url: … | secret: …}]}
users:
  - {name: admin, password: …, scopes: [orders/read]}        or password_hash
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from artifact_contract.codec import read_yaml
from artifact_contract.errors import Place, Problem, SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, as_text, is_null
from attrs import define, field

from esb_gateway.auth.credentials import (
    DEFAULT_TTL,
    FUNCTIONS,
    AccessKey,
    ApiKey,
    Credentials,
    Issuer,
    Jwt,
    User,
)
from esb_gateway.auth.passwords import parse_hash

SECTIONS = ("access_keys", "api_keys", "admin_keys", "jwt", "users")
MIN_JWT_SECRET = 32
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{3,128}")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_MAX_TTL = 7 * 24 * 3600
T = TypeVar("T")


def read_sections(data: bytes, file: str) -> Mapping:
    """Return the file as nodes, a file of comments only as an empty mapping.

    Raises:
        SchemaError: it is no YAML mapping.
    """
    if not re.sub(rb"(?m)^\s*#.*$", b"", data.removeprefix(b"\xef\xbb\xbf")).strip():
        return Mapping()
    node = read_yaml(data, file)
    if not isinstance(node, Mapping):
        raise SchemaError([Problem(Place(file, 1), "", "a mapping", "something else")])
    return node


def parse_credentials(node: Mapping, file: str, environment: AccessKey | None) -> Credentials:
    """Return what a complete file says; `environment` is one more pair.

    Raises:
        SchemaError: with everything that is wrong.
    """
    reader = _Reader(file)
    top = reader.fields(node, "", SECTIONS)
    keys = tuple(reader.items(top, "access_keys", _access_key))
    api_keys = tuple(reader.items(top, "api_keys", _api_key))
    admin_keys = tuple(reader.items(top, "admin_keys", _api_key))
    jwt = _jwt(reader, top.get("jwt"))
    users = tuple(reader.items(top, "users", _user))
    reader.unique(top, "access_keys", [key.access_key_id for key in keys], "access_key_id")
    if environment is not None:
        keys = (*(key for key in keys if key.access_key_id != environment.access_key_id), environment)
    if not any(key.name == FUNCTIONS for key in keys):
        reader.wrong(
            top.get("access_keys") or node,
            "access_keys",
            f"an entry named {FUNCTIONS}, which workers get",
            "none",
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the gateway's environment",
        )
    for section, names in (("api_keys", api_keys), ("admin_keys", admin_keys), ("users", users)):
        reader.unique(top, section, [each.name for each in names], "name")
    if {key.value for key in api_keys} & {key.value for key in admin_keys}:
        place = top.get("admin_keys") or node
        reader.wrong(place, "admin_keys", "values of their own", "one that api_keys has too")
    if reader.problems:
        raise SchemaError(reader.problems)
    return Credentials(keys, api_keys, admin_keys, jwt, users)


@define
class _Reader:
    """Takes nodes apart and collects what is wrong."""

    file: str
    problems: list[Problem] = field(factory=list)

    def wrong(self, node: Node, path: str, expected: str, found: str, hint: str = "") -> None:
        place = Place(self.file, node.line or None, node.column or None)
        self.problems.append(Problem(place, path, expected, found, hint))

    def fields(self, node: Node, path: str, known: tuple[str, ...]) -> dict[str, Node]:
        if not isinstance(node, Mapping):
            self.wrong(node, path, "a mapping", _kind(node))
            return {}
        for key in node.items.keys() - set(known):
            line, column = node.key_marks.get(key, (node.line, node.column))
            where = Scalar("", line=line, column=column)
            self.wrong(where, _join(path, key), f"one of {', '.join(known)}", "an unknown key")
        return {key: value for key, value in node.items.items() if key in known and not is_null(value)}

    def text(self, node: Mapping, fields: dict[str, Node], path: str, *, least: int = 1) -> str:
        """A required text, printable and without spaces."""
        value = fields.get(path.rpartition(".")[2])
        if value is None:
            self.wrong(node, path, "a text", "nothing")
            return ""
        return self.given_text(value, path, least=least)

    def given_text(self, value: Node, path: str, *, least: int = 1) -> str:
        text = as_text(value) if isinstance(value, Scalar) else ""
        if not text:
            self.wrong(value, path, "a text", _kind(value))
        elif len(text) < least:
            self.wrong(value, path, f"at least {least} characters", f"{len(text)}")
        elif not _PRINTABLE.fullmatch(text):
            self.wrong(value, path, "printable ASCII without spaces", "something else")
        return text

    def items(
        self, top: dict[str, Node], section: str, read: Callable[[_Reader, Mapping, str], T]
    ) -> Iterator[T]:
        node = top.get(section, Sequence())
        if not isinstance(node, Sequence):
            self.wrong(node, section, "a list", _kind(node))
            return
        for number, item in enumerate(node.items):
            path = f"{section}[{number}]"
            if isinstance(item, Mapping):
                yield read(self, item, path)
            else:
                self.wrong(item, path, "a mapping", _kind(item))

    def unique(self, top: dict[str, Node], section: str, values: list[str], what: str) -> None:
        twice = {value for value in values if value and values.count(value) > 1}
        for value in sorted(twice):
            self.wrong(top.get(section, Sequence()), section, f"every {what} once", f"{value} twice")


def _access_key(reader: _Reader, node: Mapping, path: str) -> AccessKey:
    fields = reader.fields(node, path, ("name", "access_key_id", "secret_access_key"))
    key_id = reader.text(node, fields, f"{path}.access_key_id")
    if key_id and not _KEY_ID.fullmatch(key_id):
        expected = "3 to 128 letters, digits, - or _"
        reader.wrong(fields["access_key_id"], f"{path}.access_key_id", expected, "something else")
    return AccessKey(
        reader.text(node, fields, f"{path}.name"),
        key_id,
        reader.text(node, fields, f"{path}.secret_access_key", least=8),
    )


def _api_key(reader: _Reader, node: Mapping, path: str) -> ApiKey:
    fields = reader.fields(node, path, ("name", "value"))
    name = reader.text(node, fields, f"{path}.name")
    return ApiKey(name, reader.text(node, fields, f"{path}.value", least=8))


def _jwt(reader: _Reader, node: Node | None) -> Jwt:
    if not isinstance(node, Mapping):
        if node is not None:
            reader.wrong(node, "jwt", "a mapping", _kind(node))
        return Jwt("")
    fields = reader.fields(node, "jwt", ("secret", "ttl", "issuers"))
    secret = reader.text(node, fields, "jwt.secret", least=MIN_JWT_SECRET)
    issuers = tuple(reader.items({"jwt.issuers": fields.get("issuers", Sequence())}, "jwt.issuers", _issuer))
    reader.unique({"jwt.issuers": node}, "jwt.issuers", [each.issuer for each in issuers], "issuer")
    return Jwt(secret, _ttl(reader, fields.get("ttl")), issuers)


def _ttl(reader: _Reader, node: Node | None) -> int:
    if node is None:
        return DEFAULT_TTL
    text = as_text(node) if isinstance(node, Scalar) else ""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MAX_TTL):
        reader.wrong(node, "jwt.ttl", f"seconds from 1 to {_MAX_TTL}", "something else")
        return DEFAULT_TTL
    return int(text)


def _issuer(reader: _Reader, node: Mapping, path: str) -> Issuer:
    ways = ("jwks_file", "jwks_url", "secret")
    fields = reader.fields(node, path, ("issuer", *ways))
    issuer = reader.text(node, fields, f"{path}.issuer")
    given = [way for way in ways if way in fields]
    if len(given) != 1:
        reader.wrong(node, path, "one of jwks_file, jwks_url, secret", " and ".join(given) or "none")
        return Issuer(issuer)
    way = given[0]
    if way == "jwks_file" and isinstance(fields[way], Scalar):
        name = as_text(fields[way])  # type: ignore[arg-type] # a Scalar, seen above
        return Issuer(issuer, jwks_file=str(Path(reader.file).parent / name))
    text = reader.given_text(fields[way], f"{path}.{way}", least=MIN_JWT_SECRET if way == "secret" else 1)
    if way == "secret":
        return Issuer(issuer, secret=text)
    if not text.startswith(("http://", "https://")):
        reader.wrong(fields[way], f"{path}.{way}", "an http or https URL", "something else")
    return Issuer(issuer, jwks_url=text)


def _user(reader: _Reader, node: Mapping, path: str) -> User:
    fields = reader.fields(node, path, ("name", "password", "password_hash", "scopes"))
    name = reader.text(node, fields, f"{path}.name")
    listed = fields.get("scopes", Sequence())
    scopes = tuple(
        reader.given_text(each, f"{path}.scopes[{number}]")
        for number, each in enumerate(listed.items if isinstance(listed, Sequence) else (listed,))
    )
    given = [way for way in ("password", "password_hash") if way in fields]
    if len(given) != 1:
        reader.wrong(node, path, "one of password, password_hash", " and ".join(given) or "none")
        return User(name)
    value = fields[given[0]]
    text = as_text(value) if isinstance(value, Scalar) else ""
    if not text:
        reader.wrong(value, f"{path}.{given[0]}", "a text", _kind(value))
    if given[0] == "password":
        return User(name, password=text, scopes=scopes)
    if text and parse_hash(text) is None:
        expected = "scrypt:N:r:p:salt:hash, as `python -m esb_gateway hash-password` prints it"
        reader.wrong(value, f"{path}.password_hash", expected, "something else")
    return User(name, password_hash=text, scopes=scopes)


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "nothing" if not as_text(node) else "a text"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
