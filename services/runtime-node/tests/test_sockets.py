from pathlib import Path

import pytest
from esb_node.errors import NodeError
from esb_node.sockets import remove_sockets, socket_path


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_short_state_directory_holds_its_socket(temporary):
    assert socket_path(Path("/srv/box"), "agent.sock") == Path("/srv/box/agent.sock")
    remove_sockets(Path("/srv/box"))


def test_the_directory_of_a_long_one_goes_with_its_box(temporary):
    long = Path("/srv") / ("ü" * 60)
    path = socket_path(long, "agent.sock")
    assert (path.parent.parent, path.name) == (temporary, "agent.sock")
    path.touch()
    remove_sockets(long)
    assert list(temporary.iterdir()) == []


def test_a_directory_others_can_enter_is_refused(temporary):
    long = Path("/srv") / ("x" * 120)
    socket_path(long, "agent.sock").parent.chmod(0o755)
    with pytest.raises(NodeError, match="not a private directory"):
        socket_path(long, "agent.sock")
