"""What is read from an OCI layout, and what a broken one says."""

import json
import platform

import pytest
from esb_agent.drivers.process.layout import find_manifest, manifest_digests
from esb_agent.errors import ImageBrokenError, ImageNotFoundError


def test_an_image_is_found_by_its_reference(layout, tar):
    layer = tar({"var/task/app.py": "x"})
    layout.image(
        "a:1", layer, config={"Env": ["A=1=2", "B"], "Cmd": ["app.h"], "WorkingDir": "/w", "Entrypoint": None}
    )
    found = find_manifest(layout.path, "a:1")
    assert dict(found.config.environment) == {"A": "1=2", "B": ""}
    assert (found.config.command, found.config.entrypoint, found.config.directory) == (("app.h",), (), "/w")
    assert len(found.layers) == 1
    assert manifest_digests(layout.path) == {"a:1": found.digest}


def test_no_layout_says_so(tmp_path):
    with pytest.raises(ImageNotFoundError, match="no OCI image layout"):
        find_manifest(tmp_path / "none", "a:1")


def test_an_unknown_reference_says_how_many_there_are(layout, tar):
    layout.image("a:1", tar({}))
    with pytest.raises(ImageNotFoundError, match=r"b:1: not in the image layout .* which holds 1 images"):
        find_manifest(layout.path, "b:1")


def test_an_index_of_platforms_gives_this_machines(layout, tar):
    layout.image("other", tar({}), config={"Cmd": ["other"]})
    layout.image("this", tar({}), config={"Cmd": ["this"]})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    other, this = ({k: v for k, v in m.items() if k != "annotations"} for m in layout.manifests)
    nested = {
        "manifests": [
            {**other, "platform": {"os": "linux", "architecture": "s390x"}},
            {**this, "platform": {"os": "linux", "architecture": machine}},
        ]
    }
    index = layout.blob(json.dumps(nested).encode(), "application/vnd.oci.image.index.v1+json")
    layout.manifests.append({**index, "annotations": {"org.opencontainers.image.ref.name": "multi"}})
    layout.write_index()
    assert find_manifest(layout.path, "multi").config.command == ("this",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON"),
        ("[]", "expected an object, found list"),
        ('{"manifests": 3}', "manifests: expected a list, found int"),
        (
            '{"manifests": [{"annotations": {"org.opencontainers.image.ref.name": "a:1"}}]}',
            "digest: expected sha256:",
        ),
        (
            '{"manifests": [{"digest": "sha256:../../etc/passwd", "size": 1,'
            ' "annotations": {"org.opencontainers.image.ref.name": "a:1"}}]}',
            "digest: expected sha256:",
        ),
        (
            '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "size": "1",'
            ' "annotations": {"org.opencontainers.image.ref.name": "a:1"}}]}',
            "size: expected a number",
        ),
        (
            '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "size": 1,'
            ' "annotations": {"org.opencontainers.image.ref.name": "a:1"}}]}',
            "cannot be read",
        ),
    ],
)
def test_a_broken_index_names_the_place(layout, text, message):
    (layout.path / "index.json").write_text(text)
    with pytest.raises(ImageBrokenError, match=message):
        find_manifest(layout.path, "a:1")


def test_entries_without_a_reference_are_passed_over(layout, tar):
    layout.image("a:1", tar({}))
    layout.manifests.insert(0, {"digest": "?"})
    layout.manifests.insert(0, "?")
    layout.write_index()
    assert list(manifest_digests(layout.path)) == ["a:1"]


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_document_that_was_changed_is_noticed(layout, tar, part):
    manifest = layout.image("a:1", tar({}))
    descriptor = layout.manifests[0] if part == "manifest" else manifest["config"]
    path = layout.blob_path(descriptor)
    path.write_bytes(path.read_bytes().replace(b"sha256", b"sha257") + b" ")
    with pytest.raises(ImageBrokenError, match=r"expected .* bytes of that digest, found"):
        find_manifest(layout.path, "a:1")
