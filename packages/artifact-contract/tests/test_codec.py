"""The awkward files: each is read, or refused with its place, in bounded time."""

import time
from contextlib import suppress

import pytest
from artifact_contract import codec, yaml_events
from artifact_contract.codec import dump_json, dump_yaml, read_json, read_yaml
from artifact_contract.errors import SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, from_python, plain_python
from hypothesis import given, settings
from hypothesis import strategies as st


def problem_of(data: bytes | str) -> str:
    with pytest.raises(SchemaError) as caught:
        read_yaml(data.encode() if isinstance(data, str) else data, "f.yml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["010", "yes", "no", "1.0", "0x10", "0o14", "1e3", "1_000", "12:30:00", "2026-01-01", "Off", "=", ".5"],
)
def test_a_plain_scalar_keeps_its_text_through_reading_and_writing(text: str) -> None:
    node = read_yaml(f"a: {text}\n".encode(), "f")
    assert node == Mapping({"a": Scalar(text)})
    assert dump_yaml(node) == f"a: {text}\n"


@pytest.mark.parametrize(
    "text",
    [
        "0o14",
        "yes",
        "1.0",
        "null",
        "",
        "~",
        "a: b",
        " a",
        "- a",
        "#",
        "é",
        "\x85",
        "\u2028",
        "\ufeff",
        "\U0001f600",
        "a\nb\n",
        "\t",
        '"',
        "\\",
        "'",
    ],
)
def test_a_quoted_scalar_stays_one(text: str) -> None:
    root = Mapping({"a": Scalar(text, plain=False)})
    written = dump_yaml(root)
    assert written.startswith('a: "')
    assert read_yaml(written.encode(), "f") == root


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_endings_and_a_byte_order_mark_make_no_difference(ending: str) -> None:
    text = "\ufeff" + ending.join(["a:", "  b: 1", "  c: [x, 'y']", ""])
    assert plain_python(read_yaml(text.encode(), "f")) == {"a": {"b": 1, "c": ["x", "y"]}}


def test_block_scalars_and_folded_plain_text_are_strings() -> None:
    node = read_yaml(b"a: |\n  x\n  y\nb: >-\n  x\n  y\nc: x\n  y\nd: x\n\n  y\n", "f")
    assert plain_python(node) == {"a": "x\ny\n", "b": "x y", "c": "x y", "d": "x\ny"}
    assert read_yaml(dump_yaml(node).encode(), "f") == node


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "f.yml: expected a mapping, found an empty file"),
        (b"\xef\xbb\xbf", "f.yml: expected a mapping, found an empty file"),
        (b"# only a comment\n", "f.yml: expected a mapping, found an empty file"),
        (b"---\n", "f.yml: expected a mapping, found an empty file"),
        (b"~\n", "f.yml:1:1: expected a mapping, found nothing"),
        (b"- a\n", "f.yml:1:1: expected a mapping, found a list"),
        (b"just text\n", "f.yml:1:1: expected a mapping, found 'just text'"),
        (b"a: 1\nb: \xff\n", "f.yml:2:4: expected UTF-8 text, found the byte 0xff"),
        ("a: é\n".encode("utf-16"), "f.yml:1:1: expected UTF-8 text, found the byte 0xff"),
        ("a: é\n".encode("latin-1"), "f.yml:1:4: expected UTF-8 text, found the byte 0xe9"),
        (b"a: 1\nb: \x07\n", "f.yml:2:4: expected printable text, found the character U+0007"),
        (b"a: 1\n\tb: 2\n", "f.yml:2:1: expected YAML, found a syntax error"),
        (b"a:\n  - b\n c: 1\n", "f.yml:3:2: expected YAML, found a syntax error"),
        (b"a: b: c\n", "f.yml:1:5: expected YAML, found a syntax error"),
        (b"a: [1, 2\n", "f.yml:2:1: expected YAML, found a syntax error"),
        (b'a: "\\q"\n', "f.yml:1:6: expected YAML, found a syntax error"),
        (b'a: "\\ud800"\n', "f.yml:1:4: expected Unicode text, found half of a surrogate pair"),
        (b"a: 1\n---\nb: 2\n", "f.yml:2:1: expected one document, found the start of another one"),
        (b"a: !!python/object/apply:os.system [ls]\n", "f.yml:1:4: expected plain YAML, found the tag"),
        (b"a: !Ref x\n", "f.yml:1:4: expected plain YAML, found the tag !Ref"),
        (b"a: !!int 3\n", "f.yml:1:4: expected plain YAML, found the tag"),
        (b"a: *b\n", "f.yml:1:4: expected an alias of something above, found *b"),
        (b"a: &x {b: *x}\n", "f.yml:1:11: expected an alias of something else, found *x inside itself"),
        (b"? [a, b]\n: c\n", "f.yml:1:3: expected a key that is one value, found a list"),
        (b"<<: 3\n", "f.yml:1:1: expected a mapping, or a list of mappings, to merge, found '3'"),
    ],
)
def test_what_is_refused_is_refused_with_its_place(data: bytes, message: str) -> None:
    assert problem_of(data).startswith(message)


def test_duplicate_keys_are_all_reported_with_where_they_stood_first() -> None:
    assert problem_of("a: 1\nb:\n  c: 1\n  'c': 2\na: 3\n") == (
        "f.yml:4:3: c: expected each key once, found it again (first in line 3)\n"
        "f.yml:5:1: a: expected each key once, found it again (first in line 1)"
    )


