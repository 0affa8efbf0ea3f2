"""What provisioning needs from the stores, in this project's words; `aws.py` implements it with boto3.

Every method raises `StoreError` when the store refuses, and its leaf `StoreUnreachableError` when nobody
answered. Nothing here can delete: there is no method for it.
"""

from __future__ import annotations

from typing import Protocol

from esb_provisioner.buckets import LifecycleRule
from esb_provisioner.tables import Index, Table, TimeToLive


class TableStore(Protocol):
    """A DynamoDB-compatible database."""

    def find(self, name: str) -> Table | None:
        """The table as it exists, without its time to live; None when there is none."""

    def create(self, table: Table) -> None:
        """Make the table with its keys and indexes, and return when it takes items."""

    def add_index(self, table: Table, index: Index) -> None:
        """Add a global index to the existing table and return when it is usable."""

    def ttl(self, name: str) -> TimeToLive | None:
        """The time to live of a table; None when it was never set."""

    def set_ttl(self, name: str, ttl: TimeToLive) -> None:
        """Switch expiry of items on or off."""


class BucketStore(Protocol):
    """An S3-compatible store."""

    def exists(self, name: str) -> bool:
        """Whether the bucket is there and ours; a bucket of somebody else is a `StoreError`."""

    def create(self, name: str) -> None:
        """Make an empty bucket."""

    def rules(self, name: str) -> tuple[LifecycleRule, ...]:
        """The lifecycle rules in force."""

    def set_rules(self, name: str, rules: tuple[LifecycleRule, ...]) -> None:
        """Put these lifecycle rules in force instead of the present ones."""
