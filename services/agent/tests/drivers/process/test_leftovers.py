"""Processes an agent left behind are known and ended; others are not touched."""

import os
import subprocess

import pytest
from esb_agent.drivers.process.keeper import procfs
from esb_agent.drivers.process.leftovers import Record, end_leftovers, write_record


@pytest.fixture
def workers(tmp_path):
    path = tmp_path / "workers"
    path.mkdir()
    return path


@pytest.fixture
def start():
    running = []

    def run(**kwargs):
        process = subprocess.Popen(["sleep", "1000"], **kwargs)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


def record(workers, name, pid, start_ticks=None):
    (workers / name).mkdir()
    ticks = procfs.read_stat(pid).start_ticks if start_ticks is None else start_ticks
    write_record(workers / name, Record(pid, ticks))


def test_a_recorded_process_is_ended_and_its_directory_removed(workers, start):
    process = start(start_new_session=True)
    record(workers, "w1", process.pid)
    assert end_leftovers(workers) == 1
    assert process.wait(5) == -9
    assert list(workers.iterdir()) == []


def test_a_number_that_was_given_to_another_process_is_left_alone(workers, start):
    process = start(start_new_session=True)
    record(workers, "w1", process.pid, start_ticks=1)
    assert end_leftovers(workers) == 0
    assert process.poll() is None


def test_what_a_dead_worker_left_in_its_session_is_ended(workers):
    leader = subprocess.Popen(
        ["sh", "-c", "sleep 1000 >/dev/null & echo $!; exec sleep 1000"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    child = int(leader.stdout.readline())
    record(workers, "w1", leader.pid)
    leader.kill()
    leader.wait()
    leader.stdout.close()
    assert end_leftovers(workers) == 1
    stat = procfs.read_stat(child)
    assert stat is None or not stat.alive


def test_a_process_with_a_workers_mark_is_ended_without_a_record(workers, start):
    marked = start(env={procfs.MARKER: f"{workers}/w1"}, start_new_session=True)
    other = start(env={procfs.MARKER: f"{workers}-other/w1"}, start_new_session=True)
    assert end_leftovers(workers) == 1
    assert marked.wait(5) == -9
    assert other.poll() is None


def test_a_record_that_is_no_record_is_cleared_away(workers):
    for name, text in (("w1", ""), ("w2", "[]"), ("w3", '{"pid": "x"}')):
        (workers / name).mkdir()
        (workers / name / "process.json").write_text(text)
    assert end_leftovers(workers) == 0
    assert list(workers.iterdir()) == []
    assert os.getpid()
