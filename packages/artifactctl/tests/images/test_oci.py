from __future__ import annotations

import json

import pytest
from artifactctl.images.bases import SCRATCH
from artifactctl.images.layers import Layer
from artifactctl.images.oci import INPUTS, config_document, manifest_document, parse_manifest
from artifactctl.images.recipe import ImageConfig, Recipe, lambda_platform, parse_platform
from artifactctl.images.tree import ImageTree
from artifactctl.registry.descriptors import CONFIG_TYPE, describe, parse_descriptor

LAYER = Layer((), "COPY a /")
DIGEST = f"sha256:{1:064x}"


def recipe(config: ImageConfig, platform: str = "linux/amd64") -> Recipe:
    return Recipe(parse_platform(platform), SCRATCH, config, (LAYER,), ImageTree())


def test_a_configuration_says_everything_and_nothing_that_is_empty() -> None:
    full = ImageConfig(
        env={"B": "1", "A": "2"},
        labels={"x": "ü"},
        entrypoint=("e",),
        cmd=("c", "d"),
        workdir="/w",
        user="1",
        stop_signal="SIGINT",
        ports=("80/tcp",),
        volumes=("/v",),
    )
    made = recipe(full, "linux/arm64/v8")
    document = json.loads(config_document(made, [DIGEST]))
    assert document["config"] == {
        "Env": ["B=1", "A=2"],
        "Labels": {"x": "ü", INPUTS: made.inputs},
        "Entrypoint": ["e"],
        "Cmd": ["c", "d"],
        "WorkingDir": "/w",
        "User": "1",
        "StopSignal": "SIGINT",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/v": {}},
    }
    assert (document["os"], document["architecture"], document["variant"]) == ("linux", "arm64", "v8")
    assert document["history"] == [{"created": "1970-01-01T00:00:00Z", "created_by": "COPY a /"}]
    empty = recipe(ImageConfig())
    assert json.loads(config_document(empty, [DIGEST]))["config"] == {"Labels": {INPUTS: empty.inputs}}


def test_a_stored_manifest_gives_back_what_decides_about_using_it_again() -> None:
    config, layer = describe(CONFIG_TYPE, b"{}"), describe("x/y", b"layer")
    made = recipe(ImageConfig())
    stored = parse_manifest(manifest_document(made, config, [(LAYER, layer)]))
    assert stored.inputs == made.inputs
    assert stored.blobs == (config, layer)
    assert stored.layers == {LAYER.key: layer}


def test_a_manifest_of_somebody_else_has_no_input_digest() -> None:
    plain = describe(CONFIG_TYPE, b"{}").to_json()
    assert parse_manifest(json.dumps({"config": plain, "layers": [plain]}).encode()).inputs == ""


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"config": 1}', '{"config": {"digest": "sha256:x"}}'])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_manifest(text.encode())


def test_a_digest_that_is_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        parse_descriptor({"mediaType": "x", "size": 1, "digest": "sha256:" + "../" * 21 + "x"})


def test_platforms_come_from_lambda_architectures_and_from_texts() -> None:
    assert str(lambda_platform("x86_64")) == "linux/amd64"
    assert str(lambda_platform("arm64")) == "linux/arm64"
    with pytest.raises(ValueError, match="x86_64 or arm64"):
        lambda_platform("mips")
    with pytest.raises(ValueError, match="a platform"):
        parse_platform("amd64")


def test_images_that_differ_in_the_order_of_their_variables_have_different_inputs() -> None:
    one, other = (recipe(ImageConfig(env=env)) for env in ({"A": "1", "B": "2"}, {"B": "2", "A": "1"}))
    assert config_document(one, [DIGEST]) != config_document(other, [DIGEST])
    assert one.inputs != other.inputs
