"""Does the secrets file have what the artifact requires (contract §8)?

Only names leave this module. A value is looked at once, for being empty; neither it nor the text of a line
it may stand in goes into a problem, an exception or its cause.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from artifact_contract.errors import Kind, Place, Problem, Severity
from attrs import field, frozen

# Nobody's secrets are larger; a wrong path may be.
_MAX_BYTES = 1024 * 1024


@frozen
class _Found:
    """The names of a secrets file, and the lines that are none."""

    with_value: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    bad_lines: tuple[int, ...] = field(default=())


def check_secrets(required: Sequence[str], secret_env: Path | None, manifest: Path) -> list[Problem]:
    """What is missing; `required` are the names all entries ask for, `secret_env` the file given for them."""
    names = tuple(dict.fromkeys(required))
    listed = ", ".join(names)
    if secret_env is None:
        if not names:
            return []
        expected = f"a secrets file with {listed} (--secret-env)"
        return [
            Problem(Place(str(manifest)), "required_secret_env", expected, "none given", kind=Kind.SECRET)
        ]
    severity = Severity.ERROR if names else Severity.WARNING
    try:
        found = _read(secret_env)
    except (OSError, ValueError) as error:
        expected = f"a secrets file with {listed}" if names else "a secrets file"
        fact = (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)
        return [Problem(Place(str(secret_env)), "", expected, fact, "", severity, Kind.SECRET)]
    return list(_problems(names, secret_env, found))


def _problems(names: Sequence[str], secret_env: Path, found: _Found) -> Iterator[Problem]:
    for line in found.bad_lines:
        expected, fact = "NAME=value, a comment or nothing", "something else (not shown: it may be secret)"
        yield Problem(Place(str(secret_env), line), "", expected, fact, kind=Kind.SECRET)
    for name in names:
        if name not in found.with_value:
            fact = "an empty value" if name in found.empty else "nothing"
            yield Problem(Place(str(secret_env)), name, "a value", fact, kind=Kind.SECRET)


def _read(path: Path) -> _Found:
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only where there is a secrets file

    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # the original error would carry the bytes along
        raise ValueError("bytes that are not UTF-8") from None
    values: dict[str, bool] = {}
    bad_lines: list[int] = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            blank = len(binding.original.string) - len(binding.original.string.lstrip())
            bad_lines.append(binding.original.line + binding.original.string[:blank].count("\n"))
        elif binding.key is not None:
            values[binding.key] = bool(binding.value)
    return _Found(
        frozenset(name for name, filled in values.items() if filled),
        frozenset(name for name, filled in values.items() if not filled),
        tuple(bad_lines),
    )
