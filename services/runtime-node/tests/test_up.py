"""The supervisor with real processes: what it starts, restarts, and never leaves behind."""

import os
import re
import shutil
import signal
import sys
import time
import urllib.request
from pathlib import Path

from esb_node import lock
from esb_node.down import stop_box

STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
PARENT = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
"""


def pids(state):
    return [service["pid"] for service in state["services"]]


def child_of(box, name):
    return int(re.findall(r"child (\d+)", box.logs()[f"{name}.log"])[-1])


def test_services_come_up_in_order_and_go_down_in_reverse(box, gone):
    box.add("one").add("two").add("three").up()
    running = pids(box.ready())
    box.process.send_signal(signal.SIGTERM)
    code, told = box.end()
    assert code == 0
    assert re.findall(r"(\w+) ready after", told) == ["one", "two", "three"]
    gone(running)
    assert box.read()["state"] == "stopped"


def test_a_crashed_service_comes_back_on_its_port(box):
    box.add("one").add("two").up()
    before = box.ready()
    os.kill(before["services"][1]["pid"], signal.SIGKILL)
    after = box.until(lambda s: s["state"] == "ready" and s["services"][1]["restarts"] == 1)
    assert after["services"][0]["pid"] == before["services"][0]["pid"]
    assert after["services"][1]["address"] == before["services"][1]["address"]
    assert after["services"][1]["trouble"] == "ended with signal SIGKILL"
    with urllib.request.urlopen(after["services"][1]["address"]) as answer:
        assert int(answer.read()) == after["services"][1]["pid"]


def test_what_a_crashed_service_started_goes_with_it(box, gone):
    box.add("one", before=PARENT).up()
    state = box.ready()
    child = child_of(box, "one")
    os.kill(state["services"][0]["pid"], signal.SIGKILL)
    gone([child])
    box.until(lambda s: s["state"] == "ready" and s["services"][0]["restarts"] == 1)


def test_killing_the_supervisor_leaves_nothing_behind(box, gone):
    box.add("one", before=PARENT).add("two", before=STUBBORN + "\n" + PARENT).up()
    state = box.ready()
    everything = [*pids(state), child_of(box, "one"), child_of(box, "two")]
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    gone([*everything, state["supervisor_pid"]])
    code, _ = box.end()
    assert code == 4
    assert box.read()["state"] == "stopped"
    assert "the supervisor ended with signal SIGKILL" in box.logs()["supervisor.log"].splitlines()[-1]
    assert not lock.is_held(box.state)


def test_a_box_whose_directory_is_removed_stops(box, gone):
    box.add("one", before=PARENT).add("two").up()
    state = box.ready()
    everything = [*pids(state), child_of(box, "one"), state["supervisor_pid"]]
    shutil.rmtree(box.state)
    out = box.process.stdout.read()
    assert box.end()[0] == 4
    assert f"error: {box.state} was removed while the box ran" in out
    gone(everything)
    assert not box.state.exists()


def test_killing_the_guard_stops_everything_in_order(box, gone):
    box.add("one", before=PARENT).add("two").up()
    state = box.ready()
    everything = [*pids(state), child_of(box, "one"), state["supervisor_pid"]]
    box.process.kill()
    gone(everything)
    assert not lock.is_held(box.state)


def test_killing_guard_and_supervisor_together_ends_the_services(box, gone):
    box.add("one").add("two").up()
    state = box.ready()
    os.kill(box.process.pid, signal.SIGSTOP)
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    box.process.kill()
    gone(pids(state))


def test_a_service_that_ignores_sigterm_is_killed(box, gone):
    box.add("one", before=STUBBORN).up()
    running = pids(box.ready())
    box.process.send_signal(signal.SIGINT)
    code, told = box.end()
    assert code == 0
    assert "one does not end after 1 s, killing it" in told
    gone(running)


def test_a_service_that_never_answers_ends_the_start_with_its_log(box, gone):
    mute = [sys.executable, "-uc", "import os, time; print('child', os.getpid()); time.sleep(600)"]
    box.add("one").add("mute", argv=mute).up(seconds=1.5)
    out = box.process.stdout.read()
    code, told = box.end()
    assert code == 4
    assert "error: mute not ready within 1.5 s; its log ends with:\n  child " in out
    assert "mute not ready" not in told
    assert "mute not ready" in box.logs()["supervisor.log"]
    gone([child_of(box, "mute")])


def test_a_service_that_ends_at_once_ends_the_start_with_its_log(box):
    dying = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    box.add("one").add("dying", argv=dying).up()
    out = box.process.stdout.read()
    code, _ = box.end()
    assert code == 4
    assert "error: dying ended with exit code 1; its log ends with:\n  no such thing" in out


def test_a_program_that_does_not_exist_is_an_error_not_a_bug(box):
    box.add("ghost", argv=["/nonexistent/program"]).up()
    out = box.process.stdout.read()
    assert box.end()[0] == 4
    assert "ghost can't be started" in out


def test_a_stop_during_the_start_is_obeyed(box, gone):
    mute = [sys.executable, "-uc", "import os, time; print('child', os.getpid()); time.sleep(600)"]
    box.add("one").add("mute", argv=mute).up(seconds=60)
    state = box.until(lambda s: len(s["services"]) == 2 and s["services"][1]["pid"])
    box.process.send_signal(signal.SIGTERM)
    assert box.end()[0] == 0
    gone(pids(state))


def test_a_second_box_on_the_same_state_is_refused_and_told_who_runs(box):
    box.add("one").up()
    box.ready()
    second = type(box)(box.state).add("other").up()
    code, told = second.end()
    assert code == 4
    assert f"the box is up already, run by process {box.process.pid} since " in told
    assert "esb-node down" in told


def test_a_state_left_by_a_box_that_is_gone_is_no_obstacle(box):
    (box.state / "box.json").write_text('{"state": "ready", "supervisor_pid": 1}')
    (box.state / "box.lock").write_text('{"pid": 1, "ticks": 1, "since": "then"}')
    assert not lock.is_held(box.state)
    assert stop_box(box.state, 1) is False
    box.add("one").up()
    box.ready()


def test_detached_it_returns_when_ready_and_goes_on(box, gone):
    box.add("one").add("two").up(detach=True)
    out = box.process.stdout.read()
    code, told = box.end()
    assert (code, out, told) == (0, "ready\n", "")
    state = box.read()
    with urllib.request.urlopen(state["services"][1]["address"]) as answer:
        assert answer.status == 200
    assert lock.is_held(box.state)
    assert stop_box(box.state, 20) is True
    gone([*pids(state), state["supervisor_pid"]])
    assert stop_box(box.state, 20) is False


def test_who_no_longer_waits_for_a_detached_box_does_not_get_one(box, gone):
    mute = [sys.executable, "-uc", "import os, time; print('child', os.getpid()); time.sleep(600)"]
    box.add("one").add("mute", argv=mute).up(detach=True, seconds=60)
    state = box.until(lambda s: len(s["services"]) == 2 and s["services"][1]["pid"])
    box.process.send_signal(signal.SIGTERM)
    assert box.end()[0] == 143
    gone(pids(state))
    assert not lock.is_held(box.state)


def test_detached_it_reports_a_start_that_failed(box):
    box.add("dying", argv=[sys.executable, "-c", "raise SystemExit('no such thing')"]).up(detach=True)
    code, told = box.end()
    assert code == 4
    assert "error: dying ended with exit code 1; its log ends with:\n  no such thing" in told
    assert not lock.is_held(box.state)


def test_without_a_state_file_nothing_is_started(box):
    (box.state / "box.json").mkdir()
    box.add("one").up(detach=True)
    code, told = box.end()
    assert code == 4
    assert told == f"error: {box.state}/box.json: Is a directory\n"
    assert box.logs() == {"supervisor.log": ""}
    assert not lock.is_held(box.state)


def test_the_job_runs_for_each_generation_and_after_the_data_plane_came_back(box):
    summary = '{"summary": {"created": 1, "updated": 0, "existing": 0, "rejected": 0, "failed": 0}}'
    job = [sys.executable, "-c", f"print('''{summary}''')"]
    config = box.state / "config"
    config.mkdir()
    (config / "current").symlink_to("generations/000001")
    box.add("data").add("other").up(job=job)
    state = box.ready()
    assert state["provisioner"]["generation"] == "000001"
    assert state["provisioner"]["counts"] == {"created": 1}
    (config / "next").symlink_to("generations/000002")
    (config / "next").replace(config / "current")
    box.until(lambda s: s["provisioner"]["generation"] == "000002")
    os.kill(state["services"][0]["pid"], signal.SIGKILL)
    box.until(lambda s: s["state"] == "ready" and s["services"][0]["restarts"] == 1)
    deadline = time.monotonic() + 20
    while box.logs()["supervisor.log"].count("provisioned generation 000002") < 2:
        assert time.monotonic() < deadline, box.logs()["supervisor.log"]
        time.sleep(0.02)


def test_a_zombie_handed_over_by_a_service_is_cleared_away(box):
    orphaning = (
        "import subprocess; print('child', subprocess.Popen(['sh', '-c', 'sleep 0.1 & echo $!']).wait())"
    )
    box.add("one", before=orphaning).up()
    state = box.ready()
    deadline = time.monotonic() + 10
    while True:
        pid = state["supervisor_pid"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children == [str(state["services"][0]["pid"])]:
            return
        assert time.monotonic() < deadline, children
        time.sleep(0.05)
