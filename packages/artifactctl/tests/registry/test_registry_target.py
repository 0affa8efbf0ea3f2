from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from artifactctl.errors import DiskError, WorldError
from artifactctl.images.buildx import Buildx
from artifactctl.images.context import Context
from artifactctl.images.docker_cli import DockerCli
from artifactctl.images.dockerfile import parse_dockerfile
from artifactctl.images.ignore import IgnoreRules
from artifactctl.images.interpret import Surroundings, interpret
from artifactctl.images.recipe import Platform, Recipe
from artifactctl.images.registry_bases import registry_bases
from artifactctl.images.registry_site import RegistryDestination
from artifactctl.images.registry_target import RegistryTarget
from artifactctl.registry.errors import RegistryError

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
BASE_CONFIG = {"config": {"Env": ["PATH=/bin"], "Entrypoint": ["/e"]}, "history": [{"created_by": "base"}]}

Build = Callable[..., Recipe]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (place / "app.py").write_text("print(1)\n")
    (place / "lib.py").write_text("print(2)\n")
    return place


@pytest.fixture
def build(context: Path) -> Build:
    def run(client, base: str, more: str = "", platform: Platform = AMD64) -> Recipe:
        text = f"FROM {base}\nCOPY lib.py /opt/\nCOPY app.py /var/task/\n{more}"
        around = Surroundings(Context(context, IgnoreRules()), registry_bases(client), platform)
        return interpret(parse_dockerfile(text.encode(), "Dockerfile"), around)

    return run


def test_an_image_is_its_base_with_our_layers_on_top(registry, client, build) -> None:
    registry.add_image("base", "1", BASE_CONFIG, (b"one", b"two"))
    target = RegistryTarget(client)
    recipe = build(client, f"{registry.name}/base:1", 'ENV A=1\nCMD ["app.handler"]\n')
    stored = target.put(f"{registry.name}/app:1", recipe)
    manifest = registry.document("app", "1")
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]] == [
        "tar+gzip", "tar+gzip", "tar", "tar",
    ]  # fmt: skip
    config = json.loads(registry.blobs["app"][manifest["config"]["digest"]])
    assert len(config["rootfs"]["diff_ids"]) == 4
    assert config["history"][0] == {"created_by": "base"}
    assert config["config"] == {
        "Env": ["PATH=/bin", "A=1"],
        "Entrypoint": ["/e"],
        "Cmd": ["app.handler"],
        "Labels": {"io.esb.inputs": recipe.inputs},
    }
    assert stored.inputs == recipe.inputs
    assert stored.size == len(registry.manifests["app", "1"][1]) + sum(
        blob["size"] for blob in [manifest["config"], *manifest["layers"]]
    )


def test_nothing_changed_takes_one_request(registry, client, clients, build) -> None:
    registry.add_image("base", "1")
    recipe = build(client, f"{registry.name}/base:1")
    made = RegistryTarget(client).put(f"{registry.name}/app:1", recipe)
    registry.log.clear()
    assert RegistryTarget(clients()).find(f"{registry.name}/app:1") == made
    assert registry.log == ["GET /v2/app/manifests/1"]


def test_a_run_that_makes_everything_again_finds_nothing(registry, client, build) -> None:
    registry.add_image("base", "1")
    target = RegistryTarget(client)
    target.put(f"{registry.name}/app:1", build(client, f"{registry.name}/base:1"))
    registry.log.clear()
    again = RegistryDestination(target, Buildx(DockerCli({})), {}, trust=False)
    assert again.find(f"{registry.name}/app:1") is None
    assert registry.log == []


def test_what_isnt_there_isnt_found(registry, client) -> None:
    assert RegistryTarget(client).find(f"{registry.name}/app:1") is None


