import pytest
from artifact_contract.nodes import Mapping, Scalar, Sequence
from esb_cli.errors import TemplateError
from esb_cli.sam.load import MAX_BYTES, load_template
from esb_cli.sam.report import Report
from hypothesis import given, settings
from hypothesis import strategies as st


def load(data):
    report = Report("t.yaml")
    root = load_template(data if isinstance(data, bytes) else data.encode(), report)
    report.raise_problems()
    return root


def refused(data):
    with pytest.raises(TemplateError) as error:
        load(data)
    return str(error.value)


def test_a_scalar_keeps_its_text_and_its_place():
    root = load("A: 010\nB:\n  - 'yes'\n  - 2012-10-17\n")
    assert root.items["A"] == Scalar("010", plain=True)
    assert root.items["B"] == Sequence([Scalar("yes", plain=False), Scalar("2012-10-17", plain=True)])
    assert (root.items["B"].items[1].line, root.items["B"].items[1].column) == (4, 5)
    assert root.key_marks["B"] == (2, 1)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("!Ref A", "{Ref: 'A'}"),
        ("!Condition A", "{Condition: 'A'}"),
        ("!GetAtt A.B", "{'Fn::GetAtt': ['A', 'B']}"),
        ("!GetAtt A.Outputs.B", "{'Fn::GetAtt': ['A', 'Outputs.B']}"),
        ("!GetAtt [A, B]", "{'Fn::GetAtt': [A, B]}"),
        ("!Sub a${B}", "{'Fn::Sub': 'a${B}'}"),
        ("!Join [',', [a]]", "{'Fn::Join': [',', [a]]}"),
        ("!If [A, b, c]", "{'Fn::If': [A, b, c]}"),
        ("!Transform {Name: X}", "{'Fn::Transform': {Name: X}}"),
        *(
            (f"!{name} [a]", f"{{'Fn::{name}': [a]}}")
            for name in [
                "Select",
                "Split",
                "Equals",
                "And",
                "Or",
                "Not",
                "FindInMap",
                "Base64",
                "Cidr",
                "ImportValue",
                "GetAZs",
                "Length",
            ]
        ),
    ],
)
def test_a_short_form_is_its_long_form(short, long):
    assert load(f"X: {short}") == load(f"X: {long}")


def test_a_template_may_be_json_indented_with_tabs():
    root = load('{\n\t"A": {"B": [1, "x\\ud83d\\ude00", true]}\n}')
    assert root.items["A"].items["B"].items == [Scalar("1"), Scalar("x😀", plain=False), Scalar("true")]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text():
    assert load(b"\xef\xbb\xbfA: b\r\nC: d\r\n") == load("A: b\nC: d\n")


def test_anchors_and_merge_keys_work():
    root = load("A: &a {X: '1', Y: '2'}\nB:\n  <<: *a\n  Y: '3'\n")
    assert root.items["B"] == load("B: {Y: '3', X: '1'}").items["B"]


def test_text_may_begin_with_a_blank_line_that_has_some_spaces():
    root = load("A: |\n   \n      x\n      y\nB: 1\n")
    assert root.items["A"].text == "\nx\ny\n"


