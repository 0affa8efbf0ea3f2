import hashlib
import re
import sys

import pytest
from artifact_contract.errors import FieldError
from artifact_contract.ids import canonical_ref, entry_id, parameters_text, parse_entry_id, slug
from hypothesis import assume, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("path", "ref"),
    [
        ("./svc/../template.yaml", "template.yaml"),
        (r"C:\work\sam\template.yaml", "C:/work/sam/template.yaml"),
        ("/repo//templates/./a.yaml", "/repo/templates/a.yaml"),
        ("//a", "/a"),
        ("///a//b", "/a/b"),
        ("/..", "/"),
        ("/../..", "/"),
        ("/../a", "/a"),
        (r"..\..\t.yaml", "../../t.yaml"),
        ("a/../..", ".."),
        ("a/../../b", "../b"),
        ("../a/../..", "../.."),
        ("a/b/", "a/b"),
        ("", "."),
        ("   ", "."),
        ("a/..", "."),
        ("./.", "."),
        ("/", "/"),
        ("/.", "/"),
        ("  a.yaml \n", "a.yaml"),
        (r"\a", "/a"),
        (r"\\server\share\t.yaml", "/server/share/t.yaml"),
        (".yaml", ".yaml"),
        ("A/B.YAML", "A/B.YAML"),
        ("ä/İ.yaml", "ä/İ.yaml"),
        ("a b/c d.yaml", "a b/c d.yaml"),
        ("...", "..."),
    ],
)
def test_a_path_has_one_spelling(path: str, ref: str) -> None:
    assert canonical_ref(path) == ref


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".yaml", "template"),
        ("template.e2e.yaml", "template-e2e"),
        ("e2e/fixtures/template.e2e.yaml", "template-e2e"),
        ("a/b/", "b"),
        (r"a\b\My Template.yaml", "my-template"),
        ("My__Template--x.yaml", "my-template-x"),
        ("İ.yaml", "i"),
        ("İstanbul.yaml", "istanbul"),
        ("\u212a.yaml", "k"),
        ("ΣΑΣ.yaml", "template"),
        ("Ünïcode.yaml", "n-code"),
        ("日本.yaml", "template"),
        ("日本-api.yaml", "api"),
        ("", "template"),
        ("..", "template"),
        ("a/..", "template"),
        ("/", "template"),
        ("template", "template"),
        ("Makefile", "makefile"),
        (" .yaml ", "template"),
        ("a.yaml ", "a"),
        ("-a-.yaml", "a"),
        ("1.2.3", "1-2"),
    ],
)
def test_the_slug_is_the_readable_part_of_the_last_segment(path: str, expected: str) -> None:
    assert slug(path) == expected


def test_only_one_character_lowers_to_more_than_one() -> None:
    # what `slug` relies on; a new Unicode version would have to be looked at
    longer = [chr(code) for code in range(sys.maxunicode + 1) if len(chr(code).lower()) != 1]
    assert longer == ["İ"]


def test_parameters_are_sorted_by_code_point_in_every_locale() -> None:
    assert parameters_text({"ä": "1", "a": "2", "Z": "3", "_": "4", "\U0001f600": "5", "\uffff": "6"}) == (
        "Z=3\n_=4\na=2\nä=1\n\uffff=6\n\U0001f600=5"
    )
    assert parameters_text({}) == ""


@pytest.mark.parametrize(
    "text", ["1", "1.0", "010", "0x10", "0o14", "yes", "true", "null", "~", "", "1e3", "=", "a\nb=c"]
)
def test_a_parameter_is_its_text_whatever_it_looks_like(text: str) -> None:
    expected = hashlib.sha256(f"t.yaml\nP={text}\n".encode()).hexdigest()[:8]
    assert entry_id("t.yaml", {"P": text}, "") == f"t-{expected}"


def test_the_example_of_the_contract_has_its_id() -> None:
    digest = "6a6b873fc6f14e8e2d81093b2c1dd5d9210099ee8f15d4fc684606c05217cd47"
    assert entry_id("e2e/fixtures/template.e2e.yaml", {}, digest) == "template-e2e-92eecc19"
    assert entry_id("./e2e//fixtures/x/../template.e2e.yaml", {}, f" {digest}\n") == "template-e2e-92eecc19"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a-1234567",
        "a-123456789",
        "A-12345678",
        "a-1234567G",
        "a_b-12345678",
        "a-12345678\n",
        "-12345678",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        parse_entry_id(text)


TEXTS = st.text(st.characters(codec="utf-8"))
PATHS = st.lists(st.sampled_from(["/", "\\", ".", "..", "a", "B", " ", "é", ".yaml"])).map("".join) | TEXTS


@given(PATHS)
def test_normalising_twice_is_normalising_once(path: str) -> None:
    ref = canonical_ref(path)
    # the one exception, by the rule's wording: `a /` is stripped before its slash goes, and gives `a `
    assume(ref == ref.strip())
    assert canonical_ref(ref) == ref


@given(PATHS)
def test_a_ref_has_no_empty_or_dot_segment_and_climbs_only_at_its_start(path: str) -> None:
    ref = canonical_ref(path)
    if ref in (".", "/"):
        return
    segments = ref.removeprefix("/").split("/")
    assert not {"", "."} & set(segments)
    rest = segments if ref.startswith("/") else segments[sum(segment == ".." for segment in segments) :]
    assert ".." not in rest


@given(PATHS, st.dictionaries(TEXTS, TEXTS), TEXTS)
def test_every_id_has_the_form_of_one(path: str, parameters: dict[str, str], digest: str) -> None:
    written = entry_id(path, parameters, digest)
    assert parse_entry_id(written) == written
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug(path))


@given(st.dictionaries(TEXTS, TEXTS), st.randoms())
def test_the_order_of_parameters_doesnt_matter(parameters: dict[str, str], random: object) -> None:
    items = list(parameters.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert entry_id("t.yaml", dict(items), "") == entry_id("t.yaml", parameters, "")


def test_the_working_directory_doesnt_matter(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    before = entry_id("../t.yaml", {}, "")
    (tmp_path / "t.yaml").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert entry_id("../t.yaml", {}, "") == before