def test_layers_of_a_base_in_the_same_registry_are_mounted(registry, client, build) -> None:
    registry.add_image("base", "1", None, (b"one", b"two"))
    RegistryTarget(client).put(f"{registry.name}/app:1", build(client, f"{registry.name}/base:1"))
    assert len([line for line in registry.log if "mount=" in line]) == 2
    assert not [line for line in registry.log if line.startswith("GET /v2/base/blobs") and "uploads" in line]
    # two layers and the configuration
    assert registry.count("PUT") == 4


@pytest.mark.parametrize("mounts", [True, False])
def test_layers_of_a_base_elsewhere_are_copied_once(
    registry, registries, clients, build, mounts: bool
) -> None:
    other = registries()
    other.add_image("base", "1", None, (b"one" * 100, b"two"))
    registry.mounts = mounts
    client = clients(chunk_size=100)
    target = RegistryTarget(client)
    recipe = build(client, f"{other.name}/base:1")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: target.put(f"{registry.name}/app{n}:1", recipe), range(10)))
    assert all(len(registry.blobs[f"app{n}"]) == 5 for n in range(10))
    reads = [line for line in other.log if "/blobs/" in line]
    assert len(reads) == (3 if mounts else 21)


def test_one_blob_is_uploaded_once_whatever_the_number_of_threads(registry, client, build) -> None:
    registry.add_image("base", "1")
    target = RegistryTarget(client)
    recipe = build(client, f"{registry.name}/base:1")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: target.put(f"{registry.name}/app:{n}", recipe), range(16)))
    uploads = [line for line in registry.log if line.startswith("PUT") and "uploads" in line]
    assert len(uploads) == 3
    # one manifest, sixteen tags
    assert len({data for (name, _), (_, data) in registry.manifests.items() if name == "app"}) == 1


def test_a_layer_the_registry_has_is_not_sent_again(registry, client, clients, build, context) -> None:
    registry.add_image("base", "1")
    RegistryTarget(client).put(f"{registry.name}/app:1", build(client, f"{registry.name}/base:1"))
    (context / "app.py").write_text("print(3)\n")
    registry.log.clear()
    client = clients()
    RegistryTarget(client).put(f"{registry.name}/app:2", build(client, f"{registry.name}/base:1"))
    uploads = [line for line in registry.log if line.startswith("PUT") and "uploads" in line]
    assert len(uploads) == 2


def test_somebody_hears_of_the_first_upload_of_an_image(registry, client, build) -> None:
    registry.add_image("base", "1")
    heard: list[tuple[str, str]] = []
    target = RegistryTarget(client, notify=lambda *news: heard.append(news))
    target.put(f"{registry.name}/app:1", build(client, f"{registry.name}/base:1"))
    assert heard == [(f"{registry.name}/app:1", "pushing")]


def test_several_platforms_become_an_index_that_is_found_by_its_inputs(
    registry, client, clients, build
) -> None:
    registry.add_image("base", "amd")
    registry.add_image("base", "arm", {"architecture": "arm64"}, (b"arm layer",))
    recipes = [
        build(client, f"{registry.name}/base:amd"),
        build(client, f"{registry.name}/base:arm", platform=ARM64),
    ]
    made = RegistryTarget(client).put_platforms(f"{registry.name}/app:1", recipes)
    index = registry.document("app", "1")
    assert [image["platform"]["architecture"] for image in index["manifests"]] == ["amd64", "arm64"]
    found = RegistryTarget(clients()).find(f"{registry.name}/app:1")
    assert (found.digest, found.inputs) == (made.digest, made.inputs)
    assert made.inputs not in {recipe.inputs for recipe in recipes}
    # what is FROM it gets the one for its platform
    base = registry_bases(client)(f"{registry.name}/app:1", ARM64)
    assert base.config.labels["io.esb.inputs"] == recipes[1].inputs


