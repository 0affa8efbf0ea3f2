"""What became of every call, judged by what was done to the box while it ran.

A call that was not answered as promised is excused only by a disturbance of the right kind at the right
time: a killed worker excuses the calls it held, a killed gateway those in flight, a stopping gateway those
that came after it was told. Everything else is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum

from attrs import frozen

from faults.load import BROKEN, REFUSED, Call

_SLACK = 2.0  # a worker's death is seen by its agent a little later than it happens
_JUST_SENT = 0.05  # what was sent that shortly before a signal may not have been read yet
_THROTTLED, _UNAVAILABLE = 429, frozenset({500, 502, 503, 504})
_WORKER_ENDED = ("function: Runtime.ExitError", "function: Runtime.OutOfMemory")


class Kind(Enum):
    """What was done to the box."""

    WORKER = "worker killed"
    AGENT = "agent restarted"
    GATEWAY_TERM = "gateway stopped"
    GATEWAY_KILL = "gateway killed"
    OTHER = "generation applied"


class Verdict(Enum):
    """What a call counts as."""

    ANSWERED = "answered"
    WORKER_GONE = "function errors of killed workers"
    REFUSED = "refused: 429 or 5xx, contracted"
    AWAY = "not connected, gateway away"
    CUT_OFF = "in flight at kill -9 of the gateway"
    WRONG = "wrong answers"
    LOST = "lost"


@frozen
class Disturbance:
    """One fault: from the signal until the box is whole again."""

    kind: Kind
    begin: float
    end: float
    what: str = ""


def judge(call: Call, disturbances: Iterable[Disturbance]) -> Verdict:
    """What one call counts as."""
    if call.right:
        return Verdict.ANSWERED
    kinds = {d.kind for d in disturbances if call.sent <= d.end + _SLACK and d.begin <= call.ended}
    if call.trouble:
        return _unanswered(call, [d for d in disturbances if call.sent <= d.end and d.begin <= call.ended])
    if call.error_type in _WORKER_ENDED or (call.status == 502 and not call.error_type):
        return Verdict.WORKER_GONE if kinds & {Kind.WORKER, Kind.AGENT} else Verdict.WRONG
    if call.status == _THROTTLED:
        return Verdict.REFUSED
    if call.status in _UNAVAILABLE and kinds - {Kind.OTHER}:
        return Verdict.REFUSED
    return Verdict.WRONG


def _unanswered(call: Call, disturbances: Sequence[Disturbance]) -> Verdict:
    for disturbance in disturbances:
        gateway = disturbance.kind in {Kind.GATEWAY_TERM, Kind.GATEWAY_KILL}
        if gateway and call.trouble == REFUSED:
            return Verdict.AWAY
        if call.trouble != BROKEN:
            continue
        if disturbance.kind is Kind.GATEWAY_KILL:
            return Verdict.CUT_OFF
        if disturbance.kind is Kind.GATEWAY_TERM and call.sent >= disturbance.begin - _JUST_SENT:
            return Verdict.AWAY  # sent on a connection that was being closed: never begun
    return Verdict.LOST


@frozen
class Counts:
    """The calls of one target, by verdict."""

    target: str
    sent: int
    verdicts: Counter[Verdict]
    examples: tuple[Call, ...]


def count_calls(calls: Sequence[Call], disturbances: Sequence[Disturbance]) -> list[Counts]:
    """The counts of every target, with the first calls that were wrong or lost."""
    found: dict[str, list[tuple[Call, Verdict]]] = {}
    for call in calls:
        found.setdefault(call.target, []).append((call, judge(call, disturbances)))
    return [
        Counts(
            target,
            len(judged),
            Counter(verdict for _, verdict in judged),
            tuple(call for call, verdict in judged if verdict in {Verdict.WRONG, Verdict.LOST})[:5],
        )
        for target, judged in found.items()
    ]
