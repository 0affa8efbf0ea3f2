"""From spec and image to what is started."""

from pathlib import Path

import pytest
from esb_agent.drivers.process.images import Image
from esb_agent.drivers.process.keeper.messages import Ready
from esb_agent.drivers.process.launch import (
    Interpreter,
    check_runtime,
    handler_of,
    version_differs,
    working_directory,
)
from esb_agent.drivers.process.layout import ImageConfig
from esb_agent.errors import BadRequestError, ImageBrokenError
from esb_agent.model import FunctionSpec


def image(root=Path("/r"), command=("image.h",), entrypoint=(), directory=""):
    return Image("sha256:0", root, ImageConfig({}, command, entrypoint, directory), frozenset())


def spec(**values):
    return FunctionSpec(name="f", image="i:1", **values)


@pytest.mark.parametrize(
    ("values", "handler"),
    [({}, "image.h"), ({"handler": "spec.h"}, "spec.h"), ({"handler": "spec.h", "cmd": ("cmd.h",)}, "cmd.h")],
)
def test_the_nearest_handler_wins(values, handler):
    assert handler_of(spec(**values), image()) == handler


def test_no_handler_anywhere_is_the_images_fault():
    with pytest.raises(ImageBrokenError, match="i:1: has no command"):
        handler_of(spec(), image(command=()))


@pytest.mark.parametrize("entrypoint", [("/lambda-entrypoint.sh",), ("python3", "-m", "awslambdaric")])
def test_entrypoints_that_are_the_runtime_client_are_fine(entrypoint):
    assert handler_of(spec(), image(entrypoint=entrypoint)) == "image.h"


def test_any_other_entrypoint_is_told():
    with pytest.raises(ImageBrokenError, match="entrypoint /bin/custom"):
        handler_of(spec(), image(entrypoint=("/bin/custom",)))


@pytest.mark.parametrize("runtime", ["nodejs22.x", "java21", "provided.al2023"])
def test_other_languages_are_refused(runtime):
    with pytest.raises(BadRequestError, match=runtime):
        check_runtime(spec(runtime=runtime))


@pytest.mark.parametrize(("runtime", "differs"), [("", False), ("python3.11", False), ("python3.12", True)])
def test_another_python_is_noticed(runtime, differs):
    interpreter = Interpreter(path="python", ready=Ready(1, "3.11.7", "4.2.2", []), fork=True)
    assert version_differs(spec(runtime=runtime), interpreter) is differs


def test_the_images_working_directory_counts_when_it_is_there(tmp_path):
    (tmp_path / "var/task/sub").mkdir(parents=True)
    assert working_directory(image(tmp_path, directory="/var/task/sub")) == tmp_path / "var/task/sub"
    for other in ("", "/", "/var/task/missing", "/etc"):
        assert working_directory(image(tmp_path, directory=other)) == tmp_path / "var/task"
