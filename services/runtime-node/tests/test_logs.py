import pytest
from esb_node.logs import Line, follow, last_lines, open_log
from hypothesis import given
from hypothesis import strategies as st


def write(path, text):
    with open_log(path) as log:
        log.write(text.encode())


@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=30), max_size=40),
    st.integers(0, 50),
)
def test_the_last_lines_are_the_last_lines(tmp_path_factory, lines, count):
    path = tmp_path_factory.mktemp("logs") / "a.log"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    assert last_lines(path, count) == (lines[-count:] if count else [])


def test_lines_longer_than_a_block_are_whole(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("x" * 200_000 + "\n" + "y" * 100_000 + "\n")
    assert [len(line) for line in last_lines(path, 2)] == [200_000, 100_000]


def test_a_missing_log_has_no_lines(tmp_path):
    assert last_lines(tmp_path / "none.log", 5) == []


def test_a_log_that_grew_too_big_is_moved_aside_and_only_some_are_kept(tmp_path):
    path = tmp_path / "logs" / "a.log"
    for number in range(6):
        with open_log(path, limit=3, keep=2) as log:
            log.write(f"run {number}".encode())
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert path.read_text() == "run 5"
    assert (tmp_path / "logs" / "a.log.2").read_text() == "run 3"


def test_a_small_log_is_continued(tmp_path):
    path = tmp_path / "a.log"
    write(path, "one\n")
    write(path, "two\n")
    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_following_shows_the_last_lines_then_what_is_appended_then_a_successor(tmp_path):
    path = tmp_path / "a.log"
    write(path, "one\ntwo\n")
    steps = iter(
        [
            lambda: write(path, "three\nfo"),
            lambda: write(path, "ur\n"),
            lambda: (write(path, "last\n"), path.rename(tmp_path / "a.log.1"), write(path, "new\n")),
        ]
    )

    def wait():
        step = next(steps, None)
        if step:
            step()
        return step is not None

    assert list(follow([("web", path)], wait, 1)) == [
        Line("web", text) for text in ("two", "three", "four", "last", "new")
    ]


def test_a_log_that_appears_later_is_followed_too(tmp_path):
    path = tmp_path / "late.log"
    steps = iter([lambda: write(path, "here\n")])

    def wait():
        step = next(steps, None)
        if step:
            step()
        return step is not None

    assert list(follow([("late", path)], wait, 5)) == [Line("late", "here")]


@pytest.mark.parametrize("data", [b"\xff\xfe broken\n", b"no newline at the end"])
def test_any_bytes_can_be_shown(tmp_path, data):
    path = tmp_path / "a.log"
    path.write_bytes(data)
    assert len(last_lines(path, 5)) == 1


def turn_over(path, text):
    """As the agent does when a file is full: everything one number up, and begin anew."""
    numbered = sorted(path.parent.glob(f"{path.name}.*"), key=lambda p: int(p.suffix[1:]), reverse=True)
    for older in numbered:
        older.rename(older.with_suffix(f".{int(older.suffix[1:]) + 1}"))
    path.rename(path.parent / f"{path.name}.1")
    write(path, text)


def test_a_log_that_is_turned_over_many_times_between_two_looks_loses_no_line(tmp_path):
    path = tmp_path / "f.log"
    write(path, "one\n")
    steps = iter(
        [
            lambda: (write(path, "two\n"), turn_over(path, "three\n"), turn_over(path, "four\n")),
            lambda: (write(path, "five\n"), turn_over(path, "six\n"), write(path, "seven\n")),
            lambda: write(path, "eight\n"),
        ]
    )

    def wait():
        step = next(steps, None)
        if step:
            step()
        return step is not None

    texts = [line.text for line in follow([("f", path)], wait, 5)]
    assert texts == ["one", "two", "three", "four", "five", "six", "seven", "eight"]


def test_the_last_lines_reach_back_into_files_that_were_moved_aside(tmp_path):
    path = tmp_path / "f.log"
    write(path, "one\ntwo\n")
    turn_over(path, "three\n")
    turn_over(path, "four\nfive\n")
    assert last_lines(path, 2) == ["four", "five"]
    assert last_lines(path, 4) == ["two", "three", "four", "five"]
    assert last_lines(path, 9) == ["one", "two", "three", "four", "five"]
