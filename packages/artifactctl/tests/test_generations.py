"""generation.json, and telling what an apply made from what a person did."""

import pytest
from artifactctl.errors import ConfigDirError
from artifactctl.generations import (
    AppliedEntry,
    Generation,
    current_number,
    dump_generation,
    generation_numbers,
    is_own_link,
    missing_links,
    parse_generation,
    plain_files,
    read_generation,
)

GENERATION = Generation(
    number=7,
    applied_at="2026-01-31T12:00:00+00:00",
    tool="artifactctl 0.1.0",
    project="shop",
    env="dev",
    entries=(AppliedEntry("a-00000000", "a.yaml"),),
    files={"functions.yml": "00"},
)


def test_reading_gives_what_was_written():
    assert parse_generation(dump_generation(GENERATION)) == GENERATION


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "number": "x"}', b'{"version": 1}']
)
def test_what_is_no_generation_is_refused(data):
    with pytest.raises(ValueError):
        parse_generation(data)


def test_only_numbers_count_as_generations(tmp_path):
    assert generation_numbers(tmp_path) == ()
    for name in ("000002", "000010", ".tmp-000011", "12", "x", "1000000"):
        (tmp_path / "generations" / name).mkdir(parents=True)
    assert generation_numbers(tmp_path) == (2, 10, 1000000)


def test_links_files_and_nothing_are_told_apart(tmp_path):
    (tmp_path / "functions.yml").symlink_to("current/functions.yml")
    (tmp_path / "routing.yml").write_text("routes: []\n")
    (tmp_path / "resources.yml").symlink_to("routing.yml")
    assert is_own_link(tmp_path, "functions.yml")
    assert plain_files(tmp_path) == ("routing.yml", "resources.yml")
    assert missing_links(tmp_path) == ("image-import.json",)


def test_a_damaged_record_says_where(tmp_path):
    with pytest.raises(
        ConfigDirError, match=r"000001/generation.json: not readable as a generation: No such file"
    ):
        read_generation(tmp_path, 1)


def test_nothing_applied_has_no_current_number(tmp_path):
    assert current_number(tmp_path) is None
