"""Generations on the disk: written whole, switched at once, removed whole."""

import pytest
from artifactctl.disk import LocalDisk
from artifactctl.errors import DiskError
from artifactctl.generations import Generation, generation_numbers
from artifactctl.publishing import (
    clear_leftovers,
    make_links,
    next_number,
    prepare_directory,
    prune_generations,
    switch_to,
    write_generation,
)

DISK = LocalDisk()
FILES = {"functions.yml": b"functions: {}\n", "ownership.json": b"{}"}


def names(path):
    return sorted(inner.name for inner in path.iterdir())


def generation(number):
    return Generation(number=number, applied_at="2026-01-31T12:00:00+00:00", tool="test")


@pytest.fixture
def config_dir(tmp_path):
    path = tmp_path / "a" / "b"
    prepare_directory(path, DISK)
    return path


class FailingDisk(LocalDisk):
    """A disk on which one step on one name fails."""

    def __init__(self, step, name):
        def fail(path, *_):
            if path.name == name:
                raise DiskError(path, step, OSError(28, "No space left on device"))
            getattr(LocalDisk, step)(self, path, *_)

        setattr(self, step, fail)


def test_missing_directories_above_are_made_too(config_dir):
    assert config_dir.is_dir()
    prepare_directory(config_dir, FailingDisk("make_directory", "b"))


def test_a_generation_has_its_files_and_their_digests(config_dir):
    written = write_generation(config_dir, generation(1), FILES, DISK)
    directory = config_dir / "generations/000001"
    assert names(directory) == ["functions.yml", "generation.json", "ownership.json"]
    assert (
        written.files["ownership.json"] == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )
    assert not (directory / "functions.yml").stat().st_mode & 0o222


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("write_file", "ownership.json"),
        ("sync", "functions.yml"),
        ("rename", ".tmp-000001"),
        ("write_file", "generation.json"),
    ],
)
def test_a_generation_that_cannot_be_written_leaves_nothing(config_dir, step, name):
    with pytest.raises(DiskError, match="No space left on device"):
        write_generation(config_dir, generation(1), FILES, FailingDisk(step, name))
    assert names(config_dir / "generations") == []


def test_a_link_that_cannot_be_put_in_place_leaves_the_old_one(config_dir):
    switch_to(config_dir, 1, DISK)
    with pytest.raises(DiskError):
        switch_to(config_dir, 2, FailingDisk("rename", ".tmp-current"))
    assert names(config_dir) == ["current"]
    assert str((config_dir / "current").readlink()) == "generations/000001"


def test_links_are_made_where_they_are_missing_or_something_else_stands(config_dir):
    (config_dir / "functions.yml").write_text("x")
    make_links(config_dir, ["functions.yml", "routing.yml"], DISK)
    before = (config_dir / "functions.yml").lstat().st_ino
    make_links(config_dir, ["functions.yml", "routing.yml"], DISK)
    assert str((config_dir / "routing.yml").readlink()) == "current/routing.yml"
    assert (config_dir / "functions.yml").lstat().st_ino == before


def test_the_newest_generations_stay_and_the_current_one_always(config_dir):
    for number in range(1, 6):
        write_generation(config_dir, generation(number), FILES, DISK)
    assert prune_generations(config_dir, 2, 2, DISK) == ((1, 3), ())
    assert generation_numbers(config_dir) == (2, 4, 5)
    assert next_number(config_dir) == 6


def test_an_old_generation_that_cannot_be_removed_is_only_a_warning(config_dir):
    for number in (1, 2, 3):
        write_generation(config_dir, generation(number), FILES, DISK)
    removed, problems = prune_generations(config_dir, 3, 0, FailingDisk("rename", "000002"))
    assert removed == (1,)
    assert "expected old generations that can be removed, found" in str(problems[0])
    assert generation_numbers(config_dir) == (2, 3)


def test_leftovers_go_and_nothing_else_does(config_dir):
    write_generation(config_dir, generation(1), FILES, DISK)
    (config_dir / "generations/.tmp-000002/inner").mkdir(parents=True)
    (config_dir / "generations/.tmp-000002/inner/file").write_text("x")
    (config_dir / ".tmp-current").symlink_to("generations/000001")
    (config_dir / "notes.txt").write_text("mine")
    clear_leftovers(config_dir, DISK)
    assert names(config_dir) == ["generations", "notes.txt"]
    assert names(config_dir / "generations") == ["000001"]
