"""Where an artifact goes: rendered files become artifact roots, all of them and their manifest or none.

    lock output -> stage what changed beside its root -> put the old manifest aside -> exchange roots
                -> write the manifest -> remove old

A root that already has these files is not touched. What is put in place is complete: a root is exchanged by
one rename, and when anything fails afterwards it is exchanged back. No manifest stands beside roots that it
doesn't describe, also when this process is killed: then there is none, until the next run writes it.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from artifact_contract.atomic import remove_stale, write_atomic
from artifact_contract.digests import Sha256, directory_digest, file_digest
from artifact_contract.errors import ArtifactError
from artifact_contract.manifest import dump_manifest, load_manifest, parse_manifest
from artifact_contract.models import Manifest
from artifact_contract.tree import digest_file, digest_tree, walk_files
from attrs import evolve, frozen

from esb_cli.errors import UsageError, WorldError
from esb_cli.render import CONFIG_DIR, RenderedArtifact
from esb_cli.runtime_files import RUNTIME_BASE
from esb_cli.staging import StagedFile
from esb_cli.swap import TEMPORARY, locked, put, take_back, workspace

__all__ = ["GENERATOR", "Output", "Staged", "publish"]

GENERATOR = "esb"
OUR_FOLDERS = frozenset({CONFIG_DIR, RUNTIME_BASE, "functions"})


@frozen
class Output:
    """Where to publish. A manifest of which only the time would change is left alone with `keep_time`."""

    directory: Path
    manifest: Path
    keep_time: bool


@frozen
class Staged:
    """An artifact root with its files complete: in place already, or still beside its place."""

    root: Path
    files: Path
    content_digest: Sha256

    @property
    def unchanged(self) -> bool:
        """Whether the root had these files before."""
        return self.root == self.files


def publish(
    artifacts: Mapping[Path, RenderedArtifact],
    output: Output,
    describe: Callable[[Sequence[Staged]], Manifest],
) -> tuple[Staged, ...]:
    """Put artifacts in place by their roots, then the manifest that `describe` makes of them.

    Raises:
        UsageError: Something that isn't ours stands where a root or the manifest goes.
        WorldError: Another run holds the output directory, or sources change while they are read.
        OSError: The disk failed; everything is as it was.
    """
    output.directory.mkdir(parents=True, exist_ok=True)
    output.manifest.parent.mkdir(parents=True, exist_ok=True)
    aside = output.manifest.with_name(f"{TEMPORARY}old-{output.manifest.name}")
    with _saying_what_is_full(output.directory), locked(output.directory):
        _refuse_foreign(artifacts, output.manifest)
        with workspace(output.directory) as place:
            staged = tuple(_stage(root, artifact, place) for root, artifact in artifacts.items())
            text = _manifest_text(describe(staged), output)
            changed = [one for one in staged if not one.unchanged]
            if changed or text != _current(output.manifest):
                _switch(changed, output.manifest, text, aside)
            aside.unlink(missing_ok=True)  # also that of a killed run
        if output.manifest.parent == output.directory:  # elsewhere somebody else may be writing
            remove_stale(output.directory)
    return staged


@contextlib.contextmanager
def _saying_what_is_full(directory: Path) -> Iterator[None]:
    """Name the directory where an error of the disk names a file that is only read, or none."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise WorldError(f"{directory}: {error.strerror}; what was there is unchanged") from error


def _switch(changed: Sequence[Staged], manifest: Path, text: bytes, aside: Path) -> None:
    with contextlib.ExitStack() as undo:
        if changed:
            with contextlib.suppress(FileNotFoundError):
                manifest.rename(aside)
                undo.callback(aside.rename, manifest)
        for one in changed:
            put(one.files, one.root)
            undo.callback(take_back, one.files, one.root)
        write_atomic(manifest, text)
        undo.pop_all()


def _refuse_foreign(roots: Mapping[Path, RenderedArtifact], manifest: Path) -> None:
    for root in roots:
        if not _is_ours(root):
            raise UsageError(f"{root}: exists and is no artifact; choose another --output, or remove it")
    if not os.path.lexists(manifest):
        return
    # A link would be replaced; what is read has to be a file, and no endless one.
    with contextlib.suppress(ArtifactError):
        generator = load_manifest(manifest).manifest.generator
        if generator and generator.name == GENERATOR and not manifest.is_symlink():
            return
    raise UsageError(f"{manifest}: exists and esb did not write it; choose another --manifest, or remove it")


def _is_ours(root: Path) -> bool:
    if root.is_symlink():
        return False
    if not root.exists():
        return True
    found = {path.name for path in root.iterdir()} if root.is_dir() else {"a file"}
    return not found or ({CONFIG_DIR, RUNTIME_BASE} <= found <= OUR_FOLDERS)


def _stage(root: Path, artifact: RenderedArtifact, place: Path) -> Staged:
    digests = _digests(artifact)
    content = directory_digest(digests.items())
    if _has_files(root, artifact, digests):
        return Staged(root, root, content)
    files = place / root.name
    folders: set[Path] = set()
    for path, staged in artifact.files.items():
        _make_folders((files / path).parent, place, folders)
        _write(files / path, staged)
    if digest_tree(files) != content:
        raise WorldError(f"{root}: code changes while it is read; generate again")
    return Staged(root, files, content)


def _digests(artifact: RenderedArtifact) -> dict[str, Sha256]:
    known: dict[Path, Sha256] = {}  # functions often share code and layers
    digests: dict[str, Sha256] = {}
    for path, staged in artifact.files.items():
        if isinstance(staged.source, bytes):
            digests[path] = file_digest(staged.source)
        else:
            if staged.source not in known:
                known[staged.source] = digest_file(staged.source)
            digests[path] = known[staged.source]
    return digests


def _make_folders(folder: Path, top: Path, made: set[Path]) -> None:
    if folder == top or folder in made:
        return
    _make_folders(folder.parent, top, made)
    folder.mkdir()
    folder.chmod(0o755)  # whatever the umask
    made.add(folder)


def _has_files(root: Path, artifact: RenderedArtifact, digests: Mapping[str, Sha256]) -> bool:
    try:
        found = dict(walk_files(root))
    except ArtifactError:
        return False
    return found.keys() == artifact.files.keys() and all(
        _is_plain(path, executable=artifact.files[name].executable) and digest_file(path) == digests[name]
        for name, path in found.items()
    )


def _is_plain(path: Path, *, executable: bool) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR) == executable


def _write(path: Path, staged: StagedFile) -> None:
    if isinstance(staged.source, bytes):
        path.write_bytes(staged.source)
    else:
        shutil.copyfile(staged.source, path)
    path.chmod(0o755 if staged.executable else 0o644)


def _manifest_text(manifest: Manifest, output: Output) -> bytes:
    old = _current(output.manifest)
    if output.keep_time and old:
        time_of_old = parse_manifest(old, str(output.manifest)).value.generated_at
        if dump_manifest(evolve(manifest, generated_at=time_of_old)).encode() == old:
            return old
    return dump_manifest(manifest).encode()


def _current(manifest: Path) -> bytes:
    try:
        return manifest.read_bytes()
    except FileNotFoundError:
        return b""
