import hashlib

import pytest
from artifact_contract.digests import directory_digest, file_digest, parse_sha256, same_digest
from artifact_contract.errors import FieldError
from hypothesis import given
from hypothesis import strategies as st

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_digest_is_sha256_over_the_bytes() -> None:
    assert file_digest(b"") == EMPTY
    assert file_digest(b"a\r\n") != file_digest(b"a\n")


def test_a_directory_digest_is_over_sorted_lines_of_path_and_digest() -> None:
    files = [("b/c.txt", file_digest(b"2")), ("a.txt", file_digest(b"1")), ("b.txt", file_digest(b"3"))]
    lines = f"a.txt:{file_digest(b'1')}\nb.txt:{file_digest(b'3')}\nb/c.txt:{file_digest(b'2')}\n"
    assert directory_digest(files) == hashlib.sha256(lines.encode()).hexdigest()


def test_lines_are_sorted_by_their_bytes_and_not_by_any_locale() -> None:
    names = ["Z", "a", "ä", "_", "a-b", "a/b", "a.b"]
    lines = sorted(f"{name}:{EMPTY}".encode() for name in names)
    expected = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert directory_digest((name, file_digest(b"")) for name in names) == expected


def test_a_name_that_isnt_utf8_counts_with_its_bytes() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    line = b"caf\xe9:" + EMPTY.encode() + b"\n"
    assert directory_digest([(name, file_digest(b""))]) == hashlib.sha256(line).hexdigest()


def test_an_empty_directory_has_no_digest() -> None:
    with pytest.raises(FieldError, match="empty directory"):
        directory_digest([])


def test_a_name_with_a_line_break_could_pass_for_two_files() -> None:
    with pytest.raises(FieldError, match="line break"):
        directory_digest([(f"a:{EMPTY}\nb", file_digest(b""))])


def test_case_doesnt_matter_when_digests_are_compared() -> None:
    assert same_digest(EMPTY, EMPTY.upper())
    assert not same_digest(EMPTY, EMPTY[:-1])


@pytest.mark.parametrize(
    "text", ["", "abc", EMPTY[:-1], EMPTY + "0", "g" * 64, EMPTY + "\n", "sha256:" + EMPTY]
)
def test_what_isnt_64_hex_digits_is_no_digest(text: str) -> None:
    with pytest.raises(FieldError):
        parse_sha256(text)
    assert parse_sha256(EMPTY.upper()) == EMPTY.upper()


@given(
    st.dictionaries(st.text(st.characters(exclude_characters="\n", codec="utf-8")), st.binary(), min_size=1),
    st.randoms(),
)
def test_the_order_of_files_doesnt_matter(files: dict[str, bytes], random: object) -> None:
    pairs = [(name, file_digest(data)) for name, data in files.items()]
    before = directory_digest(pairs)
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert directory_digest(pairs) == before
