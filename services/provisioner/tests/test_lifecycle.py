from datetime import UTC, datetime

from esb_provisioner.buckets import LifecycleRule, Transition
from esb_provisioner.lifecycle import from_s3, same_rules, to_s3
from hypothesis import given
from hypothesis import strategies as st

days = st.none() | st.integers(1, 4000)
words = st.text("abc/", min_size=1, max_size=5)
dates = st.none() | st.datetimes(timezones=st.just(UTC))
transitions = st.lists(st.builds(Transition, words, days, dates, days), max_size=2).map(tuple)
rules = st.builds(
    LifecycleRule,
    name=words,
    enabled=st.booleans(),
    prefix=st.just("") | words,
    tags=st.lists(st.tuples(words, words), max_size=3, unique_by=lambda t: t[0]).map(sorted).map(tuple),
    larger_than=st.none() | st.integers(0, 10),
    smaller_than=days,
    days=days,
    date=dates,
    delete_marker=st.booleans(),
    noncurrent_days=days,
    keep_noncurrent=days,
    transitions=transitions,
    noncurrent_transitions=transitions,
    abort_days=days,
)


@given(rules)
def test_a_rule_survives_the_way_to_s3_and_back(rule):
    assert from_s3(to_s3(rule)) == rule


def test_cloudformation_words_become_s3_words():
    rule = LifecycleRule("tidy", enabled=True, prefix="tmp/", days=30, date=None, abort_days=1)
    assert to_s3(rule) == {
        "ID": "tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": "tmp/"},
        "Expiration": {"Days": 30},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def test_several_conditions_are_joined_with_and():
    rule = LifecycleRule("r", enabled=True, prefix="a", tags=(("k", "v"),), larger_than=0, days=1)
    assert to_s3(rule)["Filter"] == {
        "And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 0}
    }


def test_a_rule_of_the_older_shape_without_filter_is_understood():
    shape = {
        "ID": "old",
        "Prefix": "logs/",
        "Status": "Enabled",
        "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)},
    }
    assert from_s3(shape) == LifecycleRule(
        "old", enabled=True, prefix="logs/", date=datetime(2030, 1, 1, tzinfo=UTC)
    )


def test_the_order_of_rules_means_nothing():
    one, two = (LifecycleRule(name, enabled=True, days=1) for name in ("one", "two"))
    assert same_rules([one, two], [two, one])
    assert not same_rules([one], [one, two])
