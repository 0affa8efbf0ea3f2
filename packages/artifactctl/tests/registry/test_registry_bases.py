from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.recipe import Platform
from artifactctl.images.registry_bases import registry_bases
from artifactctl.images.words import UnsupportedError
from artifactctl.registry.errors import RegistryError

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
CONFIG = {
    "config": {
        "Env": ["PATH=/bin", "LAMBDA_TASK_ROOT=/var/task", "EMPTY="],
        "Entrypoint": ["/lambda-entrypoint.sh"],
        "Cmd": None,
        "WorkingDir": "/var/task",
        "Labels": {"a": "b"},
        "User": "1000",
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": None,
        "Healthcheck": {"Test": ["NONE"]},
    },
    "history": [{"created_by": "base"}],
}


def test_a_base_brings_its_layers_and_its_configuration(registry, client) -> None:
    digest = registry.add_image("lambda/python", "3.12", CONFIG, (b"one", b"two"))
    base = registry_bases(client)(f"{registry.name}/lambda/python:3.12", AMD64)
    assert base.inputs == digest
    assert [layer.blob.media_type for layer in base.remote] == [
        "application/vnd.oci.image.layer.v1.tar+gzip"
    ] * 2
    assert [layer.blob.size for layer in base.remote] == [3, 3]
    assert base.remote[1].diff_id == f"sha256:{1:064x}"
    assert base.config.env == {"PATH": "/bin", "LAMBDA_TASK_ROOT": "/var/task", "EMPTY": ""}
    assert base.config.entrypoint == ("/lambda-entrypoint.sh",)
    assert base.config.cmd is None
    assert (base.config.workdir, base.config.user, base.config.ports) == ("/var/task", "1000", ("8080/tcp",))
    assert base.config.labels == {"a": "b"}
    assert base.config.more == {"Healthcheck": {"Test": ["NONE"]}}
    assert base.history == ({"created_by": "base"},)
    assert base.tree.get("var/task") is not None
    assert not base.warning


def test_each_base_is_asked_for_once(registry, client) -> None:
    registry.add_image("base", "1")
    find = registry_bases(client)
    with ThreadPoolExecutor(8) as pool:
        found = set(map(id, pool.map(lambda _: find(f"{registry.name}/base:1", AMD64), range(20))))
    assert len(found) == 1
    assert len(registry.log) == 2


@pytest.mark.parametrize("name", ["python:3.12", "docker.io/library/python:3.12"])
def test_an_override_says_what_to_take_instead(registry, client, name: str) -> None:
    digest = registry.add_image("mirror", "1")
    base = registry_bases(client, {"python:3.12": f"{registry.name}/mirror:1"})(name, AMD64)
    assert (base.name, base.inputs) == (name, digest)


def test_the_runtimes_registry_is_reached_as_this_host_does(registry, clients) -> None:
    registry.add_image("base", "1")
    client = clients(container_registry="registry:5000", host_registry=registry.name)
    base = registry_bases(client)("registry:5000/base:1", AMD64)
    assert base.remote[0].origin.registry == registry.name


def add_index(registry, *platforms: dict) -> None:
    images = []
    for number, platform in enumerate(platforms):
        digest = registry.add_image("multi", f"p{number}", platform)
        size = len(registry.manifests["multi", digest][1])
        media_type = registry.manifests["multi", digest][0]
        images.append({"mediaType": media_type, "digest": digest, "size": size, "platform": platform})
    media_type = "application/vnd.docker.distribution.manifest.list.v2+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": images}
    registry.add_manifest("multi", "1", media_type, document)


def test_of_an_index_the_image_for_the_platform_is_taken(registry, client) -> None:
    arm = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    add_index(registry, {"os": "linux", "architecture": "amd64"}, arm)
    find = registry_bases(client)
    name = f"{registry.name}/multi:1"
    assert find(name, AMD64).inputs != find(name, ARM64).inputs
    with pytest.raises(FieldError, match=r"linux/s390x, found .* for linux/amd64, linux/arm64/v8"):
        find(name, Platform("linux", "s390x"))


def test_an_image_for_another_platform_is_no_base(registry, client) -> None:
    registry.add_image("base", "1")
    with pytest.raises(FieldError, match=r"an image for linux/arm64, found .* for linux/amd64"):
        registry_bases(client)(f"{registry.name}/base:1", ARM64)


def test_a_base_that_isnt_there_is_named_with_what_to_do(registry, client) -> None:
    with pytest.raises(RegistryError, match=r"base:1: 404 not found \(push it there, or .*--image-override"):
        registry_bases(client)(f"{registry.name}/base:1", AMD64)


def test_a_base_that_isnt_a_reference_is_refused(client) -> None:
    with pytest.raises(FieldError, match="an image reference"):
        registry_bases(client)("UPPER/Case::", AMD64)


def test_triggers_of_a_base_need_an_engine(registry, client) -> None:
    registry.add_image("base", "1", {"config": {"OnBuild": ["RUN x"]}})
    with pytest.raises(UnsupportedError, match="a base without ONBUILD"):
        registry_bases(client)(f"{registry.name}/base:1", AMD64)


@pytest.mark.parametrize("config", [{"config": {"Env": "A=1"}}, {"history": 1}, {"config": 1}])
def test_a_malformed_configuration_is_the_registrys_fault(registry, client, config: dict) -> None:
    registry.add_image("base", "1", config)
    with pytest.raises(RegistryError, match="malformed"):
        registry_bases(client)(f"{registry.name}/base:1", AMD64)
