import hashlib
import json

import pytest
from esb_agent.drivers.containerd.manifests import (
    Descriptor,
    Manifest,
    chain_ids,
    checked,
    digest_of,
    for_this_host,
    layers_of,
    parse_facts,
    parse_manifest,
)
from esb_agent.errors import ImageBrokenError

BLOB = Descriptor("tar", "sha256:1", 7)


def test_snapshots_are_named_after_all_layers_below():
    assert chain_ids(()) == ()
    assert chain_ids(("sha256:a",)) == ("sha256:a",)
    second = f"sha256:{hashlib.sha256(b'sha256:a sha256:b').hexdigest()}"
    third = f"sha256:{hashlib.sha256(f'{second} sha256:c'.encode()).hexdigest()}"
    assert chain_ids(("sha256:a", "sha256:b", "sha256:c")) == ("sha256:a", second, third)


def test_each_layer_stands_on_the_one_below():
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:a", "sha256:b"]}}).encode()
    low, high = layers_of(config, Manifest(BLOB, (BLOB, BLOB)), "i")
    assert (low.name, low.parent, high.parent) == ("sha256:a", "", "sha256:a")


def test_a_configuration_of_other_layers_is_refused():
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:a"]}}).encode()
    with pytest.raises(ImageBrokenError, match="expected 2 diff_ids, found 1"):
        parse_facts(config, Manifest(BLOB, (BLOB, BLOB)), "sha256:m", "i")


def test_what_a_configuration_leaves_out_is_empty():
    facts = parse_facts(b'{"config": null}', Manifest(BLOB, ()), "sha256:m", "i")
    assert (facts.chain_id, facts.entrypoint, facts.env, facts.user) == ("", (), (), "")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"config": 1}', b'{"config": {"digest": "x"}, "layers": []}']
)
def test_what_is_no_manifest_is_refused(data):
    with pytest.raises(ImageBrokenError):
        parse_manifest(data, "i")


@pytest.mark.parametrize(
    "data",
    [b'{"config": []}', b'{"config": {"Env": "A=1"}}', b'{"rootfs": 1}', b'{"rootfs": {"diff_ids": {}}}'],
)
def test_a_configuration_of_another_shape_is_refused(data):
    with pytest.raises(ImageBrokenError, match=r"i: .*expected"):
        parse_facts(data, Manifest(BLOB, ()), "sha256:m", "i")


@pytest.mark.parametrize(
    "data", [b'{"manifests": {}}', b'{"manifests": [1]}', b'{"manifests": [{"platform": "linux"}]}']
)
def test_an_index_of_another_shape_is_refused(data):
    with pytest.raises(ImageBrokenError, match=r"i: .*expected"):
        for_this_host(data, "i")


def test_an_index_without_this_machine_names_those_it_has(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    mine = {"digest": "sha256:2", "size": 2, "platform": {"os": "linux", "architecture": "arm64"}}
    other = {"digest": "sha256:1", "size": 1, "platform": {"os": "linux", "architecture": "amd64"}}
    assert for_this_host(json.dumps({"manifests": [other, mine]}).encode(), "i").digest == "sha256:2"
    with pytest.raises(ImageBrokenError, match="expected one for linux/arm64, found linux/amd64"):
        for_this_host(json.dumps({"manifests": [other]}).encode(), "i")


def test_data_that_is_not_its_digest_is_refused():
    assert checked(b"x", digest_of(b"x"), "i") == b"x"
    with pytest.raises(ImageBrokenError, match="expected sha256:0, found"):
        checked(b"x", "sha256:0", "i")
