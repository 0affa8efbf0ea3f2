"""The lock: waiting is bounded and says for whom; a killed holder lets go at once."""

import os
import signal

import pytest
from artifactctl.disk import LocalDisk
from artifactctl.errors import DiskError, LockTimeoutError
from artifactctl.lock import LockHolder, LockWait, exclusive, read_holder

ME = LockHolder(1, "test", "now")


class StoppingDisk(LocalDisk):
    """Says that it holds the lock, by a file, and goes on when it may."""

    def __init__(self, children, holding, go_on):
        self.children, self.holding, self.go_on = children, holding, go_on

    def write_file(self, path, data):
        if path.name == "functions.yml":
            self.holding.touch()
            self.children.wait_for(self.go_on.exists)
        super().write_file(path, data)


def test_who_waits_is_told_for_whom_and_goes_on_when_it_is_free(box, states, children, tmp_path):
    box.apply(states.version("0"))
    holding, go_on = tmp_path / "holding", tmp_path / "go-on"
    first = children.start(
        lambda: box.apply(states.version("1"), disk=StoppingDisk(children, holding, go_on))
    )
    children.wait_for(holding.exists)
    told = []

    def waits(wait):
        told.append(wait)
        go_on.touch()

    result = box.apply(states.version("2"), on_wait=waits)
    assert children.result_of(first) == 0
    assert [(wait.holder.pid, wait.holder.command, wait.timeout) for wait in told] == [
        (first, "artifactctl apply", 60.0)
    ]
    assert str(told[0]) == (
        f"waiting up to 60 s for {box.dir}, held by process {first} (artifactctl apply), "
        "since 2026-01-31T12:00:00+00:00"
    )
    assert result.previous == 2  # merged onto what the other one wrote
    assert states.what_it_says() == "2"


def test_waiting_ends_and_names_the_holder(box, states, children, tmp_path):
    box.apply(states.version("0"))
    holding, go_on = tmp_path / "holding", tmp_path / "go-on"
    first = children.start(
        lambda: box.apply(states.version("1"), disk=StoppingDisk(children, holding, go_on))
    )
    children.wait_for(holding.exists)
    with pytest.raises(
        LockTimeoutError, match=rf"not free after 0.1 s: held by process {first} \(artifactctl"
    ):
        box.apply(states.version("2"), lock_timeout=0.1)
    go_on.touch()
    assert children.result_of(first) == 0
    assert states.what_it_says() == "1"


def test_nobody_who_changes_nothing_waits(box, states, children, tmp_path):
    box.apply(states.version("0"))
    holding, go_on = tmp_path / "holding", tmp_path / "go-on"
    first = children.start(
        lambda: box.apply(states.version("1"), disk=StoppingDisk(children, holding, go_on))
    )
    children.wait_for(holding.exists)
    assert not box.apply(states.version("0"), lock_timeout=0).changed
    go_on.touch()
    assert children.result_of(first) == 0


def test_a_killed_holder_lets_go_at_once(box, states, children, tmp_path):
    box.apply(states.version("0"))
    holding = tmp_path / "holding"
    first = children.start(
        lambda: box.apply(states.version("1"), disk=StoppingDisk(children, holding, tmp_path / "never"))
    )
    children.wait_for(holding.exists)
    os.kill(first, signal.SIGKILL)
    assert children.result_of(first) == -signal.SIGKILL
    assert (box.dir / ".lock.holder").exists()
    box.apply(states.version("2"), lock_timeout=0)
    assert states.what_it_says() == "2"
    assert not (box.dir / ".lock.holder").exists()
    assert not states.leftovers()


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"pid": "x", "command": "c", "since": "s"}', b"\xff"])
def test_a_holder_that_is_not_legible_is_nobody_known(tmp_path, text):
    (tmp_path / ".lock.holder").write_bytes(text)
    assert read_holder(tmp_path) is None
    assert str(LockWait(tmp_path, None, 3)) == f"waiting up to 3 s for {tmp_path}, held by another process"


def test_a_holder_that_cannot_be_written_down_holds_the_lock_all_the_same(tmp_path):
    class FullDisk(LocalDisk):
        def write_file(self, path, data):
            raise DiskError(path, "write", OSError(28, "No space left on device"))

    with exclusive(tmp_path, timeout=0, holder=ME, on_wait=print, disk=FullDisk()):
        assert not (tmp_path / ".lock.holder").exists()
        with (
            pytest.raises(LockTimeoutError, match="held by another process"),
            exclusive(tmp_path, timeout=0, holder=ME, on_wait=lambda _: None, disk=LocalDisk()),
        ):
            raise AssertionError("two holders")


def test_a_lock_file_that_cannot_be_opened_is_an_error_of_the_disk(tmp_path):
    (tmp_path / ".lock").mkdir()
    with (
        pytest.raises(DiskError, match=r"\.lock: cannot open the lock file: Is a directory"),
        exclusive(tmp_path, timeout=0, holder=ME, on_wait=print, disk=LocalDisk()),
    ):
        raise AssertionError("no lock")
