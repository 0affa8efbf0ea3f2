import pytest
from esb_provisioner.errors import StoreError, StoreUnreachableError
from esb_provisioner.retry import Patience


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def patience(time, seconds):
    return Patience(seconds, lambda: time.now, time.sleep, lambda *_: None)


def failing(times, error):
    left = [error] * times

    def action():
        if left:
            raise left.pop()
        return "answer"

    return action


def test_a_store_that_starts_late_is_waited_for_with_growing_pauses():
    time = Time()
    assert patience(time, 30).call(failing(4, StoreUnreachableError("no"))) == "answer"
    assert time.pauses == [0.1, 0.2, 0.4, 0.8]


def test_waiting_ends_at_the_deadline_whatever_the_pauses():
    time = Time()
    with pytest.raises(StoreUnreachableError):
        patience(time, 5).call(failing(1000, StoreUnreachableError("no")))
    assert time.now == pytest.approx(105.0)


def test_the_deadline_is_shared_by_all_calls():
    time = Time()
    shared = patience(time, 1)
    with pytest.raises(StoreUnreachableError):
        shared.call(failing(1000, StoreUnreachableError("no")))
    before = len(time.pauses)
    with pytest.raises(StoreUnreachableError):
        shared.call(failing(1, StoreUnreachableError("no")))
    assert len(time.pauses) == before


def test_a_refusal_is_not_repeated():
    time = Time()
    with pytest.raises(StoreError):
        patience(time, 30).call(failing(1, StoreError("denied")))
    assert time.pauses == []
