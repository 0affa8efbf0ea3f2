"""Apply, merge and plan on a real directory: what is written, what is kept, what is refused."""

from datetime import UTC, datetime

import pytest
from artifact_contract.errors import ArtifactError, OwnershipError, PathError, SecretError, Severity
from artifactctl.api import ApplyRequest, PlanRequest
from artifactctl.disk import LocalDisk
from artifactctl.errors import ConfigDirError, DiskError, RequestError
from artifactctl.transaction import apply, plan


def names(path):
    return sorted(inner.name for inner in path.iterdir())


def orders(builder, version="1"):
    return builder.entry(
        functions={"api": {"image": f"r/api:{version}", "timeout": 3}, "worker": {}},
        routes=["GET /orders"],
        resources={"dynamodb": [{"TableName": "orders"}]},
    )


def texts(warnings):
    return "\n".join(map(str, warnings))


def test_the_first_apply_puts_a_generation_in_force(box, build):
    result = box.apply(orders(build()))
    assert (result.changed, result.generation, result.previous) == (True, 1, None)
    assert box.functions() == {"api": "r/api:1", "worker": "registry:5010/shop:1"}
    assert box.config().resources.dynamodb[0]["TableName"] == "orders"
    assert str((box.dir / "current").readlink()) == "generations/000001"
    assert str((box.dir / "functions.yml").readlink()) == "current/functions.yml"


def test_the_layout_is_the_documented_one(box, build):
    box.apply(orders(build()))
    files = ["functions.yml", "generation.json", "image-import.json", "ownership.json", "resources.yml"]
    files.append("routing.yml")
    top = [".lock", "current", "functions.yml", "generations", "generations/000001", "image-import.json"]
    assert box.names() == sorted(
        [*top, "resources.yml", "routing.yml", *(f"generations/000001/{name}" for name in files)]
    )


def test_the_same_input_twice_writes_nothing_at_all(box, build):
    box.apply(orders(build()))
    before = box.tree()
    result = box.apply(orders(build()))
    assert (result.changed, result.generation, result.previous) == (False, 1, 1)
    assert box.tree() == before
    assert not box.merge(orders(build())).changed
    assert box.tree() == before


def test_nothing_to_change_succeeds_where_nothing_can_be_written(box, build):
    class BrokenDisk(LocalDisk):
        def write_file(self, path, data):
            raise DiskError(path, "write", OSError(28, "No space left on device"))

        make_directory = make_link = rename = write_file

    box.apply(orders(build()))
    assert not box.apply(orders(build()), disk=BrokenDisk()).changed


def test_a_change_makes_a_new_generation_and_keeps_the_old_one(box, build):
    box.apply(orders(build()))
    result = box.apply(orders(build(), "2"))
    assert (result.generation, result.previous) == (2, 1)
    assert result.entries[0].replaced == (("functions", "api"),)
    assert box.functions()["api"] == "r/api:2"
    assert "r/api:1" in (box.dir / "generations/000001/functions.yml").read_text()


def test_what_an_entry_no_longer_holds_is_removed(box, build):
    box.apply(orders(build()))
    result = box.apply(build().entry(functions=["api"]))
    assert result.entries[0].removed == (
        ("functions", "worker"),
        ("routes", "GET", "/orders"),
        ("resources", "dynamodb", "orders"),
    )
    assert set(box.functions()) == {"api"}
    assert box.config().routing == ()


def test_what_a_person_put_there_first_is_kept_and_can_be_rolled_back_to(box, build):
    box.dir.mkdir()
    own = "functions:\n  mine: {image: x}  # mine\n"
    (box.dir / "functions.yml").write_text(own)
    (box.dir / "routing.yml").write_text("routes: []\n")
    result = box.apply(orders(build()))
    assert (result.adopted, result.generation, result.previous) == (1, 2, None)
    assert box.functions() == {"mine": "x", "api": "r/api:1", "worker": "registry:5010/shop:1"}
    assert (box.dir / "generations/000001/functions.yml").read_text() == own
    assert "functions.yml: expected a link to current/functions.yml" in texts(result.warnings)


