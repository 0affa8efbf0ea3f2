from esb_gateway.auth.tries import Tries, network
from hypothesis import given
from hypothesis import strategies as st


def test_tries_are_used_up_and_come_back_one_by_one(fake_time):
    tries = Tries(fake_time.now, burst=2, seconds=10)
    assert tries.wait("a") is None
    tries.take("a")
    tries.take("a")
    assert tries.wait("a") == 10
    assert tries.wait("b") is None
    fake_time.value += 4
    assert tries.wait("a") == 6
    fake_time.value += 6
    assert tries.wait("a") is None
    tries.take("a")
    assert tries.wait("a") == 10
    fake_time.value += 1000
    tries.take("a")
    assert tries.wait("a") is None
    tries.give_back("a")
    tries.give_back("a")
    tries.take("a")
    tries.take("a")
    assert tries.wait("a") == 10


@given(st.lists(st.text(), max_size=50))
def test_any_name_has_a_slot_and_the_table_does_not_grow(names):
    tries = Tries(lambda: 0.0, burst=1, seconds=1)
    size = len(tries._slots)
    for name in names:
        tries.take(name)
    assert len(tries._slots) == size
    assert all(tries.wait(name) == 1 for name in names)


def test_an_address_stands_for_itself_or_its_network():
    assert network("192.0.2.7") == "192.0.2.7"
    assert network("2001:db8::1") == network("2001:db8::ffff") == "2001:db8::/64"
    assert network("unix") == "unix"


def test_every_client_of_a_socket_for_both_versions_has_tries_of_its_own():
    assert network("::ffff:192.0.2.7") == "192.0.2.7"
    assert network("::ffff:192.0.2.7") != network("::ffff:192.0.2.8")
