"""Output in, lines out."""

import os
import time
from functools import partial

import pytest
from esb_agent.drivers.process.capture import MAX_LINE_BYTES, Capture


@pytest.fixture
def written():
    return []


@pytest.fixture
def capture(written):
    return Capture(written.extend)


async def test_whole_lines_are_written_as_they_come(capture, written):
    writer = capture.open()
    os.write(writer, "one\ntwo ✓\nthr".encode())
    capture._read()
    assert written == [b"one", "two ✓".encode()]
    os.write(writer, b"ee\n")
    os.close(writer)
    capture.drain()
    assert written[2:] == [b"three"]


async def test_draining_ends_an_unfinished_line_so_that_it_stays_with_its_call(capture, written):
    writer = capture.open()
    os.write(writer, b"first, no newline")
    capture.drain()
    written.append("the next call")
    os.write(writer, b"second\n")
    capture.drain()
    assert written == [b"first, no newline", "the next call", b"second"]
    os.close(writer)
    capture.close()


async def test_an_endless_line_is_cut(capture, written):
    writer = capture.open()
    os.set_blocking(writer, False)
    for _ in range(2 * MAX_LINE_BYTES // 4096):
        os.write(writer, b"x" * 4096)
        capture._read()
    assert list(map(len, written)) == [MAX_LINE_BYTES, MAX_LINE_BYTES]
    os.close(writer)
    capture.close()


async def test_a_flood_of_empty_lines_costs_its_readers_little(tmp_path, call_log):
    capture = Capture(partial(call_log.output, "stdout"))
    writer = capture.open()
    os.set_blocking(writer, False)
    os.write(writer, b"\n" * 16384)
    started = time.process_time()
    capture._read()
    # It was 70 ms, in which no other worker was served; it is about 5.
    assert time.process_time() - started < 0.05
    os.close(writer)
    capture.close()
    assert (tmp_path / "f.log").read_bytes().count(b"\n") == 16384
