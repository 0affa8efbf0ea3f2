"""The command line of the gate."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from runner.display import Display
from runner.matrix import MatrixError, choose, load
from runner.outcome import Ending
from runner.phases import Plan
from runner.probes import PROBES
from runner.run import DRIVERS, Run, overviews, run_all, take_down

_DONE, _FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130


def run(arguments: list[str], root: Path) -> int:
    """Run what the arguments say; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        profiles = load(
            given.matrix or root / "e2e/environments/test_matrix.yaml", root, tuple(DRIVERS), tuple(PROBES)
        )
        chosen = choose(profiles, tuple(given.profile), MatrixError)
    except MatrixError as error:
        print(f"run_tests.py: {error}", file=sys.stderr)
        return _USAGE
    plan = Plan(given.build_only, given.test_only, given.test_target)
    wanted = Run(tuple(chosen), plan, root, given.place or root / ".esb/e2e", given.parallel)
    if given.down:
        problems = asyncio.run(take_down(wanted))
        print("\n".join(problems) or "down")
        return _FAILED if problems else _DONE
    with Display(Console(highlight=False), verbose=given.verbose) as display:
        outcomes = asyncio.run(run_all(wanted, display))
    display.summary(outcomes, overviews(wanted.profiles))
    if any(outcome.ending is Ending.INTERRUPTED for outcome in outcomes):
        return _INTERRUPTED
    bad = [outcome for outcome in outcomes if outcome.bad(available_only=given.available_only)]
    return _FAILED if bad else _DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_tests.py",
        description="The end-to-end gate: a box for each profile, and the suites against it.",
    )
    add = parser.add_argument
    add(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        help="only this profile; repeat it for several",
    )
    add("--parallel", action="store_true", help="profiles beside each other")
    add("--verbose", action="store_true", help="all that is logged, as it comes")
    add("--test-target", default="", metavar="PATH", help="these tests instead of the profile's suites")
    add("--available-only", action="store_true", help="a profile that this host can't run is no failure")
    add("--matrix", type=Path, metavar="FILE", help="another matrix than e2e/environments/test_matrix.yaml")
    add("--place", type=Path, metavar="DIR", help="where logs and states are, by default .esb/e2e")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--build-only", action="store_true", help="up to deploy; the box stays")
    only.add_argument(
        "--test-only", action="store_true", help="the tests, against the box that --build-only left"
    )
    only.add_argument("--down", action="store_true", help="take down what --build-only left")
    return parser
