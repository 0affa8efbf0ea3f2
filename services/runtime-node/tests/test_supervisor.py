from pathlib import Path

import pytest
from esb_node.errors import StartError
from esb_node.provisioning import Provisioning
from esb_node.service import Service
from esb_node.specs import HttpProbe, JobSpec, ServiceSpec
from esb_node.supervisor import CALM_TURN, Supervisor

NAMES = ("data", "agent", "gateway")


class Story:
    """A supervisor over fakes; `script` is called before each turn with its number."""

    def __init__(self, tmp_path, launcher, clock):
        self.launcher, self.clock, self.told, self.reports, self.cleared = launcher, clock, [], [], []
        self.generation, self.stop_at, self.turn, self.script = None, 10_000, 0, lambda turn: None
        services = tuple(
            Service(
                ServiceSpec(n, (n,), HttpProbe(n), f"http://{n}", tmp_path / f"{n}.log"),
                launcher,
                clock,
                self.told.append,
            )
            for n in NAMES
        )
        job = JobSpec("provisioner", ("p",), tmp_path / "out.json", Path("p.log"))
        self.supervisor = Supervisor(
            services=services,
            provisioning=Provisioning(job, lambda: self.generation, launcher, clock, self.told.append),
            data_plane="data",
            clock=clock,
            pause=self.pause,
            stopping=lambda: self.turn >= self.stop_at,
            report=lambda state, services, run: self.reports.append(state),
            clear=lambda own, end: self.cleared.append((own, end)),
        )

    def pause(self, seconds):
        self.clock.sleep(seconds)
        self.turn += 1
        self.script(self.turn)

    def names(self):
        return [name for name, _ in self.launcher.started]

    def process(self, name):
        return next(p for n, p in reversed(self.launcher.started) if n == name)


@pytest.fixture
def story(tmp_path, launcher, clock):
    return Story(tmp_path, launcher, clock)


def test_each_service_is_started_when_the_one_before_it_answers(story):
    seen = []

    def script(turn):
        seen.append(tuple(story.names()))
        story.launcher.ready.add(NAMES[min(turn // 3, 2)])

    story.script = script
    assert story.supervisor.start(60) is True
    assert sorted(set(seen), key=len) == [("data",), ("data", "agent"), ("data", "agent", "gateway")]
    assert set(story.reports[:-1]) == {"starting"}
    assert story.reports[-1] == "ready"


def test_a_start_ends_when_what_is_applied_is_provisioned_too(story):
    story.launcher.ready.update(NAMES)
    story.generation = "000001"

    def script(turn):
        if turn == 8:
            story.process("provisioner").code = 0

    story.script = script
    assert story.supervisor.start(60) is True
    assert story.turn >= 8
    assert story.names()[:2] == ["data", "provisioner"]


def test_a_service_that_is_not_ready_in_time_fails_the_start_with_its_log(story):
    story.launcher.ready.add("data")
    story.supervisor.services[1].spec.log.write_text("\n".join(f"line {n}" for n in range(100)))
    with pytest.raises(StartError) as caught:
        story.supervisor.start(3)
    assert str(caught.value).startswith("agent not ready within 3 s; its log ends with:\n  line 85\n")
    assert str(caught.value).endswith("line 99")


def test_a_service_that_ends_fails_the_start_at_once(story):
    story.script = lambda turn: setattr(story.process("data"), "code", 1)
    with pytest.raises(StartError, match="data ended with exit code 1; its log is empty"):
        story.supervisor.start(60)
    assert story.names() == ["data"]


def test_a_crash_of_one_leaves_the_others_alone_and_clears_its_orphans(story):
    story.launcher.ready.update(NAMES)
    story.supervisor.start(60)
    story.stop_at = story.turn + 20
    crash_at = story.turn + 2

    def script(turn):
        if turn == crash_at:
            story.process("agent").code = -9

    story.script = script
    story.supervisor.keep()
    assert story.names() == ["data", "agent", "gateway", "agent"]
    assert "degraded" in story.reports
    assert story.reports[-1] == "ready"
    assert [own for own, end in story.cleared if end] == [{1000, 1002}]


def test_the_services_stop_in_reverse_and_nothing_is_left(story):
    story.launcher.ready.update(NAMES)
    story.supervisor.start(60)
    ended = []
    for name, process in story.launcher.started:
        process.terminate = lambda name=name, process=process: (
            ended.append(name),
            setattr(process, "code", 0),
        )
    story.supervisor.stop()
    assert ended == ["gateway", "agent", "data"]
    assert story.cleared[-1] == (set(), True)
    assert story.reports[-1] == "stopped"


def test_a_calm_box_is_looked_at_seldom(story, clock):
    story.launcher.ready.update(NAMES)
    story.supervisor.start(60)
    before, turn = clock(), story.turn
    story.stop_at = turn + 10
    story.supervisor.keep()
    assert clock() - before == pytest.approx(10 * CALM_TURN)
