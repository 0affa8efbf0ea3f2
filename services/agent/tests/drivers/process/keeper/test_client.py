"""The agent's end of the keeper, with a real keeper."""

import asyncio
import os
import signal
import socket
import sys

import pytest
from esb_agent.drivers.process.keeper import procfs
from esb_agent.drivers.process.keeper.client import KeeperClient
from esb_agent.drivers.process.keeper.messages import Failed, Spawn, encode
from esb_agent.errors import BadRequestError, ConfigError, DriverError


@pytest.fixture
def events():
    return asyncio.Queue()


@pytest.fixture
async def keeper(events):
    client = KeeperClient(
        sys.executable, lambda *exited: events.put_nowait(exited), lambda: events.put_nowait("lost")
    )
    client.ready = await client.start()
    yield client
    await client.stop()


def alive(pid):
    stat = procfs.read_stat(pid)
    return stat is not None and stat.alive


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield writer
    os.close(reader)
    os.close(writer)


def script(worker, text, **values):
    return Spawn(
        **{
            "worker": worker,
            "arguments": ["/bin/sh", "-c", text],
            "environment": {"PATH": "/usr/bin:/bin", procfs.MARKER: f"/w/{worker}"},
            "directory": "/",
            "data_bytes": 2**30,
            "fork": False,
            **values,
        }
    )


async def test_it_says_what_interpreter_it_is(keeper):
    assert keeper.ready.python == ".".join(map(str, sys.version_info[:3]))
    assert keeper.ready.client
    assert "json" in keeper.ready.preloaded
    assert keeper.ready.pid == keeper.pid


async def test_a_worker_is_started_and_its_end_reported(keeper, events, pipe):
    started = await keeper.spawn(script("w1", "exit 3"), pipe, pipe)
    assert started.pid > 0
    assert await asyncio.wait_for(events.get(), 5) == ("w1", 3 << 8)


async def test_it_leads_a_session_of_its_own_and_inherits_nothing(keeper, pipe, tmp_path, until):
    note = tmp_path / "note"
    text = f"(ls /proc/$$/fd; env; ulimit -d) > {note}.tmp; mv {note}.tmp {note}; sleep 1000"
    started = await keeper.spawn(script("w1", text), pipe, pipe)
    await until(note.exists)
    lines = note.read_text().split()
    # 10 is where dash keeps its own output while it redirects.
    assert [line for line in lines if line.isdigit() and line != "10"] == ["0", "1", "2", str(2**30 // 1024)]
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names <= {"PATH", procfs.MARKER, "PWD", "OLDPWD", "SHLVL", "_"}
    stat = procfs.read_stat(started.pid)
    assert (stat.session, stat.group, stat.parent) == (started.pid, started.pid, keeper.pid)


async def test_a_program_that_is_not_there_ends_at_once(keeper, events, pipe):
    await keeper.spawn(script("w1", "", arguments=["/nowhere"]), pipe, pipe)
    assert await asyncio.wait_for(events.get(), 5) == ("w1", 127 << 8)


async def test_a_directory_that_is_not_there_ends_at_once(keeper, events, pipe):
    await keeper.spawn(script("w1", "exit 0", directory="/nowhere"), pipe, pipe)
    assert await asyncio.wait_for(events.get(), 5) == ("w1", 126 << 8)


async def test_a_killed_worker_takes_its_children_along(keeper, events, pipe, tmp_path, until):
    note = tmp_path / "note"
    text = f"sleep 1000 & a=$!; setsid sleep 1000 & echo $a $! > {note}.tmp; mv {note}.tmp {note}; wait"
    await keeper.spawn(script("w1", text), pipe, pipe)
    await until(note.exists)
    keeper.kill("w1")
    assert await asyncio.wait_for(events.get(), 5) == ("w1", signal.SIGKILL)
    for pid in map(int, note.read_text().split()):
        assert not alive(pid)


async def test_signals_to_a_worker_that_has_ended_go_nowhere(keeper, events, pipe):
    await keeper.spawn(script("w1", "exit 0"), pipe, pipe)
    await asyncio.wait_for(events.get(), 5)
    keeper.kill("w1")
    keeper.kill("never was")
    await keeper.spawn(script("w2", "exit 0"), pipe, pipe)
    assert (await asyncio.wait_for(events.get(), 5))[0] == "w2"


async def test_many_starts_at_once_all_come_about(keeper, events, pipe):
    started = await asyncio.gather(*(keeper.spawn(script(f"w{i}", "exit 0"), pipe, pipe) for i in range(50)))
    assert len({one.pid for one in started}) == 50
    ended = {(await asyncio.wait_for(events.get(), 20))[0] for _ in range(50)}
    assert ended == {f"w{i}" for i in range(50)}


async def test_a_spawn_too_large_for_a_packet_is_refused(keeper, pipe):
    with pytest.raises(BadRequestError, match="at most"):
        await keeper.spawn(script("w1", "x" * 500_000), pipe, pipe)


async def test_a_keeper_that_is_killed_takes_its_workers_along_and_is_missed(keeper, events, pipe, until):
    started = await keeper.spawn(script("w1", "sleep 1000"), pipe, pipe)
    os.kill(keeper.pid, signal.SIGKILL)
    assert await asyncio.wait_for(events.get(), 5) == "lost"
    await until(lambda: not alive(started.pid))
    with pytest.raises(DriverError):
        await keeper.spawn(script("w2", "exit 0"), pipe, pipe)


async def test_stopping_ends_everything(events, pipe):
    client = KeeperClient(sys.executable, lambda *_: None, lambda: None)
    await client.start()
    started = await client.spawn(script("w1", "trap '' TERM HUP; sleep 1000"), pipe, pipe)
    await client.stop()
    assert not alive(started.pid)


@pytest.mark.parametrize("python", ["/bin/true", "/nowhere/python"])
async def test_what_is_no_interpreter_is_told(python, capfd):
    with pytest.raises(ConfigError, match=python):
        await KeeperClient(python, lambda *_: None, lambda: None).start()


async def test_an_agent_that_goes_without_reading_its_news_is_noticed_too(events, pipe, until):
    client = KeeperClient(sys.executable, lambda *_: None, lambda: None)
    await client.start()
    started = await client.spawn(script("w1", "setsid sleep 1000 & wait"), pipe, pipe)
    for number in range(20):
        client.signal("w1", 0)
        await client._send(encode(script(f"x{number}", "exit 0")), [pipe, pipe])
    await until(lambda: len(procfs.family(started.pid)) == 2)
    family = procfs.family(started.pid)
    await client.stop()
    assert not [pid for pid in family if alive(pid)]


async def test_a_start_given_up_before_it_was_sent_is_reported_as_ended(keeper, events, pipe, monkeypatch):
    tried = asyncio.Event()

    def full(*_):
        tried.set()
        raise BlockingIOError

    monkeypatch.setattr(socket, "send_fds", full)
    task = asyncio.create_task(keeper.spawn(script("w1", "exit 0"), pipe, pipe))
    await tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(events.get(), 5) == ("w1", signal.SIGKILL)


async def test_a_start_that_fails_after_it_was_given_up_is_reported_as_ended(keeper, events):
    keeper._hear(Failed("w1", "no memory"))
    assert await asyncio.wait_for(events.get(), 5) == ("w1", signal.SIGKILL)