def test_an_image_an_engine_built_says_its_inputs_in_a_label(registry, client) -> None:
    digest = registry.add_image("app", "1", {"config": {"Labels": {"io.esb.inputs": "sha256:x"}}})
    assert RegistryTarget(client).find(f"{registry.name}/app:1").inputs == "sha256:x"
    image = {"digest": digest, "size": 1, "mediaType": registry.manifests["app", digest][0]}
    said = {**image, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    media_type = "application/vnd.oci.image.index.v1+json"
    index = {"schemaVersion": 2, "mediaType": media_type, "manifests": [said, image]}
    registry.add_manifest("app", "2", media_type, index)
    assert RegistryTarget(client).find(f"{registry.name}/app:2").inputs == "sha256:x"


def test_an_image_of_somebody_else_has_no_inputs(registry, client) -> None:
    registry.add_image("app", "1")
    assert RegistryTarget(client).find(f"{registry.name}/app:1").inputs == ""
    registry.add_manifest("app", "2", "application/vnd.oci.image.manifest.v1+json", {"layers": 1})
    assert RegistryTarget(client).find(f"{registry.name}/app:2").inputs == ""


def test_the_same_inputs_give_the_same_digest_in_two_registries(registry, registries, clients, build) -> None:
    digests = set()
    for place in (registry, registries()):
        place.add_image("base", "1")
        client = clients(container_registry="reg:5000", host_registry=place.name)
        digests.add(RegistryTarget(client).put("reg:5000/app:1", build(client, "reg:5000/base:1")).digest)
    assert len(digests) == 1


def test_an_image_is_copied_from_elsewhere_as_it_is(registry, registries, client) -> None:
    other = registries()
    digest = other.add_image("team/app", "v1", BASE_CONFIG, (b"one", b"two"))
    target = RegistryTarget(client)
    ref = f"{registry.name}/copied:1"
    assert target.copy(f"{other.name}/team/app:v1", ref).digest == digest
    assert registry.manifests["copied", "1"] == other.manifests["team/app", "v1"]
    registry.log.clear()
    other.log.clear()
    assert target.copy(f"{other.name}/team/app:v1", ref).digest == digest
    assert {line.split()[0] for line in registry.log} == {"HEAD", "GET"}


def test_of_an_index_only_the_wanted_platforms_are_copied(registry, registries, client) -> None:
    other = registries()
    images = []
    for architecture in ("amd64", "arm64", "s390x"):
        digest = other.add_image("app", architecture, {"architecture": architecture})
        media_type, data = other.manifests["app", digest]
        platform = {"os": "linux", "architecture": architecture}
        images.append({"digest": digest, "size": len(data), "mediaType": media_type, "platform": platform})
    media_type = "application/vnd.oci.image.index.v1+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": images}
    whole = other.add_manifest("app", "1", media_type, document)
    target, source = RegistryTarget(client), f"{other.name}/app:1"
    assert target.copy(source, f"{registry.name}/all:1").digest == whole
    assert target.copy(source, f"{registry.name}/one:1", [ARM64]).digest == images[1]["digest"]
    target.copy(source, f"{registry.name}/two:1", [ARM64, AMD64])
    assert registry.document("two", "1")["manifests"] == images[:2]
    with pytest.raises(RegistryError, match="it has no image for linux/riscv64"):
        target.copy(source, f"{registry.name}/none:1", [Platform("linux", "riscv64")])
    with pytest.raises(RegistryError, match=r"cannot copy .*: 404 not found"):
        target.copy(f"{other.name}/absent:1", f"{registry.name}/x:1")


def test_a_moving_tag_stands_beside_the_image(registry, client) -> None:
    digest = registry.add_image("app", "1")
    RegistryTarget(client).tag(f"{registry.name}/app:1", "latest")
    assert registry.manifests["app", "latest"] == registry.manifests["app", digest]


def test_a_file_that_changed_since_it_was_hashed_fails_its_image(registry, client, build, context) -> None:
    registry.add_image("base", "1")
    recipe = build(client, f"{registry.name}/base:1")
    (context / "app.py").write_text("something longer\n")
    with pytest.raises(DiskError, match=r"app\.py: cannot read it for the image: it was changed meanwhile"):
        RegistryTarget(client).put(f"{registry.name}/app:1", recipe)
    assert ("app", "1") not in registry.manifests


