from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from artifact_contract.errors import ArtifactError
from artifactctl.errors import RequestError, WorldError
from artifactctl.images.api import (
    ImageResult,
    LayoutTarget,
    PrepareImagesRequest,
    PrepareImagesResult,
    parse_target,
)
from artifactctl.images.prepare import prepare_images

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE_REF = "esb-lambda-base:python3.12-0123456789ab"
MAIN = "import sys; from artifactctl.cli import main; sys.argv[0] = 'artifactctl'; main()"
Artifact = Any
ReadLayout = Callable[[Path], dict[str, Any]]


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def prepare(artifact: Artifact, layout: Path, **more: Any) -> PrepareImagesResult:
    return prepare_images(PrepareImagesRequest(artifact.manifest, LayoutTarget(layout), NOW, **more))


def statuses(result: PrepareImagesResult) -> dict[str, str]:
    return {image.ref: image.status.value for image in result.images}


def snapshot(layout: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in layout.rglob("*")
        if path.is_file()
    }


def test_an_artifact_becomes_images_that_any_reader_of_layouts_understands(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    entry = artifact.entry().base("BASE = 1\n")
    entry.write("functions/a/layers/common/python/common.py", "C = 1\n")
    entry.write("functions/a/src/bin/tool", "#!/bin/sh\n", 0o700)
    entry.function(
        "a",
        f'FROM {BASE_REF}\nLABEL x="1"\nCOPY functions/a/layers/common/ /opt/\n'
        'COPY functions/a/src/ /var/task/\nWORKDIR /var/task\nCMD ["app.handler"]\n',
    )
    result = prepare(artifact, layout)
    assert statuses(result) == {BASE_REF: "built", "demo-dev-a:1": "built"}
    images = read_layout(layout)
    image = images["demo-dev-a:1"]
    assert image.files() == {
        "opt/esb/python/sitecustomize.py": "BASE = 1\n",
        "opt/python/common.py": "C = 1\n",
        "var/task/app.py": "NAME = 'a'\n",
        "var/task/bin/tool": "#!/bin/sh\n",
    }
    assert image.config["config"] == {
        "Cmd": ["app.handler"],
        "Env": ["PYTHONPATH=/opt/esb/python"],
        "Labels": {"x": "1", "io.esb.inputs": result.images[1].stored.inputs},
        "WorkingDir": "/var/task",
    }
    assert image.layers[0] == images[BASE_REF].layers[0]
    assert image.digest == result.images[1].stored.digest


def test_nothing_changed_means_nothing_is_written_also_from_another_directory(
    artifact: Artifact, layout: Path, tmp_path: Path
) -> None:
    artifact.entry().base().function("a").function("b")
    prepare(artifact, layout)
    before = snapshot(layout)
    moved = tmp_path / "elsewhere"
    shutil.copytree(artifact.directory, moved)
    shutil.rmtree(artifact.directory)
    result = prepare_images(PrepareImagesRequest(moved / "artifact.yml", LayoutTarget(layout), NOW))
    assert set(statuses(result).values()) == {"reused"}
    assert snapshot(layout) == before


def test_only_what_changed_is_built(artifact: Artifact, layout: Path, read_layout: ReadLayout) -> None:
    entry = artifact.entry().base().function("a").function("b")
    prepare(artifact, layout)
    entry.write("functions/a/src/app.py", "changed\n")
    assert statuses(prepare(artifact, layout)) == {
        BASE_REF: "reused",
        "demo-dev-a:1": "built",
        "demo-dev-b:1": "reused",
    }
    assert read_layout(layout)["demo-dev-a:1"].files()["var/task/app.py"] == "changed\n"


def test_a_changed_base_builds_everything_on_it(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    entry = artifact.entry().base().function("a").function("b", "FROM scratch\nCOPY functions/b/src /x\n")
    prepare(artifact, layout)
    entry.base("changed\n")
    assert statuses(prepare(artifact, layout)) == {
        BASE_REF: "built",
        "demo-dev-a:1": "built",
        "demo-dev-b:1": "reused",
    }
    assert "changed\n" in read_layout(layout)["demo-dev-a:1"].files().values()


def test_no_cache_builds_everything_to_the_same_images(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a")
    prepare(artifact, layout)
    index = (layout / "index.json").read_bytes()
    assert set(statuses(prepare(artifact, layout, rebuild=True)).values()) == {"built"}
    assert (layout / "index.json").read_bytes() == index


def test_two_entries_never_get_each_others_base(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    other = "registry:5010/esb-lambda-base:python3.12-ffffffffffff"
    artifact.entry("one").base("one\n").function("a")
    artifact.entry("two").base("two\n").function("b", f"FROM {other}\nCOPY functions/b/src /var/task/\n")
    prepare(artifact, layout)
    images = read_layout(layout)
    assert images["demo-dev-a:1"].files()["opt/esb/python/sitecustomize.py"] == "one\n"
    assert images["demo-dev-b:1"].files()["opt/esb/python/sitecustomize.py"] == "two\n"
    assert {BASE_REF, other} < set(images)


def test_two_entries_with_one_name_for_different_bases_keep_their_own_and_are_warned(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    artifact.entry("one").base("one\n").function("a")
    artifact.entry("two").base("two\n").function("b")
    result = prepare(artifact, layout)
    images = read_layout(layout)
    assert images["demo-dev-a:1"].files()["opt/esb/python/sitecustomize.py"] == "one\n"
    assert images["demo-dev-b:1"].files()["opt/esb/python/sitecustomize.py"] == "two\n"
    assert [str(warning) for warning in result.warnings if BASE_REF in str(warning)]
    with pytest.raises(ArtifactError, match="the last wins"):
        prepare(artifact, layout, strict=True)


def test_one_function_name_in_two_entries_gives_both_images(artifact: Artifact, layout: Path) -> None:
    artifact.entry("one").base().function("a", image="demo:1")
    artifact.entry("two").base().function("a", image="demo:2")
    assert {"demo:1", "demo:2"} < set(statuses(prepare(artifact, layout)))


def test_an_image_that_fails_does_not_stop_the_others(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    artifact.entry().base().function("a").function("bad", "FROM scratch\nRUN x\nCOPY nothing /\n").function(
        "c"
    )
    result = prepare(artifact, layout)
    assert statuses(result)["demo-dev-bad:1"] == "failed"
    assert set(read_layout(layout)) == {BASE_REF, "demo-dev-a:1", "demo-dev-c:1"}
    with pytest.raises(ArtifactError) as caught:
        result.raise_failures()
    assert [problem.place.line for problem in caught.value.problems] == [2, 3]


def test_a_missing_base_says_to_generate_again_and_is_said_once(artifact: Artifact, layout: Path) -> None:
    artifact.entry().function("a").function("b")
    result = prepare(artifact, layout)
    with pytest.raises(ArtifactError) as caught:
        result.raise_failures()
    assert str(caught.value).count("generate the artifact again") == 1
    assert statuses(result) == {BASE_REF: "failed", "demo-dev-a:1": "failed", "demo-dev-b:1": "failed"}


def test_a_layout_that_cannot_be_written_is_the_worlds_fault(artifact: Artifact, layout: Path) -> None:
    artifact.entry().function("a", "FROM scratch\nCOPY functions/a/src /x\n")
    layout.mkdir()
    (layout / ".staging").write_text("in the way")
    with pytest.raises(WorldError, match="demo-dev-a:1"):
        prepare(artifact, layout).raise_failures()


def test_warnings_of_a_dockerfile_fail_its_image_in_a_strict_run(artifact: Artifact, layout: Path) -> None:
    artifact.entry().function("a", "FROM scratch\nCOPY --chown=5 functions/a/src /x\n").function(
        "b", "FROM scratch\n"
    )
    result = prepare(artifact, layout)
    assert "0:0" in str(result.warnings[0])
    result.raise_failures()
    assert statuses(prepare(artifact, layout, strict=True)) == {
        "demo-dev-a:1": "failed",
        "demo-dev-b:1": "reused",
    }


def test_images_to_import_are_named_in_a_warning(artifact: Artifact, layout: Path) -> None:
    entry = (
        artifact.entry(extra="    image_prewarm: all\n").base().function("a").function("imported", "FROM x\n")
    )
    (entry.root / "functions/imported/Dockerfile").unlink()
    entry.write(
        "runtime-config/image-import.json",
        '{"version": "1", "push_target": "", "images": [{"function_name": "imported", "image_source": "x", '
        '"image_ref": "y"}, {"image_source": "p", "image_ref": "q"}]}',
    )
    result = prepare(artifact, layout, strict=True)
    assert set(statuses(result)) == {BASE_REF, "demo-dev-a:1"}
    (warning,) = [str(warning) for warning in result.warnings]
    assert "not imported: imported, p|q" in warning


@pytest.mark.parametrize(
    ("file", "text"),
    [("functions.yml", "functions: ["), ("functions.yml", "functions: {a: {}}"), ("image-import.json", "{")],
)
def test_a_broken_runtime_config_is_rejected_before_anything_is_written(
    artifact: Artifact, layout: Path, file: str, text: str
) -> None:
    entry = artifact.entry().base().function("a")
    entry.write(f"runtime-config/{file}", text)
    with pytest.raises(ArtifactError, match=file):
        prepare(artifact, layout)
    assert not layout.exists()


def test_a_link_out_of_the_artifact_is_rejected_before_anything_is_written(
    artifact: Artifact, layout: Path, tmp_path: Path
) -> None:
    entry = artifact.entry().base().function("a")
    (tmp_path / "secret").write_text("secret")
    (entry.root / "functions/a/src/link").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError, match="link"):
        prepare(artifact, layout)
    assert not layout.exists()


def test_a_target_inside_the_artifact_is_refused(artifact: Artifact) -> None:
    entry = artifact.entry().base().function("a")
    with pytest.raises(RequestError, match="inside the artifact"):
        prepare(artifact, entry.root / "images")


@pytest.mark.parametrize("text", ["", "oci-layout:", "oci-layout", "registry:5010", "dir:x"])
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="oci-layout:DIR"):
        parse_target(text)


def test_each_image_is_reported_as_it_is_done(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a")
    heard: list[ImageResult] = []
    request = PrepareImagesRequest(artifact.manifest, LayoutTarget(layout), NOW)
    result = prepare_images(request, on_image=heard.append)
    assert tuple(heard) == result.images


def test_the_same_artifact_gives_the_same_layout_whoever_copied_it_and_however_many_threads_build_it(
    artifact: Artifact, layout: Path, tmp_path: Path
) -> None:
    entry = artifact.entry().base()
    for number in range(10):
        entry.function(f"f{number}")
    prepare(artifact, layout, jobs=8)
    copy = tmp_path / "copy"
    before = os.umask(0o077)
    try:
        for source in sorted(artifact.directory.rglob("*"), reverse=True):
            target = copy / source.relative_to(artifact.directory)
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
                os.utime(target, (1, 1))
        request = PrepareImagesRequest(copy / "artifact.yml", LayoutTarget(tmp_path / "other"), NOW)
        prepare_images(request)
    finally:
        os.umask(before)
    assert (tmp_path / "other" / "index.json").read_bytes() == (layout / "index.json").read_bytes()


def test_processes_at_the_same_layout_lose_nothing_and_readers_see_whole_images(
    tmp_path: Path, artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    artifact.entry("first").base().function("first")
    prepare(artifact, layout)
    processes = []
    for number in range(4):
        directory = tmp_path / f"artifact{number}"
        directory.mkdir()
        other = type(artifact)(directory)
        other.entry().base().function(f"p{number}").function(f"q{number}")
        arguments = ["prepare-images", "--artifact", other.manifest, "--target", f"oci-layout:{layout}"]
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        )
    while any(process.poll() is None for process in processes):
        for descriptor in json.loads((layout / "index.json").read_bytes())["manifests"]:
            manifest = json.loads((layout / "blobs/sha256" / descriptor["digest"][7:]).read_bytes())
            for blob in (manifest["config"], *manifest["layers"]):
                assert (layout / "blobs/sha256" / blob["digest"][7:]).stat().st_size == blob["size"]
        time.sleep(0.01)
    for process in processes:
        assert (process.wait(), process.communicate()[1].count("built") > 0) == (0, True)
    refs = {f"demo-dev-{letter}{number}:1" for letter in "pq" for number in range(4)}
    assert set(read_layout(layout)) == {BASE_REF, "demo-dev-first:1", *refs}


# One warm process forks a child for each step; it dies, without cleaning up, at its n-th change of the disk.
KILLED = """
import os, shutil, sys
from pathlib import Path
from artifactctl.cli import cli
import artifactctl.images.prepare, filelock

def dying(real, left):
    def call(*arguments, **more):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)
        return real(*arguments, **more)
    return call

manifest, layout, code, step = sys.argv[1], sys.argv[2], 9, 0
while code:
    shutil.copytree(layout, f"{layout}{step}")
    child = os.fork()
    if not child:
        left = [step]
        for name in ("fsync", "replace", "rename", "mkdir"):
            setattr(os, name, dying(getattr(os, name), left))
        Path.replace, Path.write_bytes = dying(Path.replace, left), dying(Path.write_bytes, left)
        cli(["prepare-images", "--artifact", manifest, "--target", f"oci-layout:{layout}{step}"])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), code
    step += 1
print(step)
"""


def test_a_run_that_is_killed_at_any_step_leaves_the_old_or_the_new_state_and_the_next_one_completes(
    artifact: Artifact, layout: Path, read_layout: ReadLayout
) -> None:
    entry = artifact.entry().function("a", "FROM scratch\nCOPY functions/a/src /x\n")
    prepare(artifact, layout)
    entry.write("functions/a/src/app.py", "changed\n")
    command = [sys.executable, "-c", KILLED, str(artifact.manifest), str(layout)]
    steps = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[-1])
    seen = []
    for step in range(steps):
        copy = layout.with_name(f"{layout.name}{step}")
        shutil.rmtree(copy / ".staging", ignore_errors=True)
        seen.append(read_layout(copy)["demo-dev-a:1"].files()["x/app.py"])
        prepare(artifact, copy)
        assert read_layout(copy)["demo-dev-a:1"].files() == {"x/app.py": "changed\n"}
    assert len(seen) > 8
    assert (seen[0], seen[-1]) == ("NAME = 'a'\n", "changed\n")
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        (
            f"FROM {BASE_REF}\nCOPY {'y' * 300} /x\n",
            "a file or directory in the build context, found nothing",
        ),
        (f"FROM {BASE_REF}\nCOPY functions/a/src/ /{'y' * 300}/\n", "at most 4095 bytes, 255 a name"),
        (f"FROM {BASE_REF}\nWORKDIR /{'y/' * 5000}\n", "at most 4095 bytes, 255 a name"),
        (f"FROM {BASE_REF}\n{'#' * (1 << 20)}\n", "at most 1 MiB"),
    ],
)
def test_what_is_too_long_is_the_artifacts_fault(
    artifact: Artifact, layout: Path, dockerfile: str, expected: str
) -> None:
    artifact.entry().base().function("a", dockerfile)
    with pytest.raises(ArtifactError, match=expected):
        prepare(artifact, layout).raise_failures()