def test_merge_keys_fill_in_what_is_missing() -> None:
    text = (
        "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none:\n  <<: *base\n  b: own\n"
        "two:\n  <<: [*base, *more]\n'<<': text\n"
    )
    assert plain_python(read_yaml(text.encode(), "f")) == {
        "base": {"a": 1, "b": 2},
        "more": {"b": 3, "c": 4},
        "one": {"a": 1, "b": "own"},
        "two": {"a": 1, "b": 2, "c": 4},
        "<<": "text",
    }


def test_a_yaml_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.monotonic()
    assert "expected aliases for at most 100000 nodes" in problem_of("\n".join(lines))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "a: " + "{a: " * 100_000, "- " * 100_000])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    started = time.monotonic()
    assert "expected at most 64 levels" in problem_of(text)
    assert time.monotonic() - started < 5


def test_sixty_levels_are_read() -> None:
    node: Node = Scalar("x")
    for _ in range(60):
        node = Mapping({"a": node})
    assert read_yaml(dump_yaml(node).encode(), "f") == node


def test_a_file_of_50_mb_is_read_when_it_is_simple_and_refused_when_it_isnt() -> None:
    started = time.monotonic()
    assert problem_of(b"b: 1\na: [" + b"x, " * 17_000_000 + b"x]\n") == (
        "f.yml:2:1: expected simple YAML in a file over 1 MiB, found something else "
        "(block style, one value a line, no comments behind values)"
    )
    node = read_yaml(b'a: "' + b"x" * 50_000_000 + b'"\n', "f")
    assert len(plain_python(node)["a"]) == 50_000_000
    assert time.monotonic() - started < 10


def test_a_file_over_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_BYTES", 1 << 20)
    assert problem_of(b"a" * ((1 << 20) + 1)) == "f.yml: expected at most 1 MiB, found 1 MiB"


def test_an_empty_mapping_can_be_written() -> None:
    assert dump_yaml(Mapping()) == "{}\n"
    assert read_yaml(b"{}\n", "f") == Mapping()


def test_only_a_mapping_is_a_file() -> None:
    with pytest.raises(TypeError):
        dump_yaml(Sequence([]))


def test_a_key_of_any_length_can_be_written() -> None:
    root = Mapping({"k" * 5000: Mapping({"a": Scalar("1")}), "b": Scalar("x")})
    assert read_yaml(dump_yaml(root).encode(), "f") == root


def test_json_keeps_numbers_as_their_text() -> None:
    text = '{\n  "a": 1e3,\n  "b": [\n    1.0,\n    "1.0",\n    null,\n    true\n  ],\n  "c": {},\n'
    text += '  "d": []\n}\n'
    node = read_json(text.encode(), "f.json")
    assert plain_python(node)["b"] == [1.0, "1.0", None, True]
    assert dump_json(node) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.json:1:1: expected JSON, found a syntax error"),
        ("{", "f.json:1:2: expected JSON"),
        ('{"a": 1,}', "f.json:1:9: expected JSON"),
        ("[]", "f.json: expected an object, found a list"),
        ('{"a": NaN}', "f.json: expected JSON, found NaN"),
        ('{"a": "\\ud800"}', "f.json: expected JSON, found half of a surrogate pair"),
        ('"\\ud800"', "f.json: expected JSON, found half of a surrogate pair"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "f.json: c: expected each key once, found it again"),
        ('{"a": ' + "[" * 100_000, "f.json: expected JSON of a few levels, found deeper nesting"),
    ],
)
def test_what_isnt_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read_json(text.encode(), "f.json")
    assert str(caught.value).startswith(message)


def test_what_has_no_json_form_is_not_written() -> None:
    with pytest.raises(ValueError):
        dump_json(Mapping({"a": Scalar(".inf")}))
    assert dump_json(Mapping({"a": Scalar("0x10"), "b": Scalar("010")})) == '{\n  "a": 16,\n  "b": 10\n}\n'


PLAIN_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), PLAIN_VALUES, max_size=5))
def test_plain_values_survive_being_written_and_read(value: dict[str, object]) -> None:
    assert plain_python(read_yaml(dump_yaml(from_python(value)).encode(), "f")) == value


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), PLAIN_VALUES, max_size=5))
def test_json_survives_being_written_and_read(value: dict[str, object]) -> None:
    node = from_python(value)
    try:
        written = dump_json(node)
    except ValueError:
        return  # infinity
    assert plain_python(read_json(written.encode(), "f")) == value


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_make_a_reader_fail_in_another_way(data: bytes) -> None:
    for read in (read_yaml, read_json):
        with suppress(SchemaError):
            assert isinstance(read(data, "f"), Mapping)


def test_general_yaml_of_very_many_values_is_refused_before_it_takes_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml_events, "MAX_NODES", 100)
    assert read_yaml(b"a: [" + b"1, " * 96 + b"1]\n", "f.yml")
    assert "found more than 100 values" in problem_of("a: [" + "1, " * 97 + "1]\n")
    # what is simple has no such limit
    assert read_yaml(b"".join(b"k%d: 1\n" % number for number in range(200)), "f.yml")


@pytest.mark.parametrize(
    "text", ["images: []", '{"images": [],}', "{images: []}", '{"a": NaN}', "# none\n{}"]
)
def test_yaml_is_no_json_also_where_places_are_asked_for(text: str) -> None:
    for reader in (read_json, codec.read_json_places):
        with pytest.raises(SchemaError, match="expected JSON"):
            reader(text.encode(), "f.json")
