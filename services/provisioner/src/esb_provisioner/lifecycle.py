"""Lifecycle rules in the shape of the S3 API: `to_s3` and `from_s3` are each other's inverse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from esb_provisioner.buckets import LifecycleRule, Transition

Shape = dict[str, Any]  # boto3's own vocabulary; it goes no further than this module and aws.py


def to_s3(rule: LifecycleRule) -> Shape:
    """The rule as `put_bucket_lifecycle_configuration` takes it."""
    expiration = _present(
        Days=rule.days, Date=rule.date, ExpiredObjectDeleteMarker=rule.delete_marker or None
    )
    noncurrent = _present(NoncurrentDays=rule.noncurrent_days, NewerNoncurrentVersions=rule.keep_noncurrent)
    return {
        "ID": rule.name,
        "Status": "Enabled" if rule.enabled else "Disabled",
        "Filter": _filter(rule),
        **_present(
            Expiration=expiration or None,
            NoncurrentVersionExpiration=noncurrent or None,
            Transitions=[_transition(t, "Days") for t in rule.transitions] or None,
            NoncurrentVersionTransitions=[
                _transition(t, "NoncurrentDays") for t in rule.noncurrent_transitions
            ]
            or None,
            AbortIncompleteMultipartUpload=_present(DaysAfterInitiation=rule.abort_days) or None,
        ),
    }


def from_s3(shape: Mapping[str, Any]) -> LifecycleRule:
    """The rule that `get_bucket_lifecycle_configuration` describes."""
    expiration = shape.get("Expiration", {})
    noncurrent = shape.get("NoncurrentVersionExpiration", {})
    conditions = _conditions(shape.get("Filter") or {})
    return LifecycleRule(
        name=shape.get("ID", ""),
        enabled=shape.get("Status") == "Enabled",
        prefix=conditions.get("Prefix") or shape.get("Prefix") or "",
        tags=tuple(sorted((tag["Key"], tag["Value"]) for tag in conditions.get("Tags", ()))),
        larger_than=conditions.get("ObjectSizeGreaterThan"),
        smaller_than=conditions.get("ObjectSizeLessThan"),
        days=expiration.get("Days"),
        date=expiration.get("Date"),
        delete_marker=expiration.get("ExpiredObjectDeleteMarker", False),
        noncurrent_days=noncurrent.get("NoncurrentDays"),
        keep_noncurrent=noncurrent.get("NewerNoncurrentVersions"),
        transitions=_moves(shape.get("Transitions", ()), "Days"),
        noncurrent_transitions=_moves(shape.get("NoncurrentVersionTransitions", ()), "NoncurrentDays"),
        abort_days=shape.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    )


def same_rules(some: Iterable[LifecycleRule], others: Iterable[LifecycleRule]) -> bool:
    """Whether both say the same; the order of rules means nothing to S3."""
    return sorted(some, key=_name) == sorted(others, key=_name)


def _name(rule: LifecycleRule) -> str:
    return rule.name


def _present(**values: int | str | bool | datetime | Shape | list[Shape] | None) -> Shape:
    return {name: value for name, value in values.items() if value is not None}


def _filter(rule: LifecycleRule) -> Shape:
    """One condition stands alone; several need `And`; none is the empty prefix."""
    tags = [{"Key": key, "Value": value} for key, value in rule.tags]
    sizes = _present(ObjectSizeGreaterThan=rule.larger_than, ObjectSizeLessThan=rule.smaller_than)
    count = bool(rule.prefix) + len(tags) + len(sizes)
    if count > 1:
        return {"And": {**_present(Prefix=rule.prefix or None, Tags=tags or None), **sizes}}
    if tags:
        return {"Tag": tags[0]}
    return sizes or {"Prefix": rule.prefix}


def _conditions(shape: Mapping[str, Any]) -> Shape:
    conditions = dict(shape.get("And") or shape)
    if "Tag" in conditions:
        conditions["Tags"] = [conditions.pop("Tag")]
    return conditions


def _transition(transition: Transition, days: str) -> Shape:
    times = {days: transition.days, "Date": transition.date, "NewerNoncurrentVersions": transition.keep}
    return {"StorageClass": transition.storage_class, **_present(**times)}


def _moves(shapes: Iterable[Mapping[str, Any]], days: str) -> tuple[Transition, ...]:
    return tuple(
        Transition(
            shape["StorageClass"], shape.get(days), shape.get("Date"), shape.get("NewerNoncurrentVersions")
        )
        for shape in shapes
    )
