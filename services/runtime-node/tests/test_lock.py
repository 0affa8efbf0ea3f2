import os

import pytest
from esb_node import lock
from esb_node.errors import BoxRunningError


def test_one_holder_and_the_others_are_told_who(tmp_path):
    with lock.hold(tmp_path) as descriptor:
        lock.sign(descriptor, "2030-01-01")
        assert lock.is_held(tmp_path)
        with (
            pytest.raises(BoxRunningError, match=f"run by process {os.getpid()} since 2030-01-01"),
            lock.hold(tmp_path),
        ):
            pass
    assert not lock.is_held(tmp_path)


def test_a_holder_that_is_gone_is_nobody(tmp_path):
    (tmp_path / lock.FILE).write_text('{"pid": 4194303, "ticks": 5, "since": "x"}')
    assert lock.holder(tmp_path) is None


def test_a_process_that_took_over_the_number_is_not_the_holder(tmp_path):
    (tmp_path / lock.FILE).write_text(f'{{"pid": {os.getpid()}, "ticks": 5, "since": "x"}}')
    assert lock.holder(tmp_path) is None


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}', "\x00"])
def test_a_broken_lock_file_says_nothing(tmp_path, content):
    (tmp_path / lock.FILE).write_text(content)
    assert lock.holder(tmp_path) is None
    assert not lock.is_held(tmp_path)


def test_looking_does_not_keep_others_from_locking(tmp_path):
    for _ in range(20):
        lock.is_held(tmp_path)
        with lock.hold(tmp_path):
            pass
