"""The loader pins one generation, whatever is applied or cleared away meanwhile."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.errors import ArtifactError, SchemaError
from artifact_contract.loader import current_generation, load_runtime_config, parse_config_files
from artifact_contract.nodes import Node


def write_files(directory: Path, image: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "functions.yml").write_text(f"functions:\n  f:\n    image: {image}\n")
    (directory / "routing.yml").write_text(f"routes:\n  - path: /{image}\n    function: f\n")
    (directory / "resources.yml").write_text(f"resources:\n  s3:\n    - BucketName: {image}\n")
    (directory / "image-import.json").write_text(f'{{"push_target": "{image}"}}')


def switch(config: Path, generation: str) -> None:
    temporary = config / ".current"
    temporary.symlink_to(f"generations/{generation}")
    temporary.rename(config / "current")


def said(config: Path) -> set[str]:
    """What the four files say; one value when they are of one generation."""
    loaded = load_runtime_config(config).config
    return {
        loaded.functions.functions["f"].image,
        loaded.routing[0].path.removeprefix("/"),
        str(loaded.resources.s3[0]["BucketName"]),
        loaded.images.push_target,
    }


@pytest.fixture
def config(tmp_path: Path) -> Path:
    config = tmp_path / "config"
    write_files(config / "generations" / "000001", "one")
    switch(config, "000001")
    for name in ["functions.yml", "routing.yml", "resources.yml", "image-import.json"]:
        (config / name).symlink_to(f"current/{name}")
    return config


def test_the_current_generation_is_loaded(config: Path) -> None:
    assert load_runtime_config(config).generation == "000001"
    assert said(config) == {"one"}
    assert current_generation(config) == "000001"


def test_plain_files_are_read_as_they_are(tmp_path: Path) -> None:
    write_files(tmp_path, "plain")
    assert said(tmp_path) == {"plain"}
    assert load_runtime_config(tmp_path).generation is None
    assert current_generation(tmp_path) is None


def test_resources_and_images_may_be_absent(tmp_path: Path) -> None:
    write_files(tmp_path, "plain")
    (tmp_path / "resources.yml").unlink()
    (tmp_path / "image-import.json").unlink()
    loaded = load_runtime_config(tmp_path).config
    assert (loaded.resources.s3, loaded.images.images) == ((), ())


def test_a_switch_in_the_middle_of_a_load_is_not_seen(config: Path) -> None:
    write_files(config / "generations" / "000002", "two")
    switched = []

    def reader(data: bytes, file: str) -> Node:
        if not switched:
            switch(config, "000002")
            switched.append(True)
        return read_yaml(data, file)

    loaded = load_runtime_config(config, reader=reader)
    assert loaded.generation == "000001"
    assert loaded.config.images.push_target == "one"
    assert said(config) == {"two"}


def test_a_generation_that_vanishes_during_the_load_makes_it_start_again(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(config / "generations" / "000002", "two")
    really_open = os.open

    def vanish_first(path: object, flags: int, *args: object, **kwargs: object) -> int:
        if path == "routing.yml" and current_generation(config) == "000001":
            switch(config, "000002")
            shutil.rmtree(config / "generations" / "000001")
        return really_open(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", vanish_first)
    assert said(config) == {"two"}


def test_plain_files_that_are_taken_over_during_the_load_make_it_start_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path, "plain")
    really_open = os.open

    def take_over(path: object, flags: int, *args: object, **kwargs: object) -> int:
        if path == "routing.yml" and current_generation(tmp_path) is None:
            write_files(tmp_path / "generations" / "000001", "applied")
            switch(tmp_path, "000001")
            for name in ["functions.yml", "routing.yml", "resources.yml", "image-import.json"]:
                (tmp_path / name).unlink()
                (tmp_path / name).symlink_to(f"current/{name}")
        return really_open(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", take_over)
    assert said(tmp_path) == {"applied"}


def test_readers_see_one_generation_while_another_thread_applies_and_clears_away(config: Path) -> None:
    stop = threading.Event()

    def apply_again_and_again() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            write_files(config / "generations" / f"{number:06}", f"g{number}")
            switch(config, f"{number:06}")
            shutil.rmtree(config / "generations" / f"{number - 1:06}")

    writer = threading.Thread(target=apply_again_and_again)
    writer.start()
    try:
        seen = [said(config) for _ in range(60)]
    finally:
        stop.set()
        writer.join()
    assert all(len(values) == 1 for values in seen)


@pytest.mark.parametrize(
    "make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")]
)
def test_a_directory_without_files_says_which_are_missing(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    config = tmp_path / "config"
    make(config)
    with pytest.raises(ArtifactError) as caught:
        load_runtime_config(config)
    assert [problem.place.file for problem in caught.value.problems] == [
        str(config / "functions.yml"),
        str(config / "routing.yml"),
    ]


def test_a_link_to_a_generation_that_isnt_there_says_so(config: Path) -> None:
    switch(config, "000009")
    with pytest.raises(ArtifactError, match=r"000009/functions\.yml: expected a file, found nothing"):
        load_runtime_config(config)


def test_a_directory_where_a_file_should_be_is_said_to_be_one(tmp_path: Path) -> None:
    write_files(tmp_path, "x")
    (tmp_path / "routing.yml").unlink()
    (tmp_path / "routing.yml").mkdir()
    with pytest.raises(SchemaError, match="expected a file, found a directory"):
        load_runtime_config(tmp_path)


def test_what_is_wrong_in_all_files_is_said_together(tmp_path: Path) -> None:
    files = {
        "functions.yml": b"functions: {f: {}}\n",
        "routing.yml": b"routes: [{path: /a}]\n",
        "resources.yml": b"\tx",
        "image-import.json": b'{\n  "images": [\n    {"function_name": []}\n  ]\n}',
    }
    with pytest.raises(ArtifactError) as caught:
        parse_config_files(files, tmp_path)
    assert [str(problem.place).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        *["functions.yml:1:16", "routing.yml:1:10", "resources.yml:1:1", "image-import.json:3:23"]
    ]


def test_a_route_to_a_function_that_isnt_there_is_a_warning(tmp_path: Path) -> None:
    write_files(tmp_path, "x")
    (tmp_path / "routing.yml").write_text("routes: [{path: /a, function: nope}]\n")
    [warning] = load_runtime_config(tmp_path).warnings
    assert (warning.field, warning.found) == ("GET /a", "nope")


def test_a_file_named_current_is_no_link(tmp_path: Path) -> None:
    write_files(tmp_path, "x")
    (tmp_path / "current").write_text("")
    assert said(tmp_path) == {"x"}


def test_an_on_failure_function_that_isnt_there_is_a_warning(tmp_path: Path) -> None:
    write_files(tmp_path, "plain")
    told = "arn:aws:lambda:eu-central-1:123456789012:function:"
    (tmp_path / "functions.yml").write_text(
        "functions:\n"
        "  f: {image: x, async_invoke: {on_failure: gone}}\n"
        "  g: {image: x, async_invoke: {on_failure: f}}\n"
        f"  h: {{image: x, async_invoke: {{on_failure: '{told}f'}}}}\n"
        f"  i: {{image: x, async_invoke: {{on_failure: '{told}gone'}}}}\n"
    )
    warnings = load_runtime_config(tmp_path).warnings
    assert [(warning.field, warning.found) for warning in warnings] == [
        ("functions.f.async_invoke.on_failure", "gone"),
        ("functions.i.async_invoke.on_failure", f"{told}gone"),
    ]
