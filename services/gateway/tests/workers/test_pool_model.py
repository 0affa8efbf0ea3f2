"""A pool under any sequence of events: calls, their ends, deaths, a failing agent, pauses, resizes, time.

The loop's clock is the test's, so that timeouts happen when the machine says so, and never otherwise.
"""

from __future__ import annotations

import asyncio

from esb_gateway.background import Background
from esb_gateway.errors import CallError
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import (
    AgentError,
    AgentRefusedError,
    AgentUnavailableError,
    InitFailedError,
    WorkerInfo,
    WorkerSpec,
    WorkerState,
)
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import PoolLimits, PoolTools, Worker
from esb_gateway.workers.worker_channel import WorkerUnreachedError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

SPEC = WorkerSpec("f", "f:1")


class Loop(asyncio.SelectorEventLoop):
    """Time stands still but for `advance`."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run until nothing is left to do at this time."""
        for _ in range(30):
            self.call_soon(self.stop)
            self.run_forever()


class Agent:
    """Workers as a set; starts, pauses and resumes are answered when the machine says so, and as it says."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.alive: set[str] = set()
        self.dead_channels: set[str] = set()
        self.asked: list[tuple[str, str, asyncio.Future[None]]] = []

    async def _answer(self, what: str, worker_id: str) -> None:
        future = self.loop.create_future()
        self.asked.append((what, worker_id, future))
        await future

    async def ensure(self, worker_id: str, spec: WorkerSpec) -> WorkerInfo:
        await self._answer("ensure", worker_id)
        self.alive.add(worker_id)
        return WorkerInfo(worker_id, "f", worker_id)

    async def pause(self, worker_id: str) -> None:
        await self._answer("pause", worker_id)

    async def resume(self, worker_id: str) -> None:
        await self._answer("resume", worker_id)

    async def destroy(self, worker_id: str) -> None:
        self.alive.discard(worker_id)


class Channel:
    def __init__(self, agent: Agent, worker_id: str) -> None:
        self.agent, self.worker_id = agent, worker_id

    @property
    def alive(self) -> bool:
        return self.worker_id in self.agent.alive - self.agent.dead_channels

    async def connect(self, within: float) -> None:
        if not self.alive:
            raise WorkerUnreachedError(self.worker_id)

    def close(self) -> None:
        pass


class Quiet:
    """A log that hears only of bugs."""

    def __init__(self) -> None:
        self.failures: list[object] = []

    def warning(self, event: str, **fields: object) -> None:
        pass

    def error(self, event: str, **fields: object) -> None:
        self.failures.append(fields)

    info = exception = error


LIMITS = st.builds(
    PoolLimits,
    min=st.integers(0, 3),
    max=st.integers(0, 4),
    queue=st.integers(0, 3),
    idle_timeout=st.just(60.0),
    acquire_timeout=st.just(10.0),
    pause_after=st.sampled_from((None, 5.0)),
)


class PoolMachine(RuleBasedStateMachine):
    """What may happen to a pool, and what must hold whatever does."""

    @initialize(limits=LIMITS)
    def start(self, limits: PoolLimits) -> None:
        self.loop = Loop()
        self.agent, self.log = Agent(self.loop), Quiet()
        self.background = Background(self.log)
        numbers = iter(range(10_000))
        tools = PoolTools(
            agent=self.agent,
            open_channel=lambda address: Channel(self.agent, address),
            new_worker_id=lambda function: f"w{next(numbers)}",
            monotonic=self.loop.time,
            background=self.background.start,
            warn=self.log.warning,
        )
        self.ledger = tools.ledger
        self.adopted = 0
        self.highest = limits.max  # of all limits that workers were started under
        self.pool = Pool(SPEC, limits, FunctionStats(), tools)
        self.waiting: dict[asyncio.Task[Worker], float] = {}
        self.held: list[Worker] = []
        self.draining = False

    def run(self, action) -> None:
        """Do it on the loop, then let everything happen that follows at once."""
        self.loop.call_soon(action)
        self.loop.settle()
        for task in [task for task in self.waiting if task.done()]:
            del self.waiting[task]
            if task.cancelled():
                continue
            error = task.exception()
            if error is None:
                assert task.result() not in self.held, "one worker was given to two calls"
                self.held.append(task.result())
            else:
                assert isinstance(error, CallError | InitFailedError), error

    @rule()
    def call(self) -> None:
        def begin() -> None:
            self.waiting[self.loop.create_task(self.pool.acquire())] = self.loop.time()

        self.run(begin)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 10), dies=st.booleans())
    def end_call(self, which: int, dies: bool) -> None:
        worker = self.held.pop(which % len(self.held))
        if dies:
            self.agent.alive.discard(worker.worker_id)
            self.run(lambda: self.pool.retire(worker, "exit"))
        else:
            self.run(lambda: self.pool.release(worker))

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 10))
    def hang_up(self, which: int) -> None:
        self.run(list(self.waiting)[which % len(self.waiting)].cancel)

    @precondition(lambda self: self.held and self.waiting)
    @rule()
    def hang_up_while_a_worker_is_handed_over(self) -> None:
        worker, first = self.held.pop(), next(iter(self.waiting))

        def both() -> None:
            self.pool.release(worker)
            first.cancel()

        self.run(both)

    @precondition(lambda self: self.agent.asked)
    @rule(
        which=st.integers(0, 10),
        error=st.sampled_from(
            (None, None, None, AgentUnavailableError("away"), AgentRefusedError("no"), InitFailedError(b"{}"))
        ),
    )
    def answer(self, which: int, error: AgentError | None) -> None:
        what, _, future = self.agent.asked.pop(which % len(self.agent.asked))
        if what != "ensure" and isinstance(error, InitFailedError):
            error = None

        def give() -> None:
            if not future.done():
                future.set_exception(error) if error else future.set_result(None)

        self.run(give)

    @rule(seconds=st.sampled_from((0.1, 1.0, 6.0, 11.0, 61.0)))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds
        self.run(self.pool.tend)

    @rule()
    def idle_workers_die_unseen(self) -> None:
        rested = self.pool.resting()
        self.agent.alive -= {worker.worker_id for worker in rested[:2]}
        self.run(lambda: self.pool.bury_missing(rested, set(self.agent.alive)))

    @rule(paused=st.booleans(), reachable=st.booleans())
    def stray_turns_up(self, paused: bool, reachable: bool) -> None:
        self.adopted += 1
        worker_id = f"old{self.adopted}"
        self.agent.alive.add(worker_id)
        if not reachable:
            self.agent.dead_channels.add(worker_id)
        state = WorkerState.PAUSED if paused else WorkerState.READY

        def offer() -> None:
            if not self.pool.adopt(WorkerInfo(worker_id, "f", worker_id, state=state)):
                self.ledger.end(worker_id)

        self.run(offer)

    @rule(limits=LIMITS)
    def resize(self, limits: PoolLimits) -> None:
        self.highest = max(self.highest, limits.max)
        self.run(lambda: self.pool.resize(limits))

    @precondition(lambda self: not self.draining)
    @rule(really=st.sampled_from((True, False, False, False)))
    def drain(self, really: bool) -> None:
        if really:
            self.draining = True
            self.run(self.pool.drain)

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "pool"):
            return
        pool = self.pool
        assert pool.size <= self.highest
        assert pool.size == pool.idle + pool.paused + pool.busy + pool.starting
        assert pool.busy == len(self.held), "the pool's busy workers are those that calls hold"
        assert pool.waiting == len(self.waiting), "who waits is in line, and nobody else"
        ids = [worker_id for worker_id, _ in pool.members()]
        assert len(ids) == len(set(ids)), "a worker is in one place"
        if pool.waiting and pool.size < pool.limits.max:
            assert pool.starting >= pool.waiting, "a worker comes for each call in line"
        if pool.waiting:
            assert pool.idle == 0
        late = [since for since in self.waiting.values() if self.loop.time() - since > 10.0]
        assert not late, "nobody waits for longer than the acquire timeout"
        # What lives is a member, or is being asked for; nothing is forgotten.
        assert self.agent.alive - set(ids) <= self.ledger.doomed
        assert not self.log.failures

    def release_all(self) -> None:
        while self.held:
            worker = self.held.pop()
            self.run(lambda worker=worker: self.pool.release(worker))

    def teardown(self) -> None:
        """Whatever happened: when all calls end and the pool closes, nothing is left."""
        if not hasattr(self, "pool"):
            return
        self.release_all()
        self.run(self.pool.close)
        for _ in range(5):
            for _, _, future in self.agent.asked:
                if not future.done():
                    future.set_result(None)
            self.agent.asked.clear()
            self.loop.now += 1
            self.loop.settle()
        self.release_all()
        assert not self.waiting
        assert self.pool.size == 0
        assert self.agent.alive <= self.ledger.doomed
        self.loop.run_until_complete(self.background.settle(0))
        self.loop.close()


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