def test_a_tag_of_yaml_itself_decides_between_text_and_the_rest():
    assert (
        load("A: !!str 1\nB: !!int 1\nC: ! 1").items
        == {
            "A": Scalar("1", plain=False),
            "B": Scalar("1", plain=True),
            "C": Scalar("1", plain=False),
        }
        or load("C: ! 1").items["C"].text == "1"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.yaml:1:1: expected a mapping, found an empty file"),
        ("# nothing\n", "t.yaml:1:1: expected a mapping, found an empty file"),
        ("---\n", "found an empty file"),
        ("- a\n", "t.yaml:1:1: expected a mapping, found a list"),
        ("hello\n", "t.yaml:1:1: expected a mapping, found 'hello'"),
        ("A: 1\n---\nB: 2\n", "t.yaml:2:1: expected one document, found a second one"),
        ("A:\n\tB: 1\n", "t.yaml:2:1: expected YAML or JSON, found "),
        ("A:\n\tB: 1\n", "(YAML is indented with spaces, not with tabs)"),
        ("A: b: c\n", "t.yaml:1:5: expected YAML or JSON, found mapping values are not allowed"),
        ("A: @b\n", "(quote a value that begins with a special character)"),
        ("A: [1, 2\nB: 3\n", "t.yaml:2:"),
        ("A: 'b\n", "isn't closed"),
        ("A: 'b' c\n", "text follows a closing quote"),
        ("A: *nothing\n", "t.yaml:1:4: expected an alias of an anchor above it, found *nothing"),
        ("A: &a [*a]\n", "expected an alias of something complete"),
        ("A: !Reff b\n", "t.yaml:1:4: expected a CloudFormation tag such as !Ref or !Sub, found !Reff"),
        ("A: !!binary b\n", "expected a CloudFormation tag"),
        ("{a: 1}: b\n", "expected text as a key, found a mapping or a list"),
        ("A: 1\nB:\n  <<: 3\n", "t.yaml:3:3: <<: expected a mapping"),
        (b"A: \xff\n", "t.yaml:1:4: expected UTF-8 text, found the byte 0xff"),
        ("A: b\x01\n", "t.yaml:1:5: expected YAML or JSON, found the character U+0001"),
        (b"A" * (MAX_BYTES + 1), f"expected at most {MAX_BYTES} bytes"),
        ("[" * 2000, "expected at most 100 levels, found deeper nesting"),
        ('A: "\\UFFFFFFFF"\n', "expected YAML or JSON"),
    ],
)
def test_a_file_that_is_no_template_is_refused_with_its_place(text, message):
    assert message in refused(text)


def test_a_duplicate_key_names_both_places_and_all_are_found_together():
    message = refused("A: 1\nB:\n  C: 1\n  C: 2\nA: 3\n")
    assert "t.yaml:4:3: C: expected a key once, found it again, it stands at 3:3 already" in message
    assert "t.yaml:5:1: A: expected a key once, found it again, it stands at 1:1 already" in message


def test_a_yaml_bomb_is_refused_before_it_is_written_out():
    lines = ["A0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"A{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "once aliases are written out" in refused("\n".join(lines))


def test_aliases_do_not_get_around_the_limit_of_depth():
    lines = ["A0: &a0 [x]"] + [f"A{n}: &a{n} [*a{n - 1}]" for n in range(1, 300)]
    assert "levels" in refused("\n".join(lines))


def test_four_thousand_lines_are_read():
    text = "Resources:\n" + "".join(f"  R{n}:\n    Type: !Sub 'A${{B}}'\n" for n in range(2000))
    assert len(load(text).items["Resources"].items) == 2000


_pieces = st.sampled_from(
    [
        "Resources:",
        "|>",
        "-",
        "?",
        "{}",
        "[]",
        ",",
        "&",
        "*",
        "!",
        "!Ref",
        "!Sub",
        "&a",
        "*a",
        "\n",
        "\t",
        "'",
        '"',
        "#",
        "%",
        "@",
        "`",
        ":",
        "a",
        "A",
        "1",
        "\\u",
        "\\ud800",
        "<<",
        "---",
        "...",
        "%YAML",
        "1.1",
    ]
)


@given(st.lists(_pieces, max_size=40).map("".join) | st.text(max_size=200))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused_and_never_crashes(text):
    report = Report("t.yaml")
    root = load_template(text.encode("utf-8", "surrogatepass"), report)
    if root is None:
        with pytest.raises(TemplateError):
            report.raise_problems()
    else:
        assert isinstance(root, Mapping)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused_and_never_crash(data):
    load_template(data, Report("t.yaml"))
