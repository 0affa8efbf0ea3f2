"""What a recipe begins with, from the disk: a Dockerfile, and its context with what `.dockerignore` says."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from artifact_contract.errors import Kind, PathError, Place, Problem, raise_errors
from artifact_contract.tree import read_at, read_file, resolve_inside

from artifactctl.errors import DiskError
from artifactctl.images.context import Context
from artifactctl.images.ignore import IgnoreRules, parse_ignore

_GENERATE_AGAIN = "generate the artifact again"
_LARGEST = 1 << 20


def read_dockerfile(root: Path, dockerfile: str) -> tuple[Path, bytes]:
    """Where the Dockerfile at this path below `root` is, and its bytes.

    Raises:
        ArtifactError: it is missing, or too large for one.
        OSError: it can't be read.
    """
    path = resolve_inside(root, dockerfile)
    try:
        return path, read_at(path.name, path, None, limit=_LARGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PathError(
            [Problem(Place(str(path)), "", "a Dockerfile", "nothing", _GENERATE_AGAIN, kind=Kind.PATH)]
        ) from error


def read_error(path: Path, error: OSError) -> DiskError:
    """A failure to read something of the artifact, most likely `path`."""
    return DiskError(Path(error.filename or path), "read", error)


class ContextOf:
    """The build context for a Dockerfile: one for all, but for those with a `.dockerignore` of their own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._contexts: dict[Path, Context] = {}
        self._guard = Lock()

    def __call__(self, dockerfile: str) -> Context:
        """The context of the Dockerfile at this path.

        Raises:
            ArtifactError: its `.dockerignore` is malformed.
        """
        with self._guard:
            for ignore in (self._root / f"{dockerfile}.dockerignore", self._root / ".dockerignore"):
                if ignore in self._contexts:
                    return self._contexts[ignore]
                if ignore.is_file():
                    text = read_file(ignore, limit=_LARGEST).decode(errors="replace")
                    rules, problems = parse_ignore(text, str(ignore))
                    raise_errors(problems)
                    return self._contexts.setdefault(ignore, Context(self._root, rules))
            return self._contexts.setdefault(self._root, Context(self._root, IgnoreRules()))
