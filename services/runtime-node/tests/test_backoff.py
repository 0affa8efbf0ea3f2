from esb_node.backoff import Backoff
from hypothesis import given
from hypothesis import strategies as st


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(first=1.0, longest=5.0)
    assert [backoff.pause(failures) for failures in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(1, 10_000))
def test_a_pause_is_never_longer_than_the_longest_nor_shorter_than_the_first(failures):
    backoff = Backoff()
    assert backoff.first <= backoff.pause(failures) <= backoff.longest


def test_a_healthy_time_forgets_the_failures():
    backoff = Backoff(healthy=60.0)
    assert backoff.failures_after(7, 59.9) == 8
    assert backoff.failures_after(7, 60.0) == 1
