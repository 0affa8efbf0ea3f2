"""The errors a platform reports for functions that cannot, worded as AWS Lambda words them."""

import json
import os
import signal
from datetime import UTC, datetime

from attrs import frozen

from esb_agent.drivers.function_error import error_json


@frozen
class Ending:
    """How a worker ended.

    `kind` for the gateway's header, the error of the call it held, `reason` for lists and logs.
    """

    kind: str
    error_type: str
    message: str
    reason: str
    asked_for: bool = False

    @property
    def cause(self) -> str:
        """In a word, for counting."""
        return "destroyed" if self.asked_for else self.kind


def status_text(status: int) -> str:
    """A wait(2) status in words: `exit status 3`, `signal: killed`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}"


def crashed(status: int) -> Ending:
    """It exited or was killed by something else than this agent."""
    text = status_text(status)
    message = f"Runtime exited with error: {text}" if status else "Runtime exited without providing a reason"
    return Ending("exit", "Runtime.ExitError", f"Error: {message}", text)


def destroyed(why: str) -> Ending:
    """This agent ended it on request."""
    message = "Error: Runtime exited with error: signal: killed"
    return Ending("exit", "Runtime.ExitError", message, why, asked_for=True)


def out_of_memory(limit_mb: int) -> Ending:
    """It was killed for using more memory than it may."""
    message = "Error: Runtime exited with error: signal: killed"
    return Ending("oom", "Runtime.OutOfMemory", message, f"out of memory: more than {limit_mb} MB")


def timed_out(seconds: float) -> Ending:
    """It was killed for not answering in time."""
    message = f"Task timed out after {seconds:.2f} seconds"
    return Ending("timeout", "Sandbox.Timedout", message, f"timeout: no answer within {seconds:.2f} seconds")


def ending_text(ending: Ending, request_id: str, now: float) -> str:
    """What becomes of the call in flight, in a line.

    A timeout's starts with the time, any other with `RequestId:`.
    """
    if ending.kind == "timeout":
        time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{time} {request_id} {ending.message}"
    return f"RequestId: {request_id} {ending.message}"


def ending_json(ending: Ending, request_id: str, now: float) -> bytes:
    """The same as the call's error."""
    return error_json(ending.error_type, ending_text(ending, request_id, now))


def error_type(payload: str) -> str:
    """Of an error's JSON; a runtime may leave it out."""
    try:
        return str(json.loads(payload)["errorType"])
    except (ValueError, KeyError, TypeError):
        return "Runtime.Unknown"


def init_timed_out(seconds: float) -> bytes:
    """The function did not come as far as asking for its first call."""
    return error_json("Sandbox.Timedout", f"Init timed out after {seconds:.2f} seconds")


def init_ended(ending: Ending) -> bytes:
    """The function's process ended before that, without saying why."""
    return error_json(ending.error_type, ending.message)
