"""Rendered files become artifact roots, all of them and their manifest or none."""

import errno
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest
from artifact_contract.digests import file_digest
from artifact_contract.manifest import load_manifest
from artifact_contract.models import (
    Entry,
    Generator,
    Manifest,
    Mode,
    SchemaVersion,
    SourceTemplate,
)
from artifact_contract.tree import digest_tree
from esb_cli.errors import UsageError, WorldError
from esb_cli.publish import GENERATOR, Output, publish
from esb_cli.render import RenderedArtifact
from esb_cli.staging import StagedFile


def artifact(**files):
    """Return an artifact with the folders every artifact has; keywords are further files."""
    base = {"runtime-base/x": b"1", "runtime-config/functions.yml": b"functions: {}"}
    every = base | {name.replace("__", "/"): text for name, text in files.items()}
    return RenderedArtifact({path: StagedFile(text) for path, text in sorted(every.items())})


def describe(time="2026-01-01T00:00:00Z", manifest=None):
    def make(staged):
        entries = []
        for one in staged:
            template = SourceTemplate(f"{one.root.name}.yaml", "", {})
            entries.append(
                Entry(
                    id=template.entry_id,
                    artifact_root=os.path.relpath(one.root, manifest.parent) if manifest else one.root.name,
                    runtime_config_dir="runtime-config",
                    source_template=template,
                    content_digest=one.content_digest,
                )
            )
        return Manifest(
            schema_version=SchemaVersion.V1,
            project="p",
            env="e",
            mode=Mode.PROCESS,
            artifacts=tuple(entries),
            generated_at=time,
            generator=Generator(GENERATOR, "1"),
        )

    return make


@pytest.fixture
def out(tmp_path):
    return tmp_path / "deep/out"


def run(out, *, make=None, keep_time=True, manifest=None, **artifacts):
    output = Output(out, manifest or out / "artifact.yml", keep_time)
    return publish({out / name: it for name, it in artifacts.items()}, output, make or describe())


def files(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_roots_and_manifest_appear_complete_and_nothing_else_does(out):
    staged = run(out, one=artifact(functions__f__src__app=b"code"), two=artifact())
    assert sorted(path.name for path in out.iterdir()) == ["artifact.yml", "one", "two"]
    loaded = load_manifest(out / "artifact.yml")
    for entry, one in zip(loaded.manifest.artifacts, staged, strict=True):
        assert entry.content_digest == one.content_digest == digest_tree(loaded.root_of(entry))
    assert [one.unchanged for one in staged] == [False, False]


def test_modes_depend_on_nothing_but_the_executable_bit(out, tree):
    source = tree({"run.sh": "", "data": ""}, "source")
    (source / "run.sh").chmod(0o700)
    (source / "data").chmod(0o606)
    staged = {
        "functions/run.sh": StagedFile(source / "run.sh", executable=True),
        "functions/data": StagedFile(source / "data"),
    }
    before = os.umask(0o077)
    try:
        run(out, one=RenderedArtifact({**artifact().files, **staged}))
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (out / "one").rglob("*")}
    assert (modes["run.sh"], modes["data"], modes["functions"]) == (0o755, 0o644, 0o755)
    assert (out / "one").stat().st_mode & 0o777 == 0o755


def test_the_same_again_touches_nothing(out):
    run(out, one=artifact())
    before = {path: path.stat().st_mtime_ns for path in [out / "artifact.yml", *(out / "one").rglob("*")]}
    inode = (out / "one").stat().st_ino
    (staged,) = run(out, make=describe("2027-01-01T00:00:00Z"), one=artifact())
    assert staged.unchanged
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (out / "one").stat().st_ino == inode


def test_a_given_time_is_written_though_nothing_else_changed(out):
    run(out, one=artifact())
    run(out, make=describe("2027-01-01T00:00:00Z"), keep_time=False, one=artifact())
    assert load_manifest(out / "artifact.yml").manifest.generated_at == "2027-01-01T00:00:00Z"


