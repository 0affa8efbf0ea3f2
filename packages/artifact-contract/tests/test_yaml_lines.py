"""The line reader against the general one: whatever it accepts, it must understand in the same way."""

import pytest
from artifact_contract.codec import dump_yaml
from artifact_contract.errors import SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, is_null
from artifact_contract.yaml_events import compose
from artifact_contract.yaml_lines import NotSimpleError, read_simple
from hypothesis import example, given, settings
from hypothesis import strategies as st


def marks(node: Node) -> object:
    """Every node's place; that of a null depends on what follows, and nobody uses it."""
    if isinstance(node, Scalar):
        return None if is_null(node) else (node.line, node.column)
    if isinstance(node, Mapping):
        inner: object = [(key, node.key_marks[key], marks(value)) for key, value in node.items.items()]
    else:
        inner = [marks(item) for item in node.items]
    return node.line, node.column, inner


def assert_same_understanding(text: str) -> None:
    try:
        simple = read_simple(text)
    except NotSimpleError:
        return
    general = compose(text, "f")
    assert simple == general
    assert marks(simple) == marks(general)


PIECES = [
    *[
        "a",
        "b",
        "key",
        "x y",
        "1",
        "-1",
        "-",
        "- ",
        "-  ",
        ":",
        ": ",
        " ",
        "  ",
        "    ",
        "\n",
        "\n",
        "\n  ",
        "\n- ",
    ],
    *[
        "#",
        " #",
        "'",
        '"',
        "''",
        "\\n",
        "\\u0041",
        "\\ud83d",
        "\\x41",
        "{}",
        "[]",
        "{",
        "]",
        ",",
        "~",
        "null",
        "<<",
    ],
    *[
        "&a ",
        "*a",
        "!",
        "!!str ",
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "? ",
        "---",
        "--- ",
        "...",
        "\r\n",
        "\t",
        "é",
        "\x85",
    ],
    *[
        "http://x",
        "0o14",
        "1e3",
        "yes",
        "=",
        "$",
        "${A:-b}",
        "(",
        ".",
        "/",
        "_",
        '"q": ',
        "'s': ",
        "a: 1\n",
        "- a: 1\n  b: 2\n",
    ],
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
@example("a:\n- b\n- c: 1\n  d:\n  - e\nf: 1\n")
@example("a:\n  b: 1\n c: 2\n")
@example("a: b\n  c: d\n")
@example("a: b\n  c\n")
@example("a:\nb:\n")
@example("a:\n\n# c\n  b: 1\n")
@example("---\na: 1\n")
@example("a: 1\n---\nb: 2\n")
@example("a: - b\n")
@example("a: ...\n")
@example("...: a\n")
@example("- a\n")
@example("a:\n- \n- b: 1\n")
@example('"a": 1\n"b" : 2\n')
@example("a: 'it''s'\n")
@example('a: "x"y\n')
@example("a: x:\n")
@example("a: {}\nb:\n  - {}\n  - []\n  - k: {}\n")
def test_what_the_line_reader_accepts_it_reads_as_the_general_one_does(text: str) -> None:
    assert_same_understanding(text)


LINES = st.tuples(
    st.integers(0, 4),
    st.sampled_from(["", "", "- ", "-   "]),
    st.sampled_from(["a: ", "b: ", "c:", '"a": ', "d: ", ""]),
    st.sampled_from(["", "1", "x y", '"q"', "'s'", "a:b", "a: b", "{}", "[]", "x #c", "# c", "- 1", "~"]),
).map(lambda parts: " " * parts[0] + "".join(parts[1:]))


@settings(max_examples=600)
@given(st.lists(LINES, max_size=8).map("\n".join))
def test_lines_in_any_indentation_are_read_as_the_general_reader_does_or_not_at_all(text: str) -> None:
    try:
        assert_same_understanding(text)
    except SchemaError as error:
        raise AssertionError(f"accepted what is not YAML: {text!r}") from error


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
SCALARS = st.one_of(
    TEXTS.map(lambda text: Scalar(text, plain=False)),
    st.sampled_from(["", "~", "null", "010", "yes", "1.0", "0x10", "1e3", "a b", "-1", "a:b", "a#b"]).map(
        Scalar
    ),
)
NODES: st.SearchStrategy[Node] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(TEXTS, inner, max_size=4).map(Mapping), st.lists(inner, max_size=4).map(Sequence)
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.dictionaries(TEXTS, NODES, max_size=5).map(Mapping))
def test_what_the_writer_writes_both_readers_read_the_same(root: Mapping) -> None:
    text = dump_yaml(root)
    assert compose(text, "f") == root
    assert_same_understanding(text)


def test_ordinary_files_are_read_line_by_line() -> None:
    text = (
        '# functions\nfunctions:\n  hello:\n    image: "reg:5010/x:1"\n    timeout: 30\n'
        "    events:\n    - schedule:\n        rate: rate(1 minute)\n"
    )
    assert read_simple(text.replace("\n", "\r\n")) == read_simple(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: [1]\n", 2), ("a: 1\n\nb: 2 # c\n", 3), ("a: 1\nb:\tc\n", 2), ("", 1), ("a:\n- \n", 2)],
)
def test_it_says_which_line_is_too_much_for_it(text: str, line: int) -> None:
    with pytest.raises(NotSimpleError) as caught:
        read_simple(text)
    assert caught.value.line == line
