"""Which project a command works on: the nearest directory, from here upwards, that holds an `esb.toml`.

[project]
name = "orders"
[defaults]
env = "dev"                  # also the defaults of --env, --mode and --template
mode = "process"
template = "template.yaml"   # or a list of them, relative to esb.toml
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from artifact_contract.models import Mode
from attrs import frozen

from esb_cli.errors import UsageError

__all__ = [
    "DEFAULT_ENV",
    "DEFAULT_MODE",
    "PROJECT_FILE",
    "Project",
    "find_project",
    "parse_name",
    "parse_project",
]

PROJECT_FILE = "esb.toml"
DEFAULT_ENV = "dev"
DEFAULT_MODE = Mode.PROCESS
DEFAULT_TEMPLATES = ("template.yaml", "template.yml")
# A name becomes part of image references, tables and buckets.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@frozen
class Project:
    """A directory with an `esb.toml`, and what that file says; `templates` are absolute."""

    root: Path
    name: str
    env: str
    mode: Mode
    templates: tuple[Path, ...]
    warnings: tuple[str, ...] = ()


def find_project(start: Path) -> Project:
    """Read the project that `start`, an absolute directory, belongs to.

    Raises:
        UsageError: There is none, or its `esb.toml` is wrong.
    """
    for root in (start, *start.parents):
        file = root / PROJECT_FILE
        if file.is_file():
            try:
                return parse_project(file.read_bytes(), root)
            except OSError as error:
                raise UsageError(f"{file}: can't be read: {error.strerror}") from error
    raise UsageError(
        f"no project here: neither {start} nor a directory above it holds {PROJECT_FILE}; "
        "go to your project, or start one with: esb init"
    )


def parse_project(data: bytes, root: Path) -> Project:
    """Read the content of an `esb.toml` that lies in `root`.

    Raises:
        UsageError: With a line for everything that is wrong.
    """
    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{root / PROJECT_FILE}: expected TOML: {error}") from error
    reader = _Reader(document)
    name = reader.name("project", "name", None)
    env = reader.name("defaults", "env", DEFAULT_ENV)
    mode = reader.mode("defaults", "mode", DEFAULT_MODE)
    templates = reader.texts("defaults", "template")
    if reader.problems:
        raise UsageError("\n".join(f"{root / PROJECT_FILE}: {problem}" for problem in reader.problems))
    found = [root / template for template in templates or DEFAULT_TEMPLATES]
    if not templates:
        found = [path for path in found if path.is_file()][:1]
    unknown = tuple(f"{PROJECT_FILE}: {key}: unknown, has no effect" for key in reader.unread())
    return Project(root, name, env, mode, tuple(found), unknown)


def parse_name(text: str) -> str:
    """Return a name of a project or an environment.

    Raises:
        ValueError: With what is expected.
    """
    if not NAME.fullmatch(text):
        raise ValueError(f"expected letters, digits, '.', '_' and '-', found {text!r}")
    return text


class _Reader:
    """Takes known keys out of a TOML document and collects what is wrong with them."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document
        self._read: set[tuple[str, str]] = set()
        self.problems: list[str] = []

    def _value(self, table: str, key: str) -> object:
        self._read.add((table, key))
        content = self._document.get(table, {})
        return content.get(key) if isinstance(content, dict) else None

    def name(self, table: str, key: str, default: str | None) -> str:
        value = self._value(table, key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            found = "it is missing" if value is None else f"found {value!r}"
            self.problems.append(f"{table}.{key}: expected a name, {found}")
            return ""
        try:
            return parse_name(value)
        except ValueError as error:
            self.problems.append(f"{table}.{key}: {error}")
            return ""

    def mode(self, table: str, key: str, default: Mode) -> Mode:
        value = self._value(table, key)
        known = [mode.value for mode in Mode]
        if value is None or value in known:
            return default if value is None else Mode(value)
        self.problems.append(f"{table}.{key}: expected one of {', '.join(known)}, found {value!r}")
        return default

    def texts(self, table: str, key: str) -> tuple[str, ...]:
        value = self._value(table, key)
        values = value if isinstance(value, list) else [] if value is None else [value]
        if all(isinstance(one, str) and one for one in values):
            return tuple(values)
        self.problems.append(f"{table}.{key}: expected a path or a list of paths, found {value!r}")
        return ()

    def unread(self) -> list[str]:
        """Return the keys that no one asked for."""
        found = []
        for table, content in self._document.items():
            keys = content if isinstance(content, dict) else {"": None}
            found += [f"{table}.{key}".rstrip(".") for key in keys if (table, key) not in self._read]
        return found
