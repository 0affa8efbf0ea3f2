"""The rules of `last_write_wins_v1`, and its algebra."""

from artifact_contract.errors import Severity
from artifact_contract.nodes import from_python, mapping
from artifactctl.merging import Base, EntrySlots, dangling_routes, merge_entries
from artifactctl.ownership import Owner
from hypothesis import given
from hypothesis import strategies as st

MINE, THEIRS = Owner("shop", "dev", "a.yaml"), Owner("billing", "dev", "a.yaml")


def entry(slots, owner=MINE):
    return EntrySlots("a-00000000", owner, {slot: from_python(value) for slot, value in slots.items()})


def base(slots, owners=None):
    return Base({slot: from_python(value) for slot, value in slots.items()}, owners or {})


def values(merged):
    return {slot: node.text for slot, node in merged.slots.items()}


A, B, C = ("functions", "a"), ("functions", "b"), ("functions", "c")
LEVEL, LIMIT = ("defaults", "environment", "LEVEL"), ("defaults", "timeout")
TARGET = ("settings", "image-import.json", "push_target")


def test_the_later_entry_wins_in_place_and_new_keys_come_last():
    merged = merge_entries(base({A: "0", B: "0"}), [entry({C: "1", A: "1"}), entry({A: "2"})])
    assert list(values(merged).items()) == [(A, "2"), (B, "0"), (C, "1")]
    assert merged.owners == {A: MINE, C: MINE}


def test_a_change_says_in_which_keys_something_differs():
    route = ("routes", "GET", "/a")
    before = base(
        {route: {"path": "/a", "auth": {"type": "jwt"}, "cors": {}, "stage": "v1"}, A: {"image": "1"}}
    )
    merged = merge_entries(
        before, [entry({route: {"path": "/a", "stage": "v1", "auth": {"type": "none"}}, B: {"image": "2"}})]
    )
    assert merged.entries[0].differing == {route: ("auth", "cors")}
    assert merged.slots[route] == from_python({"path": "/a", "stage": "v1", "auth": {"type": "none"}})


def test_a_default_that_is_there_wins_unless_it_is_the_owners_own():
    before = base({LEVEL: "person"})
    assert values(merge_entries(before, [entry({LEVEL: "x", LIMIT: "3"})])) == {LEVEL: "person", LIMIT: "3"}
    own = base({LEVEL: "old"}, {LEVEL: MINE})
    assert values(merge_entries(own, [entry({LEVEL: "new"})])) == {LEVEL: "new"}
    theirs = base({LEVEL: "old"}, {LEVEL: THEIRS})
    merged = merge_entries(theirs, [entry({LEVEL: "new"})])
    assert values(merged) == {LEVEL: "old"}
    assert merged.entries[0].kept == (LEVEL,)


def test_the_first_entry_that_sets_a_default_wins_each_time():
    entries = [entry({LEVEL: "one"}), entry({LEVEL: "two"})]
    once = merge_entries(base({}), entries)
    twice = merge_entries(Base(once.slots, once.owners), entries)
    assert values(once) == values(twice) == {LEVEL: "one"}


def test_a_default_no_longer_held_goes():
    merged = merge_entries(base({LEVEL: "x", LIMIT: "3"}, {LEVEL: MINE}), [entry({})])
    assert values(merged) == {LIMIT: "3"}
    assert merged.entries[0].removed == (LEVEL,)


def test_what_one_of_an_owners_entries_still_holds_stays():
    entries = [entry({A: "1"}), entry({B: "1"})]
    before = merge_entries(base({}), entries)
    after = merge_entries(Base(before.slots, before.owners), entries)
    assert not after.changed
    assert values(after) == {A: "1", B: "1"}


def test_what_another_owner_wrote_is_nobodys_business():
    before = base({A: "1", B: "1", C: "1"}, {A: THEIRS, B: Owner("shop", "dev", "b.yaml")})
    merged = merge_entries(before, [entry({})])
    assert not merged.changed
    assert values(merged) == {A: "1", B: "1", C: "1"}


def test_a_key_goes_over_to_the_entry_that_still_holds_it():
    other = Owner("shop", "dev", "b.yaml")
    before = base({A: "1"}, {A: MINE})
    merged = merge_entries(before, [entry({}), entry({A: "1"}, other)])
    assert (values(merged), merged.owners) == ({A: "1"}, {A: other})
    assert merged.changed
    assert not any(change.added or change.replaced or change.removed for change in merged.entries)


def test_overwriting_what_another_project_owns_is_a_strict_warning_also_with_the_same_value():
    for other in (THEIRS, Owner("shop", "prod", "a.yaml")):
        merged = merge_entries(base({A: "1"}, {A: other}), [entry({A: "1"})])
        assert [(one.severity, one.field) for one in merged.warnings] == [(Severity.STRICT, "functions: a")]
        assert merged.changed


