from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from artifactctl.errors import DiskError, LockTimeoutError, WorldError
from artifactctl.images import oci_layout
from artifactctl.images.bases import SCRATCH
from artifactctl.images.layers import Layer
from artifactctl.images.oci import REF_NAME
from artifactctl.images.oci_layout import LayoutError, OciLayout, open_layout
from artifactctl.images.recipe import ImageConfig, Platform, Recipe
from artifactctl.images.tree import Content, FileEntry, FileKind, ImageTree
from artifactctl.lock import LockWait, current_holder
from artifactctl.registry.descriptors import MANIFEST_TYPE

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Recipe]:
    def make(text: str, size: int = 0) -> Recipe:
        import hashlib

        data = text.encode() * max(1, size // len(text))
        file = tmp_path / f"source-{text}"
        file.write_bytes(data)
        content = Content(hashlib.sha256(data).hexdigest(), len(data), str(file), file.stat().st_mtime_ns)
        layer = Layer((FileEntry("a", FileKind.FILE, 0o644, content),), f"COPY {text} /a")
        return Recipe(Platform("linux", "amd64"), SCRATCH, ImageConfig(cmd=("x",)), (layer,), ImageTree())

    return make


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def opened(layout: Path, **more: object) -> AbstractContextManager[OciLayout]:
    defaults = {"holder": current_holder("test", NOW), "lock_timeout": 0.0, "on_wait": lambda _: None}
    return open_layout(layout, **{**defaults, **more})


def put(layout: Path, **images: Recipe) -> None:
    with opened(layout) as target:
        for ref, recipe in images.items():
            target.put(ref, recipe)
        target.commit()


def snapshot(layout: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(layout)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in layout.rglob("*")
        if path.is_file()
    }


def test_what_is_put_is_found_again_by_the_next_run(
    layout: Path, recipe: Callable, read_layout: Callable
) -> None:
    put(layout, a=recipe("1"), b=recipe("2"))
    assert sorted(read_layout(layout)) == ["a", "b"]
    with opened(layout) as target:
        assert target.find("a").inputs == recipe("1").inputs
        assert target.find("nothing") is None


def test_nothing_is_visible_before_the_commit_and_nothing_is_left_without_one(
    layout: Path, recipe: Callable
) -> None:
    with opened(layout) as target:
        target.put("a", recipe("1"))
        assert not (layout / "index.json").exists()
        assert not (layout / "blobs").exists()
    assert sorted(path.name for path in layout.iterdir()) == [".lock"]


def test_a_commit_of_what_is_there_writes_nothing(layout: Path, recipe: Callable) -> None:
    put(layout, a=recipe("1"))
    before = snapshot(layout)
    put(layout, a=recipe("1"))
    put(layout)
    assert snapshot(layout) == before


def test_a_large_layer_is_streamed_to_the_same_bytes(
    layout: Path, recipe: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(layout, a=recipe("1", size=3_000_000))
    monkeypatch.setattr(oci_layout, "_IN_MEMORY", 1000)
    put(tmp_path / "other", a=recipe("1", size=3_000_000))
    assert (layout / "index.json").read_bytes() == (tmp_path / "other" / "index.json").read_bytes()
    before = snapshot(layout)
    with opened(layout) as target:
        target.put("a", recipe("1", size=3_000_000))
        target.commit()
    assert snapshot(layout) == before


@pytest.mark.parametrize("damage", ["remove", "truncate"])
@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
def test_a_damaged_blob_is_made_again(
    layout: Path, recipe: Callable, read_layout: Callable, damage: str, which: str
) -> None:
    put(layout, a=recipe("1"))
    before = (layout / "index.json").read_bytes()
    manifest = json.loads(before)["manifests"][0]
    content = json.loads((layout / "blobs/sha256" / manifest["digest"][7:]).read_bytes())
    digest = {"manifest": manifest, "config": content["config"], "layer": content["layers"][0]}[which][
        "digest"
    ]
    blob = layout / "blobs/sha256" / digest[7:]
    if damage == "remove":
        blob.unlink()
    else:
        os.truncate(blob, 10)
    with opened(layout) as target:
        assert target.find("a") is None
    put(layout, a=recipe("1"))
    assert list(read_layout(layout)) == ["a"]
    assert (layout / "index.json").read_bytes() == before


def test_without_trust_a_blob_of_the_right_size_is_made_again_too(
    layout: Path, recipe: Callable, read_layout: Callable
) -> None:
    put(layout, a=recipe("1"))
    for blob in (layout / "blobs/sha256").iterdir():
        blob.write_bytes(bytes(blob.stat().st_size))
    with opened(layout, trust=False) as target:
        assert target.find("a") is None
        target.put("a", recipe("1"))
        target.commit()
    assert list(read_layout(layout)) == ["a"]


def test_a_layer_that_another_image_has_is_not_made_again(
    layout: Path, recipe: Callable, read_layout: Callable, tmp_path: Path
) -> None:
    first = recipe("1")
    put(layout, a=first)
    (tmp_path / "source-1").unlink()
    put(layout, b=first)
    assert sorted(read_layout(layout)) == ["a", "b"]


def test_images_of_others_stay(layout: Path, recipe: Callable) -> None:
    put(layout, a=recipe("1"))
    index = json.loads((layout / "index.json").read_bytes())
    theirs = {"mediaType": "application/x", "digest": "sha512:12", "size": 7, "annotations": {"by": "them"}}
    (layout / "index.json").write_text(json.dumps({**index, "manifests": [theirs, *index["manifests"]]}))
    put(layout, a=recipe("2"))
    written = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert written[0] == theirs
    assert len(written) == 2


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("oci-layout", '{"imageLayoutVersion": "2.0.0"}'),
        ("oci-layout", "[]"),
        ("oci-layout", "{"),
        ("index.json", "{"),
        ("index.json", "[" * 100_000),
        ("index.json", '{"schemaVersion": 2}'),
        ("somebody's file", "x"),
    ],
)
def test_what_is_no_layout_of_ours_is_refused_untouched(
    layout: Path, recipe: Callable, file: str, text: str
) -> None:
    if file != "somebody's file":
        put(layout, a=recipe("1"))
    layout.mkdir(exist_ok=True)
    (layout / file).write_text(text)
    before = snapshot(layout)
    with pytest.raises(LayoutError, match="nothing was written"), opened(layout):
        pytest.fail("it was opened")
    assert snapshot(layout) == before


