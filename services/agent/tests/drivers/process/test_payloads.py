"""Errors worded as Lambda words them."""

import json

import pytest
from esb_agent.drivers.process.payloads import (
    crashed,
    ending_json,
    init_timed_out,
    out_of_memory,
    status_text,
    timed_out,
)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exit status 0"),
        (256, "exit status 1"),
        (9, "signal: killed"),
        (11, "signal: segmentation fault"),
        (6, "signal: aborted"),
        (15, "signal: terminated"),
    ],
)
def test_a_wait_status_in_words(status, text):
    assert status_text(status) == text


@pytest.mark.parametrize(
    ("ending", "kind", "message"),
    [
        (crashed(256), "Runtime.ExitError", "RequestId: r Error: Runtime exited with error: exit status 1"),
        (crashed(0), "Runtime.ExitError", "RequestId: r Error: Runtime exited without providing a reason"),
        (
            out_of_memory(128),
            "Runtime.OutOfMemory",
            "RequestId: r Error: Runtime exited with error: signal: killed",
        ),
        (timed_out(3), "Sandbox.Timedout", "2023-11-14T22:13:20.500Z r Task timed out after 3.00 seconds"),
    ],
)
def test_the_error_of_the_call_in_hand(ending, kind, message):
    assert json.loads(ending_json(ending, "r", 1_700_000_000.5)) == {
        "errorType": kind,
        "errorMessage": message,
    }


def test_an_init_timeout():
    assert json.loads(init_timed_out(10))["errorMessage"] == "Init timed out after 10.00 seconds"
