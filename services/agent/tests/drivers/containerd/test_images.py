"""Images from a registry into a real containerd."""

import asyncio
import base64
import hashlib
import json
import secrets
import socket
import time

import pytest
from esb_agent.drivers.containerd import api
from esb_agent.drivers.containerd.client import Containerd
from esb_agent.drivers.containerd.content import COMMIT, WRITE
from esb_agent.drivers.containerd.image_settings import ImageSettings
from esb_agent.drivers.containerd.images import Images
from esb_agent.drivers.containerd.rpc import ContainerdError
from esb_agent.drivers.docker.settings import PullPolicy
from esb_agent.errors import BadRequestError, DriverError, ImageBrokenError, ImageNotFoundError

INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
async def images(client):
    made = Images(client, ImageSettings())
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def name():
    return f"f-{secrets.token_hex(4)}"


def of(client, **settings):
    return Images(client, ImageSettings(**settings))


def content(real_containerd):
    return {line.split()[0] for line in real_containerd.lines("content", "ls", "-q") if line}


def snapshots(real_containerd):
    return {line.split()[0] for line in real_containerd.lines("snapshots", "ls")[1:]}


async def collected(real_containerd, gone):
    """Wait until the garbage collector has taken what `gone` looks for."""
    for _ in range(300):
        if gone():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(real_containerd.ctr("content", "ls").stdout)


async def test_a_refusal_amid_the_sending_is_told_with_its_reason(client):
    data = secrets.token_bytes(16)
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    names = {"ref": f"esb-test-{digest}", "total": len(data), "expected": digest}

    async def pieces(slowly):
        make = api.message("containerd.services.content.v1.WriteContentRequest")
        for offset in range(len(data)):
            yield make(action=WRITE, offset=offset, data=data[offset : offset + 1], **names)
            if slowly:
                # Blocking: the refusal of this one is there before the next one is sent.
                time.sleep(0.02)  # noqa: ASYNC251
        yield make(action=COMMIT, offset=len(data), **names)

    await client.create_lease("esb-test-refused", 60)
    try:
        done = await client.rpc.exchange("content.Write", pieces(False), lease="esb-test-refused")
        assert done.action == COMMIT
        with pytest.raises(ContainerdError) as caught:
            await client.rpc.exchange("content.Write", pieces(True), lease="esb-test-refused")
        assert caught.value.exists
    finally:
        await client.delete_lease("esb-test-refused")


@pytest.mark.parametrize("gzipped", [True, False])
async def test_an_image_is_pulled_unpacked_and_known_by_its_configuration(
    images, registry, real_containerd, tar, name, gzipped
):
    config = {"Entrypoint": ["/run"], "Cmd": ["a"], "Env": ["A=1"], "WorkingDir": "/w", "User": "7:8"}
    layers = (tar({f"etc/{name}": "one"}), tar({f"var/{name}": "two"}))
    ref, manifest = registry.image(name, *layers, gzipped=gzipped, config=config)
    facts = await images.ensure(ref)
    assert (facts.entrypoint, facts.cmd, facts.env) == (("/run",), ("a",), ("A=1",))
    assert (facts.workdir, facts.user, facts.digest) == ("/w", "7:8", manifest["digest"])
    assert facts.chain_id in snapshots(real_containerd)
    assert ref in real_containerd.lines("images", "ls", "-q")


async def test_what_containerd_has_is_not_asked_for_again(images, client, registry, tar, name):
    ref, _ = registry.image(name, tar({name: "x"}))
    facts = await images.ensure(ref)
    asked = len(registry.asked)
    assert await images.ensure(ref) == facts
    assert await of(client, pull=PullPolicy.NEVER).ensure(ref) == facts
    assert len(registry.asked) == asked


async def test_pulling_always_sees_a_tag_that_moved_and_the_old_image_is_collected(
    client, registry, real_containerd, tar, name
):
    images = of(client, pull=PullPolicy.ALWAYS)
    ref, old = registry.image(name, tar({name: "old"}))
    first = await images.ensure(ref)
    assert await images.ensure(ref) == first
    assert registry.count("/blobs/") == 2
    registry.image(name, tar({name: "new"}))
    second = await images.ensure(ref)
    assert second.chain_id != first.chain_id
    await collected(real_containerd, lambda: old["digest"] not in content(real_containerd))
    await collected(real_containerd, lambda: first.chain_id not in snapshots(real_containerd))
    assert second.chain_id in snapshots(real_containerd)


async def test_what_has_a_name_outlives_the_garbage_collector(
    images, client, registry, real_containerd, tar, name
):
    ref, _ = registry.image(name, tar({name: "x"}), tar({f"{name}2": "x"}))
    facts, before = await images.ensure(ref), content(real_containerd)
    await client.create_lease("esb-test-collect", 60)
    await client.rpc.call("leases.Delete", id="esb-test-collect", sync=True)
    assert facts.chain_id in snapshots(real_containerd)
    assert content(real_containerd) >= before - {""}
    fresh = of(client, pull=PullPolicy.NEVER)
    assert await fresh.ensure(ref) == facts


