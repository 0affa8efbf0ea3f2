"""credentials.yml: read, and completed where sections are missing.

    file ─read▶ sections ─missing ones made, file replaced▶ Credentials, Made

The file is 0600 and never half-written; one that group or others may read is refused, as ssh does with keys.
Sections that are made are put at the end of the file: what a person wrote above stays as it is. Two processes
that start at once end with the same credentials.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from artifact_contract.atomic import sync_directory
from artifact_contract.codec import dump_yaml
from artifact_contract.errors import ArtifactError, Place, Problem, SchemaError
from artifact_contract.nodes import Mapping, from_python, is_null
from attrs import field, frozen

from esb_gateway.auth.credentials import AccessKey, Credentials, made_sections
from esb_gateway.auth.credentials_reader import SECTIONS, parse_credentials, read_sections

_HEAD = """\
# Who may call this box. Edit it as you like: a running gateway reads it again within seconds
# (the pair named "functions" is given to workers when they are started).
"""


class CredentialsError(Exception):
    """The file can't be used; the text says file, place, field and what was expected, and no secret."""


@frozen
class Made:
    """What was generated: as YAML, the sections in the order of the file; empty when nothing was missing."""

    path: Path
    yaml: str = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.yaml)


def load_or_create(path: Path, environment: AccessKey | None = None) -> tuple[Credentials, Made]:
    """Return the credentials of a file, after making what it lacks; `environment` is one more pair.

    Raises:
        CredentialsError: the file is wrong, open to others, or can't be read or written.
    """
    try:
        made = _complete(path)
        return _load(path, environment), made
    except ArtifactError as error:
        raise CredentialsError(str(error)) from error
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror or error}") from error


def load(path: Path, environment: AccessKey | None = None) -> Credentials:
    """Return the credentials of a file that is complete.

    Raises:
        CredentialsError: as `load_or_create`.
    """
    try:
        return _load(path, environment)
    except ArtifactError as error:
        raise CredentialsError(str(error)) from error
    except OSError as error:
        raise CredentialsError(f"{path}: {error.strerror or error}") from error


def _load(path: Path, environment: AccessKey | None) -> Credentials:
    node = read_sections(_read_private(path), str(path))
    missing = _missing(node)
    if missing:
        raise SchemaError([Problem(Place(str(path)), missing[0], "a section", "nothing")])
    return parse_credentials(node, str(path), environment)


def _complete(path: Path) -> Made:
    """Make what is missing; a file that appears meanwhile is the one that counts."""
    try:
        data = _read_private(path)
    except FileNotFoundError:
        yaml = dump_yaml(from_python(made_sections()))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Made(path, yaml if _put(path, _HEAD + yaml, replace=False) else "")
    missing = _missing(read_sections(data, str(path)))
    if not missing:
        return Made(path, "")
    everything = made_sections()
    yaml = dump_yaml(from_python({name: everything[name] for name in missing}))
    _put(path, _joined(data, yaml, path), replace=True)
    return Made(path, yaml)


def _missing(node: Mapping) -> list[str]:
    return [name for name in SECTIONS if name not in node.items or is_null(node.items[name])]


def _joined(data: bytes, yaml: str, path: Path) -> str:
    """The file with the sections at its end; a section that is there without a value gives up its line."""
    names = yaml.splitlines()
    text = data.decode("utf-8").removeprefix("\ufeff")
    lines = [line for line in text.splitlines() if line.partition("#")[0].strip() not in names]
    joined = "\n".join([*lines, yaml])
    try:
        complete = not _missing(read_sections(joined.encode(), str(path)))
    except ArtifactError:
        complete = False
    if complete:
        return joined
    wanted = ", ".join(_missing(read_sections(data, str(path))))
    raise SchemaError(
        [Problem(Place(str(path)), wanted, "a section", "nothing", "or write the file in block style")]
    )


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            found = f"{mode:04o}, so that others may read it"
            raise SchemaError([Problem(Place(str(path)), "mode", "0600", found, f"chmod 600 {path}")])
        return file.read()


def _put(path: Path, text: str, *, replace: bool) -> bool:
    """Write the file whole, 0600; False when it was there first."""
    handle, name = tempfile.mkstemp(prefix=".credentials-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        elif not _link(temporary, path):
            return False
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def _link(temporary: Path, path: Path) -> bool:
    """Give the file its name unless something has it; False when something has."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    except (
        OSError
    ):  # some mounted file systems have no links: there, two that start at once are not told apart
        if path.exists():
            return False
        temporary.replace(path)
    return True
