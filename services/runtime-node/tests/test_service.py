from pathlib import Path

import pytest
from attrs import evolve
from esb_node.backoff import Backoff
from esb_node.service import Phase, Service, exit_text
from esb_node.specs import HttpProbe, ServiceSpec

SPEC = ServiceSpec(
    "web", ("web",), HttpProbe("http://web"), "http://web", Path("web.log"), start_seconds=10, stop_seconds=5
)


@pytest.fixture
def told():
    return []


@pytest.fixture
def service(launcher, clock, told):
    return Service(SPEC, launcher, clock, told.append, Backoff(first=1.0, longest=8.0, healthy=60.0))


def crash(service, launcher, code=1):
    launcher.started[-1][1].code = code
    service.tick()


def test_it_is_ready_when_it_answers(service, launcher, clock, told):
    service.start()
    service.tick()
    assert service.phase is Phase.STARTING
    clock.sleep(0.4)
    launcher.ready.add("http://web")
    service.tick()
    assert service.phase is Phase.READY
    assert told == ["web ready after 0.4 s at http://web"]


def test_it_is_started_again_after_pauses_that_grow(service, launcher, clock):
    service.start()
    starts = []
    for _ in range(5):
        crash(service, launcher)
        assert (service.phase, service.process) == (Phase.BACKOFF, None)
        before = clock()
        while service.phase is Phase.BACKOFF:
            clock.sleep(0.5)
            service.tick()
        starts.append(clock() - before)
    assert starts == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert service.restarts == 5


def test_after_a_healthy_time_the_pauses_start_over(service, launcher, clock):
    launcher.ready.add("http://web")
    service.start()
    for _ in range(4):
        crash(service, launcher)
        clock.sleep(10)
        service.tick()
    service.tick()
    assert service.phase is Phase.READY
    clock.sleep(60)
    crash(service, launcher)
    clock.sleep(1.0)
    service.tick()
    assert service.phase is Phase.STARTING


def test_one_that_does_not_answer_in_time_is_killed_and_started_again(service, launcher, clock):
    service.start()
    process = launcher.started[-1][1]
    clock.sleep(10)
    service.tick()
    assert process.calls == ["kill"]
    service.tick()
    assert (service.phase, service.trouble) == (Phase.BACKOFF, "did not answer within 10 s")


def test_a_crash_kills_what_is_left_of_its_group(service, launcher):
    service.start()
    crash(service, launcher)
    assert launcher.started[-1][1].calls == ["kill"]


def test_a_program_that_can_not_be_started_is_tried_again(service, launcher, clock):
    launcher.refuse = FileNotFoundError("no such program")
    service.start()
    assert service.trouble == "can't be started: no such program"
    launcher.refuse = None
    clock.sleep(1.0)
    service.tick()
    assert service.phase is Phase.STARTING


def test_stopping_asks_first_and_kills_after_the_time_it_has(service, launcher, clock):
    launcher.stubborn.add("web")
    service.start()
    process = launcher.started[-1][1]
    assert service.stop() is False
    clock.sleep(4.9)
    assert service.stop() is False
    assert process.calls == ["terminate"]
    clock.sleep(0.1)
    assert service.stop() is False
    assert service.stop() is True
    assert process.calls == ["terminate", "kill", "kill"]
    assert (service.phase, service.pid) == (Phase.STOPPED, None)


def test_one_with_nothing_to_save_is_killed_at_once(launcher, clock, told):
    service = Service(evolve(SPEC, stop_seconds=0), launcher, clock, told.append)
    service.start()
    process = launcher.started[-1][1]
    process.kill = lambda: process.calls.append("kill")  # it takes a moment
    assert service.stop() is False
    assert service.stop() is False
    process.code = -9
    assert service.stop() is True
    assert process.calls == ["kill", "kill"]
    assert told == []


def test_stopping_what_never_started_is_done_at_once(service):
    assert service.stop() is True


@pytest.mark.parametrize(("code", "text"), [(0, "exit code 0"), (-9, "signal SIGKILL"), (-99, "signal 99")])
def test_the_end_of_a_process_is_told_in_words(code, text):
    assert exit_text(code) == text
