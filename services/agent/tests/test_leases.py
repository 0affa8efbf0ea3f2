"""Owners are there as long as they are heard of."""

import pytest
from esb_agent.leases import Leases


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_silence_longer_than_the_grace_lets_a_lease_lapse_and_a_word_renews_it(clock):
    leases = Leases(clock)
    leases.renew("me")
    clock.now += 60
    assert not leases.lapsed("me", 60)
    clock.now += 1
    assert leases.lapsed("me", 60)
    leases.renew("me")
    assert not leases.lapsed("me", 60)


def test_an_owner_never_heard_of_counts_from_the_first_look(clock):
    leases = Leases(clock)
    assert not leases.lapsed("before the restart", 60)
    leases.forget_others({"before the restart"})
    clock.now += 61
    assert leases.lapsed("before the restart", 60)


def test_owners_without_workers_are_forgotten(clock):
    leases = Leases(clock)
    leases.renew("gone")
    leases.forget_others(set())
    clock.now += 61
    assert not leases.lapsed("gone", 60)


def test_when_nobody_could_be_heard_all_count_from_now(clock):
    leases = Leases(clock)
    leases.renew("me")
    clock.now += 61
    leases.renew_all()
    assert not leases.lapsed("me", 60)
