import pytest
from esb_gateway.asgi import ClientGoneError, raw_path, read_body, respond, spelled_headers
from esb_gateway.errors import PayloadTooLargeError


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
    assert raw_path({"path": "/é"}) == "/Ã©"
    assert raw_path({"path": "/a b", "raw_path": b"/a%20b?x=1"}) == "/a%20b"
    assert spelled_headers({"headers": [(b"host", b"x")]}) == [(b"host", b"x")]
