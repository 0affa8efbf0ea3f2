"""ownership.json."""

import json

import pytest
from artifactctl.ownership import Owner, dump_owners, parse_owners
from hypothesis import given
from hypothesis import strategies as st

OWNERS = st.builds(Owner, st.text(max_size=4), st.sampled_from(["dev", "prod"]), st.text(max_size=4))
SLOTS = st.tuples(st.sampled_from(["functions", "images"]), st.text(max_size=4)) | st.tuples(
    st.just("routes"), st.text(max_size=3), st.text(max_size=3)
)


@given(st.dictionaries(SLOTS, OWNERS, max_size=6))
def test_reading_gives_what_was_written(owners):
    assert parse_owners(dump_owners(owners)) == owners


def test_it_is_json_with_a_line_an_owner():
    text = dump_owners(
        {("functions", "a"): Owner("p", "dev", "a.yaml"), ("images", "b"): Owner("p", "dev", "b.yaml")}
    )
    assert json.loads(text) == {
        "version": 1,
        "owners": [
            {"project": "p", "env": "dev", "ref": "a.yaml", "slots": [["functions", "a"]]},
            {"project": "p", "env": "dev", "ref": "b.yaml", "slots": [["images", "b"]]},
        ],
    }
    assert text.count(b"\n") == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Expecting value"),
        (b"[]", "list indices"),
        (b"{}", "'version'"),
        (b'{"version": 7}', "version 7, this tool reads 1"),
        (b'{"version": 1, "owners": [{}]}', "'project'"),
        (b'{"version": 1, "owners": 3}', "not iterable"),
        (
            b'{"version": 1, "owners": [{"project": "p", "env": "e", "ref": "r", "slots": [["x"]]}]}',
            "not a slot",
        ),
    ],
)
def test_what_is_no_ownership_is_said(data, message):
    with pytest.raises(ValueError, match=message):
        parse_owners(data)
