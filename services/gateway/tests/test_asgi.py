import pytest
from esb_gateway.asgi import answer_asgi, asgi_endpoint, read_body, request_of, respond
from esb_gateway.errors import PayloadTooLargeError
from esb_gateway.http_messages import ClientGoneError, Ends, Request, Response


def receiver(*messages: dict[str, object]):
    queue = list(messages)

    async def receive() -> dict[str, object]:
        return queue.pop(0)

    return receive


def part(body: bytes, *, more: bool = False) -> dict[str, object]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


async def test_a_body_is_read_whole():
    assert await read_body({}, receiver(part(b"abc")), 3) == b"abc"
    assert (
        await read_body({}, receiver(part(b"a", more=True), part(b"b", more=True), part(b"c")), 3) == b"abc"
    )


@pytest.mark.parametrize(
    ("headers", "messages"),
    [
        ({b"content-length": b"4"}, []),
        ({}, [part(b"abcd")]),
        ({}, [part(b"ab", more=True), part(b"cd", more=True)]),
        ({b"content-length": b"1"}, [part(b"abcd")]),
    ],
)
async def test_a_body_over_the_limit_is_not_read_to_its_end(headers, messages):
    with pytest.raises(PayloadTooLargeError):
        await read_body(headers, receiver(*messages), 3)


async def test_a_client_that_hangs_up_is_noticed():
    with pytest.raises(ClientGoneError):
        await read_body({}, receiver(GONE), 3)
    with pytest.raises(ClientGoneError):
        await read_body({}, receiver(part(b"a", more=True), GONE), 3)


async def test_a_response_says_its_length_unless_its_status_has_no_body():
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await respond(send, 200, [(b"a", b"b")], b"abc")
    await respond(send, 304, [], b"")
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b"), (b"content-length", b"3")]},
        {"type": "http.response.body", "body": b"abc"},
        {"type": "http.response.start", "status": 304, "headers": []},
        {"type": "http.response.body", "body": b""},
    ]


def test_servers_without_the_extras_are_served_too():
    plain = request_of({"method": "GET", "path": "/é", "headers": [(b"host", b"x")]}, receiver())
    assert (plain.raw_path, plain.sent) == ("/Ã©", [(b"host", b"x")])
    scope = {"method": "GET", "path": "/a b", "raw_path": b"/a%20b?x=1", "headers": []}
    assert request_of(scope, receiver()).raw_path == "/a%20b"
    assert request_of(scope, receiver()).path == "/a b"


class Nothing:
    """A request without a body whose client stays."""

    async def part(self):
        return b"", False

    async def gone(self):
        raise AssertionError


def request(method: str = "GET") -> Request:
    return Request(method, "/a%20b", b"q=1", [(b"X-A", b"b")], Nothing(), ends=Ends(("1.2.3.4", 5)))


async def test_an_application_sees_the_request_and_its_answer_is_a_response():
    async def app(scope, receive, send):
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"q=1")
        assert (scope["headers"], scope["client"]) == ([(b"x-a", b"b")], ("1.2.3.4", 5))
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        await respond(send, 201, [(b"a", b"b"), (b"connection", b"close")], b"abc")

    response = await asgi_endpoint(app)(request())
    assert response == Response(201, [(b"a", b"b")], b"abc", close=True)


async def test_an_application_may_answer_head_with_a_length_alone():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body"})

    assert (await asgi_endpoint(app)(request("HEAD"))).length == 7


async def test_an_application_that_stops_amid_its_answer_has_failed_and_one_that_says_nothing_has_no_client():
    async def silent(scope, receive, send):
        pass

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    with pytest.raises(ClientGoneError):
        await asgi_endpoint(silent)(request())
    with pytest.raises(RuntimeError):
        await asgi_endpoint(half)(request())


async def test_an_answer_in_parts_is_sent_so():
    async def endpoint(_request):
        return Response(200, [], b"x" * 70_000, in_parts=True)

    sent = []

    async def send(message):
        sent.append(message)

    await answer_asgi(endpoint, {"method": "GET", "path": "/", "headers": []}, receiver(), send)
    assert [len(message.get("body", b"")) for message in sent] == [0, 65536, 70_000 - 65536, 0]
    assert sent[0]["headers"] == []
