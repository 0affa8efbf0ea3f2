"""Paths of the image become paths of this host; what forbids a fork is seen."""

from pathlib import Path

import pytest
from esb_agent.drivers.process.environment import in_image, needs_fresh_interpreter, path_lists
from esb_agent.drivers.process.images import Image
from esb_agent.drivers.process.layout import ImageConfig

ROOT = Path("/state/rootfs/ab")
IMAGE = Image("sha256:ab", ROOT, ImageConfig({}, (), (), ""), frozenset({"app", "requests"}))


@pytest.mark.parametrize(
    ("path", "mapped"),
    [
        ("/opt", "/state/rootfs/ab/opt"),
        ("/opt/python", "/state/rootfs/ab/opt/python"),
        ("/var/task/lib", "/state/rootfs/ab/var/task/lib"),
        ("/options", "/options"),
        ("/usr/bin", "/usr/bin"),
        ("relative", "relative"),
    ],
)
def test_only_the_images_own_places_move(path, mapped):
    assert in_image(path, ROOT) == mapped


def test_given_paths_come_first_and_none_twice(tmp_path):
    (tmp_path / "opt/python").mkdir(parents=True)
    lists = path_lists({"PYTHONPATH": "/opt/esb/python:/opt/python:"}, tmp_path, "3.11.7")
    assert lists["PYTHONPATH"] == f"{tmp_path}/opt/esb/python:{tmp_path}/opt/python"
    assert lists["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert lists["LD_LIBRARY_PATH"] == ""


@pytest.mark.parametrize(
    ("environment", "preloaded", "fresh"),
    [
        ({}, {"json"}, False),
        ({"PYTHONPATH": "/x", "PATH": "/y"}, {"json"}, False),
        ({"PYTHONHASHSEED": "1"}, {"json"}, True),
        ({"LD_LIBRARY_PATH": "/x"}, {"json"}, True),
        ({"LC_ALL": "de_DE"}, {"json"}, True),
        ({"LANG": "de_DE"}, {"json"}, True),
        ({}, {"requests"}, True),
    ],
)
def test_a_fresh_interpreter_is_needed_where_a_fork_would_differ(environment, preloaded, fresh):
    assert needs_fresh_interpreter({"LANG": "C.UTF-8", **environment}, IMAGE, frozenset(preloaded)) is fresh
