"""Killed with SIGKILL at every single step: CONFIG_DIR reads as before or as after, never a mix.

Real processes on a real file system; each is forked from this one, so that hundreds of them take seconds.
"""

import os
import shutil
import signal
from itertools import count

import pytest
from artifactctl.api import RollbackRequest
from artifactctl.disk import LocalDisk
from artifactctl.timeline import rollback

STEPS = ["make_directory", "write_file", "sync", "rename", "make_link", "remove_file", "remove_directory"]


class KillingDisk(LocalDisk):
    """Kills its process at a given moment: each step has one before it, a write has one in the middle."""

    def __init__(self, moment):
        self.left = moment

    def _pass_moment(self):
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def sync(self, path):
        """Don't wait for the device: only a power cut could take what a killed process has written."""
        self._pass_moment()

    def write_file(self, path, data):
        self._pass_moment()
        if self.left == 0:
            super().write_file(path, data[: len(data) // 2])
        self._pass_moment()
        super().write_file(path, data)


def _killing(name):
    def step(self, *arguments):
        self._pass_moment()
        getattr(LocalDisk, name)(self, *arguments)

    return step


for _name in set(STEPS) - {"write_file", "sync"}:
    setattr(KillingDisk, _name, _killing(_name))


SCENARIOS = ["nothing", "one generation", "plain files", "an edited file", "many generations"]


def copies(box, tmp_path):
    """Fresh copies of what CONFIG_DIR is now, one for each moment; `box` is the copy."""
    original = box.dir
    for moment in count():
        box.dir = tmp_path / f"config-{moment}"
        if original.exists():
            shutil.copytree(original, box.dir, symlinks=True)
        yield moment


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_killed_apply_leaves_the_old_state_or_the_new_one(scenario, states, tmp_path, box, children):
    box.disk = states.quick_disk
    before, after = states.prepare(scenario)
    seen = set()
    for moment in copies(box, tmp_path):
        disk = KillingDisk(moment)
        ended_by = children.run(lambda disk=disk: box.apply(states.version("1"), disk=disk, keep=1))
        said = states.what_it_says()
        assert said in {before, after}, f"killed at moment {moment}"
        assert states.are_generations_whole(), f"killed at moment {moment}"
        seen.add(said)
        if not ended_by:
            break
        # whatever state it was left in, the next apply finds its way
        box.apply(states.version("2"), keep=1)
        assert states.what_it_says() == after.replace("1", "2")
        assert not states.leftovers()
        assert not box.apply(states.version("2"), keep=1).changed
    assert said == after
    assert seen == {before, after}
    assert moment > 25


def test_a_killed_rollback_leaves_the_old_state_or_the_new_one(states, tmp_path, box, children):
    box.disk = states.quick_disk
    box.apply(states.version("1"))
    box.apply(states.version("0"))
    (box.dir / "routing.yml").unlink()
    (box.dir / "routing.yml").write_text("routes: [{path: /by-hand, function: api}]\n")
    seen = set()
    for moment in copies(box, tmp_path):
        request, disk = RollbackRequest(config_dir=box.dir, now=box.now), KillingDisk(moment)
        ended_by = children.run(lambda request=request, disk=disk: rollback(request, disk=disk))
        seen.add(states.what_it_says())
        if not ended_by:
            break
        rollback(RollbackRequest(config_dir=box.dir, now=box.now, to=1))
        assert states.what_it_says() == "1"
        box.apply(states.version("2"))
        assert states.what_it_says() == "2"
        assert not states.leftovers()
    assert states.what_it_says() == "1"
    assert seen == {"0", "1"}


def test_an_editors_change_survives_a_kill_at_any_moment(states, tmp_path, box, children):
    box.disk = states.quick_disk
    box.apply(states.version("0"))
    text = box.text("functions.yml")
    (box.dir / "functions.yml").unlink()
    (box.dir / "functions.yml").write_text(f"{text}  mine:\n    image: x\n")
    for moment in copies(box, tmp_path):
        disk = KillingDisk(moment)
        ended_by = children.run(lambda disk=disk: box.apply(states.version("1"), disk=disk))
        box.apply(states.version("2"))
        assert box.functions()["mine"] == "x"
        if not ended_by:
            break
