"""What is wrong with an artifact, said so that its author can find and fix it (contract §3).

A check returns `Problem`s; `raise_errors` turns the bad ones into one exception, so that everything is
reported in one run. Only what the artifact's author can fix is here: a disk that fails stays an
`OSError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import ClassVar

from attrs import frozen


class Severity(Enum):
    """How bad a problem is; `STRICT` is a warning that `--strict` turns into an error."""

    ERROR = "error"
    STRICT = "strict"
    WARNING = "warning"


class Kind(Enum):
    """Which rule a problem breaks; each has its own exception."""

    SCHEMA = "schema"
    ID = "id"
    PATH = "path"
    DIGEST = "digest"
    VERSION = "version"
    SECRET = "secret"  # noqa: S105 - the name of a rule, no secret
    OWNERSHIP = "ownership"


@frozen
class Place:
    """Where something stands: a file, and its line and column, both counted from 1, where they are known."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.file
        return f"{self.file}:{self.line}:{self.column or 1}"


@frozen
class Problem:
    """One thing that is wrong; as text `file:3:5: field: expected X, found Y (hint)`."""

    place: Place
    field: str
    expected: str
    found: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    kind: Kind = Kind.SCHEMA

    def __str__(self) -> str:
        where = f"{self.place}: {self.field}" if self.field else str(self.place)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: expected {self.expected}, found {self.found}{hint}"


class FieldError(ValueError):
    """One value breaks its rule: the facts, and the `path` to it from where the check began."""

    def __init__(
        self,
        expected: str,
        found: str,
        *,
        path: tuple[str | int, ...] = (),
        hint: str = "",
        kind: Kind = Kind.SCHEMA,
    ) -> None:
        super().__init__(f"expected {expected}, found {found}" + (f" ({hint})" if hint else ""))
        self.expected, self.found, self.path, self.hint, self.kind = expected, found, path, hint, kind

    def at(self, place: Place, field: str, severity: Severity = Severity.ERROR) -> Problem:
        """The same fact as a problem with its place."""
        return Problem(place, field, self.expected, self.found, self.hint, severity, self.kind)


class ArtifactError(Exception):
    """The artifact is rejected: `problems` says why, `warnings` what else was found on the way."""

    kind: ClassVar[Kind | None] = None

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(map(str, self.problems)))


class SchemaError(ArtifactError):
    """A field is missing, unreadable or has a value it can't have (§3, §9)."""

    kind = Kind.SCHEMA


class IdError(ArtifactError):
    """An entry id is malformed, used twice, or not the one its entry gives (§4)."""

    kind = Kind.ID


class PathError(ArtifactError):
    """A path leaves the artifact root or leads nowhere (§5)."""

    kind = Kind.PATH


class DigestError(ArtifactError):
    """Files don't have the digest the manifest gives (§6)."""

    kind = Kind.DIGEST


class VersionError(ArtifactError):
    """A version this tool can't work with (§7)."""

    kind = Kind.VERSION


class SecretError(ArtifactError):
    """Names of `required_secret_env` have no value (§8)."""

    kind = Kind.SECRET


class OwnershipError(ArtifactError):
    """A key belongs to another project (§10)."""

    kind = Kind.OWNERSHIP


_LEAVES = (SchemaError, IdError, PathError, DigestError, VersionError, SecretError, OwnershipError)
_ERROR_OF: dict[Kind | None, type[ArtifactError]] = {leaf.kind: leaf for leaf in _LEAVES}


def error_for(problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> ArtifactError:
    """The exception for these problems: the leaf of their kind if they have one, else `ArtifactError`."""
    found = tuple(problems)
    kinds = {problem.kind for problem in found}
    leaf = _ERROR_OF[kinds.pop()] if len(kinds) == 1 else ArtifactError
    return leaf(found, warnings)


def raise_errors(problems: Iterable[Problem], *, strict: bool = False) -> tuple[Problem, ...]:
    """Return the problems when they are all warnings.

    Raises:
        ArtifactError: something is an error (`STRICT` counts as one when `strict`).
    """
    fatal = {Severity.ERROR, Severity.STRICT} if strict else {Severity.ERROR}
    every = tuple(dict.fromkeys(problems))
    errors = [problem for problem in every if problem.severity in fatal]
    if errors:
        raise error_for(errors, [problem for problem in every if problem.severity not in fatal])
    return every


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems of one file, each once, from its top to its end."""
    return sorted(dict.fromkeys(problems), key=lambda each: (each.place.line or 0, each.place.column or 0))