def test_a_file_that_an_editor_put_in_place_of_a_link_is_kept(box, build):
    box.apply(orders(build()))
    text = box.text("functions.yml")
    (box.dir / "functions.yml").unlink()
    (box.dir / "functions.yml").write_text(text + "  mine:\n    image: x\n")
    result = box.apply(build().entry(functions=["api"]))
    assert (result.adopted, result.generation) == (2, 3)
    assert set(box.functions()) == {"api", "mine"}
    assert str((box.dir / "functions.yml").readlink()) == "current/functions.yml"


def test_an_edit_alone_becomes_a_generation_of_its_own(box, build):
    box.apply(orders(build()))
    text = box.text("routing.yml")
    (box.dir / "routing.yml").unlink()
    (box.dir / "routing.yml").write_text(text + "  - path: /mine\n    function: api\n")
    result = box.apply(orders(build()))
    assert (result.changed, result.adopted, result.generation) == (True, 2, 2)
    assert [route.path for route in box.config().routing] == ["/orders", "/mine"]
    assert not box.apply(orders(build())).changed


def test_what_a_person_changed_is_overwritten_with_a_warning(box, build):
    box.apply(orders(build()))
    text = box.text("functions.yml").replace("r/api:1", "r/api:mine")
    (box.dir / "functions.yml").unlink()
    (box.dir / "functions.yml").write_text(text)
    result = box.apply(orders(build()))
    assert (
        "functions: api: expected a key of project shop, env dev, or a new one, found one that a person"
        in texts(result.warnings)
    )
    assert box.functions()["api"] == "r/api:1"


def test_an_edit_inside_a_generation_is_kept_with_a_warning(box, build):
    box.apply(orders(build()))
    path = box.dir / "generations/000001/functions.yml"
    path.chmod(0o644)
    path.write_text(path.read_text() + "  mine:\n    image: x\n")
    result = box.apply(orders(build(), "2"))
    assert "expected the content generation 1 was written with, found an edit by hand" in texts(
        result.warnings
    )
    assert set(box.functions()) == {"api", "worker", "mine"}


def test_a_key_of_another_project_is_overwritten_with_a_warning_and_refused_when_strict(box, build):
    box.apply(orders(build("billing")))
    before = box.tree()
    with pytest.raises(
        OwnershipError, match=r"functions: api: .* found one of orders.yaml of project billing"
    ):
        box.apply(orders(build()), strict=True)
    assert box.tree() == before
    result = box.apply(orders(build()))
    assert {warning.severity for warning in result.warnings} == {Severity.STRICT}
    assert "project billing" in texts(result.warnings)
    assert not box.apply(orders(build())).warnings


def test_other_projects_keep_what_is_theirs(box, build):
    box.apply(build("billing").entry(functions=["bill"]))
    box.apply(orders(build()))
    box.apply(build().entry(functions=["api"]))
    assert set(box.functions()) == {"bill", "api"}


def test_a_missing_link_is_put_back_without_a_new_generation(box, build):
    box.apply(orders(build()))
    (box.dir / "routing.yml").unlink()
    result = box.apply(orders(build()))
    assert (result.changed, result.generation, result.relinked) == (True, 1, ("routing.yml",))
    assert str((box.dir / "routing.yml").readlink()) == "current/routing.yml"


def test_only_the_wanted_number_of_old_generations_is_kept(box, build):
    for version in "123456":
        result = box.apply(orders(build(), version), keep=2)
    assert result.removed_generations == (3,)
    assert names(box.dir / "generations") == ["000004", "000005", "000006"]
    assert box.apply(orders(build(), "7"), keep=0).removed_generations == (4, 5, 6)


def test_an_empty_artifact_still_makes_a_config_that_can_be_read(box, build):
    assert box.apply(build().entry()).generation == 1
    assert box.functions() == {}


def test_leftovers_of_a_killed_writer_are_removed(box, build):
    box.apply(orders(build()))
    (box.dir / "generations/.tmp-000009").mkdir()
    (box.dir / "generations/.tmp-000009/functions.yml").write_text("x")
    (box.dir / ".tmp-current").symlink_to("nowhere")
    box.apply(orders(build(), "2"))
    assert not [name for name in box.names() if ".tmp" in name]


