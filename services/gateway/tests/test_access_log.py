import io
import json

from esb_gateway.access_log import AccessLog

FUNCTIONS = {"f": {"image": "x"}}
ROUTES = [{"path": "/a/{id}", "function": "f"}]


async def test_every_request_is_one_json_line(gateway, agent, helpers):
    async def respond(seen):
        return helpers.answer({"statusCode": 200})

    agent.handlers["f"] = respond
    stream = io.BytesIO()
    async with gateway(FUNCTIONS, ROUTES, deps={"access_stream": stream}) as box:
        invoke = await box.invoke("f", {})
        route = await box.client.get("/a/1?secret=yes")
        await box.invoke("nobody", {})
        await box.client.get("/nothing")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert all(line.pop("duration_ms") >= 0 for line in lines)
    assert all(line.pop("timestamp").endswith("Z") for line in lines)
    assert [line["status"] for line in lines] == [200, 200, 404, 403]
    assert lines[0] == {
        "event": "request",
        "level": "info",
        "door": "invoke",
        "request_id": invoke.headers["x-amzn-requestid"],
        "trace_id": invoke.headers["x-amzn-trace-id"],
        "function": "f",
        "status": 200,
    }
    assert lines[1] == {
        "event": "request",
        "level": "info",
        "door": "route",
        "request_id": route.headers["x-amzn-requestid"],
        "trace_id": route.headers["x-amzn-trace-id"],
        "method": "GET",
        "path": "/a/1",
        "function": "f",
        "status": 200,
    }
    assert lines[2]["error"].startswith("ResourceNotFoundException: Function not found")
    assert lines[3]["error"].startswith("UnknownRouteError")


def line(now: float, seconds: float) -> dict[str, object]:
    stream, later = io.BytesIO(), []
    AccessLog(stream, lambda: now, soon=later.append).write({}, seconds)
    later.pop()()
    return json.loads(stream.getvalue())


def test_the_time_of_a_line_is_utc_to_the_microsecond():
    written = line(1_700_000_000.25, 0.0123456)
    assert (written["timestamp"], written["duration_ms"]) == ("2023-11-14T22:13:20.250000Z", 12.346)


def test_lines_of_one_turn_go_out_in_one_write():
    stream, later = io.BytesIO(), []
    log = AccessLog(stream, lambda: 0.0, soon=later.append)
    for number in range(3):
        log.write({"n": number}, 0.0)
    assert (len(later), stream.getvalue()) == (1, b"")
    later.pop()()
    assert [json.loads(one)["n"] for one in stream.getvalue().splitlines()] == [0, 1, 2]
    log.write({"n": 3}, 0.0)
    assert len(later) == 1


class Broken(io.BytesIO):
    def write(self, data: bytes) -> int:
        raise BrokenPipeError


def test_a_log_nobody_reads_any_more_is_switched_off():
    later = []
    log = AccessLog(Broken(), lambda: 0.0, soon=later.append)
    log.write({}, 0.0)
    later.pop()()
    assert not log.on


def test_a_log_without_stream_is_off():
    assert not AccessLog(None, lambda: 0.0).on


def test_a_text_that_is_no_unicode_is_logged_all_the_same():
    stream, later = io.BytesIO(), []
    AccessLog(stream, lambda: 0.0, later.append).write({"error": "header \ud800"}, 0.0)
    later[0]()
    assert json.loads(stream.getvalue())["error"] == "header \ud800"
