"""History, rollback and status."""

import pytest
from artifactctl.api import HistoryRequest, RollbackRequest, StatusRequest
from artifactctl.errors import ConfigDirError, RequestError
from artifactctl.timeline import history, rollback, status


@pytest.fixture
def three(states, box):
    """Generations 1, 2 and 3, which say 1, 2 and 3."""
    for number in "123":
        box.apply(states.version(number))
    return states


def go_back(box, **options):
    return rollback(RollbackRequest(config_dir=box.dir, now=box.now, **options))


def replace_link(box, name, text):
    (box.dir / name).unlink()
    (box.dir / name).write_text(text)


def test_history_tells_what_each_generation_was_made_from(box, three):
    result = history(HistoryRequest(config_dir=box.dir))
    assert result.current == 3
    assert [generation.number for generation in result.generations] == [1, 2, 3]
    first = result.generations[0]
    assert (first.project, first.env, first.adopted) == ("shop", "dev", False)
    assert [entry.ref for entry in first.entries] == ["orders.yaml"]
    assert first.applied_at == "2026-01-31T12:00:00+00:00"
    assert first.tool.startswith("artifactctl ")


def test_history_leaves_out_a_damaged_record_and_says_so(box, three):
    path = box.dir / "generations/000002/generation.json"
    path.unlink()
    path.write_text("{}")
    result = history(HistoryRequest(config_dir=box.dir))
    assert [generation.number for generation in result.generations] == [1, 3]
    assert "000002: expected a whole generation" in str(result.warnings[0])


def test_rolling_back_goes_one_step_at_a_time_and_forward_by_number(box, three):
    assert (go_back(box).generation.number, three.what_it_says()) == (2, "2")
    assert (go_back(box).generation.number, three.what_it_says()) == (1, "1")
    with pytest.raises(
        RequestError, match="there is no generation before 1, the current one; there are 1, 2, 3"
    ):
        go_back(box)
    result = go_back(box, to=3)
    assert (result.previous, result.changed, three.what_it_says()) == (1, True, "3")
    assert not go_back(box, to=3).changed


def test_an_apply_after_a_rollback_has_a_number_of_its_own(box, three):
    go_back(box, to=1)
    result = box.apply(three.version("4"))
    assert (result.previous, result.generation) == (1, 4)
    assert three.what_it_says() == "4"
    assert (go_back(box).generation.number, three.what_it_says()) == (3, "3")


def test_ownership_goes_back_too(box, build):
    box.apply(build().entry(functions=["a", "b"]))
    box.apply(build().entry(functions=["a"]))
    go_back(box)
    result = box.apply(build().entry(functions=["a"]))
    assert result.entries[0].removed == (("functions", "b"),)


@pytest.mark.parametrize("wanted", [0, 4, 99])
def test_a_generation_that_is_not_there_is_refused(box, three, wanted):
    with pytest.raises(RequestError, match=f"there is no generation {wanted}; there are 1, 2, 3"):
        go_back(box, to=wanted)


def test_a_file_in_the_way_of_a_rollback_is_set_aside_even_when_it_is_broken(box, three):
    replace_link(box, "functions.yml", "functions: [")
    result = go_back(box)
    assert result.set_aside == (box.dir / "functions.yml.by-hand",)
    assert (box.dir / "functions.yml.by-hand").read_text() == "functions: ["
    assert three.what_it_says() == "2"
    assert str((box.dir / "functions.yml").readlink()) == "current/functions.yml"


def test_a_rollback_to_an_edited_generation_says_so(box, three):
    path = box.dir / "generations/000002/routing.yml"
    path.chmod(0o644)
    path.write_text(path.read_text() + "# mine\n")
    (warning,) = go_back(box).warnings
    assert "000002/routing.yml: expected the content generation 2 was written with" in str(warning)


def test_a_generation_with_a_missing_file_is_no_place_to_go_to(box, three):
    (box.dir / "generations/000002/routing.yml").unlink()
    with pytest.raises(ConfigDirError, match=r"000002: routing.yml missing; choose another generation"):
        go_back(box)
    assert three.what_it_says() == "3"
    assert go_back(box, to=1).changed


def test_the_way_out_of_a_damaged_current_generation_is_another_one(box, three):
    (box.dir / "generations/000003/routing.yml").unlink()
    with pytest.raises(ConfigDirError, match="missing; roll back to another generation"):
        box.apply(three.version("4"))
    go_back(box)
    assert three.what_it_says() == "2"


def test_nothing_to_roll_back_to(box):
    with pytest.raises(RequestError, match="no such directory"):
        go_back(box)
    box.dir.mkdir()
    with pytest.raises(RequestError, match="nothing has been applied yet"):
        go_back(box)


def test_status_of_what_an_apply_wrote(box, three):
    result = status(StatusRequest(config_dir=box.dir))
    assert result.current.number == 3
    assert result.generations == (1, 2, 3)
    assert result.drift == ()


def test_status_finds_what_was_edited_by_hand(box, three):
    (box.dir / "resources.yml").unlink()
    replace_link(box, "functions.yml", "functions: {}\n")
    path = box.dir / "generations/000003/routing.yml"
    path.chmod(0o644)
    path.write_text("routes: []\n")
    drift = status(StatusRequest(config_dir=box.dir)).drift
    assert {(str(one.file.relative_to(box.dir)), one.fact) for one in drift} == {
        ("functions.yml", "a file put there by hand, not the link to current/functions.yml"),
        ("current/routing.yml", "edited or removed by hand"),
        ("resources.yml", "the link to current/resources.yml is missing"),
    }


def test_status_of_a_directory_made_by_hand(box):
    box.dir.mkdir()
    (box.dir / "functions.yml").write_text("functions: {}\n")
    result = status(StatusRequest(config_dir=box.dir))
    assert (result.current, result.generations) == (None, ())
    assert [one.file.name for one in result.drift] == ["functions.yml"]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("elsewhere")])
def test_a_current_that_no_apply_made_is_refused(box, states, make):
    box.apply(states.version("1"))
    (box.dir / "current").unlink()
    make(box.dir / "current")
    for ask in (
        lambda: status(StatusRequest(config_dir=box.dir)),
        lambda: go_back(box),
        lambda: box.apply(states.version("1")),
    ):
        with pytest.raises(ConfigDirError, match="current: expected a link to generations/<number>"):
            ask()
