"""What of a directory ships: all its regular files, except what is known not to belong into a deployment.

Left out wherever they lie: version control, caches, byte code, virtual environments, what builds leave
(`IGNORED`), artifacts and what killed runs of esb leave, `node_modules` unless the runtime is Node.js, and
`.env`, as it may hold secrets (contract §8).
A symbolic link is replaced by what it leads to; one that leads out of the directory is a fault.
"""

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import Factory, frozen

from esb_cli.swap import TEMPORARY

__all__ = ["Collected", "Exclusions", "StagedFile", "collect", "every_file"]

IGNORED = frozenset(
    {
        ".aws-sam", ".DS_Store", ".esb", ".git", ".hg", ".mypy_cache", ".pytest_cache",
        ".ruff_cache", ".svn", ".tox", ".venv", "__pycache__",
    }
)  # fmt: skip
IGNORED_SUFFIXES = (".pyc", ".pyo")
SECRETS = ".env"
# What makes a directory something that never ships, whatever its name.
VIRTUAL_ENVIRONMENT = frozenset({"pyvenv.cfg"})  # PEP 405
ARTIFACT_ROOT = frozenset({"runtime-base", "runtime-config"})  # else each output would ship in the next one


@frozen
class StagedFile:
    """A file of an artifact: its bytes, or the file they come from."""

    source: bytes | Path
    executable: bool = False

    def read(self) -> bytes:
        """Return the content.

        Raises:
            OSError: It can't be read.
        """
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@frozen
class Exclusions:
    """What to leave out besides `IGNORED`: files and directories by their real path, and node_modules."""

    paths: frozenset[str] = frozenset()
    node_modules: bool = True


@frozen
class Collected:
    """The files of a directory by their path in it; why some can't ship; what may hold secrets and stays."""

    files: Mapping[str, StagedFile] = Factory(dict)
    faults: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()


def collect(directory: Path, exclusions: Exclusions = Exclusions()) -> Collected:
    """Find the files of a directory that ship.

    Raises:
        OSError: A directory can't be read.
    """
    walk = _Walk(os.path.realpath(directory), exclusions)
    files = dict(walk.below(walk.root, "", ()))
    return Collected(dict(sorted(files.items())), tuple(walk.faults), tuple(walk.secrets))


def every_file(directory: Path) -> dict[str, StagedFile]:
    """Return all regular files below a directory that was made to ship; only byte code is left out."""
    return {
        path.relative_to(directory).as_posix(): StagedFile(path, bool(path.stat().st_mode & stat.S_IXUSR))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in IGNORED_SUFFIXES
    }


class _Walk:
    def __init__(self, root: str, exclusions: Exclusions) -> None:
        self.root = root
        self.exclusions = exclusions
        self.faults: list[str] = []
        self.secrets: list[str] = []

    def below(self, real: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, StagedFile]]:
        """Yield the files of `real`, a directory whose path has no links, as `prefix` + their path in it."""
        with os.scandir(real) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        names = {entry.name for entry in entries}
        if prefix and (names >= VIRTUAL_ENVIRONMENT or names >= ARTIFACT_ROOT):
            return
        for entry in entries:
            path = prefix + entry.name
            target = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            if not self._ignored(entry.name, target, path) and self._inside(target, path):
                yield from self._one(target, path, (*above, real))

    def _one(self, target: str, path: str, above: tuple[str, ...]) -> Iterator[tuple[str, StagedFile]]:
        try:
            mode = Path(target).stat().st_mode
            path.encode()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            self.faults.append(f"{path}: a link to nothing")
        except UnicodeEncodeError:
            self.faults.append(f"{path!r}: a name that isn't UTF-8")
        else:
            if "\n" in path:
                self.faults.append(f"{path!r}: a name with a line break")
            elif stat.S_ISREG(mode):
                yield path, StagedFile(Path(target), bool(mode & stat.S_IXUSR))
            elif not stat.S_ISDIR(mode):
                self.faults.append(f"{path}: neither a file nor a directory")
            elif target in above:
                self.faults.append(f"{path}: a link to a directory that it lies in")
            else:
                yield from self.below(target, f"{path}/", above)

    def _ignored(self, name: str, target: str, path: str) -> bool:
        if name == SECRETS:
            self.secrets.append(path)
            return True
        if name == "node_modules":
            return self.exclusions.node_modules
        ignored = name in IGNORED or name.endswith(IGNORED_SUFFIXES) or name.startswith(TEMPORARY)
        return ignored or target in self.exclusions.paths

    def _inside(self, target: str, path: str) -> bool:
        inside = target.startswith(self.root.rstrip("/") + "/") or target == self.root
        if not inside:
            self.faults.append(f"{path}: a symbolic link that leaves the directory, to {target}")
        return inside