def test_a_file_in_place_of_the_directory_is_refused(layout: Path) -> None:
    layout.write_text("")
    with pytest.raises(WorldError, match="expected a directory, found a file"), opened(layout):
        pytest.fail("it was opened")


def test_a_directory_below_a_file_is_the_worlds_fault(layout: Path) -> None:
    layout.write_text("")
    with pytest.raises(WorldError), opened(layout / "below"):
        pytest.fail("it was opened")


def test_what_an_interrupted_first_run_left_is_taken_over(
    layout: Path, recipe: Callable, read_layout: Callable
) -> None:
    (layout / "blobs" / "sha256").mkdir(parents=True)
    (layout / ".staging").mkdir()
    (layout / ".staging" / "1-1").write_text("half")
    (layout / ".write-x1.tmp").write_text("{")
    put(layout, a=recipe("1"))
    assert list(read_layout(layout)) == ["a"]
    assert not (layout / ".write-x1.tmp").exists()


def test_one_writer_at_a_time(layout: Path) -> None:
    waits: list[LockWait] = []
    with (
        opened(layout),
        pytest.raises(LockTimeoutError, match=str(os.getpid())),
        opened(layout, on_wait=waits.append),
    ):
        pytest.fail("both wrote")
    assert len(waits) == 1


def test_a_disk_that_fails_in_the_middle_leaves_the_old_state(
    layout: Path, recipe: Callable, read_layout: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(layout, a=recipe("1"))
    with failing_after(monkeypatch, calls=0), pytest.raises(DiskError, match="No space left"):
        put(layout, a=recipe("2"))
    assert read_layout(layout)["a"].files() == {"a": "1"}
    put(layout, a=recipe("2"))
    assert read_layout(layout)["a"].files() == {"a": "2"}


@contextmanager
def failing_after(monkeypatch: pytest.MonkeyPatch, calls: int) -> Iterator[None]:
    """The disk is full when the blobs are flushed."""
    real, left = os.fsync, [calls]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        yield


@pytest.mark.parametrize("calls", range(9))
def test_whichever_flush_fails_the_layout_reads_as_the_old_or_the_new_state(
    layout: Path, recipe: Callable, read_layout: Callable, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    put(layout, a=recipe("1"))
    with failing_after(monkeypatch, calls), suppress(DiskError):
        put(layout, a=recipe("2"))
    images = read_layout(layout)
    assert images["a"].files()["a"] in ("1", "2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("oci-layout", "[" * 100_000),
        ("index.json", "[" * 100_000),
        ("index.json", '{"schemaVersion": 2, "manifests": [], "x": "\\ud800"}'),
    ],
)
def test_documents_that_no_reader_is_made_for_are_left_alone(layout: Path, name: str, text: str) -> None:
    put(layout)
    (layout / name).write_text(text, encoding="utf-8")
    with pytest.raises(LayoutError, match=name):
        put(layout)
    assert (layout / name).read_text(encoding="utf-8") == text


def test_a_stored_manifest_that_is_none_is_no_image(layout: Path) -> None:
    data = b"[" * 100_000
    with opened(layout) as target:
        blob = target.blobs.put(MANIFEST_TYPE, data)
        target.blobs.publish([blob.digest])
    entry = blob.to_json(annotations={REF_NAME: "a"})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    with opened(layout) as target:
        assert target.find("a") is None
