import stat

import pytest
from esb_node.files import make_private, write_private


def test_a_file_is_replaced_whole_and_private(tmp_path):
    write_private(tmp_path / "a", "one")
    write_private(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "two"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_write_that_fails_names_the_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    write_private(tmp_path / "a", "old")

    def full(*_arguments, **_named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("esb_node.files.Path.replace", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_private(tmp_path / "a", "new")
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_only_a_directory_made_here_is_closed_to_others(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    make_private(shared)
    make_private(shared / "box")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (shared, shared / "box")] == [0o755, 0o700]
