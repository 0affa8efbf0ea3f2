from __future__ import annotations

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.context import Context
from artifactctl.images.ignore import IgnoreRules
from artifactctl.images.layers import Layer, check_target, tar_chunks
from artifactctl.images.tree import Content, FileEntry, FileKind, directory, walk
from hypothesis import example, given
from hypothesis import strategies as st

LONG = "d" * 90 + "/" + "e" * 90 + "/" + "f" * 90


def layer_of(root: Path) -> bytes:
    return b"".join(tar_chunks(Layer(tuple(walk(Context(root, IgnoreRules()), ""))).entries))


def opened(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return tar.getmembers()


def write(root: Path, files: Iterable[tuple[str, bytes, bool]], *, umask: int, time: int) -> Path:
    before = os.umask(umask)
    try:
        for path, data, executable in files:
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod((0o777 if executable else 0o666) & ~umask)
            os.utime(file, (time, time))
    finally:
        os.umask(before)
    return root


NAMES = st.text(
    st.characters(
        min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="/.", exclude_categories=("Cs",)
    ),
    min_size=1,
    max_size=60,
)
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join), st.tuples(st.binary(max_size=1500), st.booleans())
)


def without_clashes(files: dict[str, tuple[bytes, bool]]) -> list[tuple[str, bytes, bool]]:
    return [
        (path, *facts)
        for path, facts in files.items()
        if not any(other != path and other.startswith(f"{path}/") for other in files)
    ]


@given(FILES)
@example(
    {LONG: (b"long", False), "ü/ß": (b"", True), "a" * 100: (b"x", False), "a" * 99 + "b": (b"y", False)}
)
def test_the_same_files_give_the_same_bytes_whoever_wrote_them_where_and_when(
    files: dict[str, tuple[bytes, bool]],
) -> None:
    listed = without_clashes(files)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        first = layer_of(write(Path(one), listed, umask=0o022, time=1_000_000_000))
        second = (
            layer_of(write(Path(other) / "elsewhere", reversed(listed), umask=0o077, time=1_700_000_000))
            if listed
            else first
        )
    assert first == second
    found = {member.name: member for member in opened(first)}
    assert {name for name, member in found.items() if member.isfile()} == {path for path, _, _ in listed}
    for path, data, executable in listed:
        assert (found[path].mode, found[path].size) == (0o755 if executable else 0o644, len(data))


def test_the_bytes_are_these_and_stay_these(tmp_path: Path) -> None:
    write(
        tmp_path, [("opt/a.py", b"x = 1\n", False), ("opt/bin/tool", b"#!/bin/sh\n", True)], umask=0, time=5
    )
    (tmp_path / "opt" / "link").symlink_to("bin/tool")
    write(tmp_path, [("ü" * 60, b"", False), (LONG, b"y", False)], umask=0, time=6)
    digest = hashlib.sha256(layer_of(tmp_path)).hexdigest()
    assert digest == "53591725494ecdf06ca2d9e76919f75eebb81de1e821b3a361d411bea80efed8"


def test_links_are_kept_as_links_and_hard_links_become_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("a")
    a, b, c = opened(layer_of(tmp_path))
    assert a.isfile()
    assert b.isfile()
    assert b.size == 4
    assert c.issym()
    assert c.linkname == "a"


def test_pax_headers_appear_only_where_they_are_needed(tmp_path: Path) -> None:
    write(tmp_path, [("d" * 90 + "/" + "e" * 90, b"", False)], umask=0, time=5)
    assert b"PaxHeaders" not in layer_of(tmp_path)
    (tmp_path / "ü").write_text("")
    assert layer_of(tmp_path).count(b"PaxHeaders") == 1


def test_long_and_unicode_link_targets_survive(tmp_path: Path) -> None:
    (tmp_path / "long").symlink_to("x" * 150)
    (tmp_path / "unicode").symlink_to("ü")
    assert [member.linkname for member in opened(layer_of(tmp_path))] == ["x" * 150, "ü"]


def test_a_file_larger_than_ustar_can_say_has_its_size_in_a_pax_header() -> None:
    size = 9 << 30
    entry = FileEntry("big", FileKind.FILE, 0o644, Content("", size, "/nowhere", 0))
    headers = next(iter(tar_chunks([entry])))
    assert b"13 size=%d\n" % size in headers or b" size=%d\n" % size in headers


def test_the_key_says_what_the_bytes_depend_on() -> None:
    def key(*entries: FileEntry, created_by: str = "") -> str:
        return Layer(entries, created_by).key

    one = FileEntry("a", FileKind.FILE, 0o644, Content("1" * 64, 1, "/x", 1))
    elsewhere = FileEntry("a", FileKind.FILE, 0o644, Content("1" * 64, 1, "/y", 2))
    changed = FileEntry("a", FileKind.FILE, 0o644, Content("2" * 64, 1, "/x", 1))
    assert key(one) == key(elsewhere) == key(one, created_by="COPY a /")
    assert len({key(one), key(changed), key(), key(directory("a")), key(directory("a", 0o700))}) == 5


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    entries = tuple(walk(Context(tmp_path, IgnoreRules()), ""))
    (tmp_path / "a").write_text("22")
    with pytest.raises(OSError, match="changed meanwhile"):
        list(tar_chunks(entries))


@pytest.mark.parametrize(
    ("path", "target", "inside"),
    [
        ("a/l", "../b", True),
        ("a/l", "../../b", False),
        ("l", "..", False),
        ("a/l", "b/../../../c", False),
        ("l", "a", True),
    ],
)
def test_a_link_may_not_climb_above_the_root_of_the_image(path: str, target: str, inside: bool) -> None:
    entry = FileEntry(path, FileKind.SYMLINK, 0o777, target=target)
    if inside:
        check_target(entry)
    else:
        with pytest.raises(FieldError, match="inside the image"):
            check_target(entry)


def test_an_archive_can_be_read_from_any_byte_on(tmp_path: Path) -> None:
    files = [("a/b.txt", b"x" * 700, False), ("empty", b"", False), (LONG, b"y" * 512, True)]
    write(tmp_path, files, umask=0o22, time=5)
    entries = Layer(tuple(walk(Context(tmp_path, IgnoreRules()), ""))).entries
    whole = b"".join(tar_chunks(entries))
    for start in (*range(0, len(whole), 101), 511, 512, 513, len(whole) - 1, len(whole)):
        assert b"".join(tar_chunks(entries, start)) == whole[start:]
