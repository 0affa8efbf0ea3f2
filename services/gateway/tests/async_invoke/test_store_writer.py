import asyncio
import gc
import resource
import sqlite3
import weakref

import pytest
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import open_store
from esb_gateway.async_invoke.store_writer import StoreWriter
from esb_gateway.workers.invoker import Call


def event(number: int, body: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent("f", Call(str(number), "t", "", body), 0.0)


async def test_what_is_asked_for_together_is_committed_together(tmp_path):
    store = open_store(tmp_path)
    commits = 0
    together = store.together

    def counted(work):
        nonlocal commits
        commits += 1
        return together(work)

    store.together = counted
    writer = StoreWriter(store)
    seqs = await asyncio.gather(*(writer.do(lambda store, n=n: store.add(event(n))) for n in range(200)))
    assert seqs == sorted(seqs)
    assert commits < 100
    await writer.close()
    again = open_store(tmp_path)
    assert len(again.load()) == 200
    again.close()


async def test_one_that_fails_takes_nobody_with_it(tmp_path):
    writer = StoreWriter(open_store(tmp_path))

    def fail(store) -> None:
        raise ValueError("mine")

    results = await asyncio.gather(
        *(writer.do(lambda store, n=n: store.add(event(n)) if n != 3 else fail(store)) for n in range(8)),
        return_exceptions=True,
    )
    assert [str(result) for result in results if isinstance(result, Exception)] == ["mine"]
    assert len(await writer.do(lambda store: store.load())) == 7
    await writer.close()
    with pytest.raises(sqlite3.ProgrammingError):
        writer.do(lambda store: store.load())


async def test_a_full_disk_fails_what_was_asked_for_and_nothing_later(tmp_path):
    writer = StoreWriter(open_store(tmp_path))
    await writer.do(lambda store: store.add(event(1)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(sqlite3.Error):
            await writer.do(lambda store: store.add(event(2, b"x" * 1_000_000)))
        await writer.do(lambda store: store.add(event(3)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await writer.do(lambda store: store.add(event(4, b"x" * 1_000_000)))
    await writer.close()
    again = open_store(tmp_path)
    assert [row.request_id for row in again.load()] == ["1", "3", "4"]
    again.close()


async def test_large_events_are_committed_few_at_a_time_and_not_kept(tmp_path):
    """SQLite copies what it inserts, and a thread that waits keeps what it had in hand."""
    store, sizes = open_store(tmp_path), []
    add_all = store.add_all

    def measured(events):
        sizes.append(sum(len(event.call.body) for event in events))
        return add_all(events)

    store.add_all = measured
    writer = StoreWriter(store)
    events = [event(n, b"x" * 1_000_000) for n in range(60)]
    watched = weakref.WeakSet(events)
    await asyncio.gather(*(writer.add(event) for event in events))
    assert sum(sizes) == 60_000_000
    assert max(sizes) < 10_000_000
    events.clear()
    await asyncio.sleep(0.05)
    gc.collect()
    assert not watched
    await writer.close()


async def test_the_files_stay_small_under_a_steady_load(tmp_path):
    writer, largest = StoreWriter(open_store(tmp_path)), 0
    for _ in range(60):
        seqs = await asyncio.gather(*(writer.add(event(n, b"x" * 10_000)) for n in range(32)))
        await writer.do(lambda store, seqs=seqs: store.finish(seqs))
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert largest < 10_000_000  # 19 MB went through
    await writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["events.db"]
