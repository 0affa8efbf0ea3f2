"""Results as a person reads them."""

from pathlib import Path

import click
import pytest
from artifactctl.api import (
    ApplyResult,
    Drift,
    HistoryResult,
    PlanResult,
    RollbackResult,
    StatusResult,
)
from artifactctl.generations import AppliedEntry, Generation
from artifactctl.merging import EntryChanges
from artifactctl.report import applied_text, history_text, plan_text, rolled_back_text, status_text

DIR = Path("/srv/config")
CHANGES = (
    EntryChanges(
        "orders-00000000",
        "orders.yaml",
        added=(("functions", "a"), ("routes", "GET", "/a")),
        replaced=(("resources", "dynamodb", "t"),),
        removed=tuple(("functions", f"old-{number}") for number in range(8)),
        kept=(("defaults", "environment", "LEVEL"),),
        differing={("resources", "dynamodb", "t"): ("KeySchema", "BillingMode")},
    ),
    EntryChanges("other-00000000", "other.yaml"),
)
GENERATION = Generation(
    number=2,
    applied_at="2026-01-31T12:00:00+00:00",
    tool="t",
    project="shop",
    env="dev",
    entries=(AppliedEntry("orders-00000000", "orders.yaml"),),
)
ADOPTED = Generation(number=1, applied_at="2026-01-31T11:00:00+00:00", tool="t", adopted=True)


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    """The words without their colours."""
    monkeypatch.setattr("artifactctl.report.click.style", lambda text, **_: text)
    assert click.style("x", fg="red") == "x"


def test_an_apply_tells_what_each_entry_changed():
    result = ApplyResult(
        config_dir=DIR, project="shop", env="dev", changed=True, generation=3, previous=2, entries=CHANGES,
        adopted=2, relinked=("routing.yml",), removed_generations=(1,),
    )  # fmt: skip
    assert (
        applied_text(result, verbose=False)
        == """\
Generation 3 is now in force in /srv/config  (project shop, env dev; before: 2)
Files put there by hand were kept as generation 2 first.
Links put back in place: routing.yml.

  orders-00000000  orders.yaml
    + functions a
    + routes    GET /a
    ~ resources dynamodb/t (KeySchema, BillingMode)
    - functions old-0, old-1, old-2, old-3, old-4, old-5 and 2 more
    = defaults  environment/LEVEL  (there already, and stays as it is)
  other-00000000  other.yaml
    no change

2 added, 1 replaced, 8 removed
Removed old generations: 1."""
    )
    assert "old-5, old-6, old-7\n" in applied_text(result, verbose=True)


def test_a_plan_reads_like_the_apply_it_foretells():
    result = PlanResult(
        config_dir=DIR, project="shop", env="dev", changed=True, generation=2, previous=None, entries=CHANGES,
        adopted=1,
    )  # fmt: skip
    text = plan_text(result, verbose=False)
    assert text.startswith("Generation 2 would be put in force in /srv/config  (project shop, env dev)\n")
    assert "Files put there by hand would be kept as generation 1 first.\n" in text
    assert text.endswith("2 added, 1 replaced, 8 removed")


def test_a_history_is_a_table_with_the_newest_first():
    result = HistoryResult(config_dir=DIR, current=2, generations=(ADOPTED, GENERATION))
    assert (
        history_text(result, verbose=False)
        == """\
   NUMBER  APPLIED                    PROJECT  ENV  ENTRIES
*  2       2026-01-31T12:00:00+00:00  shop     dev  orders-00000000
   1       2026-01-31T11:00:00+00:00                (files put there by hand)"""
    )
    empty = HistoryResult(config_dir=DIR, current=None, generations=())
    assert history_text(empty, verbose=False) == "Nothing has been applied to /srv/config yet."


def test_a_rollback_tells_what_is_in_force_and_what_was_in_the_way():
    result = RollbackResult(
        config_dir=DIR,
        changed=True,
        generation=GENERATION,
        previous=3,
        set_aside=(DIR / "functions.yml.by-hand",),
    )
    assert (
        rolled_back_text(result)
        == """\
Generation 2 is in force again in /srv/config  (before: 3)
A file put there by hand stood in the way; it is /srv/config/functions.yml.by-hand now."""
    )


def test_a_status_tells_what_is_in_force_and_what_was_edited():
    drift = (Drift(file=DIR / "functions.yml", fact="edited by hand"),)
    result = StatusResult(config_dir=DIR, current=GENERATION, generations=(1, 2), drift=drift)
    assert (
        status_text(result)
        == """\
Generation 2 is in force in /srv/config  (project shop, env dev; since 2026-01-31T12:00:00+00:00)
  orders-00000000  orders.yaml
Other generations kept: 1.
/srv/config/functions.yml: edited by hand"""
    )
    nothing = StatusResult(config_dir=DIR, current=None, generations=())
    assert status_text(nothing).startswith("Nothing has been applied to /srv/config yet.")
