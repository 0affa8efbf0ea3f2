"""Sockets for their owner only, at paths that are free or left behind."""

import os
import socket
import stat
from pathlib import Path

import pytest
from esb_agent.errors import ConfigError
from esb_agent.unix_socket import MAX_PATH_BYTES, SocketDirectory, bind, check_path, claim


@pytest.fixture
def short(tmp_path_factory):
    return tmp_path_factory.mktemp("s")


def test_a_socket_is_its_owners_alone_from_the_start(short, monkeypatch):
    modes = []
    listen = socket.socket.listen
    monkeypatch.setattr(
        socket.socket,
        "listen",
        lambda self, n: (modes.append(Path(self.getsockname()).stat().st_mode), listen(self, n)),
    )
    bind(short / "a.sock").close()
    assert [stat.S_IMODE(mode) for mode in modes] == [0o600]


def test_a_stale_socket_is_replaced(short):
    bind(short / "a.sock").close()
    assert (short / "a.sock").exists()
    claim(short / "a.sock")
    assert not (short / "a.sock").exists()


def test_a_live_one_is_refused_and_left_alone(short):
    with bind(short / "a.sock"):
        with pytest.raises(ConfigError, match="another agent listens there"):
            claim(short / "a.sock")
        assert (short / "a.sock").exists()


def test_what_is_no_socket_is_refused_and_left_alone(short):
    (short / "precious").write_text("data")
    with pytest.raises(ConfigError, match="is no socket"):
        claim(short / "precious")
    assert (short / "precious").read_text() == "data"
    (short / "link").symlink_to(short / "precious")
    with pytest.raises(ConfigError, match="is no socket"):
        claim(short / "link")


def test_a_path_too_long_for_the_kernel_is_told_before_it_fails(short):
    check_path(short / ("x" * (MAX_PATH_BYTES - len(str(short)) - 1)))
    with pytest.raises(ConfigError, match="at most 107"):
        check_path(short / ("x" * (MAX_PATH_BYTES - len(str(short)))))


def test_worker_sockets_lie_in_the_state_directory_and_go_with_it(short):
    directory = SocketDirectory(short)
    directory.make()
    path = directory.new()
    bind(path).close()
    assert path.parent == short / "s"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    directory.remove()
    assert list(short.iterdir()) == []


def test_in_a_deep_state_directory_they_lie_elsewhere_and_are_found_again(short):
    deep = short / ("d" * 90)
    deep.mkdir()
    first = SocketDirectory(deep)
    first.make()
    path = first.new()
    bind(path).close()
    assert len(os.fsencode(path)) <= MAX_PATH_BYTES
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    second = SocketDirectory(deep)
    second.make()
    assert not path.parent.exists()
    second.remove()
    assert list(deep.iterdir()) == []


def test_no_path_is_given_twice(short):
    directory = SocketDirectory(short)
    directory.make()
    assert len({directory.new() for _ in range(1000)}) == 1000
    directory.remove()


def test_the_umask_of_the_process_is_left_alone_by_workers_sockets(short, monkeypatch):
    # Threads unpack images meanwhile, and would make directories nobody can enter.
    monkeypatch.setattr(os, "umask", lambda mode: pytest.fail("the umask is every thread's"))
    bind(short / "a.sock").close()
    assert stat.S_IMODE((short / "a.sock").stat().st_mode) == 0o600