def test_only_roots_that_changed_are_written(out):
    run(out, one=artifact(), two=artifact())
    inode = (out / "one").stat().st_ino
    staged = run(out, one=artifact(), two=artifact(functions__x=b"new"))
    assert [one.unchanged for one in staged] == [True, False]
    assert (out / "one").stat().st_ino == inode
    assert files(out / "two")["functions/x"] == b"new"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda root: (root / "runtime-base/x").write_bytes(b"2"),
        lambda root: (root / "runtime-base/x").chmod(0o755),
        lambda root: (root / "runtime-base/more").touch(),
        lambda root: (root / "runtime-base/x").unlink(),
        lambda root: (root / "runtime-base/leaves").symlink_to("/etc/passwd"),
        lambda root: [(root / "runtime-base/x").unlink(), (root / "runtime-base/x").symlink_to("../y")],
    ],
    ids=["content", "mode", "added", "removed", "link", "link instead of a file"],
)
def test_a_root_changed_by_hand_is_put_right(out, spoil):
    run(out, one=artifact())
    spoil(out / "one")
    run(out, one=artifact())
    assert files(out / "one") == {"runtime-base/x": b"1", "runtime-config/functions.yml": b"functions: {}"}
    assert (
        digest_tree(out / "one") == load_manifest(out / "artifact.yml").manifest.artifacts[0].content_digest
    )


def test_a_manifest_edited_by_hand_is_written_again(out):
    run(out, one=artifact())
    text = (out / "artifact.yml").read_text()
    (out / "artifact.yml").write_text(f"# mine\n{text}")
    run(out, one=artifact())
    assert (out / "artifact.yml").read_text() == text


@pytest.mark.parametrize(
    "make_foreign",
    [
        lambda root: [root.mkdir(parents=True), (root / "thesis.txt").touch()],
        lambda root: [root.parent.mkdir(parents=True), root.touch()],
        lambda root: [root.parent.mkdir(parents=True), root.symlink_to("/tmp")],
        lambda root: [
            (root / name).mkdir(parents=True) for name in ("runtime-base", "runtime-config", "src")
        ],
        lambda root: (root / "functions").mkdir(parents=True),
    ],
    ids=["a directory", "a file", "a link", "an artifact with more in it", "less than an artifact"],
)
def test_what_is_no_artifact_of_ours_stays_as_it_is(out, make_foreign):
    make_foreign(out / "one")
    before = files(out)
    with pytest.raises(UsageError, match="one: exists and is no artifact"):
        run(out, one=artifact())
    assert files(out) == before


def test_an_empty_directory_is_nobodys(out):
    (out / "one").mkdir(parents=True)
    run(out, one=artifact())
    assert files(out / "one")


@pytest.mark.parametrize("text", ["", "a letter", "schema_version: '1'\nproject: p\n"])
def test_a_manifest_that_is_not_ours_stays_as_it_is(out, text):
    out.mkdir(parents=True)
    (out / "artifact.yml").write_text(text)
    with pytest.raises(UsageError, match="esb did not write it"):
        run(out, one=artifact())
    assert (out / "artifact.yml").read_text() == text
    assert not (out / "one").exists()


def test_a_manifest_of_another_producer_stays_as_it_is(out):
    run(out, one=artifact())
    text = (out / "artifact.yml").read_text().replace("name: esb", "name: other")
    (out / "artifact.yml").write_text(text)
    with pytest.raises(UsageError, match="esb did not write it"):
        run(out, one=artifact())


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_where_the_manifest_goes_stays_as_it_is(out, tmp_path, make):
    make(tmp_path / "odd")
    with pytest.raises(UsageError, match="odd: exists and esb did not write it"):
        run(out, manifest=tmp_path / "odd", one=artifact())


def test_when_staging_fails_nothing_has_changed(out, tree):
    run(out, one=artifact(), two=artifact())
    before = files(out)
    gone = RenderedArtifact({**artifact().files, "functions/x": StagedFile(out / "nowhere")})
    with pytest.raises(FileNotFoundError):
        run(out, one=artifact(functions__x=b"new"), two=gone)
    assert files(out) == before
    assert sorted(path.name for path in out.iterdir()) == ["artifact.yml", "one", "two"]


