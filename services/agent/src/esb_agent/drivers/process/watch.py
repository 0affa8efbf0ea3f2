"""The memory limit: resident memory of a worker and all it started, looked at while it works.

No control groups are assumed. Granularity: every 100 ms, every 20 ms once any worker is over 70 % of its
limit; in between a worker may exceed it by what it can touch in that time. `RLIMIT_DATA` (limit + 1 GiB a
process) refuses single allocations far beyond it: there the function sees a MemoryError. An idle worker is
not looked at.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable

import structlog

from esb_agent.drivers.process.keeper import procfs
from esb_agent.drivers.process.payloads import out_of_memory
from esb_agent.drivers.process.worker import ProcessWorker
from esb_agent.model import WorkerState

INTERVAL_SECONDS = 0.1
NEAR_INTERVAL_SECONDS = 0.02
NEAR = 0.7
MIB = 1024 * 1024
log = structlog.get_logger()
WATCHED = {WorkerState.STARTING, WorkerState.BUSY}
DATA_SLACK_BYTES = 1024 * MIB


def data_limit_bytes(memory_mb: int) -> int:
    """RLIMIT_DATA of each process: room for threads' stacks and what is reserved and never touched."""
    return memory_mb * MIB + DATA_SLACK_BYTES


async def watch_memory(workers: Callable[[], Iterable[ProcessWorker]], keeper_pid: Callable[[], int]) -> None:
    """Until cancelled: kill workers over their limit. A look that fails is told once, and tried again."""
    told = False
    while True:
        fullest = 0.0
        busy = [worker for worker in workers() if worker.process and worker.state in WATCHED]
        try:
            for worker in busy:
                worker.show_start()
            if busy:
                fullest = check_memory(busy, strays(workers(), keeper_pid()))
                told = False
        except OSError as error:
            if not told:
                log.error("memory limits cannot be watched", error=str(error))  # noqa: TRY400 - it says it all
            told = True
        await asyncio.sleep(NEAR_INTERVAL_SECONDS if fullest > NEAR else INTERVAL_SECONDS)


def check_memory(workers: Iterable[ProcessWorker], orphans: Collection[int]) -> float:
    """One look. Returns how full the fullest that may live on is, 1 at its limit."""
    fullest = 0.0
    for worker in workers:
        used = procfs.resident_bytes(worker_processes(worker, orphans))
        worker.rss_peak_bytes = max(worker.rss_peak_bytes, used)
        share = used / (worker.spec.memory_mb * MIB)
        if share > 1:
            worker.end(out_of_memory(worker.spec.memory_mb))
        else:
            fullest = max(fullest, share)
    return fullest


def worker_processes(worker: ProcessWorker, orphans: Collection[int]) -> list[int]:
    """The worker and all it started, as far as still there."""
    if worker.process is None:
        return []
    return procfs.members(worker.process.pid, str(worker.paths.directory), orphans)


def strays(workers: Iterable[ProcessWorker], keeper_pid: int) -> list[int]:
    """What workers started and detached from themselves: the keeper's children that are no workers."""
    leaders = {worker.process.pid for worker in workers if worker.process}
    return [pid for pid in procfs.children(keeper_pid) if pid not in leaders]
