import pytest
from esb_gateway.errors import CircuitOpenError
from esb_gateway.workers.breaker import FAILURES, Breaker


@pytest.fixture
def breaker(fake_time) -> Breaker:
    made = Breaker(fake_time.now)
    for _ in range(FAILURES):
        made.failed(made.admit())
    return made


def pause(breaker: Breaker, fake_time) -> int:
    """Seconds until a call is let through again."""
    for second in range(200):
        if breaker.state == "half_open":
            return second
        with pytest.raises(CircuitOpenError):
            breaker.admit()
        fake_time.value += 1
    raise AssertionError


def test_each_probe_that_fails_doubles_the_pause_up_to_a_minute(breaker, fake_time):
    pauses = []
    for _ in range(6):
        pauses.append(pause(breaker, fake_time))
        breaker.failed(breaker.admit())
    assert pauses == [5, 10, 20, 40, 60, 60]
    assert breaker.trips == 7


def test_after_a_success_the_pauses_begin_anew_and_so_does_the_count(breaker, fake_time):
    pause(breaker, fake_time)
    breaker.failed(breaker.admit())
    pause(breaker, fake_time)
    breaker.admit()
    breaker.succeeded()
    for _ in range(FAILURES - 1):
        breaker.failed(breaker.admit())
    assert breaker.state == "closed"
    breaker.failed(breaker.admit())
    assert pause(breaker, fake_time) == 5


def test_a_success_in_between_starts_the_count_anew(fake_time):
    breaker = Breaker(fake_time.now)
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker.failed(breaker.admit())
        breaker.succeeded()
    assert breaker.trips == 0


def test_a_call_that_began_before_another_failure_was_counted_is_no_news(fake_time):
    breaker = Breaker(fake_time.now)
    together = [breaker.admit() for _ in range(20)]
    for seen in together:
        breaker.failed(seen)
    assert breaker.failures == 1


def test_a_throttled_call_tells_nothing_unless_it_was_the_probe(breaker, fake_time):
    breaker.undecided(0)
    pause(breaker, fake_time)
    probe = breaker.admit()
    breaker.undecided(0)
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    breaker.undecided(probe)
    breaker.admit()
