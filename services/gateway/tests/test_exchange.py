import asyncio

import pytest
from esb_gateway.exchange import Exchange
from esb_gateway.http_messages import Ends, Request, Response

FINE = Response(200, [], b"fine")


class Carrier:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.results = []
        self.wanted = 0

    def ended(self, exchange, result) -> None:
        self.results.append(result)

    def wants_body(self, exchange) -> None:
        self.wanted += 1


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


def started(carrier: Carrier, endpoint, *parts: bytes, complete: bool = True) -> Exchange:
    exchange = Exchange(carrier)
    request = exchange.request = Request("POST", "/", b"", [], exchange, ends=Ends())
    for part in parts:
        exchange.feed(part)
    if complete:
        exchange.complete()
    exchange.start(endpoint, request)
    return exchange


async def test_an_endpoint_that_waits_for_nothing_is_done_at_once(carrier):
    async def endpoint(request):
        return Response(200, [], await request.body(10))

    started(carrier, endpoint, b"ab", b"c")
    assert carrier.results == [Response(200, [], b"abc")]
    assert carrier.wanted == 0


async def test_an_endpoint_goes_on_when_what_it_waits_for_is_there(carrier, helpers):
    loop = asyncio.get_running_loop()
    first, second = loop.create_future(), loop.create_future()

    async def endpoint(request):
        await asyncio.sleep(0)
        return Response(200, [], await first + await asyncio.create_task(asyncio.wait_for(second, 5)))

    started(carrier, endpoint)
    assert carrier.results == []
    first.set_result(b"a")
    second.set_result(b"b")
    await helpers.eventually(lambda: carrier.results)
    assert carrier.results == [Response(200, [], b"ab")]


async def test_a_body_that_comes_later_is_read_as_it_comes(carrier, helpers):
    async def endpoint(request):
        return Response(200, [], await request.body(10))

    exchange = started(carrier, endpoint, b"a", complete=False)
    for part in (b"b", b"c"):
        exchange.feed(part)
        await asyncio.sleep(0.01)
    exchange.complete()
    await helpers.eventually(lambda: carrier.results)
    assert carrier.results == [Response(200, [], b"abc")]
    assert carrier.wanted


async def test_an_endpoint_that_waits_for_a_body_ends_when_its_client_leaves(carrier, helpers):
    async def endpoint(request):
        await request.body(10)
        raise AssertionError

    exchange = started(carrier, endpoint, complete=False)
    exchange.hang_up()
    await helpers.eventually(lambda: carrier.results)
    assert carrier.results == [None]


async def test_an_endpoint_that_works_goes_on_when_its_client_leaves(carrier, helpers):
    done = asyncio.get_running_loop().create_future()

    async def endpoint(request):
        await done
        await request.source.gone()
        return FINE

    started(carrier, endpoint).hang_up()
    done.set_result(None)
    await helpers.eventually(lambda: carrier.results)
    assert carrier.results == [FINE]


async def test_a_failure_is_told_and_a_cancelled_endpoint_has_no_answer(carrier, helpers):
    async def failing(request):
        raise ZeroDivisionError

    async def waiting(request):
        await asyncio.get_running_loop().create_future()

    started(carrier, failing)
    assert isinstance(carrier.results.pop(), ZeroDivisionError)
    started(carrier, waiting).cancel(msg="stop")
    await helpers.eventually(lambda: carrier.results)
    assert carrier.results == [None]


async def test_what_comes_behind_an_answer_is_dropped(carrier):
    async def endpoint(request):
        return FINE

    exchange = started(carrier, endpoint, complete=False)
    exchange.feed(b"x" * 100)
    exchange.complete()
    assert (carrier.results, exchange.unread) == ([FINE], 0)
