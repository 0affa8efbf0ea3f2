"""Calls meet their worker: every order of events, without a process."""

import asyncio
import json

import pytest
from esb_agent.drivers.process.exchange import Call, Exchange
from esb_agent.drivers.process.payloads import crashed, out_of_memory


class Peer:
    def __init__(self):
        self.answers = []

    def answer(self, status, headers, body):
        self.answers.append((status, headers, body))

    @property
    def only(self):
        (answer,) = self.answers
        return answer

    @property
    def status(self):
        return self.only[0]


class Record:
    """Notes what it is told, and adds a header to every answer."""

    def __init__(self, told):
        self.told = told

    def started(self, call):
        self.told.append(f"started {call.request_id.decode()}")

    def finished(self, ending):
        self.told.append(f"finished {ending.kind if ending else ''}".strip())
        return b"X-Recorded: yes\r\n"


@pytest.fixture
def told():
    return []


@pytest.fixture
async def exchange(told):
    return Exchange(
        on_ready=lambda: told.append("ready"),
        on_init_error=told.append,
        on_timeout=told.append,
        record=Record(told),
    )


def new_call(request_id=b"id-1", body=b"event", seconds=60.0):
    return Call(Peer(), request_id, b"Lambda-Runtime-Aws-Request-Id: %b\r\n" % request_id, body, seconds)


def polled(exchange):
    peer = Peer()
    exchange.poll(peer)
    return peer


async def test_the_first_question_for_a_call_makes_it_ready_and_only_the_first(exchange, told):
    runtime = polled(exchange)
    exchange.dropped(runtime)
    polled(exchange)
    assert told == ["ready"]


async def test_a_call_goes_to_the_waiting_runtime_and_its_result_to_the_caller(exchange, told):
    runtime, call, result = polled(exchange), new_call(), Peer()
    exchange.invoke(call)
    assert runtime.only == (200, b"Lambda-Runtime-Aws-Request-Id: id-1\r\n", b"event")
    assert exchange.busy
    exchange.respond(result, b"id-1", b"application/json", b"result")
    assert call.peer.only == (200, b"Content-Type: application/json\r\nX-Recorded: yes\r\n", b"result")
    assert result.status == 202
    assert (exchange.busy, exchange.invocations, exchange.errors) == (False, 1, 0)
    assert told == ["ready", "started id-1", "finished"]


async def test_a_call_before_the_runtime_asks_again_waits_for_it(exchange):
    first = polled(exchange)
    exchange.dropped(first)
    call = new_call()
    exchange.invoke(call)
    assert (exchange.busy, call.started) == (True, False)
    assert polled(exchange).status == 200
    assert call.started


async def test_a_functions_error_reaches_the_caller_as_one(exchange):
    polled(exchange)
    call, result = new_call(), Peer()
    exchange.invoke(call)
    exchange.fail(result, b"id-1", b'{"errorType": "E"}')
    status, headers, body = call.peer.only
    assert (status, body, result.status) == (200, b'{"errorType": "E"}', 202)
    assert b"X-Amz-Function-Error: Unhandled\r\n" in headers
    assert exchange.errors == 1


async def test_starting_busy_and_paused_workers_take_no_call(exchange):
    call = new_call()
    exchange.invoke(call)
    assert call.peer.status == 409
    polled(exchange)
    exchange.invoke(new_call())
    call = new_call(b"id-2")
    exchange.invoke(call)
    assert (call.peer.status, b"busy" in call.peer.only[2]) == (409, True)
    exchange.respond(Peer(), b"id-1", b"", b"")
    polled(exchange)
    exchange.paused = True
    call = new_call(b"id-3")
    exchange.invoke(call)
    assert (call.peer.status, b"paused" in call.peer.only[2]) == (409, True)


@pytest.mark.parametrize("request_id", [b"id-2", b"", b"next"])
async def test_a_result_for_another_call_is_refused(exchange, request_id):
    polled(exchange)
    call, result = new_call(), Peer()
    exchange.invoke(call)
    exchange.respond(result, request_id, b"", b"")
    assert result.status == 400
    assert call.peer.answers == []


async def test_a_result_before_the_call_was_handed_over_is_refused(exchange):
    exchange.dropped(polled(exchange))
    call, result = new_call(), Peer()
    exchange.invoke(call)
    exchange.respond(result, b"id-1", b"", b"forged")
    assert (result.status, call.peer.answers) == (400, [])


async def test_a_result_twice_is_refused_the_second_time(exchange):
    polled(exchange)
    call, first, second = new_call(), Peer(), Peer()
    exchange.invoke(call)
    exchange.respond(first, b"id-1", b"", b"one")
    exchange.respond(second, b"id-1", b"", b"two")
    assert (first.status, second.status, call.peer.only[2]) == (202, 400, b"one")


async def test_a_runtime_that_owes_an_answer_gets_no_further_call(exchange):
    polled(exchange)
    exchange.invoke(new_call())
    assert polled(exchange).status == 403


async def test_only_one_runtime_waits_at_a_time(exchange):
    first = polled(exchange)
    assert polled(exchange).status == 403
    assert first.answers == []


async def test_a_call_that_takes_too_long_is_told_to_the_keeper_once(exchange, told, until):
    polled(exchange)
    exchange.invoke(new_call(seconds=0.01))
    await until(lambda: 0.01 in told)
    assert told == ["ready", "started id-1", 0.01]


async def test_an_answer_in_time_stops_the_clock(exchange, told):
    polled(exchange)
    exchange.invoke(new_call(seconds=0.02))
    exchange.respond(Peer(), b"id-1", b"", b"")
    await asyncio.sleep(0.04)
    assert told == ["ready", "started id-1", "finished"]


async def test_the_end_answers_the_call_in_hand_and_refuses_later_ones(exchange):
    polled(exchange)
    call, late, result = new_call(), new_call(b"id-2"), Peer()
    exchange.invoke(call)
    exchange.end(crashed(256), 0.0)
    status, headers, body = call.peer.only
    assert (status, b"X-Esb-Worker-Gone: exit\r\n" in headers) == (200, True)
    assert (
        json.loads(body)["errorMessage"] == "RequestId: id-1 Error: Runtime exited with error: exit status 1"
    )
    exchange.respond(result, b"id-1", b"", b"too late")
    assert result.status == 400
    exchange.invoke(late)
    assert late.peer.status == 410
    assert b"X-Esb-Worker-Gone: exit\r\n" in late.peer.only[1]


async def test_a_call_that_never_reached_the_runtime_is_refused_and_may_go_elsewhere(exchange):
    exchange.dropped(polled(exchange))
    call = new_call()
    exchange.invoke(call)
    exchange.end(crashed(9), 0.0)
    assert call.peer.status == 410
    assert exchange.invocations == 0


async def test_the_first_end_counts(exchange):
    polled(exchange)
    exchange.end(out_of_memory(128), 0.0)
    exchange.end(crashed(9), 0.0)
    assert exchange.ending.kind == "oom"


async def test_an_init_error_is_told_before_the_first_question_only(exchange, told):
    early, late = Peer(), Peer()
    exchange.init_error(early, b"why")
    assert (early.status, told) == (202, [b"why"])
    polled(exchange)
    exchange.init_error(late, b"why not")
    assert late.status == 403
    assert b"why not" not in told


async def test_waiting_for_idleness_ends_with_the_call(exchange):
    await exchange.idle()
    polled(exchange)
    exchange.invoke(new_call())
    waiting = asyncio.create_task(exchange.idle())
    await asyncio.sleep(0)
    assert not waiting.done()
    exchange.respond(Peer(), b"id-1", b"", b"")
    await waiting
