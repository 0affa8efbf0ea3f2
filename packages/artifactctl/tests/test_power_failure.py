"""The power fails at any step: what was not flushed is gone or half there, CONFIG_DIR reads as old or new.

The steps of a real apply are replayed on a model of a disk that keeps what was flushed and loses what it
likes of the rest: file contents that were not synced, and names in directories that were not.
"""

import random
import shutil
from functools import partial

import pytest
from artifactctl.disk import LocalDisk

SCENARIOS = ["nothing", "one generation", "plain files", "an edited file", "many generations"]


class RecordingDisk(LocalDisk):
    def __init__(self):
        self.steps = []


def _recording(name):
    def step(self, *arguments):
        self.steps.append((name, *arguments))
        if name != "sync":
            getattr(LocalDisk, name)(self, *arguments)

    return step


for _name in (
    "make_directory",
    "write_file",
    "sync",
    "rename",
    "make_link",
    "remove_file",
    "remove_directory",
):
    setattr(RecordingDisk, _name, _recording(_name))


class File:
    def __init__(self, data, *, synced):
        self.data, self.synced = data, synced


class Directory:
    """Names to files, links (texts) and directories; `pending` are changes that a power cut may take."""

    def __init__(self):
        self.names, self.pending = {}, []

    def change(self, **names):
        self.pending.append(names)

    def now(self):
        names = dict(self.names)
        for change in self.pending:
            names.update(change)
        return names

    def sync(self):
        self.names, self.pending = self.now(), []


class DiskModel:
    """What a disk holds, as far as it is known; starts with all there is flushed."""

    def __init__(self, root):
        self.root = self._load(root)

    def _load(self, path):
        if path.is_symlink():
            return str(path.readlink())
        if path.is_file():
            return File(path.read_bytes(), synced=True)
        directory = Directory()
        directory.names = {inner.name: self._load(inner) for inner in path.iterdir()} if path.exists() else {}
        return directory

    def find(self, parts):
        node = self.root
        for part in parts:
            node = node.now()[part]
        return node

    def play(self, step, top):
        name, path, *more = step
        if path == top:
            assert name == "sync"
            return self.root.sync()
        *parents, own = path.relative_to(top).parts
        parent = self.find(parents)
        if name == "sync":
            self._sync(parent.now()[own])
        elif name == "rename":
            target = more[0].relative_to(top).parts
            assert list(target[:-1]) == parents, "only renames within a directory are one step to a disk"
            parent.change(**{own: None, target[-1]: parent.now()[own]})
        else:
            made = {
                "make_directory": Directory,
                "write_file": lambda data: File(data, synced=False),
                "make_link": str,
            }
            parent.change(**{own: made[name](*more) if name in made else None})
        return None

    @staticmethod
    def _sync(node):
        if isinstance(node, Directory):
            node.sync()
        else:
            node.synced = True

    def survivors(self, choose):
        """What is left after a power cut, path by path; `choose(n)` says how much of something is kept."""
        return dict(self._survivors(self.root, "", choose))

    def _survivors(self, node, path, choose):
        if isinstance(node, File):
            yield path, node.data if node.synced else node.data[: choose(len(node.data))]
        elif isinstance(node, Directory):
            yield path, None
            names = dict(node.names)
            for change in node.pending[: choose(len(node.pending))]:
                names.update(change)
            for name, inner in sorted(names.items()):
                yield from self._survivors(inner, f"{path}/{name}", choose) if inner is not None else ()
        else:
            yield path, node


def put(survivors, top):
    """Write what survived to a real directory."""
    for path, content in survivors.items():
        place = top.with_name(top.name + path) if not path else top / path[1:]
        if content is None:
            place.mkdir()
        elif isinstance(content, str):
            place.symlink_to(content)
        else:
            place.write_bytes(content)


def outcomes(steps):
    """What may be kept: nothing, all names but no contents, or anything."""
    yield lambda most: 0
    yield lambda most: most if most < 50 else 0
    for seed in range(3):
        yield partial(random.Random(f"{seed} {steps}").randint, 0)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_after_a_power_cut_the_old_state_or_the_new_one_is_there(scenario, states, tmp_path, box):
    box.disk = states.quick_disk
    before, after = states.prepare(scenario)
    at_first = tmp_path / "at-first"
    at_first.mkdir()
    if box.dir.exists():
        shutil.copytree(box.dir, at_first / "config", symlinks=True)
    disk = RecordingDisk()
    box.apply(states.version("1"), disk=disk, keep=1)
    steps = [step for step in disk.steps if ".lock" not in step[1].name]
    said = {}
    for cut in range(len(steps) + 1):
        for choose in outcomes(cut):
            model = DiskModel(at_first)
            for step in steps[:cut]:
                model.play(step, tmp_path)
            survivors = model.survivors(choose)
            signature = frozenset(survivors.items())
            if signature not in said:
                box.dir = tmp_path / f"survived-{len(said)}" / "config"
                put(survivors, box.dir.parent)
                said[signature] = states.what_it_says()
                assert states.are_generations_whole(), f"cut after {steps[:cut][-1:]}"
                box.apply(states.version("2"), keep=1)
                assert states.what_it_says() == after.replace("1", "2"), f"cut after {steps[:cut][-1:]}"
                assert not states.leftovers()
            assert said[signature] in {before, after}, f"cut after {steps[:cut][-1:]}"
            assert said[signature] == after or cut < len(steps), "an apply that has returned is durable"
    assert set(said.values()) == {before, after}
    assert len(said) > 10