def test_a_required_secret_is_needed_to_apply_and_not_to_merge(box, build, tmp_path):
    builder = build().entry(functions=["api"], required_secret_env=["TOKEN"])
    with pytest.raises(SecretError, match="TOKEN"):
        box.apply(builder)
    assert not box.dir.exists()
    (tmp_path / "secrets").write_text("export TOKEN='s3cr3t'\n")
    assert box.apply(builder, secret_env=tmp_path / "secrets").changed
    assert not box.merge(builder).changed
    assert "s3cr3t" not in "".join(path.read_text() for path in box.dir.rglob("*") if path.is_file())


def test_a_missing_file_is_refused_before_anything_is_written(box, build):
    builder = build().entry(functions=["api"]).entry("b.yaml", functions=["b"], files={"routing.yml": None})
    with pytest.raises(PathError, match=r"routing\.yml: expected a file, found nothing"):
        box.apply(builder)
    assert not box.dir.exists()


def test_problems_of_all_entries_are_reported_together(box, build):
    wrong = {"functions.yml": "functions:\n  f:\n    timeout: soon\n"}
    builder = build().entry("a.yaml", files=wrong).entry("b.yaml", files=wrong)
    with pytest.raises(ArtifactError) as caught:
        box.apply(builder)
    found = {(one.place.file.split("/")[-3], one.place.line, one.field) for one in caught.value.problems}
    assert found == {
        *(("a.yaml", 3, "functions.f.timeout"), ("a.yaml", 3, "functions.f.image")),
        *(("b.yaml", 3, "functions.f.timeout"), ("b.yaml", 3, "functions.f.image")),
    }


def test_config_dir_cannot_be_inside_the_artifact(build, tmp_path):
    builder = build().entry(functions=["api"])
    inside = builder.root / "orders.yaml" / "config"
    with pytest.raises(RequestError, match="inside the artifact root"):
        apply(ApplyRequest(artifact=builder.write(), config_dir=inside, now=datetime.now(UTC)))
    assert not inside.exists()


def test_a_file_where_config_dir_should_be_is_said(box, build):
    box.dir.write_text("")
    with pytest.raises(ConfigDirError, match="expected a directory, found something else"):
        box.apply(orders(build()))


def test_a_config_that_is_broken_by_hand_stops_the_apply_with_its_place(box, build):
    box.dir.mkdir()
    (box.dir / "functions.yml").write_text("functions:\n  a: {image: x}\n  a: {image: y}\n")
    with pytest.raises(ConfigDirError, match=r"config/functions.yml:3:3: a: expected each key once"):
        box.apply(orders(build()))
    assert box.names() == ["functions.yml"]


def test_a_route_to_nothing_is_a_warning(box, build):
    result = box.apply(build().entry(routes=["GET /x"]))
    assert "routes: GET /x: expected a function, found api" in texts(result.warnings)


def test_nothing_is_written_into_the_artifact(box, build):
    builder = orders(build())
    builder.write()
    before = {path: path.stat().st_mtime_ns for path in builder.root.rglob("*")}
    for path in builder.root.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    apply(ApplyRequest(artifact=builder.root / "artifact.yml", config_dir=box.dir, now=datetime.now(UTC)))
    assert {path: path.stat().st_mtime_ns for path in builder.root.rglob("*")} == before


def test_a_plan_says_what_apply_does_and_writes_nothing(box, build):
    def ask(builder):
        return plan(PlanRequest(artifact=builder.write(), config_dir=box.dir))

    asked = ask(orders(build()))
    assert (asked.changed, asked.generation, asked.previous) == (True, 1, None)
    assert not box.dir.exists()
    done = box.apply(orders(build()))
    assert done.entries == asked.entries
    assert not ask(orders(build())).changed
    before = box.tree()
    asked = ask(orders(build(), "2"))
    assert (asked.changed, asked.generation, asked.previous) == (True, 2, 1)
    assert box.tree() == before
    assert box.apply(orders(build(), "2")).entries == asked.entries


def test_a_plan_numbers_the_generations_that_apply_would_make(box, build):
    box.dir.mkdir()
    (box.dir / "functions.yml").write_text("functions: {mine: {image: x}}\n")
    asked = plan(PlanRequest(artifact=orders(build()).write(), config_dir=box.dir))
    done = box.apply(orders(build()))
    assert (asked.adopted, asked.generation) == (done.adopted, done.generation) == (1, 2)
