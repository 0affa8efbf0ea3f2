import pytest
from artifact_contract.errors import SchemaError
from esb_provisioner.buckets import LifecycleRule, Transition, parse_bucket


def bucket(*rules, **properties):
    lifecycle = {"LifecycleConfiguration": {"Rules": list(rules)}} if rules else {}
    return parse_bucket({"BucketName": "files"} | lifecycle | properties)


def problems(*rules, **properties):
    with pytest.raises(SchemaError) as caught:
        bucket(*rules, **properties)
    return [str(problem) for problem in caught.value.problems]


def test_a_bucket_needs_only_a_name():
    assert bucket(Tags=[]).rules == ()
    assert problems(BucketName=None) == [
        "resources.yml: a bucket without a name: BucketName: expected a value, found nothing"
    ]


def test_a_rule_with_numbers_as_text_is_read():
    rule = {"Status": "Enabled", "ExpirationInDays": "30", "Prefix": "tmp/"}
    assert bucket(rule).rules == (LifecycleRule("rule-1", enabled=True, prefix="tmp/", days=30),)


def test_a_rule_with_everything_is_read():
    rule = {
        "Id": "tidy",
        "Status": "Disabled",
        "TagFilters": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": ""}],
        "ObjectSizeGreaterThan": "1024",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 10}],
        "NoncurrentVersionTransition": {"StorageClass": "GLACIER", "TransitionInDays": "1"},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": "1"},
    }
    assert bucket(rule).rules == (
        LifecycleRule(
            "tidy",
            enabled=False,
            tags=(("a", ""), ("b", "2")),
            larger_than=1024,
            noncurrent_days=3,
            keep_noncurrent=2,
            transitions=(Transition("GLACIER", days=10),),
            noncurrent_transitions=(Transition("GLACIER", days=1),),
            abort_days=1,
        ),
    )


def test_problems_name_the_rule_by_its_number():
    rules = "resources.yml: files: LifecycleConfiguration.Rules"
    assert problems({"Status": "On", "ExpirationInDays": "soon"}, {"ExpirationInDays": 0}) == [
        f"{rules}[0].Status: expected Enabled or Disabled, found 'On'",
        f"{rules}[0].ExpirationInDays: expected an integer, found 'soon'",
        f"{rules}[1].Status: expected a value, found nothing",
        f"{rules}[1].ExpirationInDays: expected an integer of at least 1, found 0",
    ]


def test_a_rule_that_does_nothing_is_refused():
    [problem] = problems({"Status": "Enabled", "Prefix": "tmp/"})
    assert "expected a rule with an action" in problem


def test_a_transition_without_a_time_is_refused():
    [problem] = problems({"Status": "Enabled", "Transitions": [{"StorageClass": "GLACIER"}]})
    assert "Transitions[0].TransitionInDays: expected days or a date, found neither" in problem


def test_properties_without_effect_are_named_also_inside_rules():
    rule = {"Status": "Enabled", "ExpirationInDays": 1, "Comment": "x"}
    found = bucket(rule, VersioningConfiguration={"Status": "Enabled"})
    assert found.unapplied == ("VersioningConfiguration", "LifecycleConfiguration.Rules[0].Comment")
