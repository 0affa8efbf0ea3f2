"""What is logged of a call, as AWS words it."""

import base64
import json
import re

import pytest
from esb_agent.drivers.process.exchange import Call
from esb_agent.drivers.process.payloads import crashed, out_of_memory, timed_out

MIB = 1024 * 1024


@pytest.fixture
def logged(tmp_path):
    def read():
        return [json.loads(line) for line in (tmp_path / "f.log").read_text("utf-8").splitlines()]

    return read


def new_call(request_id=b"id-1", *, trace=b"", tail=False):
    return Call(None, request_id, b"", b"", 3.0, trace=trace, tail=tail)


def tail_of(header):
    return base64.b64decode(header.removeprefix(b"X-Esb-Log-Result: ").removesuffix(b"\r\n"))


def test_a_call_is_framed_by_start_end_and_report(call_log, logged):
    call_log.started(new_call(trace=b"Root=1-abc"))
    call_log.output("stdout", ["hällo".encode()])
    assert call_log.finished(None) == b""
    assert [(entry["stream"], entry["line"].split("\t")[0]) for entry in logged()] == [
        ("platform", "START RequestId: id-1 Version: $LATEST"),
        ("stdout", "hällo"),
        ("platform", "END RequestId: id-1"),
        ("platform", "REPORT RequestId: id-1"),
    ]
    assert {(e["worker"], e["request_id"], e["trace_id"]) for e in logged()} == {("w1", "id-1", "1-abc")}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["time"]) for e in logged())


def test_the_first_report_has_the_initialisation_and_bills_it_the_next_has_not(call_log, logged):
    for request_id in (b"id-1", b"id-2"):
        call_log.started(new_call(request_id))
        call_log.finished(None)
    first, second = (entry["line"] for entry in logged() if entry["line"].startswith("REPORT"))
    assert re.fullmatch(
        r"REPORT RequestId: id-1\tDuration: 0\.\d\d ms\tBilled Duration: 25[01] ms\tMemory Size: 128 MB"
        r"\tMax Memory Used: 70 MB\tInit Duration: 250\.00 ms\t",
        first,
    )
    assert re.fullmatch(
        r"REPORT RequestId: id-2\tDuration: 0\.\d\d ms\tBilled Duration: 1 ms\tMemory Size: 128 MB"
        r"\tMax Memory Used: 70 MB\t",
        second,
    )


def test_no_more_memory_is_reported_than_there_is(call_log, logged, measures):
    measures.peak_bytes = 500 * MIB
    call_log.started(new_call())
    call_log.finished(None)
    assert "Max Memory Used: 128 MB" in logged()[-1]["line"]


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        (b"Root=1-a;Parent=b;Sampled=1", "XRAY TraceId: 1-a\tSegmentId: b\tSampled: true\t"),
        (b"Root=1-a", "XRAY TraceId: 1-a\t"),
        (b"Root=1-a;Parent=b;Sampled=0", ""),
        (b"Parent=b;Sampled=1", ""),
        (b"", ""),
    ],
)
def test_the_report_names_the_trace_unless_it_is_not_sampled(call_log, logged, trace, line):
    call_log.started(new_call(trace=trace))
    call_log.finished(None)
    assert logged()[-1]["line"].partition("\n")[2] == line


@pytest.mark.parametrize(
    ("ending", "said", "status"),
    [
        (timed_out(3.0), ["id-1 Task timed out after 3.00 seconds"], "Status: timeout"),
        (
            crashed(256),
            ["RequestId: id-1 Error: Runtime exited with error: exit status 1", "Runtime.ExitError"],
            "Status: error\tError Type: Runtime.ExitError",
        ),
        (
            out_of_memory(128),
            ["RequestId: id-1 Error: Runtime exited with error: signal: killed", "Runtime.OutOfMemory"],
            "Status: error\tError Type: Runtime.OutOfMemory",
        ),
    ],
)
def test_a_worker_that_ends_with_its_call_says_so(call_log, logged, ending, said, status):
    call_log.started(new_call())
    call_log.finished(ending)
    _, *between, end, report = (entry["line"] for entry in logged())
    assert [line.endswith(text) for line, text in zip(between, said, strict=True)] == [True] * len(said)
    assert end == "END RequestId: id-1"
    assert report.endswith(f"{status}\t")


def test_who_asks_gets_exactly_this_calls_log(call_log, logged):
    call_log.output("stdout", [b"at start"])
    for request_id, tail in ((b"id-1", False), (b"id-2", True)):
        call_log.started(new_call(request_id, tail=tail))
        call_log.output("stderr", [b"of " + request_id, b"\xff"])
        header = call_log.finished(None)
    call_log.output("stdout", [b"later"])
    start, first, second, end, report, rest = tail_of(header).split(b"\n")
    assert (start, end) == (b"START RequestId: id-2 Version: $LATEST", b"END RequestId: id-2")
    assert (first, second, rest) == (b"of id-2", "\ufffd".encode(), b"")
    assert report.startswith(b"REPORT RequestId: id-2\tDuration: ")
    assert [entry["request_id"] for entry in logged() if entry["line"] in ("at start", "later")] == ["", ""]


def test_of_much_output_the_last_four_kilobytes_are_given(call_log):
    call_log.started(new_call(tail=True))
    for number in range(10_000):
        call_log.output("stdout", [b"line %d" % number])
    tail = tail_of(call_log.finished(None))
    assert len(tail) == 4096
    assert b"line 9999\nEND RequestId: id-1\nREPORT" in tail


@pytest.mark.parametrize("line", ["ab€" * 2000, "😀" * 2000, "\ufffd" * 3000])
def test_a_tail_begins_with_a_whole_character(call_log, line):
    for shift in range(4):
        call_log.started(new_call(tail=True))
        call_log.output("stdout", [line.encode() + b"." * shift])
        tail = tail_of(call_log.finished(None))
        assert 4092 < len(tail) <= 4096
        assert tail.decode().split("\n")[0].rstrip(".") in line


def test_a_tail_is_text_whatever_was_printed(call_log, logged):
    call_log.started(new_call(tail=True))
    call_log.output("stdout", [b"\xff\xfe" * 4000 + b"end"])
    tail = tail_of(call_log.finished(None))
    assert len(tail) <= 4096
    assert tail.decode().split("\n")[0] in logged()[1]["line"]


def test_the_start_of_a_silent_call_can_be_shown_before_its_end(call_log, logged):
    call_log.started(new_call())
    call_log.show_start()
    call_log.show_start()
    assert [entry["line"] for entry in logged()] == ["START RequestId: id-1 Version: $LATEST"]
    call_log.finished(None)
    assert len(logged()) == 3


def test_bytes_that_are_no_text_and_control_characters_make_valid_json(call_log, logged):
    call_log.output("stdout", [b"\xff\xfe \x00\x1b[31m \r\xe2\x82"])
    call_log.started(new_call(trace=b'Root="\n\x00'))
    call_log.finished(None)
    assert logged()[0]["line"].startswith("\ufffd\ufffd \x00\x1b[31m \r")
    assert logged()[1]["trace_id"] == '"\n\x00'
