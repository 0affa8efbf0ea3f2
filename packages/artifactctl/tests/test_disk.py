"""The one port to the file system."""

import pytest
from artifactctl.disk import LocalDisk
from artifactctl.errors import DiskError

DISK = LocalDisk()


def test_files_are_made_read_only_and_never_over_others(tmp_path):
    DISK.write_file(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"
    assert (tmp_path / "file").stat().st_mode & 0o222 == 0


def test_a_failure_of_the_disk_names_file_and_action(tmp_path):
    (tmp_path / "file").write_text("")
    for act, message in [
        (lambda: DISK.write_file(tmp_path / "file", b""), "file: cannot write: File exists"),
        (lambda: DISK.make_directory(tmp_path / "x/y"), "y: cannot create the directory: No such file"),
        (lambda: DISK.sync(tmp_path / "x"), "x: cannot flush to the disk: No such file"),
        (lambda: DISK.rename(tmp_path / "x", tmp_path / "y"), "y: cannot put in place: No such file"),
        (lambda: DISK.make_link(tmp_path / "file", "x"), "file: cannot create the link: File exists"),
        (lambda: DISK.remove_file(tmp_path / "x"), "x: cannot remove: No such file"),
        (lambda: DISK.remove_directory(tmp_path), "cannot remove the directory: Directory not empty"),
    ]:
        with pytest.raises(DiskError, match=message):
            act()
