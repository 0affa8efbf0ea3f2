from pathlib import Path

import pytest
from esb_node.backoff import Backoff
from esb_node.provisioning import Provisioning, RunState, generation_of
from esb_node.specs import JobSpec


class Config:
    """What CONFIG_DIR holds."""

    generation = None


@pytest.fixture
def config():
    return Config()


@pytest.fixture
def told():
    return []


@pytest.fixture
def job(tmp_path, launcher, clock, config, told):
    spec = JobSpec("provisioner", ("provision",), tmp_path / "out.json", Path("p.log"), max_seconds=100)
    return Provisioning(spec, lambda: config.generation, launcher, clock, told.append, Backoff(first=1.0))


def finish(job, launcher, code, life=1):
    launcher.started[-1][1].code = code
    job.tick(life)


def test_nothing_runs_before_something_is_applied_and_the_data_plane_is_ready(job, launcher, config):
    job.tick(1)
    config.generation = "000001"
    job.tick(None)
    assert launcher.started == []
    assert not job.settled(1)
    job.tick(1)
    assert len(launcher.started) == 1


def test_a_generation_is_provisioned_once(job, launcher, config, told):
    config.generation = "000001"
    job.tick(1)
    job.spec.output.write_text('{"summary": {"created": 2, "failed": 0}}')
    finish(job, launcher, 0)
    job.tick(1)
    assert len(launcher.started) == 1
    assert (job.state, job.provisioned, job.counts) == (RunState.DONE, "000001", {"created": 2})
    assert told == ["provisioned generation 000001: 2 created"]
    assert job.settled(1)


def test_a_new_generation_and_a_new_life_of_the_data_plane_are_new_needs(job, launcher, config):
    config.generation = "000001"
    job.tick(1)
    finish(job, launcher, 0)
    config.generation = "000002"
    assert not job.settled(1)
    job.tick(1)
    finish(job, launcher, 0)
    assert job.provisioned == "000002"
    assert not job.settled(2)
    job.tick(2)
    assert len(launcher.started) == 3


def test_a_generation_that_appears_during_a_run_has_its_own_run(job, launcher, config):
    config.generation = "000001"
    job.tick(1)
    config.generation = "000002"
    finish(job, launcher, 0)
    assert job.provisioned == "000001"
    assert not job.settled(1)
    job.tick(1)
    assert len(launcher.started) == 2


def test_a_failed_store_is_tried_again_after_pauses(job, launcher, clock, config):
    config.generation = "000001"
    job.tick(1)
    finish(job, launcher, 4)
    assert job.state is RunState.FAILED
    assert job.settled(1)  # a start does not wait for what may never come
    job.tick(1)
    assert len(launcher.started) == 1
    clock.sleep(1.0)
    job.tick(1)
    assert len(launcher.started) == 2


def test_a_new_generation_does_not_wait_for_the_pause_of_the_old_one(job, launcher, config):
    config.generation = "000001"
    job.tick(1)
    finish(job, launcher, 4)
    config.generation = "000002"
    job.tick(1)
    assert len(launcher.started) == 2


def test_a_rejected_config_is_not_tried_again(job, launcher, clock, config):
    config.generation = "000001"
    job.tick(1)
    finish(job, launcher, 3)
    clock.sleep(1000)
    job.tick(1)
    assert len(launcher.started) == 1
    assert job.state is RunState.REJECTED
    assert "rejected" in job.trouble


def test_a_run_that_hangs_is_killed(job, launcher, clock, config):
    config.generation = "000001"
    job.tick(1)
    clock.sleep(100)
    job.tick(1)
    assert launcher.started[-1][1].calls == ["kill"]
    job.tick(1)
    assert job.trouble.startswith("ended with signal SIGKILL")


def test_the_generation_is_where_the_link_leads_else_a_mark_of_the_plain_file(tmp_path):
    assert generation_of(tmp_path / "nowhere") is None
    assert generation_of(tmp_path) is None
    (tmp_path / "resources.yml").write_text("resources: {}\n")
    plain = generation_of(tmp_path)
    assert plain.startswith("plain-")
    (tmp_path / "resources.yml").write_text("resources: {s3: []}\n")
    assert generation_of(tmp_path) != plain
    (tmp_path / "current").symlink_to("generations/000007")
    assert generation_of(tmp_path) == "000007"
