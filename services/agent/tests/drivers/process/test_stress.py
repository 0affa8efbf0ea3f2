"""Workers killed at random under load: every call is answered, and nothing is left behind."""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from esb_agent.drivers.process.keeper import procfs
from esb_agent.errors import AgentError

SECONDS = 4.0
SLOTS = 4
CODE = (
    "import os, subprocess, time\n"
    "def handler(event, context):\n"
    "    print('call', event)\n"
    "    if event % 11 == 0: subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
    "    if event % 17 == 0: os._exit(1)\n"
    "    if event % 23 == 0: time.sleep(60)\n"
    "    open(os.path.join(os.environ['TMPDIR'], str(event)), 'w').close()\n"
    "    return event\n"
)
# Whether it was handed over or not, a call that is not answered with the result says why.
REFUSED = {409, 410}


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def live_strays(directory):
    return [
        stat.pid for stat in procfs.processes() if stat.alive and procfs.marked(stat.pid, f"{directory}/")
    ]


async def test_whatever_is_killed_every_call_is_answered_and_nothing_is_left(box, call):
    rng = random.Random(7)
    first = await box.worker(CODE, timeout_ms=400, memory_mb=256)
    image, numbers, answers = first.image, iter(range(1, 10**9)), Counter()
    await box.driver.destroy(first.identity.worker_id)
    before, until = open_files(), time.monotonic() + SECONDS

    async def use(slot):
        """One after the other: a worker, calls until it has gone, another worker."""
        run = 0
        while time.monotonic() < until:
            run += 1
            try:
                worker = await box.more(
                    image, worker_id=f"s{slot}-{run}", name="stress", timeout_ms=400, memory_mb=256
                )
            except AgentError:
                answers["not started"] += 1
                continue
            while time.monotonic() < until:
                number = next(numbers)
                try:
                    answer = await call(worker, number)
                except OSError:
                    # Its socket has gone with it: as surely not taken.
                    answers["refused"] += 1
                    break
                if answer.status == 200 and not answer.error:
                    assert json.loads(answer.body) == number
                    answers["result"] += 1
                elif answer.status in REFUSED:
                    answers["refused"] += 1
                else:
                    assert (answer.status, answer.error) == (200, "Unhandled")
                    answers[answer.gone] += 1
                if answer.gone:
                    break
            await box.driver.destroy(worker.identity.worker_id)

    async def kill():
        while time.monotonic() < until:
            await asyncio.sleep(rng.uniform(0.02, 0.15))
            workers = list(box.driver._workers.values())
            victim = rng.choice(workers) if workers else None
            if not victim:
                continue
            what = rng.choice(["kill", "kill", "destroy", "pause"])
            with suppress(AgentError, ProcessLookupError):
                if what == "kill" and victim.process:
                    os.kill(victim.process.pid, signal.SIGKILL)
                elif what == "destroy":
                    await box.driver.destroy(victim.identity.worker_id)
                elif what == "pause":
                    await box.driver.pause(victim.identity.worker_id)
                    await box.driver.resume(victim.identity.worker_id)

    await asyncio.gather(kill(), *(use(slot) for slot in range(SLOTS)))
    for worker in await box.driver.list_workers():
        await box.driver.destroy(worker.identity.worker_id)
    assert answers["result"]
    assert answers["exit"]
    assert procfs.children(box.driver._keeper.pid) == []
    assert live_strays(box.state / "workers") == []
    assert list((box.state / "workers").iterdir()) == []
    assert list((box.state / "s").iterdir()) == []
    assert not box.driver._runs
    # The loop's and the test's own threads come and go; workers would have left six each.
    assert open_files() <= before + 4
    lines = [json.loads(line)["line"] for line in (box.state / "logs/stress.log").read_text().splitlines()]
    # One without a word: the end of a line whose beginning was written when its call's time was over.
    said = Counter(words[0] for line in lines if (words := line.split()))
    assert said["START"] == said["END"] == said["REPORT"]
    assert said["START"] == answers["result"] + answers["exit"] + answers["timeout"]
