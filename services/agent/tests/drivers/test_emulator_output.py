"""An emulator's output, as a real one printed it, in the pieces the engine gives."""

import json

import pytest
from esb_agent.drivers.emulator_output import Calls, Output, last_written, since
from hypothesis import given
from hypothesis import strategies as st


class Box:
    def __init__(self, timeout_ms=3000, written=""):
        self.starts = self.ends = 0
        self.calls = Calls(timeout_ms, self.on_start, self.on_end)
        self.raw = b""
        self.output = Output("w1", self.calls, self.write, written)
        self.nanos = 0

    def on_start(self):
        self.starts += 1

    def on_end(self):
        self.ends += 1

    def write(self, data):
        self.raw += data

    @property
    def entries(self):
        return [json.loads(line) for line in self.raw.splitlines()]

    def feed(self, *lines, stream="stdout", day="2100-01-01"):
        pieces = []
        for line in lines:
            self.nanos += 1_000_000
            pieces.append((stream, f"{day}T00:00:00.{self.nanos:09d}Z ".encode() + line))
        self.output.feed(pieces)


START = b"START RequestId: r1 Version: $LATEST\n"
END = b"END RequestId: r1\n"
REPORT = b"REPORT RequestId: r1\tDuration: 2.55 ms\tBilled Duration: 3 ms\tMemory Size: 256 MB\t\n"


@pytest.fixture
def box():
    return Box()


def test_a_calls_lines_are_the_platforms_and_what_it_printed_is_told_by_its_request(box):
    box.feed(b"initialised\n", START, b"hello\n", END, REPORT, b"later\n")
    assert [(e["stream"], e["request_id"]) for e in box.entries] == [
        ("stdout", ""),
        ("platform", "r1"),
        ("stdout", "r1"),
        ("platform", "r1"),
        ("platform", "r1"),
        ("stdout", ""),
    ]
    assert box.entries[2] == {
        "time": "2100-01-01T00:00:00.003Z",
        "worker": "w1",
        "stream": "stdout",
        "request_id": "r1",
        "trace_id": "",
        "line": "hello",
    }


def test_a_call_is_under_way_from_start_to_end(box):
    assert not box.calls.busy
    box.feed(START)
    assert box.calls.busy
    box.feed(END)
    assert not box.calls.busy
    assert (box.starts, box.ends, box.calls.invocations) == (1, 1, 1)


def test_a_start_that_nothing_follows_is_busy_no_longer_than_a_call_may_last(box):
    box.feed(START, day="2020-01-01")
    assert not box.calls.busy


def test_an_unfinished_line_before_the_end_is_kept_apart(box):
    box.feed(START, b"no newline" + END)
    assert [(e["stream"], e["line"]) for e in box.entries[1:]] == [
        ("stdout", "no newline"),
        ("platform", "END RequestId: r1"),
    ]
    assert not box.calls.busy


def test_the_emulators_own_words_are_left_out_unless_it_warns(box):
    box.feed(
        b"24 Nov 2026 01:46:42,299 [INFO] (rapid) INIT REPORT(durationMs: 62.882000)\n",
        b"24 Nov 2026 01:46:42,321 [WARNING] (rapid) Process runtime-5 exited: signal: killed\n",
        stream="stderr",
    )
    assert [(e["stream"], e["line"]) for e in box.entries] == [
        ("platform", "Process runtime-5 exited: signal: killed")
    ]


def test_errors_are_counted_once_a_call(box):
    box.feed(START, b"[ERROR] ValueError: no\rTraceback (most recent call last):\r  File\n", END, REPORT)
    box.feed(START)
    for _ in range(2):
        box.feed(
            b"24 Nov 2026 01:46:42,321 [ERROR] (rapid) Invoke failed error=x InvokeID=r1\n", stream="stderr"
        )
    box.feed(START, b"[ERROR]\tlogged by the function\n", END)
    assert (box.calls.invocations, box.calls.errors) == (3, 2)


def test_long_lines_come_in_parts_and_are_one(box):
    box.feed(b"a" * 16384, b"a" * 16384, b"b\n")
    assert [len(e["line"]) for e in box.entries] == [2 * 16384 + 1]
    assert box.entries[0]["time"].endswith("00.001Z")


def test_a_line_without_end_is_cut(box):
    box.feed(*[b"a" * 16384] * 5)
    assert [len(e["line"]) for e in box.entries] == [65536]
    box.output.flush()
    assert [len(e["line"]) for e in box.entries] == [65536, 16384]


def test_streams_do_not_mix(box):
    box.feed(b"out")
    box.feed(b"err\n", stream="stderr")
    box.feed(b"put\n")
    assert [(e["stream"], e["line"]) for e in box.entries] == [("stderr", "err"), ("stdout", "output")]


def test_what_stands_in_the_log_already_is_not_written_again_but_counts():
    box = Box(written="2100-01-01T00:00:00.002Z")
    box.feed(START, b"known\n", b"new\n")
    assert [e["line"] for e in box.entries] == ["new"]
    assert box.calls.busy


def test_the_last_entry_of_a_worker_is_found_in_its_functions_log(tmp_path):
    log = tmp_path / "f.log"
    assert last_written(log, "w1") == ""
    lines = [
        {"time": t, "worker": w, "stream": "stdout", "line": "x"}
        for t, w in (("1", "w1"), ("2", "w1"), ("3", "w2"))
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + "half a li")
    assert (last_written(log, "w1"), last_written(log, "w2"), last_written(log, "w3")) == ("2", "3", "")


@pytest.mark.parametrize(
    ("stamp", "after"),
    [
        (b"1970-01-01T00:00:01.5Z", "1.500000001"),
        (b"1970-01-01T00:00:01Z", "1.000000001"),
        (b"1970-01-01T00:00:01.000000009Z", "1.000000010"),
        (b"1970-01-01T00:00:01.999999999Z", "2.000000000"),
    ],
)
def test_reading_goes_on_just_after_the_last_piece(stamp, after):
    assert since(stamp) == after


@given(st.lists(st.binary(max_size=80)))
def test_any_output_becomes_entries(lines):
    box = Box()
    box.feed(*lines)
    box.output.flush()
    assert all({"time", "worker", "stream", "request_id", "trace_id", "line"} == set(e) for e in box.entries)
