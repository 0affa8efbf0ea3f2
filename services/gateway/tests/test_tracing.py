import json
import re
import uuid
from base64 import b64decode, b64encode

import pytest
from esb_gateway.errors import InvalidContentError
from esb_gateway.tracing import Ids, bare_context, given_trace, parse_client_context
from hypothesis import given
from hypothesis import strategies as st


def encode(value: object) -> bytes:
    return b64encode(json.dumps(value).encode())


def test_request_ids_are_uuids_that_never_repeat():
    ids, others = Ids(), Ids()
    made = [ids.request_id() for _ in range(1000)] + [others.request_id() for _ in range(1000)]
    assert len(set(made)) == 2000
    assert all(str(uuid.UUID(one)) == one for one in made)
    assert uuid.UUID(made[0]).version == 4


def test_a_new_trace_has_the_time_in_its_root():
    assert re.fullmatch(r"Root=1-6553f100-[0-9a-f]{24}", Ids().trace(1_700_000_000.9))


def test_a_given_trace_is_kept_unless_it_could_break_a_header():
    assert given_trace(b"Root=1-a-b;Parent=c;Sampled=1") == "Root=1-a-b;Parent=c;Sampled=1"
    assert given_trace(b"Root=1\r\nX: y") is None
    assert given_trace(b"") is None
    assert given_trace(None) is None
    assert given_trace(b"x" * 600) is None


def test_a_call_without_client_context_gets_one_with_the_trace():
    assert json.loads(b64decode(bare_context("Root=1-a-b"))) == {"custom": {"X-Amzn-Trace-Id": "Root=1-a-b"}}


def test_a_client_context_keeps_what_is_in_it_and_carries_the_trace():
    context = parse_client_context(encode({"client": {"a": 1}, "custom": {"k": "v"}}))
    assert context.trace is None
    assert json.loads(b64decode(context.encoded("Root=1-a-b"))) == {
        "client": {"a": 1},
        "custom": {"k": "v", "X-Amzn-Trace-Id": "Root=1-a-b"},
    }


def test_the_trace_a_calling_function_passed_on_is_found():
    assert parse_client_context(encode({"custom": {"X-Amzn-Trace-Id": "Root=1-c-d"}})).trace == "Root=1-c-d"
    assert parse_client_context(encode({"custom": {"X-Amzn-Trace-Id": "bad\r\n"}})).trace is None
    assert parse_client_context(encode({"custom": [1]})).trace is None


@pytest.mark.parametrize("header", [b"not base64!", b"bm9uZQ==", encode([1]), encode({"x": "y" * 4000})])
def test_what_is_no_client_context_is_refused(header):
    with pytest.raises(InvalidContentError, match="Base64-encoded JSON object"):
        parse_client_context(header)


@given(st.binary(max_size=200))
def test_any_header_is_either_a_context_or_refused(header):
    try:
        context = parse_client_context(header)
    except InvalidContentError:
        return
    if context is not None:
        json.loads(b64decode(context.encoded("Root=1-a-b")))


def test_a_client_context_that_cannot_be_written_again_is_refused():
    nested = b64encode(b'{"custom": {"k": ' + b"[" * 300 + b"]" * 300 + b"}}")
    with pytest.raises(InvalidContentError, match="nested too deeply"):
        parse_client_context(nested).encoded("Root=1-a-b")
