"""A real box under steady load while its parts are killed: nothing accepted may be lost, nothing left behind.

    python benchmarks/fault_run.py [--minutes 10] [--rate 100] [--json FILE] [--keep]

The box is what `esb-node up` starts: data plane, agent, gateway, process workers. Calls go to it at a steady
rate (signed invocations, a route, events whose function writes down what it got). On a plan, printed first,
workers, agent and gateway are killed or told to stop and generations are applied, a broken one among them. At
the end every call is accounted for. Exit code 1 when a call or an event is lost, an answer is wrong or a
process is left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TypeVar

from attrs import Factory, define
from faults import shop
from faults.counts import Disturbance, count_calls
from faults.load import Call, Load, Signer, Target
from faults.plan import Fault, Faults
from faults.real_box import RealBox, descriptors, resident_mb
from faults.report import Events, Report, Usage

FUNCTIONS = "/2015-03-31/functions"
ENVIRON = {"ESB_GATEWAY_EVENT_RETRY_SECONDS": "2", "ESB_GATEWAY_ACCESS_LOG": "off"}
_SAMPLE_SECONDS = 2.0
_DELIVERY_SECONDS = 45.0
_Number = TypeVar("_Number", int, float)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=100, help="calls a second, all kinds together")
    parser.add_argument("--json", type=Path, help="where the counts go as JSON too")
    parser.add_argument("--keep", action="store_true", help="keep the box's directory, to read its logs")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="esb-faults-"))
    box = RealBox(place, ENVIRON)
    try:
        report = run(box, options.minutes * 60, options.rate)
    finally:
        box.down()
        if options.keep:
            print(f"kept: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    print(f"\n{report.text()}")
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=2) + "\n")
    return 1 if report.failures else 0


def run(box: RealBox, seconds: float, rate: float) -> Report:
    """Start the box, load it, disturb it, stop it, count."""
    record = box.place / "recorded"
    record.touch()
    box.generate(shop.TEMPLATE.format(record=record), shop.SOURCES)
    box.up()
    generation = box.apply()
    box.until(lambda: box.health().get("generation") == generation, "the first generation is served")
    faults = Faults(box)
    plan = faults.plan(seconds)
    print(f"{seconds:g} s at {rate:g} calls/s against {box.url}; the plan:")
    for fault in plan:
        print(f"  {fault.at:6.0f} s  {fault.name}")
    print(flush=True)
    load, usage, done = asyncio.run(_load(box, plan, seconds, rate))
    disturbances = [disturbance for _, _, disturbance in done]
    events = _settle(box, record, [call for call in load.calls if call.target == "event"])
    measured = usage.result(box)
    box.down()
    return Report(
        seconds=seconds,
        faults=done,
        counts=count_calls(load.calls, disturbances),
        events=events,
        usage=measured,
        workers_killed=faults.workers_killed,
        workers_left=box.left_behind(),
    )


async def _load(
    box: RealBox, plan: list[Fault], seconds: float, rate: float
) -> tuple[Load, UsageWatch, list[tuple[float, str, Disturbance]]]:
    load = Load(box.url, targets(box, rate))
    usage, done = UsageWatch(), []
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        watching = group.create_task(_watch(box, usage))
        began = time.monotonic()
        try:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at - time.monotonic()))
                at = time.monotonic() - began
                disturbance = await asyncio.to_thread(fault.act)
                took = disturbance.end - disturbance.begin
                print(f"  {at:6.1f} s  {fault.name}: {disturbance.what} ({took:.1f} s)", flush=True)
                done.append((at, fault.name, disturbance))
            await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        finally:
            load.stopping = True
            watching.cancel()
    return load, usage, done


def targets(box: RealBox, rate: float) -> tuple[Target, ...]:
    """The three kinds of calls: half invocations, three tenths route calls, two tenths events."""
    signer = Signer(box.url, *box.operator())

    def invoke(number: int, function: str, kind: str) -> tuple[str, str, dict[str, str], bytes]:
        path, body = f"{FUNCTIONS}/{function}/invocations", json.dumps({"number": number}).encode()
        headers = {"X-Amz-Invocation-Type": kind, "Content-Type": "application/json"}
        return "POST", path, signer.headers("POST", path, headers, body), body

    def echoed(number: int, status: int, body: bytes) -> bool:
        return status == 200 and body == json.dumps({"number": number, "twice": 2 * number}).encode()

    def shown(number: int, status: int, body: bytes) -> bool:
        return status == 200 and body == json.dumps({"number": str(number)}).encode()

    def accepted(_number: int, status: int, body: bytes) -> bool:
        return status == 202 and not body

    return (
        Target("invoke", lambda n: invoke(n, "Echo", "RequestResponse"), echoed, rate * 0.5, 6),
        Target("route", lambda n: ("GET", f"/web/{n}", {}, b""), shown, rate * 0.3, 4),
        Target("event", lambda n: invoke(n, "Record", "Event"), accepted, rate * 0.2, 3),
    )


def _settle(box: RealBox, record: Path, calls: list[Call]) -> Events:
    """Wait for what was accepted, replay what was given up, count what the function wrote down."""
    accepted = {call.number for call in calls if call.right}
    replayed = 0
    for _ in range(2):
        deadline = time.monotonic() + _DELIVERY_SECONDS
        while not accepted <= _recorded(record).keys() and time.monotonic() < deadline:
            time.sleep(0.2)
        replayed += _replay(box)
    delivered = _recorded(record)
    return Events(
        accepted=len(accepted),
        delivered=len(accepted & delivered.keys()),
        missing=tuple(sorted(accepted - delivered.keys())),
        duplicates=sum(delivered.values()) - len(delivered),
        unanswered_but_delivered=len(delivered.keys() - accepted),
        replayed=replayed,
    )


def _replay(box: RealBox) -> int:
    """An event whose worker was killed at each of its three tries is a dead letter: kept, for a person."""
    listed = box.command("esb-node", "events", "list", "--state", box.state, "--output", "json")
    letters = len(json.loads(listed.stdout)["dead_letters"])
    if letters:
        box.command("esb-node", "events", "replay", "--all", "--state", box.state)
    return letters


def _recorded(record: Path) -> Counter[int]:
    return Counter(int(line) for line in record.read_text().split())


async def _watch(box: RealBox, usage: UsageWatch) -> None:
    while True:
        usage.sample(box)
        await asyncio.sleep(_SAMPLE_SECONDS)


@define
class UsageWatch:
    """Memory and descriptors of the services over time; a restarted one goes on in its row."""

    samples: dict[str, list[tuple[float, int]]] = Factory(dict)

    def sample(self, box: RealBox) -> None:
        """Look at everything once."""
        for name, pid in box.services().items():
            memory, files = resident_mb(pid), descriptors(pid)
            if memory:
                self.samples.setdefault(name, []).append((memory, files))

    def result(self, box: RealBox) -> dict[str, Usage]:
        """The figures, with those of this moment at the end."""
        self.sample(box)
        restarts = {service["name"]: service["restarts"] for service in box.status()["services"]}
        return {
            name: Usage(_span([m for m, _ in seen]), _span([f for _, f in seen]), restarts.get(name, 0))
            for name, seen in self.samples.items()
        }


def _span(values: list[_Number]) -> tuple[_Number, _Number, _Number]:
    return values[0], max(values), values[-1]


if __name__ == "__main__":
    sys.exit(main())
