"""Putting directories in place."""

import pytest
from esb_cli.errors import WorldError
from esb_cli.swap import locked, put, take_back, workspace


def content(directory):
    return sorted(path.name for path in directory.iterdir())


def test_put_exchanges_what_is_there_and_taking_back_restores_it(tree, tmp_path):
    new, old = tree({"new": ""}, "new"), tree({"old": ""}, "root")
    put(new, old)
    assert (content(tmp_path / "root"), content(tmp_path / "new")) == (["new"], ["old"])
    take_back(new, old)
    assert (content(tmp_path / "root"), content(tmp_path / "new")) == (["old"], ["new"])


def test_put_moves_where_nothing_is_and_taking_back_leaves_nothing(tree, tmp_path):
    new, root = tree({"new": ""}, "new"), tmp_path / "root"
    put(new, root)
    assert content(root) == ["new"]
    assert not new.exists()
    take_back(new, root)
    assert not root.exists()
    assert content(new) == ["new"]


def test_a_lock_is_held_by_one_and_waiting_for_it_ends(tmp_path):
    with locked(tmp_path), pytest.raises(WorldError, match="another esb has been publishing here for 0 s"):
        locked(tmp_path, patience=0).__enter__()
    with locked(tmp_path, patience=0):
        assert content(tmp_path) == []


def test_a_workspace_is_gone_afterwards_and_so_are_those_of_killed_runs(tree, tmp_path):
    leftover = tree({"half/written": ""}, ".esb-tmp-new-killed")
    with workspace(tmp_path) as place:
        assert not leftover.exists()
        (place / "x").touch()
    assert content(tmp_path) == []
