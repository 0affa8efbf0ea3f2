from esb_gateway.http_messages import Response
from esb_gateway.http_wire import encode_response

DATE = b"date: now\r\n"


def encoded(response: Response, *, head_only: bool = False, old: bool = False, close: bool = False) -> bytes:
    return encode_response(response, DATE, head_only=head_only, old=old, close=close)


def test_a_response_says_its_length_and_what_the_server_says():
    plain = encoded(Response(200, [(b"a", b"b")], b"xyz"))
    assert plain == b"HTTP/1.1 200 OK\r\ndate: now\r\na: b\r\ncontent-length: 3\r\n\r\nxyz"
    assert encoded(Response(299, [])).startswith(b"HTTP/1.1 299 \r\n")
    assert encoded(Response(600, [])).startswith(b"HTTP/1.1 600 \r\n")


def test_a_head_request_gets_no_body_and_the_length_all_the_same():
    assert encoded(Response(200, [], b"xyz"), head_only=True).endswith(b"content-length: 3\r\n\r\n")
    assert encoded(Response(200, [], length=7), head_only=True).endswith(b"content-length: 7\r\n\r\n")


def test_statuses_without_a_body_have_no_length_either():
    assert encoded(Response(204, [], b"xyz")) == b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n"


def test_a_body_in_parts_is_chunked_for_who_understands_that():
    response = Response(200, [], b"x" * 65537, in_parts=True)
    assert encoded(response).endswith(b"\r\n\r\n10000\r\n" + b"x" * 65536 + b"\r\n1\r\nx\r\n0\r\n\r\n")
    assert b"chunked" not in encoded(response, old=True)
    assert encoded(response, head_only=True).endswith(b"chunked\r\n\r\n")
    assert encoded(Response(200, [], in_parts=True)).endswith(b"chunked\r\n\r\n0\r\n\r\n")


def test_the_end_of_the_connection_is_said():
    assert b"connection: close\r\n\r\n" in encoded(Response(200, []), close=True)
    assert b"connection: close\r\n\r\n" in encoded(Response(304, []), close=True)
