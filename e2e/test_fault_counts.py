"""The fault run's judge: a call is excused only by the right disturbance at the right time."""

from __future__ import annotations

import pytest
from faults.counts import Disturbance, Kind, Verdict, count_calls, judge
from faults.load import BROKEN, REFUSED, SILENT, Call

EXIT = "function: Runtime.ExitError"


def call(sent: float, ended: float, **facts: object) -> Call:
    return Call("invoke", 1, sent, ended, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (call(1, 2, status=200, right=True), Verdict.ANSWERED),
        (call(1, 2, status=200), Verdict.WRONG),
        (call(1, 2, status=404), Verdict.WRONG),
        (call(1, 2, status=429), Verdict.REFUSED),
        (call(1, 2, status=500), Verdict.WRONG),
        (call(1, 2, status=200, error_type=EXIT), Verdict.WRONG),
        (call(1, 2, trouble=REFUSED), Verdict.LOST),
        (call(1, 2, trouble=BROKEN), Verdict.LOST),
    ],
)
def test_without_a_disturbance_only_answers_and_throttles_are_in_order(made: Call, verdict: Verdict) -> None:
    assert judge(made, []) is verdict


@pytest.mark.parametrize(
    ("kind", "made", "verdict"),
    [
        (Kind.WORKER, call(9, 10.5, status=200, error_type=EXIT), Verdict.WORKER_GONE),
        (Kind.WORKER, call(9, 10.5, status=502), Verdict.WORKER_GONE),
        (Kind.WORKER, call(20, 21, status=200, error_type=EXIT), Verdict.WRONG),
        (Kind.WORKER, call(9, 10.5, trouble=BROKEN), Verdict.LOST),
        (Kind.AGENT, call(10.5, 11, status=500), Verdict.REFUSED),
        (Kind.GATEWAY_KILL, call(9, 10.1, trouble=BROKEN), Verdict.CUT_OFF),
        (Kind.GATEWAY_KILL, call(10.2, 10.3, trouble=REFUSED), Verdict.AWAY),
        (Kind.GATEWAY_KILL, call(12.2, 12.3, trouble=REFUSED), Verdict.LOST),
        (Kind.GATEWAY_KILL, call(9, 54, trouble=SILENT), Verdict.LOST),
        (Kind.GATEWAY_TERM, call(9, 10.1, trouble=BROKEN), Verdict.LOST),
        (Kind.GATEWAY_TERM, call(10.1, 10.2, trouble=BROKEN), Verdict.AWAY),
        (Kind.OTHER, call(10, 11, status=500), Verdict.WRONG),
    ],
)
def test_a_disturbance_excuses_what_it_causes_and_nothing_else(
    kind: Kind, made: Call, verdict: Verdict
) -> None:
    assert judge(made, [Disturbance(kind, 10, 12)]) is verdict


def test_every_call_counts_once() -> None:
    (counts,) = count_calls([call(1, 2, right=True), call(1, 2, status=404), call(3, 4, right=True)], [])
    assert (counts.sent, counts.verdicts[Verdict.ANSWERED], counts.verdicts[Verdict.WRONG]) == (3, 2, 1)
    assert [example.status for example in counts.examples] == [404]