def test_taking_over_from_another_template_of_the_project_is_no_warning():
    assert not merge_entries(base({A: "1"}, {A: Owner("shop", "dev", "b.yaml")}), [entry({A: "2"})]).warnings


def test_overwriting_a_persons_value_is_a_warning_and_agreeing_with_it_none():
    (warning,) = merge_entries(base({A: "1"}), [entry({A: "2"})]).warnings
    assert (warning.severity, warning.found) == (Severity.WARNING, "one that a person wrote")
    agreed = merge_entries(base({A: "1"}), [entry({A: "1"})])
    assert not agreed.warnings
    assert agreed.owners == {A: MINE}


def test_projects_may_share_a_setting():
    before = base({TARGET: "registry:5010"}, {TARGET: THEIRS})
    merged = merge_entries(before, [entry({TARGET: "registry:5010"})])
    assert (merged.changed, merged.warnings, merged.owners) == (False, (), {TARGET: THEIRS})
    assert merge_entries(before, [entry({TARGET: "other"})]).warnings


def test_changes_are_told_by_the_entry_that_made_them():
    other = Owner("shop", "dev", "b.yaml")
    before = base({A: "1", B: "1"}, {A: MINE, B: other})
    merged = merge_entries(before, [entry({A: "2"}), entry({C: "1"}, other)])
    first, second = merged.entries
    assert (first.replaced, second.added, second.removed) == ((A,), (C,), (B,))


def test_a_route_to_a_function_that_is_not_there_is_found():
    slots = {("routes", "GET", "/a"): mapping(path="/a", function="a"), A: mapping(image="x")}
    assert not list(dangling_routes(merge_entries(base({}), [entry(slots)])))
    del slots[A]
    (problem,) = dangling_routes(merge_entries(base({}), [entry(slots)]))
    assert (problem.field, problem.found) == ("routes: GET /a", "a")


SLOTS = st.sampled_from(
    [A, B, C, LEVEL, LIMIT, TARGET, ("routes", "GET", "/a"), ("resources", "s3", "b"), ("images", "x")]
)
OWNERS = st.sampled_from([MINE, THEIRS, Owner("shop", "prod", "a.yaml"), Owner("shop", "dev", "b.yaml")])
CONTENTS = st.dictionaries(SLOTS, st.sampled_from("xyz"), max_size=5)
ENTRIES = st.lists(st.builds(entry, CONTENTS, OWNERS), max_size=4)


@st.composite
def bases(draw):
    slots = draw(CONTENTS)
    return base(slots, {slot: draw(OWNERS) for slot in slots if draw(st.booleans())})


@given(bases(), ENTRIES)
def test_merging_the_same_again_changes_nothing(before, entries):
    once = merge_entries(before, entries)
    twice = merge_entries(Base(once.slots, once.owners), entries)
    assert not twice.changed
    assert (list(twice.slots.items()), twice.owners) == (list(once.slots.items()), once.owners)
    assert (
        not any(warning.severity is Severity.STRICT for warning in twice.warnings)
        or len({(one.owner.project, one.owner.env) for one in entries}) > 1
    )


@given(bases(), ENTRIES)
def test_what_nobody_owns_and_nobody_writes_stays(before, entries):
    after = merge_entries(before, entries)
    written = {slot for one in entries for slot in one.slots}
    for slot in before.slots.keys() - before.owners.keys() - written:
        assert after.slots[slot] == before.slots[slot]


@given(bases(), ENTRIES)
def test_after_a_merge_owners_own_exactly_what_they_hold_or_held_elsewhere(before, entries):
    after = merge_entries(before, entries)
    assert after.owners.keys() <= after.slots.keys()
    held = {(one.owner, slot) for one in entries for slot in one.slots}
    merged_owners = {one.owner for one in entries}
    assert all((owner, slot) in held for slot, owner in after.owners.items() if owner in merged_owners)


@given(bases(), ENTRIES)
def test_the_last_entry_with_a_key_wins_except_for_defaults(before, entries):
    after = merge_entries(before, entries)
    last = {slot: node for one in entries for slot, node in one.slots.items()}
    for slot, node in last.items():
        if slot[0] != "defaults":
            assert after.slots[slot] == node


@given(bases(), ENTRIES)
def test_changes_are_exactly_the_difference(before, entries):
    after = merge_entries(before, entries)
    added = [slot for change in after.entries for slot in change.added]
    replaced = [slot for change in after.entries for slot in change.replaced]
    removed = [slot for change in after.entries for slot in change.removed]
    assert sorted(added) == sorted(after.slots.keys() - before.slots.keys())
    assert sorted(removed) == sorted(before.slots.keys() - after.slots.keys())
    both = before.slots.keys() & after.slots.keys()
    assert sorted(replaced) == sorted(slot for slot in both if before.slots[slot] != after.slots[slot])
