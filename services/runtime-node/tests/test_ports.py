import socket

import pytest
from esb_node.errors import PortInUseError
from esb_node.ports import choose, is_free


@pytest.fixture
def used():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_refused_by_name_of_its_option(used):
    with pytest.raises(PortInUseError, match=f"port {used} \\(--gateway-port\\) is in use"):
        choose(used, None, option="--gateway-port")


def test_the_port_of_last_time_is_taken_again_unless_it_is_used(used):
    free = choose(None, None, option="x")
    assert choose(None, free, option="x") == free
    assert choose(None, used, option="x") != used


def test_a_free_port_is_free_not_taken_and_below_the_ephemeral_range():
    port = choose(None, None, option="x")
    assert is_free(port)
    assert port < 60000
    assert choose(None, port, option="x", taken=frozenset({port})) != port


def test_two_wanted_ports_may_not_be_the_same():
    free = choose(None, None, option="x")
    with pytest.raises(PortInUseError):
        choose(free, None, option="--data-port", taken=frozenset({free}))


def test_one_port_for_two_services_is_said_to_be_that():
    port = choose(None, None, option="a test")
    with pytest.raises(PortInUseError, match=rf"{port} \(--data-port\) is another service's"):
        choose(port, None, option="--data-port", taken=frozenset({port}))
