"""Processes as /proc has them."""

import os
import subprocess

import pytest
from esb_agent.drivers.process.keeper import procfs


@pytest.fixture
def shell():
    """A shell with a child, named strangely."""
    process = subprocess.Popen(
        ["bash", "-c", "exec -a 'a) b (c' sh -c 'sleep 1000 & echo $!; wait'"],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, procfs.MARKER: "/w/1"},
    )
    child = int(process.stdout.readline())
    yield process.pid, child
    os.killpg(process.pid, 9)
    process.wait()
    process.stdout.close()


def test_a_process_is_read_whatever_its_name(shell):
    parent, child = shell
    stat = procfs.read_stat(child)
    assert (stat.parent, stat.session, stat.alive) == (parent, parent, True)
    assert stat.start_ticks >= procfs.read_stat(parent).start_ticks > 0
    assert procfs.read_stat(2**22 + 1) is None


@pytest.mark.parametrize("kernel_helps", [True, False])
def test_a_family_is_found_with_and_without_the_kernels_lists(shell, monkeypatch, kernel_helps):
    monkeypatch.setattr(procfs, "kernel_lists_children", lambda: kernel_helps)
    parent, child = shell
    assert procfs.family(parent) == [parent, child]
    assert procfs.children(child) == []


def test_a_mark_counts_whole_or_as_a_directory(shell):
    _, child = shell
    assert procfs.marked(child, "/w/1")
    assert procfs.marked(child, "/w/")
    assert not procfs.marked(child, "/w")
    assert not procfs.marked(child, "/w/11")
    assert not procfs.marked(2**22 + 1, "/w/1")


def test_strays_belong_to_whom_their_session_or_mark_says(shell):
    parent, child = shell
    assert procfs.members(parent, "/elsewhere", [child]) == [parent, child]
    other = 2**22 + 1
    assert procfs.members(other, "/w/1", [child]) == [other, child]
    assert procfs.members(other, "/elsewhere", [child]) == [other]


def test_memory_is_summed(shell):
    parent, child = shell
    assert procfs.resident_bytes([parent, child]) > procfs.resident_bytes([child]) > 0
    assert procfs.resident_bytes([2**22 + 1]) == 0


def test_a_process_out_of_reach_does_not_stop_the_signals_to_the_others(monkeypatch):
    reached = []

    def kill(pid, number):
        if pid == 1:
            raise PermissionError
        reached.append(pid)

    monkeypatch.setattr(os, "kill", kill)
    procfs.send([1, 2], 9)
    assert reached == [2]
