"""Functions that ask for a sandbox of their own."""

import pytest
from esb_agent.drivers.sandboxes import check_sandbox
from esb_agent.errors import BadRequestError
from esb_agent.model import FunctionSpec


def asking(sandbox):
    return FunctionSpec(name="f", image="f:1", sandbox=sandbox)


@pytest.mark.parametrize(
    ("sandbox", "mode"),
    [("", "process"), ("", "docker"), ("runc", "docker"), ("gvisor", "containerd"), ("runc", "containerd")],
)
def test_what_a_mode_has_or_chooses_by_itself_is_let_through(sandbox, mode):
    check_sandbox(asking(sandbox), mode)


@pytest.mark.parametrize(
    ("sandbox", "mode"), [("runc", "process"), ("gvisor", "process"), ("gvisor", "docker")]
)
def test_a_sandbox_that_a_mode_lacks_is_refused_with_a_hint(sandbox, mode):
    with pytest.raises(BadRequestError, match=f"sandbox {sandbox}: mode {mode} .*containerd"):
        check_sandbox(asking(sandbox), mode)


def test_another_sandbox_makes_another_worker():
    assert asking("").digest() != asking("gvisor").digest()
