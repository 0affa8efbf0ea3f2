import io

import pytest
from botocore.eventstream import EventStreamBuffer
from esb_gateway.lambda_api.event_stream import CHUNK_BYTES, message, payload_chunks
from esb_gateway.lambda_api.response_stream import encode_answer
from esb_gateway.workers.invoker import Answer
from hypothesis import given, settings
from hypothesis import strategies as st


def decode(data: bytes) -> list[tuple[dict[str, str], bytes]]:
    """What botocore reads; it checks both CRCs."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(one.headers, one.payload) for one in buffer]


@given(st.dictionaries(st.text(min_size=1, max_size=60), st.text(max_size=300), max_size=6), st.binary())
@settings(deadline=None)
def test_a_message_is_read_by_botocore_as_it_was_written(headers, payload):
    assert decode(message(headers, payload)) == [(headers, payload)]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_a_payload_comes_in_chunks_that_make_it_up(size):
    data = bytes(range(256)) * (size // 256 + 1)
    events = decode(b"".join(payload_chunks(data[:size])))
    assert b"".join(payload for _, payload in events) == data[:size]
    assert len(events) == -(-size // CHUNK_BYTES)
    assert {headers[":event-type"] for headers, _ in events} <= {"PayloadChunk"}


def test_an_answer_ends_with_invoke_complete():
    events = decode(encode_answer(Answer(b'"hi"', log_result="TE9H")))
    assert [(headers[":event-type"], payload) for headers, payload in events] == [
        ("PayloadChunk", b'"hi"'),
        ("InvokeComplete", b'{"LogResult":"TE9H"}'),
    ]


def test_a_functions_error_stands_in_invoke_complete_only():
    events = decode(encode_answer(Answer(b'{"errorType":"KeyError"}', "Unhandled")))
    assert [(headers[":event-type"], payload) for headers, payload in events] == [
        ("InvokeComplete", b'{"ErrorCode":"Unhandled","ErrorDetails":"{\\"errorType\\":\\"KeyError\\"}"}')
    ]


def test_a_message_cut_anywhere_is_read_once_it_is_whole():
    data = message({"a": "b"}, b"payload")
    for cut in range(len(data)):
        buffer, stream = EventStreamBuffer(), io.BytesIO(data)
        buffer.add_data(stream.read(cut))
        assert list(buffer) == []
        buffer.add_data(stream.read())
        assert [one.payload for one in buffer] == [b"payload"]
