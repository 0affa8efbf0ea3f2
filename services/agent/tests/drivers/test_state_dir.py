"""One agent at a time."""

import os
import stat

import pytest
from esb_agent.drivers.state_dir import StateDirectory, boot_id
from esb_agent.errors import ConfigError


def test_it_is_made_for_its_owner_alone(tmp_path):
    state = StateDirectory(tmp_path / "a" / "b")
    state.take()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state.root, state.rootfs, state.workers)] == [
        0o700
    ] * 3
    state.release()


def test_a_second_agent_is_told_who_has_it_until_it_is_let_go(tmp_path):
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.take()
    with pytest.raises(ConfigError, match=rf"another agent \(pid {os.getpid()}\) uses this state directory"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_the_machines_start_has_a_name():
    assert boot_id() == boot_id() != ""
