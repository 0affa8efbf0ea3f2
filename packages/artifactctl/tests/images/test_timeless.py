from __future__ import annotations

import io
import tarfile

import pytest
from artifactctl.images.timeless import timeless
from hypothesis import given
from hypothesis import strategies as st

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def archive(form: int, mtime: float) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in [
            ("etc", None),
            ("etc/a", b"x" * 700),
            ("etc/empty", b""),
            ("etc/" + "l" * 90, b"y"),
        ]:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            member.size, member.mtime, member.uid, member.mode = len(data or b""), mtime, 5, 0o4755
            if form == tarfile.PAX_FORMAT:
                member.pax_headers = {"SCHILY.xattr.user.a": "1 mtime=5", "atime": str(mtime)}
            tar.addfile(member, io.BytesIO(data or b""))
    return buffer.getvalue()


def facts(data: bytes) -> list[tuple]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [
            (
                one.name,
                one.type,
                one.mode,
                one.uid,
                one.size,
                one.mtime,
                one.pax_headers.get("SCHILY.xattr.user.a"),
            )
            for one in tar
        ]


@pytest.mark.parametrize("form", FORMATS)
def test_only_the_times_go(form: int) -> None:
    before = archive(form, 1_700_000_000.5 if form == tarfile.PAX_FORMAT else 1_700_000_000)
    after = b"".join(timeless([before]))
    assert len(after) == len(before)
    assert [(*one[:5], 0, one[6]) for one in facts(before)] == facts(after)


@pytest.mark.parametrize("form", FORMATS)
@given(size=st.integers(1, 2000), seconds=st.integers(10**9, 2 * 10**9))
def test_two_archives_that_differ_in_times_become_the_same_in_whatever_pieces_they_come(
    form: int, size: int, seconds: int
) -> None:
    other = archive(form, seconds)
    pieces = [other[at : at + size] for at in range(0, len(other), size)]
    assert b"".join(timeless(pieces)) == b"".join(timeless([archive(form, 1_111_111_111)]))


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"not a tar " * 100])
def test_what_is_no_archive_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="a tar archive expected"):
        list(timeless([data]))


def test_half_an_archive_is_an_error() -> None:
    with pytest.raises(ValueError, match="half of one"):
        list(timeless([archive(tarfile.USTAR_FORMAT, 1)[:1200]]))
