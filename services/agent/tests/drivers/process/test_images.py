"""Unpacked once, by content."""

import asyncio

import pytest
from esb_agent.drivers.process import images
from esb_agent.drivers.process.images import ImageStore
from esb_agent.errors import DriverError, ImageBrokenError


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "rootfs"
    path.mkdir()
    return path


@pytest.fixture
def store(layout, directory):
    return ImageStore(layout.path, directory)


@pytest.fixture
def unpackings(monkeypatch):
    """Counts layers unpacked."""
    seen = []
    real = images.unpack_layer
    monkeypatch.setattr(
        images, "unpack_layer", lambda layer, root: (seen.append(layer.digest), real(layer, root))
    )
    return seen


async def test_concurrent_first_uses_unpack_once(store, layout, unpackings):
    layout.function("a:1", "x = 1")
    got = await asyncio.gather(*(store.get("a:1") for _ in range(10)))
    assert {id(image) for image in got} == {id(got[0])}
    assert len(unpackings) == 1
    assert (got[0].root / "var/task/app.py").read_text() == "x = 1"


async def test_two_references_to_one_content_share_it(store, layout, unpackings):
    layout.function("a:1", "x = 1")
    layout.function("b:1", "x = 1")
    assert (await store.get("a:1")).root == (await store.get("b:1")).root
    assert len(unpackings) == 1


async def test_a_later_life_finds_what_an_earlier_one_unpacked(store, layout, directory, unpackings):
    layout.function("a:1", "x = 1")
    await store.get("a:1")
    await ImageStore(layout.path, directory).get("a:1")
    assert len(unpackings) == 1


async def test_a_reference_that_moves_gives_the_new_content(store, layout):
    layout.function("a:1", "x = 1")
    before = await store.get("a:1")
    layout.manifests.clear()
    layout.function("a:1", "x = 2")
    after = await store.get("a:1")
    assert before.root != after.root
    assert (after.root / "var/task/app.py").read_text() == "x = 2"


async def test_a_caller_that_gives_up_does_not_take_the_image_from_others(store, layout):
    layout.function("a:1", "x = 1")
    first, second = asyncio.create_task(store.get("a:1")), asyncio.create_task(store.get("a:1"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).root.is_dir()


async def test_a_broken_image_leaves_nothing_and_can_be_mended(store, layout, directory):
    manifest = layout.function("a:1", "x = 1")
    path = layout.blob_path(manifest["layers"][0])
    good = path.read_bytes()
    path.write_bytes(good.replace(b"x = 1", b"x = 2"))
    with pytest.raises(ImageBrokenError):
        await store.get("a:1")
    assert list(directory.iterdir()) == []
    path.write_bytes(good)
    assert (await store.get("a:1")).root.is_dir()


async def test_a_disk_that_refuses_is_told(layout, tmp_path):
    layout.function("a:1", "x = 1")
    (tmp_path / "file").touch()
    with pytest.raises(DriverError, match="cannot be unpacked"):
        await ImageStore(layout.path, tmp_path / "file").get("a:1")


async def test_the_directories_functions_count_on_are_there(store, layout, tar):
    layout.image(
        "bare:1", tar({"opt/python/lib/python3.11/site-packages/p/__init__.py": "", "opt/python/m.py": ""})
    )
    image = await store.get("bare:1")
    assert (image.root / "var/task").is_dir()
    assert {"m", "p"} <= image.names


async def test_cleaning_keeps_what_the_layout_holds(store, layout, directory):
    layout.function("a:1", "x = 1")
    layout.function("b:1", "x = 2")
    store.clean("boot-1")
    kept, dropped = (await store.get("a:1")).root, (await store.get("b:1")).root
    (directory / ".tmp-half").mkdir()
    layout.manifests.pop()
    layout.write_index()
    ImageStore(layout.path, directory).clean("boot-1")
    assert kept.is_dir()
    assert not dropped.exists()
    assert not (directory / ".tmp-half").exists()


async def test_after_a_restart_of_the_machine_nothing_is_trusted(store, layout, directory):
    layout.function("a:1", "x = 1")
    store.clean("boot-1")
    root = (await store.get("a:1")).root
    ImageStore(layout.path, directory).clean("boot-2")
    assert not root.exists()


def test_a_layout_that_is_not_there_is_a_problem_and_no_more(directory, tmp_path):
    store = ImageStore(tmp_path / "none", directory)
    assert "no OCI image layout" in store.problem()
    store.clean("boot-1")
