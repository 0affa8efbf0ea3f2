"""Whatever the fast reader accepts, it reads as the contract's precise reader does."""

import pytest
from artifact_contract.codec import dump_yaml, read_yaml
from artifact_contract.errors import SchemaError
from artifact_contract.nodes import Mapping, Scalar, Sequence
from artifactctl.block_yaml import Memory, block_reader, read_block
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "~", "null", "yes", "010", "0o14", "1e3", "1.0", "-", "- a", "a: b", "a #b", "#", "x:"]
)
PLAIN = st.sampled_from(
    ["", "~", "null", "yes", "010", "1e3", "1.0", "-1", "a b", "a:b", "x/y", "$(A)", "é", ".5"]
)
SCALARS = st.builds(Scalar, TEXTS, st.just(False)) | st.builds(Scalar, PLAIN, st.just(True))
NODES = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(Mapping, st.dictionaries(TEXTS, inner, max_size=3))
        | st.builds(Sequence, st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)

# Values as people and tools write them; a `|` stands for lines of text below.
VALUES = st.sampled_from(
    r"""
    ¦¦x¦1¦010¦~¦x y¦x:y¦"x"¦'x'¦[]¦{}¦[x, y]¦{x: y, z: [1]}¦|¦|-¦>¦# c¦x # c¦"x" # c¦'x' #c
    ¦'it''s'¦"a\tb"¦-1¦- x¦(a)
    ¦"\u00e9"¦x#y¦é¦x  y¦"\e"¦"x¦x:¦&a x¦*a¦!t x¦x: y¦@x¦|2¦"x"y¦x, y¦---¦...¦%x¦?
    """.replace("\n", "")
    .replace("    ", "")
    .split("¦")
)
KEYS = st.sampled_from(
    ["a", "b", "c", "d", "e", "f", '"g"', "'h'", "1", "null", "i j", "k/l", "<<", '"m: n"', "?"]
)
INSERTED = st.sampled_from(
    [" ", "  ", "\n", "#", " #", "-", "- ", ":", ": ", "'", '"', "[", "}", "&", "|", "\t", "x"]
)


@st.composite
def blocks(draw, indent=0, depth=0):
    """Lines of a mapping or a list in this column, most of them right."""
    pad, lines = " " * indent, []
    dash = draw(st.sampled_from(["", "", "- ", "-  "])) if depth else ""
    for _ in range(draw(st.integers(1, 3))):
        key = draw(KEYS) + ":" if not dash or draw(st.booleans()) else ""
        value = draw(VALUES)
        lines.append(
            f"{pad}{dash}{key}{' ' if key and value else ''}{value}{draw(st.sampled_from(['', '', ' ']))}"
        )
        column = indent + (len(dash) if key else 0)
        if value[:1] in {"|", ">", '"', "x"} and draw(st.booleans()):
            text = st.sampled_from(["text", "  more", "", "# no comment", "k: v", "- v", 'end"'])
            lines += [" " * (column + 2) + draw(text) for _ in range(draw(st.integers(1, 3)))]
        elif value in {"", "# c"} and depth < 3 and draw(st.booleans()):
            lines += draw(blocks(column + draw(st.sampled_from([0, 1, 2, 2, 4])), depth + 1))
        lines += draw(st.sampled_from([[], [], [], [""], ["# c"], [f"{pad}  # c"]]))
    return lines


@st.composite
def files(draw):
    """A file, sometimes with something put in or left out anywhere."""
    text = draw(st.sampled_from(["", "", "---\n", "# c\n"])) + "\n".join(draw(blocks()))
    text += draw(st.sampled_from(["\n", "", "\n\n"]))
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(INSERTED | st.just("")) + text[at + draw(st.integers(0, 2)) :]
    return text


FILES = files()


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(FILES)
def test_what_it_accepts_is_what_the_precise_reader_reads(text):
    node = read_block(text.encode(), Memory())
    if node is not None:
        assert node == read_yaml(text.encode(), "f")


@given(st.dictionaries(TEXTS, NODES, min_size=1, max_size=4))
def test_it_reads_what_the_writer_writes(items):
    root = Mapping(items)
    text = dump_yaml(root)
    node = read_block(text.encode(), Memory())
    assert node is None or node == root
    assert block_reader()(text.encode(), "f") == root


@given(st.lists(FILES, max_size=4))
def test_what_it_remembers_from_other_files_changes_nothing(texts):
    memory = Memory()
    for text in texts:
        assert read_block(text.encode(), memory) == read_block(text.encode(), Memory())


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb:\n  c: x\n",
        "---\na: 1\n",
        "# head\n\na: 1 # one\n\n# tail\n",
        "a:\n- x\n- y\nb: 1\n",
        "a:\n  - b: 1\n    c: 2\n  - d:\n      - 1\n  -\n    e: 1\n",
        "a:\n-   b: 1\n    c:\n    - x\n",
        "a: [x, y]\nb: {c: d}\n",
        "a: |\n  one\n\n  two\nb: >-\n  x\n  y\n\nc: 1\n",
        "a: one\n  two\nb: 1\n",
        "a:\n  one\n  two\nb: 1\n",
        "a: 'it''s'\nb: \"x\\ty\"\nc: \"\\u00e9\"\n",
        "a: [\n  x,\n  y\n  ]\nb: 1\n",
        "a:\r\n  b: 1\r\n",
        "\ufeffa: 1\n",
        "a: é\nb: 日本\n",
        "a:   x  \nb:    \nc: y\n",
        "a: http://x:80/y#z\nb: a:b:c\nc: cron(0 * * * ? *)\n",
        "functions:\n  api:\n    image: r:5/x:y\n    environment:\n      A: 'yes'\n      C:\n",
        "a: {}\nb: []\nc: ~\nd: null\ne: 010\nf: 1e3\ng: 0x10\n",
    ],
)
def test_it_reads_what_people_and_tools_write(text):
    node = read_block(text.encode(), Memory())
    assert node is not None
    assert node == read_yaml(text.encode(), "f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "a: &x 1\nb: *x\n",
        "a: 1\na: 2\n",
        "<<: {a: 1}\n",
        "a:\n  b: 1\n a: 2\n",
        "a:\n\tb: 1\n",
        "a: 1\n---\nb: 1\n",
        "a: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "- a\n",
        "a\n",
        "  a: 1\n",
        "a: b: c\n",
        "a: 1\n  b: 2\n",
        "? a\n: b\n",
        "a: |2\n    x\n",
        'a: "\\ud83d\\ude00"\n',
        "a: x\x07\n",
        "a: x\u00a0\n",
        "k: 1]\na: [1\n",
    ],
)
def test_it_leaves_to_the_precise_reader_what_only_that_can_judge(text):
    assert read_block(text.encode(), Memory()) is None


def test_bytes_that_are_no_text_are_left_to_the_precise_reader():
    assert read_block(b"a: \xff\n", Memory()) is None
    with pytest.raises(SchemaError, match="f:1:4: expected UTF-8 text"):
        block_reader()(b"a: \xff\n", "f")


def test_a_mistake_is_reported_with_its_place():
    with pytest.raises(SchemaError, match="f:2:1: a: expected each key once"):
        block_reader()(b"a: 1\na: 2\n", "f")


def test_nesting_beyond_the_contracts_limit_is_left_to_the_precise_reader():
    deep = "".join(f"{'  ' * level}a:\n" for level in range(40)) + "  " * 40 + "a: 1\n"
    assert read_block(deep.encode(), Memory()) is None