def test_when_the_manifest_cannot_be_written_the_roots_are_as_before(out, tmp_path):
    run(out, old=artifact())
    before = files(out)
    elsewhere = tmp_path / "elsewhere/artifact.yml"

    def describe_and_break(staged):
        shutil.rmtree(elsewhere.parent)
        return describe()(staged)

    with pytest.raises(FileNotFoundError):
        run(
            out,
            make=describe_and_break,
            manifest=elsewhere,
            old=artifact(functions__x=b"new"),
            new=artifact(),
        )
    assert files(out) == before
    assert sorted(path.name for path in out.iterdir()) == ["artifact.yml", "old"]


STEPS = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "ctypes.dlsym"}


def killed_at_step(number, run_it):
    """Run it in a process that is killed before its nth step on the disk; tell whether it got so far."""
    child = os.fork()
    if not child:
        left = iter(range(number))

        def count(event, _):
            if event in STEPS and next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            run_it()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("manifest", ["out/artifact.yml", "elsewhere/artifact.yml"])
def test_killed_at_any_step_no_manifest_describes_other_roots_and_the_next_run_puts_all_right(
    tmp_path, manifest
):
    out, manifest = tmp_path / "out", tmp_path / manifest
    place = {"make": describe(manifest=manifest), "manifest": manifest}
    old = {"one": artifact(functions__x=b"old"), "two": artifact(functions__x=b"old")}
    new = {"one": artifact(functions__x=b"new"), "two": artifact(functions__x=b"new"), "more": artifact()}
    step, without_manifest = 0, 0
    while True:
        run(out, **place, **old)
        shutil.rmtree(out / "more", ignore_errors=True)
        if not killed_at_step(step, lambda: run(out, **place, **new)):
            break
        if manifest.exists():
            loaded = load_manifest(manifest)
            for entry in loaded.manifest.artifacts:
                assert entry.content_digest == digest_tree(loaded.root_of(entry)), f"step {step}"
        without_manifest += not manifest.exists()
        run(out, **place, **new)
        assert sorted({path.name for path in [*out.iterdir(), manifest] if not path.match(".write-*")}) == [
            "artifact.yml", "more", "one", "two",
        ]  # fmt: skip
        assert [path for path in manifest.parent.iterdir() if path.match(".esb-*")] == []
        assert [path for path in out.iterdir() if path.match(".write-*")] == []
        step += 1
    assert step > 40
    assert without_manifest > 0


def test_a_full_disk_is_named_and_leaves_all_as_it_was(out, monkeypatch):
    run(out, one=artifact())
    before = files(out)

    def write_bytes(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(WorldError, match=r"out: No space left on device; what was there is unchanged"):
        run(out, one=artifact(functions__x=b"new"))
    assert files(out) == before


def test_code_that_changes_while_it_is_read_is_noticed(out, tree):
    code = tree({"app.py": "1"}, "code") / "app.py"

    rendered = RenderedArtifact({**artifact().files, "functions/app.py": StagedFile(code)})
    digested = threading.Event()

    class Files(dict):
        def items(self):
            if digested.is_set():
                code.write_text("2")
            digested.set()
            return super().items()

    with pytest.raises(WorldError, match="changes while it is read"):
        run(out, one=RenderedArtifact(Files(rendered.files)))
    assert not (out / "one").exists()


def test_runs_at_the_same_time_leave_one_complete_result(out):
    def publish_one(number):
        run(out, one=artifact(functions__x=str(number).encode()))

    threads = [threading.Thread(target=publish_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    loaded = load_manifest(out / "artifact.yml")
    assert loaded.manifest.artifacts[0].content_digest == digest_tree(out / "one")
    assert sorted(path.name for path in out.iterdir()) == ["artifact.yml", "one"]


def test_digests_are_of_the_bytes_that_were_written(out):
    run(out, one=artifact())
    assert file_digest((out / "one/runtime-base/x").read_bytes()) == file_digest(b"1")
