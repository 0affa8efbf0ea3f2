"""What of the driver's own is left of what failed: nothing."""

import shutil

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers.containerd.driver import ContainerdDriver
from esb_agent.drivers.containerd.settings import ContainerdConfig
from esb_agent.errors import AgentError, ConfigError


async def test_a_start_whose_image_there_is_not_is_not_remembered(box):
    for image in ("127.0.0.1:1/nothing-there:1", "127.0.0.1:5010/UPPER:1"):
        with pytest.raises(AgentError):
            await box.worker(image=image)
    assert box.driver._by_container == {}


async def test_a_worker_that_cannot_be_taken_back_is_removed_with_all_it_had(box):
    worker = await box.worker()
    await box.driver.close()
    directory = box.settings["state_dir"] / "workers" / box.container(worker)
    shutil.rmtree(directory)
    directory.write_text("no directory")
    assert await box.start() == ()
    directory.unlink(missing_ok=True)
    assert box.left() == []


async def test_a_state_directory_that_cannot_be_written_stops_the_agent(tmp_path):
    (tmp_path / "resolv.conf").mkdir()
    driver = ContainerdDriver(
        ContainerdConfig(state_dir=tmp_path, identity=RuntimeIdentity(slug="t", source=""), address="/none")
    )
    with pytest.raises(ConfigError, match=f"{tmp_path}: cannot be written to"):
        await driver.start()
    # It is free for the next.
    (tmp_path / "resolv.conf").rmdir()
    with pytest.raises(ConfigError, match="containerd at /none does not answer"):
        await driver.__class__(driver._config).start()
