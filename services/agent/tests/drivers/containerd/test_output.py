"""Output through FIFOs, as one agent after the other reads it. No containerd is needed."""

import asyncio
import json
import os
import time

import pytest
from esb_agent.drivers.containerd.output import Fifos, Notebook
from esb_agent.drivers.emulator_output import Calls, CallsNote, Output


class Reader:
    """An agent's end of a worker's FIFOs."""

    def __init__(self, folder):
        self.entries, self.calls = [], Calls(5000)
        self.output = Output("w", self.calls, lambda data: self.entries.extend(data.splitlines()))
        self.fifos = Fifos(folder, self.output, self.calls)
        self.fifos.make()
        self.fifos.open()

    @property
    def lines(self):
        return [json.loads(entry)["line"] for entry in self.entries]


@pytest.fixture
def shim(tmp_path):
    """Holds both ends of the FIFO open, as a shim does."""
    os.mkfifo(tmp_path / "stdout")
    file = os.open(tmp_path / "stdout", os.O_RDWR)
    yield file
    os.close(file)


async def test_lines_come_with_their_call_and_the_next_agent_reads_on(tmp_path, shim, until):
    first = Reader(tmp_path)
    os.write(shim, b"before\nSTART RequestId: r1 Version: $LATEST\nin it\n")
    await until(lambda: "in it" in first.lines)
    assert (first.calls.busy, json.loads(first.entries[-1])["request_id"]) == (True, "r1")
    first.fifos.close()
    os.write(shim, b"meanwhile\n")
    second = Reader(tmp_path)
    assert (second.calls.busy, second.calls.invocations) == (True, 1)
    os.write(shim, b"END RequestId: r1\n")
    await until(lambda: not second.calls.busy)
    assert json.loads(second.entries[0])["request_id"] == "r1"
    assert second.lines == ["meanwhile", "END RequestId: r1"]
    second.fifos.close()
    third = Reader(tmp_path)
    assert (third.calls.busy, third.calls.invocations) == (False, 1)
    third.fifos.close()


async def test_what_waits_is_read_when_reading_ends(tmp_path, shim):
    reader = Reader(tmp_path)
    os.write(shim, b"last words\n")
    reader.fifos.close()
    assert (reader.lines, reader.fifos.reading) == (["last words"], False)


async def test_a_closed_end_drains_it(tmp_path):
    reader = Reader(tmp_path)
    for stream in ("stdout", "stderr"):
        file = os.open(tmp_path / stream, os.O_WRONLY)
        os.write(file, stream.encode() + b"\n")
        os.close(file)
    async with asyncio.timeout(5):
        await reader.fifos.drained.wait()
    assert sorted(reader.lines) == ["stderr", "stdout"]


def test_a_notebook_says_what_was_kept_last_and_nothing_when_it_is_broken(tmp_path):
    long, short = CallsNote(invocations=7, request_id="r" * 500, until=time.time()), CallsNote(invocations=8)
    for note in (long, short):
        book = Notebook(tmp_path / "calls")
        book.open()
        book.keep(note)
        book.close()
        book.keep(CallsNote(invocations=99))
        again = Notebook(tmp_path / "calls")
        assert again.open() == note
        again.close()
    for text in ("{", "[]", '{"strange": 1}', "\xff"):
        (tmp_path / "calls").write_text(text, encoding="latin-1")
        broken = Notebook(tmp_path / "calls")
        assert broken.open() == CallsNote()
        broken.close()


async def test_on_a_full_disk_output_is_read_all_the_same(tmp_path, shim, until):
    (tmp_path / "calls").symlink_to("/dev/full")
    reader = Reader(tmp_path)
    os.write(shim, b"START RequestId: r1 Version: $LATEST\n")
    await until(lambda: reader.calls.request_id == "r1")
    os.write(shim, b"after it\n")
    await until(lambda: "after it" in reader.lines)
    reader.fifos.close()
