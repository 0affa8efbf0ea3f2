from datetime import UTC, datetime

import pytest
from esb_provisioner.fields import Fields
from hypothesis import given
from hypothesis import strategies as st


def fields(**values):
    return Fields("orders", values)


def said(read):
    return [str(problem) for problem in read.problems]


@given(st.integers(min_value=0))
def test_an_integer_reads_the_same_as_number_and_as_text(number):
    assert fields(N=number).integer("N", minimum=0) == number
    assert fields(N=str(number)).integer("N", minimum=0) == number


@pytest.mark.parametrize("value", ["five", "5.0", "0x10", "", "1_000", True, 5.5, ["5"], "٥"])
def test_what_is_no_integer_is_named_with_resource_and_field(value):
    read = fields(N=value)
    assert read.integer("N", minimum=0) is None
    assert said(read) == [f"resources.yml: orders: N: expected an integer, found {value!r}"]


def test_an_integer_below_the_minimum_is_refused():
    read = fields(N="0")
    read.integer("N", minimum=1)
    assert said(read) == ["resources.yml: orders: N: expected an integer of at least 1, found '0'"]


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), ("False", False), (" FALSE ", False)]
)
def test_a_boolean_may_be_text(value, expected):
    assert fields(B=value).boolean("B", default=not expected) is expected


def test_yes_is_no_boolean():
    read = fields(B="yes")
    assert read.boolean("B", default=True) is True
    assert said(read) == ["resources.yml: orders: B: expected true or false, found 'yes'"]


def test_null_counts_as_absent():
    read = fields(N=None)
    assert not read.has("N")
    assert read.integer("N", minimum=0) is None
    assert said(read) == []


def test_problems_of_nested_values_carry_their_path_and_are_found_together():
    read = fields(KeySchema=[{"AttributeName": "id", "KeyType": "MAIN"}, "text"], Units={"Read": "x"})
    for item in read.children("KeySchema"):
        item.text("KeyType", among=("HASH", "RANGE"))
    read.child("Units").integer("Read", minimum=1)
    assert said(read) == [
        "resources.yml: orders: KeySchema[1]: expected a mapping, found 'text'",
        "resources.yml: orders: KeySchema[0].KeyType: expected HASH or RANGE, found 'MAIN'",
        "resources.yml: orders: Units.Read: expected an integer, found 'x'",
    ]


def test_a_date_is_midnight_in_utc_and_an_offset_is_honoured():
    read = fields(A="2030-01-31", B="2030-01-31T02:00:00+02:00")
    assert read.moment("A") == datetime(2030, 1, 31, tzinfo=UTC)
    assert read.moment("B") == datetime(2030, 1, 31, tzinfo=UTC)
    assert fields(A="soon").moment("A") is None


def test_text_keeps_numbers_and_booleans_as_cloudformation_spells_them():
    assert fields(T=12).text("T") == "12"
    assert fields(T=True).text("T") == "true"


def test_unread_names_what_nobody_asked_for():
    read = fields(A=1, Tags=[], Z={})
    read.integer("A", minimum=0)
    read.ignore("Tags")
    assert read.unread() == ("Z",)
