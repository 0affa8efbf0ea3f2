"""A status text that a header can carry."""

import json

from esb_agent.status_text import MAX_TEXT, shorten
from hypothesis import given
from hypothesis import strategies as st


def test_a_short_text_is_left_alone():
    assert shorten('{"errorType": "E"}') == '{"errorType": "E"}'


def test_a_stack_trace_goes_first():
    text = json.dumps({"errorType": "E", "errorMessage": "m ✓", "stackTrace": ["x" * 10_000]})
    assert json.loads(shorten(text)) == {"errorType": "E", "errorMessage": "m ✓"}


@given(st.text(max_size=200), st.text(min_size=1), st.integers(1, 3000))
def test_any_error_json_stays_one_and_fits(kind, piece, times):
    text = json.dumps({"errorType": kind, "errorMessage": piece * times}, ensure_ascii=False)
    short = shorten(text)
    assert len(short) <= MAX_TEXT
    assert short.isascii()
    assert json.loads(short)["errorType"].startswith(kind[:100])


@given(st.text(min_size=1), st.integers(1, 5000))
def test_any_text_fits(piece, times):
    assert len(shorten(piece * times)) <= MAX_TEXT
    assert shorten(piece * times).isascii()
