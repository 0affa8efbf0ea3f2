"""Installs a requirements.txt into a directory that can ship: wheels only, the same bytes wherever it's done.

Results are kept under `<cache>/<key>/files` with their digest beside them; the key covers the file with all
it includes, the Python version and the architecture. A hit needs no network. What differs from one install to
the next is removed: scripts (they name this machine's Python), uv's notes, and their lines in RECORD.
"""

import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from artifact_contract.errors import Place, Problem
from artifact_contract.tree import digest_tree
from attrs import field, frozen

from esb_cli.errors import TemplateError, WorldError

__all__ = ["Installer", "cache_key", "has_requirements"]

# Changes when the same requirements would give other files.
CACHE_VERSION = "1"
LAST_LINES = 12
UV_NOTES = ("direct_url.json", "uv_cache.json", "uv_build.json")
# The oldest glibc of the runtime: Amazon Linux 2 (2.26) up to Python 3.11, Amazon Linux 2023 (2.34) after it.
OLD_LINUX_UP_TO = (3, 11)
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*(?P<path>\S+)")
EDITABLE = re.compile(r"(?:-e|--editable)\b")
# What uv says when the requirements themselves are at fault; its other failures are the world's.
REFUSALS = (
    "No solution found",
    "Couldn't parse",
    "Building source distributions",
    "has no wheels",
    "no usable wheels",
)
OFFLINE = "network was disabled"


def has_requirements(file: Path) -> bool:
    """Tell whether a requirements file asks for anything at all."""
    return any(True for _ in _lines(file, ()))


@frozen
class Installer:
    """Installs requirements files. `environ` is passed on to uv, which finds index and credentials there."""

    cache: Path
    environ: Mapping[str, str]
    _ready: dict[str, Path] = field(factory=dict, init=False)

    def install(self, file: Path, *, python: str, architecture: str) -> Path:
        """Return a directory with what `file` asks for; it is the cache's own and must not be changed.

        Args:
            file: The requirements file.
            python: The version of the runtime, `3.12`.
            architecture: `x86_64` or `arm64`.

        Raises:
            TemplateError: The file can't be satisfied with wheels for this Python and architecture.
            WorldError: uv failed otherwise: no index, no disk.
        """
        key = cache_key(file, python, architecture)
        if key not in self._ready:
            kept = self.cache / key
            if not _intact(kept):
                self._fill(kept, file, python, architecture)
            self._ready[key] = kept / "files"
        return self._ready[key]

    def _fill(self, kept: Path, file: Path, python: str, architecture: str) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".tmp-", dir=self.cache))
        try:
            files = work / "files"
            self._run_uv(file, files, python, architecture)
            _make_reproducible(files)
            (work / "digest").write_text(_digest(files))
            shutil.rmtree(kept, ignore_errors=True)  # a damaged one
            work.rename(kept)
        except OSError as error:
            if not _intact(kept):  # else another run was faster
                raise WorldError(f"{file}: can't be installed into {self.cache}: {error}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _run_uv(self, file: Path, target: Path, python: str, architecture: str) -> None:
        import uv  # noqa: PLC0415 - needed for an install only

        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--color", "never", "--no-compile-bytecode"]
        command += ["--target", str(target), "--only-binary", ":all:", "--python", sys.executable]
        command += ["--python-version", python, "--python-platform", _platform(python, architecture)]
        done = subprocess.run(
            [*command, "--requirements", str(file.resolve())],
            cwd=file.parent,  # relative paths in the file
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise _failure(file, python, architecture, done.stderr.decode(errors="replace"))


def cache_key(file: Path, python: str, architecture: str) -> str:
    """Return what names an install: a digest over the file, what it includes, and the platform.

    Raises:
        TemplateError: The file asks for an editable install, which can't ship, or can't be read.
    """
    facts = [CACHE_VERSION, python, architecture, *(text for _, text in _lines(file, ()))]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _lines(file: Path, above: tuple[Path, ...]) -> Iterator[tuple[int, str]]:
    """Yield number and content of each line that says something; included files follow their line."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _rejected(file, None, "a readable requirements file", str(error)) from error
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if EDITABLE.match(line):
            raise _rejected(
                file, number, "a requirement with a wheel", "an editable install, which can't ship"
            )
        if line:
            yield number, line
        include = INCLUDE.match(line)
        if include and file not in above:
            yield from _lines(file.parent / include["path"], (*above, file))
        local = file.parent / line.rpartition(" @ ")[2].partition(" ;")[0].removeprefix("file://").strip()
        if line and os.path.isfile(local):  # noqa: PTH113 - Path.is_file raises for a name that is too long
            yield number, hashlib.sha256(local.read_bytes()).hexdigest()


def _platform(python: str, architecture: str) -> str:
    old = tuple(map(int, python.split("."))) <= OLD_LINUX_UP_TO
    return f"{ARCHITECTURES[architecture]}-{'manylinux2014' if old else 'manylinux_2_28'}"


def _digest(files: Path) -> str:
    # Nothing is left where no requirement is meant for this platform: no directory digest has that.
    return digest_tree(files) if any(files.iterdir()) else "nothing"


def _intact(kept: Path) -> bool:
    try:
        return (kept / "digest").read_text() == _digest(kept / "files")
    except OSError:
        return False


def _make_reproducible(files: Path) -> None:
    files.mkdir(exist_ok=True)
    shutil.rmtree(files / "bin", ignore_errors=True)
    (files / ".lock").unlink(missing_ok=True)
    for record in sorted(files.glob("*.dist-info/RECORD")):
        for note in UV_NOTES:
            (record.parent / note).unlink(missing_ok=True)
        rows = csv.reader(io.StringIO(record.read_text("utf-8"), newline=""))
        kept = sorted(row for row in rows if row and (files / row[0]).is_file())
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(kept)
        record.write_text(text.getvalue(), "utf-8", newline="")


def _failure(file: Path, python: str, architecture: str, said: str) -> Exception:
    lines = [line for line in said.splitlines() if line.strip()][-LAST_LINES:]
    detail = "".join(f"\n    {line}" for line in lines)
    if OFFLINE not in said and any(refusal in said for refusal in REFUSALS):
        return _rejected(
            file, None, f"wheels for Python {python} on {architecture}", f"none that uv can use:{detail}"
        )
    return WorldError(f"{file}: uv could not install it:{detail}")


def _rejected(file: Path, line: int | None, expected: str, found: str) -> TemplateError:
    return TemplateError([Problem(Place(os.fspath(file), line), "", expected, found)])
