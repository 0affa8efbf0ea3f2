"""Files that stay bounded."""

import pytest
from esb_agent.drivers.log_files import GATHER_BYTES, LogFile, LogFiles


def test_a_full_file_is_turned_over_and_the_oldest_dropped(tmp_path):
    file = LogFile(tmp_path / "f.log", 100, 2)
    for number in range(10):
        file.write(b"%d" % number * 59 + b"\n")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.log", "f.log.1", "f.log.2"]
    assert [(tmp_path / name).read_bytes()[:1] for name in ("f.log", "f.log.1", "f.log.2")] == [
        b"9",
        b"8",
        b"7",
    ]


def test_no_backups_means_starting_over(tmp_path):
    file = LogFile(tmp_path / "f.log", 100, 0)
    for number in range(3):
        file.write(b"%d" % number * 59 + b"\n")
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["f.log"]
    assert (tmp_path / "f.log").read_bytes()[:1] == b"2"


def test_a_file_goes_on_where_an_earlier_agent_stopped(tmp_path):
    for _ in range(2):
        file = LogFile(tmp_path / "f.log", 1000, 1)
        file.write(b"line\n")
        file.close()
    assert (tmp_path / "f.log").read_bytes() == b"line\nline\n"


def test_a_directory_that_is_not_there_loses_lines_and_nothing_else(tmp_path):
    LogFile(tmp_path / "gone" / "f.log", 100, 1).write(b"line\n")


def test_workers_of_a_function_share_a_file(tmp_path):
    files = LogFiles(tmp_path, 100, 1)
    assert files.of("f") is files.of("f")
    assert files.of("f") is not files.of("g")
    files.of("f").write(b"line\n")
    files.release("f")
    files.release("never was")
    files.of("f").write(b"line\n")
    assert (tmp_path / "f.log").read_bytes() == b"line\nline\n"
    files.close()


class Clock:
    """`Later` by hand."""

    def __init__(self):
        self.work = None

    def later(self, seconds, work):
        self.work = work
        return self

    def cancel(self):
        self.work = None

    def tick(self):
        work, self.work = self.work, None
        work()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gathering(tmp_path, clock):
    return LogFile(tmp_path / "f.log", 100, 1, later=clock.later)


def test_the_first_line_is_written_at_once_and_what_follows_soon_is_gathered(tmp_path, clock, gathering):
    seen = []
    for number in range(3):
        gathering.write(b"%d\n" % number)
        seen.append((tmp_path / "f.log").read_bytes())
    clock.tick()
    seen.append((tmp_path / "f.log").read_bytes())
    assert seen == [b"0\n", b"0\n", b"0\n", b"0\n1\n2\n"]
    clock.tick()
    assert clock.work is None
    gathering.write(b"after a rest\n")
    assert (tmp_path / "f.log").read_bytes().endswith(b"after a rest\n")
    gathering.close()


def test_gathered_lines_are_written_when_they_are_many_when_asked_and_at_the_end(tmp_path, clock):
    file = LogFile(tmp_path / "f.log", 10 * GATHER_BYTES, 1, later=clock.later)
    file.write(b"first\n")
    file.write(b"x" * GATHER_BYTES + b"\n")
    assert (tmp_path / "f.log").stat().st_size == 7 + GATHER_BYTES
    file.write(b"asked\n")
    file.flush()
    assert (tmp_path / "f.log").read_bytes().endswith(b"asked\n")
    file.write(b"end\n")
    file.close()
    assert (tmp_path / "f.log").read_bytes().endswith(b"end\n")
    assert clock.work is None


def test_gathered_lines_are_turned_over_where_each_would_have_been(tmp_path, gathering):
    for number in range(5):
        gathering.write(b"%d" % number * 39 + b"\n")
    gathering.close()
    assert (tmp_path / "f.log.1").read_bytes()[::40] == b"23"
    assert (tmp_path / "f.log").read_bytes()[::40] == b"4"


def test_what_is_gathered_is_shipped_in_one_piece(tmp_path, clock):
    shipped = []
    file = LogFile(tmp_path / "f.log", 1000, 1, shipped.append, clock.later)
    for line in (b"1\n", b"2\n", b"3\n"):
        file.write(line)
    file.close()
    assert shipped == [b"1\n", b"2\n3\n"]
