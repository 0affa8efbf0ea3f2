"""The faults, their order and their times: one round after the other, evenly, with a calm end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator

from attrs import Factory, define, frozen

from faults.counts import Disturbance, Kind
from faults.real_box import RealBox
from faults.shop import STEP, UNSET

_WHOLE_SECONDS = 60.0
_CALM_SHARE = 0.15  # of the whole time, at the end: figures of a box that has settled
_SPACING = (4.0, 10.0)  # seconds between two faults, in a short run and in a long one


@frozen
class Fault:
    """Something that is done to the box at a time."""

    at: float
    name: str
    act: Callable[[], Disturbance]


@define
class Faults:
    """What can be done to one box; every method returns when the box is whole again."""

    box: RealBox
    random: random.Random = Factory(lambda: random.Random(20))  # which worker dies
    workers_killed: int = 0
    _step: int = 0
    _served: list[str] = Factory(list)

    def plan(self, seconds: float) -> list[Fault]:
        """The faults of a run that takes this long."""
        rounds = (
            ("kill -9 a worker", self.kill_worker),
            ("apply a generation", self.apply),
            ("kill -9 every worker", self.kill_workers),
            ("SIGTERM to the agent", self.stop_agent),
            ("apply a broken generation, then a good one", self.apply_broken),
            ("SIGTERM to the gateway", self.stop_gateway),
            ("kill -9 a worker", self.kill_worker),
            ("kill -9 the agent", self.kill_agent),
            ("roll back", self.roll_back),
            ("kill -9 the gateway", self.kill_gateway),
        )
        busy = seconds * (1 - _CALM_SHARE)
        spacing = min(max(_SPACING[0], busy / len(rounds) / 5), _SPACING[1])
        times = _times(spacing, busy)
        return [Fault(at, *rounds[index % len(rounds)]) for index, at in enumerate(times)]

    def kill_worker(self) -> Disturbance:
        """One worker, any."""
        return self._kill_workers(1)

    def kill_workers(self) -> Disturbance:
        """All workers there are."""
        return self._kill_workers(1000)

    def _kill_workers(self, most: int) -> Disturbance:
        begin, workers = time.monotonic(), self.box.workers()
        chosen = self.random.sample(workers, min(most, len(workers)))
        for pid in chosen:
            os.kill(pid, signal.SIGKILL)
        self.workers_killed += len(chosen)
        return Disturbance(Kind.WORKER, begin, time.monotonic(), f"{len(chosen)} of {len(workers)}")

    def stop_agent(self) -> Disturbance:
        """The agent ends as asked; the supervisor starts it again."""
        return self._signal("agent", signal.SIGTERM, Kind.AGENT)

    def kill_agent(self) -> Disturbance:
        """The agent is gone at once, its workers with it."""
        return self._signal("agent", signal.SIGKILL, Kind.AGENT)

    def stop_gateway(self) -> Disturbance:
        """The gateway ends as asked: calls in flight are answered."""
        return self._signal("gateway", signal.SIGTERM, Kind.GATEWAY_TERM)

    def kill_gateway(self) -> Disturbance:
        """The gateway is gone at once."""
        return self._signal("gateway", signal.SIGKILL, Kind.GATEWAY_KILL)

    def _signal(self, service: str, number: signal.Signals, kind: Kind) -> Disturbance:
        begin, pid = time.monotonic(), self.box.services()[service]
        os.kill(pid, number)
        self.box.until(lambda: self._whole(service, pid), f"{service} is back", _WHOLE_SECONDS)
        return Disturbance(kind, begin, time.monotonic())

    def _whole(self, service: str, before: int) -> bool:
        is_new = self.box.services().get(service) not in {None, before}
        return is_new and self.box.health().get("status") == "ok"

    def apply(self) -> Disturbance:
        """A generation that changes one function's environment: that function gets new workers."""
        begin = time.monotonic()
        self._step += 1
        self._serve(self.box.apply({STEP: f"step-{self._step}"}))
        return Disturbance(Kind.OTHER, begin, time.monotonic(), f"generation {self.box.generation()}")

    def apply_broken(self) -> Disturbance:
        """A generation the gateway can't load is refused and told of; the next good one is taken up."""
        begin = time.monotonic()
        broken = self.box.apply({STEP: UNSET})
        self.box.until(
            lambda: self.box.health().get("reload", {}).get("refused") == broken,
            f"generation {broken} is refused",
        )
        served = self.box.health().get("generation")
        self._step += 1
        self._serve(self.box.apply({STEP: f"step-{self._step}"}))
        return Disturbance(Kind.OTHER, begin, time.monotonic(), f"{broken} refused, {served} went on")

    def roll_back(self) -> Disturbance:
        """The good generation before this one is put in force again."""
        begin = time.monotonic()
        before = str(int(self._served[-2 if len(self._served) > 1 else -1]))
        self.box.command("artifactctl", "rollback", "--out", self.box.config, "--to", before)
        self._serve(self.box.generation())
        return Disturbance(Kind.OTHER, begin, time.monotonic(), f"generation {self.box.generation()}")

    def _serve(self, generation: str) -> None:
        self.box.until(
            lambda: self.box.health().get("generation") == generation, f"generation {generation} is served"
        )
        self._served.append(generation)


def _times(spacing: float, until: float) -> Iterator[float]:
    at = spacing
    while at <= until:
        yield at
        at += spacing
