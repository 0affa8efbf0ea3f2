from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable

from artifactctl.images.archive import archive_chunks, loadable, measure
from artifactctl.images.recipe import Recipe, RemoteLayer
from artifactctl.registry.descriptors import Descriptor
from artifactctl.registry.references import Repository
from attrs import evolve


def test_an_archive_names_all_layers_and_holds_ours(build: Callable[..., Recipe]) -> None:
    recipe = build("FROM debian\nCOPY a /x/\nCOPY b /y/\n", {"a": "1", "b": "2" * 600})
    below = RemoteLayer(Descriptor("tar", "sha256:00", 0), "sha256:00", Repository("", ""))
    recipe = evolve(recipe, base=evolve(recipe.base, remote=(below,), history=({"created_by": "debian"},)))
    image = loadable("demo:1", recipe, [measure(layer) for layer in recipe.layers])
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive_chunks(image)))) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}
    (manifest,) = json.loads(content.pop("manifest.json"))
    config = json.loads(content.pop(manifest["Config"]))
    assert manifest["RepoTags"] == ["demo:1"]
    assert manifest["Layers"][0] == "00.tar"
    assert sorted(manifest["Layers"][1:]) == sorted(content)
    digests = [f"sha256:{hashlib.sha256(content[name]).hexdigest()}" for name in manifest["Layers"][1:]]
    assert config["rootfs"]["diff_ids"] == ["sha256:00", *digests]
    assert len(config["history"]) == 3
    assert config["config"]["Labels"]["io.esb.inputs"] == recipe.inputs
    assert image.id == f"sha256:{manifest['Config'].removesuffix('.json')}"