async def test_without_leave_to_pull_an_unknown_image_is_not_found(client, registry, tar, name):
    ref, _ = registry.image(name, tar({name: "x"}))
    with pytest.raises(ImageNotFoundError, match="ESB_IMAGE_PULL is never"):
        await of(client, pull=PullPolicy.NEVER).ensure(ref)
    assert registry.asked == []


async def test_starts_that_want_one_image_pull_it_once(images, registry, tar, name):
    ref, _ = registry.image(name, tar({name: "x"}))
    registry.slow = 0.1
    facts = await asyncio.gather(*(images.ensure(ref) for _ in range(10)))
    assert len(set(facts)) == 1
    assert registry.count("/manifests/") == 1
    assert registry.count("/blobs/") == 2


async def test_images_that_share_a_layer_bring_it_once(images, registry, tar, name):
    shared = tar({f"base/{name}": "x" * 100_000})
    refs = []
    for number in range(5):
        refs.append(
            registry.image(f"{name}-{number}", shared, tar({f"own{number}": name}), tag=f"t{number}")[0]
        )
    registry.slow = 0.05
    await asyncio.gather(*(images.ensure(ref) for ref in refs))
    blobs = [path for path in registry.asked if "/blobs/" in path]
    assert len({path.rpartition("/")[2] for path in blobs}) == len(blobs) == 11


async def test_a_pull_goes_on_when_the_start_that_asked_is_given_up(images, registry, tar, name, until):
    ref, _ = registry.image(name, tar({name: "x"}))
    registry.slow = 0.2
    start = asyncio.create_task(images.ensure(ref))
    await until(lambda: registry.asked)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await images.ensure(ref)
    assert registry.count("/manifests/") == 1


async def test_an_index_gives_the_image_for_this_machine(images, registry, tar, name):
    _, mine = registry.image(name, tar({name: "mine"}), config={"Cmd": ["mine"]}, tag="a")
    _, other = registry.image(name, tar({name: "other"}), config={"Cmd": ["other"]}, tag="b")
    entries = [
        {**other, "platform": {"os": "linux", "architecture": "s390x"}},
        {**mine, "platform": {"os": "linux", "architecture": "amd64"}},
        {**other, "platform": {"os": "linux", "architecture": "arm64"}},
    ]
    registry.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, "1")
    facts = await images.ensure(f"{registry.host}/{name}:1")
    assert facts.cmd in (("mine",), ("other",))
    registry.asked.clear()
    assert await images.ensure(f"{registry.host}/{name}:1") == facts
    registry.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries[:1]}, "2")
    with pytest.raises(ImageBrokenError, match="found linux/s390x"):
        await images.ensure(f"{registry.host}/{name}:2")


async def test_a_download_that_is_cut_off_leaves_nothing_and_the_next_one_works(
    images, registry, real_containerd, tar, name
):
    before, there = content(real_containerd), snapshots(real_containerd)
    ref, _ = registry.image(name, tar({name: secrets.token_hex(2_000_000)}))
    layer = max(registry.blobs, key=lambda digest: len(registry.blobs[digest]))
    registry.cut.add(layer)
    with pytest.raises(DriverError, match="cannot be pulled"):
        await images.ensure(ref)
    assert ref not in real_containerd.lines("images", "ls", "-q")
    assert real_containerd.lines("content", "active")[1:] == []
    await collected(real_containerd, lambda: content(real_containerd) <= before)
    assert snapshots(real_containerd) <= there
    registry.cut.clear()
    await images.ensure(ref)


async def test_a_pull_that_is_given_up_at_the_end_of_the_agent_can_begin_anew(
    client, registry, real_containerd, tar, name, until
):
    ref, _ = registry.image(name, tar({name: secrets.token_hex(500_000)}))
    registry.slow = 0.3
    images = of(client)
    start = asyncio.create_task(images.ensure(ref))
    await until(lambda: registry.count("/blobs/"))
    await images.close()
    with pytest.raises(asyncio.CancelledError):
        await start
    registry.slow = 0.0
    assert ref not in real_containerd.lines("images", "ls", "-q")
    await of(client).ensure(ref)


async def test_bytes_that_are_not_what_their_digest_says_are_refused(
    images, registry, real_containerd, tar, name
):
    ref, _ = registry.image(name, tar({name: "x"}))
    layer = max(registry.blobs, key=lambda digest: registry.blobs[digest][:2] == b"\x1f\x8b")
    registry.blobs[layer] = registry.blobs[layer][:-1] + b"!"
    with pytest.raises(ImageBrokenError, match="not what its digest says"):
        await images.ensure(ref)
    assert ref not in real_containerd.lines("images", "ls", "-q")
    assert real_containerd.lines("content", "active")[1:] == []


