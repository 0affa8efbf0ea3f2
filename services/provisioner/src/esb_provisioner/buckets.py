"""An S3 bucket as CloudFormation words it, and its lifecycle rules in the words of the S3 API.

`parse_bucket` turns an item of `resources.s3` (contract §9) into a `Bucket`. CloudFormation and the S3 API
name the parts of a rule differently (`ExpirationInDays` is `Expiration.Days`, `TagFilters` go into `Filter`);
`LifecycleRule` is the common ground, so that an existing rule can be compared with a wanted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from artifact_contract.errors import SchemaError
from attrs import evolve, frozen

from esb_provisioner.fields import Fields

_DEPRECATED_DAYS = "NoncurrentVersionExpirationInDays"


@frozen
class Transition:
    """A move to another storage class after days or on a date."""

    storage_class: str
    days: int | None = None
    date: datetime | None = None
    keep: int | None = None


@frozen
class LifecycleRule:
    """One rule; `keep_noncurrent` and `Transition.keep` count newer noncurrent versions that stay."""

    name: str
    enabled: bool
    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int | None = None
    date: datetime | None = None
    delete_marker: bool = False
    noncurrent_days: int | None = None
    keep_noncurrent: int | None = None
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()
    abort_days: int | None = None


@frozen
class Bucket:
    """A bucket in the words of `resources.yml`; `unapplied` names properties that have no effect here."""

    name: str
    rules: tuple[LifecycleRule, ...] = ()
    unapplied: tuple[str, ...] = ()


def parse_bucket(properties: Mapping[str, object]) -> Bucket:
    """Read a bucket, precisely.

    Raises:
        SchemaError: something is missing or of the wrong kind; all problems of the bucket together.
    """
    name = properties.get("BucketName")
    fields = Fields(name if isinstance(name, str) and name else "a bucket without a name", properties)
    lifecycle = fields.child("LifecycleConfiguration")
    rules = lifecycle.children("Rules", required=True) if lifecycle else []
    bucket = Bucket(
        name=fields.text("BucketName", required=True),
        rules=tuple(_rule(item, f"rule-{number}") for number, item in enumerate(rules, start=1)),
    )
    fields.ignore("Tags")  # tags steer cost reports of an account; a box has none
    if fields.problems:
        raise SchemaError(tuple(fields.problems))
    unread = (*fields.unread(), *(name for item in rules for name in item.unread()))
    return evolve(bucket, unapplied=unread)


def _rule(item: Fields, default_name: str) -> LifecycleRule:
    expiration = item.child("NoncurrentVersionExpiration")
    abort = item.child("AbortIncompleteMultipartUpload")
    rule = LifecycleRule(
        name=item.text("Id", default_name),
        enabled=item.text("Status", required=True, among=("Enabled", "Disabled")) == "Enabled",
        prefix=item.text("Prefix"),
        tags=_tags(item),
        larger_than=item.integer("ObjectSizeGreaterThan", minimum=0),
        smaller_than=item.integer("ObjectSizeLessThan", minimum=1),
        days=item.integer("ExpirationInDays", minimum=1),
        date=item.moment("ExpirationDate"),
        delete_marker=item.boolean("ExpiredObjectDeleteMarker", default=False),
        noncurrent_days=expiration.integer("NoncurrentDays", minimum=1, required=True)
        if expiration
        else item.integer(_DEPRECATED_DAYS, minimum=1),
        keep_noncurrent=expiration.integer("NewerNoncurrentVersions", minimum=1) if expiration else None,
        transitions=_transitions(item, "Transition", "Transitions"),
        noncurrent_transitions=_transitions(
            item, "NoncurrentVersionTransition", "NoncurrentVersionTransitions"
        ),
        abort_days=abort.integer("DaysAfterInitiation", minimum=1, required=True) if abort else None,
    )
    if not item.problems and not _has_action(rule):
        item.wrong("Status", "a rule with an action, such as ExpirationInDays", "a rule without any")
    return rule


def _has_action(rule: LifecycleRule) -> bool:
    times = (rule.days, rule.date, rule.noncurrent_days, rule.abort_days)
    return any(times) or rule.delete_marker or bool(rule.transitions) or bool(rule.noncurrent_transitions)


def _tags(item: Fields) -> tuple[tuple[str, str], ...]:
    tags = item.children("TagFilters")
    return tuple(sorted((tag.text("Key", required=True), tag.text("Value", required=True)) for tag in tags))


def _transitions(item: Fields, one: str, many: str) -> tuple[Transition, ...]:
    single = item.child(one)  # the older spelling with a single transition
    parts = ([single] if single else []) + item.children(many)
    return tuple(_transition(part) for part in parts)


def _transition(part: Fields) -> Transition:
    transition = Transition(
        storage_class=part.text("StorageClass", required=True),
        days=part.integer("TransitionInDays", minimum=0),
        date=part.moment("TransitionDate"),
        keep=part.integer("NewerNoncurrentVersions", minimum=1),
    )
    if transition.days is None and transition.date is None and not part.problems:
        part.wrong("TransitionInDays", "days or a date", "neither")
    return transition
