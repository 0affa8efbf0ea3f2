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


def test_the_time_of_a_line_is_utc_to_the_microsecond():
    stream = io.BytesIO()
    AccessLog(stream, lambda: 1_700_000_000.25).write({}, 0.0123456)
    line = json.loads(stream.getvalue())
    assert (line["timestamp"], line["duration_ms"]) == ("2023-11-14T22:13:20.250000Z", 12.346)


def test_a_log_without_stream_is_off():
    log = AccessLog(None, lambda: 0.0)
    log.write({}, 1.0)
    assert not log.on
