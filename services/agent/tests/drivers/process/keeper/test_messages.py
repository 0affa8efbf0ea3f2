"""Packets."""

import pytest
from esb_agent.drivers.process.keeper.messages import (
    Exited,
    Failed,
    Ready,
    Signal,
    Spawn,
    Started,
    decode,
    encode,
)
from hypothesis import given
from hypothesis import strategies as st

text = st.text(max_size=50)
messages = st.one_of(
    st.builds(Spawn, text, st.lists(text), st.dictionaries(text, text), text, st.integers(), st.booleans()),
    st.builds(Signal, text, st.integers()),
    st.builds(Ready, st.integers(), text, text, st.lists(text)),
    st.builds(Started, text, st.integers(), st.integers()),
    st.builds(Failed, text, text),
    st.builds(Exited, text, st.integers()),
)


@given(messages)
def test_what_is_sent_is_received(message):
    assert decode(encode(message)) == message


def test_what_fits_no_packet_is_refused():
    with pytest.raises(ValueError, match="at most"):
        encode(Failed("w", "x" * 1_000_000))