def test_a_failed_push_can_be_made_again_by_the_same_target(registry, client, build) -> None:
    registry.add_image("base", "1")
    target = RegistryTarget(client)
    recipe = build(client, f"{registry.name}/base:1")
    registry.fail("PUT", "manifests", status=507, body=b"no space left")
    registry.fail("HEAD", "blobs", status=403)
    with pytest.raises(RegistryError, match="403"):
        target.put(f"{registry.name}/app:1", recipe)
    with pytest.raises(RegistryError, match="507 no space left"):
        target.put(f"{registry.name}/app:1", recipe)
    assert target.put(f"{registry.name}/app:1", recipe).inputs == recipe.inputs


def test_a_reference_that_isnt_one_is_an_error_of_its_image(client) -> None:
    for ref in ("UPPER", "no-registry:1"):
        with pytest.raises(WorldError, match="expected"):
            RegistryTarget(client).find(ref)


def test_a_big_layer_is_pushed_in_chunks_and_in_constant_memory(registry, clients, build, context) -> None:
    registry.add_image("base", "1")
    (context / "app.py").write_bytes(bytes(5 << 20))
    client = clients(chunk_size=1 << 20)
    registry.fail("PATCH", "uploads", keep=5000, after=2)
    RegistryTarget(client).put(f"{registry.name}/app:1", build(client, f"{registry.name}/base:1"))
    layers = [registry.blobs["app"][layer["digest"]] for layer in registry.document("app", "1")["layers"]]
    with tarfile.open(fileobj=io.BytesIO(layers[-1])) as tar:
        assert tar.extractfile("var/task/app.py").read() == bytes(5 << 20)
    # one mount, two layers, the configuration: nothing was begun again
    assert registry.count("POST") == 4


def test_a_real_registry_takes_and_gives_everything(real_registry, clients, build, context) -> None:
    client = clients(chunk_size=1 << 20)
    target = RegistryTarget(client)
    base = target.put(f"{real_registry}/base:1", build(client, "scratch", "ENV A=1\n"))
    (context / "app.py").write_bytes(bytes(range(256)) * 4096 * 3)
    recipe = build(client, f"{real_registry}/base:1", "CMD x\n")
    assert recipe.base.inputs == base.digest
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: target.put(f"{real_registry}/team/app{n}:1", recipe), range(20)))
    assert {one.digest for one in made} == {made[0].digest}
    fresh = RegistryTarget(clients())
    assert fresh.find(f"{real_registry}/team/app7:1") == made[0]
    assert fresh.find(f"{real_registry}/team/absent:1") is None
    layer = client.manifests.get(client.locate(f"{real_registry}/team/app7:1")).parse()["layers"][-1]
    where = client.locate(f"{real_registry}/team/app7:1").repository
    assert sum(map(len, client.blobs.read(where, layer["digest"]))) == layer["size"]
    with pytest.raises(RegistryError, match="404 BLOB_UNKNOWN"):
        client.blobs.get(where, f"sha256:{0:064x}")
    target.put_platforms(f"{real_registry}/both:1", [recipe, build(client, "scratch", platform=ARM64)])
    assert fresh.copy(f"{real_registry}/both:1", f"{real_registry}/copied:1").digest
    fresh.tag(f"{real_registry}/copied:1", "latest")
    assert fresh.find(f"{real_registry}/copied:latest") is not None


def test_images_from_elsewhere_are_docker_hubs_where_no_registry_is_named(clients) -> None:
    target = RegistryTarget(clients(container_registry="registry:5000", host_registry="127.0.0.1:5010"))
    assert target.source_ref("python:3.12") == "docker.io/library/python:3.12"
    assert target.source_ref("registry:5000/base:1") == "127.0.0.1:5010/base:1"
    assert target.host_ref("app:1") == "127.0.0.1:5010/app:1"
    with pytest.raises(WorldError, match="an image reference"):
        target.source_ref("UPPER")
