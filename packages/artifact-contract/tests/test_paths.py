import posixpath

import pytest
from artifact_contract.errors import FieldError, Kind
from artifact_contract.paths import parse_rel_path, parse_root_path, parse_segment
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("config", "config"),
        ("./a//b/../c", "a/c"),
        ("a/b/", "a/b"),
        ("...", "..."),
        ("a b/ü", "a b/ü"),
        ("a:b", "a:b"),
    ],
)
def test_a_path_below_the_root_is_normalised(text: str, path: str) -> None:
    assert parse_rel_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            " ",
            ".",
            "./",
            "a/..",
            "..",
            "../a",
            "a/../../b",
            "a/../../root/b",
            "/",
            "/a",
            "//a",
            " /",
            "./C:/a",
        ],
        *["C:/a", r"C:\a", r"a\b", r"..\a", "a\0b", "a\nb", "a\x7f", "a/" + "x" * 256, "a/" * 2048],
    ],
)
def test_a_path_that_isnt_below_the_root_is_refused(text: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_rel_path(text)
    assert caught.value.kind is Kind.PATH


@pytest.mark.parametrize("text", ["out", "../out", "/abs/out", ".", "./a/../b"])
def test_an_artifact_root_may_be_anywhere_and_stays_as_written(text: str) -> None:
    assert parse_root_path(text) == text


@pytest.mark.parametrize("text", ["", "  ", "a\0", r"out\a", "x" * 256, "ü" * 128, "a/" * 2048])
def test_what_no_directory_is_called_is_no_artifact_root(text: str) -> None:
    with pytest.raises(FieldError):
        parse_root_path(text)


@pytest.mark.parametrize("text", ["hello", "a.b", "..a", "ä", "x" * 255, "ü" * 127])
def test_a_name_is_one_segment(text: str) -> None:
    assert parse_segment(text) == text


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", r"a\b", "a\0", "a\n", "x" * 256, "ü" * 128])
def test_what_isnt_one_segment_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        parse_segment(text)


PATHS = (
    st.lists(st.sampled_from(["/", "..", ".", "a", "b", "\\", ":", " ", "é", "\0"])).map("".join) | st.text()
)


@given(PATHS)
def test_no_accepted_path_leaves_the_root(text: str) -> None:
    try:
        path = parse_rel_path(text)
    except FieldError:
        return
    joined = posixpath.normpath(posixpath.join("/root/of/it", path))
    assert joined.startswith("/root/of/it/")
    assert parse_rel_path(path) == path
