from __future__ import annotations

from pathlib import Path

import pytest
from artifactctl.images.blobs import STAGING, BlobStore
from artifactctl.registry.descriptors import describe


def names(store: Path) -> list[str]:
    directory = store / "blobs" / "sha256"
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def test_a_blob_gets_its_name_when_it_is_published(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.put("x/y", b"abc")
    assert names(tmp_path) == []
    assert not store.has(blob)
    store.publish([blob.digest])
    assert names(tmp_path) == [blob.digest.removeprefix("sha256:")]
    assert store.has(blob)
    assert store.read(blob) == b"abc"


def test_a_stream_and_bytes_give_the_same_blob_and_it_is_staged_once(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert store.put("x/y", b"abc") == store.put_stream("x/y", iter([b"a", b"", b"bc"]))
    assert len(list((tmp_path / STAGING).iterdir())) == 1


def test_what_was_not_published_is_cleared_away(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.put("x/y", b"abc")
    store.clear_staging()
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"abc"
        raise OSError(5, "input/output error")

    with pytest.raises(OSError, match="input/output"):
        BlobStore(tmp_path).put_stream("x/y", broken())
    assert list((tmp_path / STAGING).iterdir()) == []


def test_other_bytes_under_the_name_of_a_blob_are_not_given_out(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blob = store.put("x/y", b"abc")
    store.publish([blob.digest])
    (tmp_path / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")).write_bytes(b"abd")
    assert store.has(blob)
    assert store.read(blob) is None
    assert store.read(describe("x/y", b"nothing")) is None


def test_a_small_blob_with_other_bytes_of_its_size_is_mended_when_it_is_made(tmp_path: Path) -> None:
    blob = BlobStore(tmp_path).put("x/y", b"abc")
    path = tmp_path / "blobs" / "sha256" / blob.digest.removeprefix("sha256:")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abd")
    store = BlobStore(tmp_path)
    store.put("x/y", b"abc")
    store.publish([blob.digest])
    assert path.read_bytes() == b"abc"
