import json

import pytest
from esb_gateway.errors import MalformedAnswerError
from esb_gateway.routes.proxy_response import read_answer, read_prelude, read_url_answer
from hypothesis import given
from hypothesis import strategies as st


def rest(value: object) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    response = read_answer(json.dumps(value).encode(), "1.0", "rest")
    return response.status, response.headers, response.body


def http(value: object) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    response = read_answer(json.dumps(value).encode(), "2.0", "http")
    return response.status, response.headers, response.body


def test_a_rest_answer_becomes_a_response():
    assert rest({"statusCode": 201, "headers": {"X-A": "b", "Content-Type": "text/html"}, "body": "hé"}) == (
        201,
        [(b"x-a", b"b"), (b"content-type", b"text/html")],
        "hé".encode(),
    )


def test_a_rest_answer_without_content_type_is_json():
    assert rest({"statusCode": 200}) == (200, [(b"content-type", b"application/json")], b"")


def test_multi_value_headers_are_merged_with_single_ones():
    _, headers, _ = rest(
        {
            "statusCode": 200,
            "headers": {"content-type": "a/b", "Set-Cookie": "c=3", "x-one": "1"},
            "multiValueHeaders": {"set-cookie": ["a=1", "b=2"], "X-One": ["1"]},
        }
    )
    assert headers == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"set-cookie", b"c=3"),
        (b"x-one", b"1"),
        (b"content-type", b"a/b"),
    ]


def test_numbers_and_booleans_are_taken_as_header_values_and_numeric_text_as_status():
    status, headers, _ = rest({"statusCode": "404", "headers": {"x-n": 5, "x-b": True, "x-f": 1.5}})
    assert (status, headers[:3]) == (404, [(b"x-n", b"5"), (b"x-b", b"true"), (b"x-f", b"1.5")])
    assert rest({"statusCode": 200.0})[0] == 200


def test_a_base64_body_is_sent_as_bytes():
    assert rest({"statusCode": 200, "body": "iVBORw==", "isBase64Encoded": True})[2] == b"\x89PNG"


def test_how_the_connection_is_used_is_not_the_functions_to_say():
    _, headers, _ = rest(
        {
            "statusCode": 200,
            "headers": {"Connection": "close", "Transfer-Encoding": "chunked", "Content-Length": "1"},
        }
    )
    assert headers == [(b"content-type", b"application/json")]


def test_an_answer_without_body_status_has_none():
    assert rest({"statusCode": 204, "body": "x"})[2] == b""
    assert rest({"statusCode": 304, "body": "x"})[2] == b""


def test_the_short_form_of_2_0_is_a_200_with_json():
    assert http({"message": "hi"}) == (200, [(b"content-type", b"application/json")], b'{"message": "hi"}')
    assert http([1, 2]) == (200, [(b"content-type", b"application/json")], b"[1, 2]")
    assert http("hello") == (200, [(b"content-type", b"application/json")], b"hello")
    assert http(None)[2] == b"null"


def test_the_long_form_of_2_0_takes_cookies():
    assert http({"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "body": "x"}) == (
        200,
        [
            (b"set-cookie", b"a=1; Path=/"),
            (b"set-cookie", b"b=2"),
            (b"content-type", b"text/plain;charset=UTF-8"),
        ],
        b"x",
    )


@pytest.mark.parametrize(
    "value",
    [
        "text",
        None,
        [],
        {},
        {"body": "x"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": "ok"},
        {"statusCode": 99},
        {"statusCode": 101},
        {"statusCode": 600},
        {"statusCode": 200.5},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "headers": {"x": None}},
        {"statusCode": 200, "headers": {"x y": "z"}},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: evil=1"}},
        {"statusCode": 200, "headers": {"": "x"}},
        {"statusCode": 200, "multiValueHeaders": {"x": "not a list"}},
        {"statusCode": 200, "multiValueHeaders": {"x": [{}]}},
        {"statusCode": 200, "isBase64Encoded": "yes", "body": "x"},
        {"statusCode": 200, "isBase64Encoded": True, "body": "a"},
    ],
)
def test_a_malformed_rest_answer_is_refused(value):
    with pytest.raises(MalformedAnswerError):
        rest(value)


def test_cookies_that_are_no_list_are_refused():
    with pytest.raises(MalformedAnswerError):
        http({"statusCode": 200, "cookies": "a=1"})


def test_what_is_no_json_is_refused():
    with pytest.raises(MalformedAnswerError, match="expected JSON"):
        read_answer(b"{", "1.0", "rest")
    with pytest.raises(MalformedAnswerError):
        read_answer(b"[" * 100_000, "1.0", "rest")


def test_lone_surrogates_do_not_break_an_answer():
    assert read_answer(b'{"statusCode": 200, "body": "a\\ud800b"}', "1.0", "rest").body == b"a?b"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
answers = values | st.fixed_dictionaries(
    {"statusCode": values},
    optional={
        "headers": values | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
        "multiValueHeaders": values,
        "body": values,
        "isBase64Encoded": values,
        "cookies": values,
    },
)


@given(answers, st.sampled_from(["1.0", "2.0"]))
def test_any_answer_is_either_a_sendable_response_or_refused(value, version):
    try:
        response = read_answer(json.dumps(value).encode(), version, "rest" if version == "1.0" else "http")
    except MalformedAnswerError:
        return
    assert 200 <= response.status <= 599
    for name, text in response.headers:
        assert name == name.lower()
        assert not set(name + text) & {0, 10, 13}


def test_rest_apis_rename_what_they_say_themselves():
    said = {
        "statusCode": 401,
        "headers": {"Date": "d", "Server": "s", "WWW-Authenticate": "Basic", "x-a": "b"},
    }
    assert [name for name, _ in rest(said)[1]] == [
        b"x-amzn-remapped-date",
        b"x-amzn-remapped-server",
        b"x-amzn-remapped-www-authenticate",
        b"x-a",
        b"content-type",
    ]
    assert [name for name, _ in http(said)[1]] == [b"server", b"www-authenticate", b"x-a", b"content-type"]


def test_a_function_url_keeps_the_quotes_of_a_text_and_takes_the_long_form():
    assert read_url_answer(b'"Hello, world!"').body == b'"Hello, world!"'
    said = read_url_answer(b'{"statusCode": 201, "cookies": ["a=1"], "body": "x"}')
    assert said.headers == [(b"set-cookie", b"a=1"), (b"content-type", b"application/json")]


def test_what_a_streaming_function_says_first_is_status_headers_and_cookies():
    assert read_prelude(b"{}").status == 200
    assert read_prelude(b'{"statusCode": 206}').headers == [(b"content-type", b"application/octet-stream")]
    with pytest.raises(MalformedAnswerError):
        read_prelude(b"[]")