async def test_a_layer_that_unpacks_to_something_else_is_refused(
    images, registry, real_containerd, tar, name
):
    there = snapshots(real_containerd)
    ref, _ = registry.image(name, tar({name: "x"}), diff_ids=["sha256:" + "0" * 64])
    with pytest.raises(ImageBrokenError, match="expected it to unpack to"):
        await images.ensure(ref)
    assert snapshots(real_containerd) <= there


async def test_a_manifest_that_is_not_its_digest_is_refused(images, registry, tar, name):
    _, described = registry.image(name, tar({name: "x"}))
    registry.documents[described["digest"]] = (
        registry.image(name, tar({name: "y"}), tag="2") and (registry.documents["2"])
    )
    with pytest.raises(ImageBrokenError, match="expected sha256:"):
        await images.ensure(f"{registry.host}/{name}@{described['digest']}")


async def test_an_image_nobody_has_is_not_found(images, registry, name):
    with pytest.raises(ImageNotFoundError, match="answers 404"):
        await images.ensure(f"{registry.host}/{name}:1")


async def test_a_registry_that_is_not_there_is_no_fault_of_the_image(images, name):
    with pytest.raises(DriverError, match="cannot be pulled"):
        await images.ensure(f"127.0.0.1:9/{name}:1")


async def test_a_registry_elsewhere_is_spoken_to_in_tls_only(images, registry, name):
    port = registry.host.rpartition(":")[2]
    with pytest.raises(DriverError, match="ESB_INSECURE_REGISTRIES"):
        await images.ensure(f"{socket.gethostname().lower()}:{port}/{name}:1")


async def test_no_image_can_be_called_so(images):
    with pytest.raises(BadRequestError, match="expected \\[registry/\\]name"):
        await images.ensure("Not An Image")


def login(path, registry, **entry):
    path.write_text(json.dumps({"auths": {registry.host: entry}}))
    return path


def basic(user):
    return base64.b64encode(user.encode()).decode()


async def test_a_registry_that_wants_a_password_gets_it(client, registry, tar, name, tmp_path):
    registry.user = "me:secret"
    ref, _ = registry.image(name, tar({name: "x"}))
    with pytest.raises(ImageNotFoundError, match="ESB_DOCKER_CONFIG"):
        await of(client).ensure(ref)
    auth = login(tmp_path / "config.json", registry, auth=basic("me:secret"))
    await of(client, auth_file=auth).ensure(ref)


async def test_a_registry_with_a_token_server_is_asked_with_its_token(client, registry, tar, name, tmp_path):
    registry.user, registry.token = "me:secret", "t-1"
    ref, _ = registry.image(name, tar({name: "x"}))
    auth = login(tmp_path / "config.json", registry, auth=basic("me:secret"))
    await of(client, auth_file=auth).ensure(ref)
    assert registry.count("/token?service=s&scope=repository") == 1


async def test_a_token_server_that_answers_something_else_is_named(client, registry, tar, name, tmp_path):
    registry.user, registry.token, registry.token_document = "me:secret", "t-1", ["t-1"]
    ref, _ = registry.image(name, tar({name: "x"}))
    auth = login(tmp_path / "config.json", registry, auth=basic("me:secret"))
    with pytest.raises(DriverError, match=r"token server .* gave no JSON object"):
        await of(client, auth_file=auth).ensure(ref)


async def test_an_identity_token_is_given_to_the_token_server(client, registry, tar, name, tmp_path):
    registry.token, registry.refresh = "t-2", "refresh-me"
    ref, _ = registry.image(name, tar({name: "x"}))
    auth = login(tmp_path / "config.json", registry, identitytoken="refresh-me")
    await of(client, auth_file=auth).ensure(ref)


async def test_an_image_whose_snapshot_is_gone_is_unpacked_again_without_the_registry(
    client, registry, real_containerd, tar, name
):
    ref, _ = registry.image(name, tar({name: "x"}))
    facts = await of(client).ensure(ref)
    await client.remove_snapshot("overlayfs", facts.chain_id)
    registry.documents.clear()
    assert await of(client, pull=PullPolicy.NEVER).ensure(ref) == facts
    assert facts.chain_id in snapshots(real_containerd)


async def test_what_a_killed_agent_held_is_let_go(client, images, real_containerd):
    await client.create_lease("esb-pull-killed", 3600)
    await images.start()
    assert "esb-pull-killed" not in real_containerd.ctr("leases", "ls").stdout


async def test_a_blob_another_namespace_has_need_not_come_again(client, registry, real_containerd, tar, name):
    ref, _ = registry.image(name, tar({name: "x"}))
    facts = await of(client).ensure(ref)
    other = Containerd(real_containerd.address, f"other-{name}")
    await other.connect()
    try:
        registry.asked.clear()
        assert await of(other).ensure(ref) == facts
        assert registry.count("/blobs/") == 0
    finally:
        await other.close()
