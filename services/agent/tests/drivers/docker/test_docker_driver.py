"""Workers as containers of a real engine. What all drivers must do is in ../test_driver_contract.py."""

import asyncio
import json
import time

import pytest
from esb_agent.drivers.docker.settings import PullPolicy
from esb_agent.errors import (
    BadRequestError,
    ConfigError,
    DriverError,
    ImageBrokenError,
    ImageNotFoundError,
    InitFailedError,
    WorkerBusyError,
)
from esb_agent.model import WorkerState


async def state_of(box, worker, state, seconds=5.0):
    """Wait until the driver sees the worker in that state; returns it."""
    deadline = time.monotonic() + seconds
    while (found := await box.driver.find(worker.identity.worker_id)).state is not state:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.01)
    return found


async def test_a_function_has_no_power_over_its_container(docker_box):
    worker = await docker_box.worker(environment={"STAGE": "x"})
    seen = (await docker_box.tell(worker, do="look")).json()
    assert (seen["uid"], int(seen["capabilities"], 16), seen["no_new_privileges"]) == (993, 0, "1")
    assert (seen["env"]["STAGE"], seen["env"]["AWS_LAMBDA_FUNCTION_NAME"]) == ("x", "f")
    for path, answer in (("/var/task/x", "Read-only file system"), ("/x", "Read-only file system")):
        assert (await docker_box.tell(worker, do="write", path=path)).json() == answer
    assert (await docker_box.tell(worker, do="write", path="/tmp/x")).json() == seen["run"]
    inspected = docker_box.inspect(worker)
    assert inspected["HostConfig"]["Privileged"] is False
    assert [mount["Destination"] for mount in inspected["Mounts"]] == []
    assert inspected["HostConfig"]["LogConfig"]["Type"] == "local"


async def test_cpus_are_cut_to_the_memorys_share_after_the_first_call(docker_box, until):
    worker = await docker_box.worker(memory_mb=354)
    assert docker_box.inspect(worker)["HostConfig"]["NanoCpus"] > 0.9e9
    await docker_box.tell(worker)
    await until(lambda: docker_box.inspect(worker)["HostConfig"]["NanoCpus"] == int(354 / 1769 * 1e9))


async def test_output_is_in_the_functions_log_with_its_request(docker_box):
    worker = await docker_box.worker()
    await docker_box.http_call(worker, {"do": "nothing"}, **{"X-Amzn-Requestid": "r-1"})
    entry = await docker_box.logged("told to nothing")
    assert (entry["worker"], entry["stream"], entry["request_id"]) == ("w1", "stdout", "r-1")
    assert (await docker_box.logged("REPORT RequestId: r-1"))["stream"] == "platform"


async def test_a_worker_with_a_call_is_busy_and_is_not_paused(docker_box):
    worker = await docker_box.worker()
    call = asyncio.create_task(docker_box.tell(worker, do="sleep", seconds=1))
    await state_of(docker_box, worker, WorkerState.BUSY)
    with pytest.raises(WorkerBusyError):
        await docker_box.driver.pause("w1")
    await call
    await state_of(docker_box, worker, WorkerState.READY)


async def test_a_call_that_takes_too_long_is_ended_by_the_emulator(docker_box):
    worker = await docker_box.worker(timeout_ms=1000)
    answer = await docker_box.tell(worker, do="sleep", seconds=5)
    assert (answer.status, answer.body) == (200, b"Task timed out after 1.00 seconds")


async def test_memory_beyond_the_limit_ends_the_worker(docker_box):
    worker = await docker_box.worker(memory_mb=128)
    answer = await docker_box.tell(worker, do="eat", mb=200)
    assert (answer.status, answer.json()["errorType"]) == (502, "Runtime.ExitError")
    ended = await state_of(docker_box, worker, WorkerState.EXITED)
    assert "OOMKilled" in ended.exit_reason
    assert await docker_box.driver.destroy("w1") is True
    assert docker_box.left() == []


async def test_a_container_that_somebody_removed_is_seen(docker_box):
    worker = await docker_box.worker()
    docker_box.engine.remove(docker_box.inspect(worker)["Id"])
    await state_of(docker_box, worker, WorkerState.EXITED)
    assert await docker_box.driver.destroy("w1") is True


async def test_a_paused_worker_is_removed_at_once(docker_box):
    await docker_box.worker()
    await docker_box.driver.pause("w1")
    assert await docker_box.driver.destroy("w1") is True
    assert docker_box.left() == []


async def test_an_image_that_ends_at_once_or_is_none_leaves_nothing_but_its_reason(docker_box):
    build = docker_box.engine.build_from
    ending = 'FROM {base}\nENTRYPOINT ["/bin/sh", "-c", "echo going down; exit 7"]\n'
    with build(ending) as ends, pytest.raises(InitFailedError) as caught:
        await docker_box.worker(ends)
    assert json.loads(str(caught.value)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "Error: Runtime exited with error: exit status 7",
    }
    await docker_box.logged("going down")
    with build('FROM {base}\nENTRYPOINT ["/no/such/program"]\n') as broken, pytest.raises(ImageBrokenError):
        await docker_box.worker(broken)
    with pytest.raises(BadRequestError, match="memory"):
        await docker_box.worker(memory_mb=2)
    assert (await docker_box.driver.list_workers(), docker_box.left()) == ((), [])


async def test_an_image_where_nobody_listens_is_given_up(docker_box):
    await docker_box.driver.close()
    await docker_box.start(init_seconds=0.5)
    silent = docker_box.engine.build_from('FROM {base}\nENTRYPOINT ["sleep", "60"]\n')
    with silent as image, pytest.raises(InitFailedError, match="nobody listens on port 8080"):
        await docker_box.worker(image)
    assert docker_box.left() == []


async def test_starts_that_are_given_up_at_any_moment_leave_nothing(docker_box):
    for number in range(12):
        starting = asyncio.create_task(docker_box.worker(worker_id=f"x{number}"))
        await asyncio.sleep(number * 0.02)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await docker_box.driver.destroy(f"x{number}")
        assert docker_box.left() == []


async def test_a_worker_id_is_free_again_while_the_last_one_is_still_being_removed(docker_box):
    await docker_box.worker(worker_id="w")
    ending = asyncio.create_task(docker_box.driver.destroy("w"))
    await asyncio.sleep(0)
    second = await docker_box.worker(worker_id="w")
    assert await ending is True
    assert (await docker_box.tell(second)).status == 200


async def test_the_next_agent_finds_workers_their_calls_and_what_they_printed_meanwhile(docker_box):
    worker = await docker_box.worker()
    run = (await docker_box.tell(worker)).json()
    await docker_box.logged("REPORT")
    await docker_box.driver.close()
    call = asyncio.create_task(docker_box.http_call(worker, {"do": "sleep", "seconds": 2.5}))
    await asyncio.sleep(0.5)
    found = await docker_box.start()
    # The call that a gateway may have given up on is still known: no second one may be sent.
    assert [one.state for one in found] == [WorkerState.BUSY]
    assert (await call).json() == run
    await state_of(docker_box, worker, WorkerState.READY)
    assert (await docker_box.driver.metrics("w1")).invocations == 2
    await docker_box.logged("told to sleep")
    lines = [entry["line"] for entry in docker_box.log()]
    assert (lines.count("initialised"), lines.count("told to sleep")) == (1, 1)


async def test_what_is_dead_or_no_worker_is_removed_at_the_next_start(docker_box):
    for worker_id in ("dead", "alive"):
        await docker_box.worker(worker_id=worker_id)
    strange = {
        "Image": docker_box.images.wild,
        "Labels": {"io.esb.brand": "esb", "io.esb.env": docker_box.environment},
    }
    assert docker_box.engine.ask("POST", "/containers/create", strange)[0] == 201
    await docker_box.driver.close()
    docker_box.engine.kill(f"esb-{docker_box.environment}-f-dead")
    assert [one.identity.worker_id for one in await docker_box.start()] == ["alive"]
    assert len(docker_box.left()) == 1


async def test_an_engine_that_goes_is_named_and_what_happened_meanwhile_is_seen(
    docker_box, cut_socket, until
):
    await docker_box.driver.close()
    await docker_box.start(host=f"unix://{cut_socket.path}")
    driver = docker_box.driver
    dies, lives = await docker_box.worker(worker_id="dies"), await docker_box.worker(worker_id="lives")
    await cut_socket.cut()
    await until(lambda: driver._watch.trouble)
    assert str(cut_socket.path) in (await driver.problems())[0]
    with pytest.raises(DriverError):
        await docker_box.worker()
    with pytest.raises(DriverError):
        await driver.destroy("lives")
    docker_box.engine.kill(f"esb-{docker_box.environment}-f-dies")
    await cut_socket.open()
    await state_of(docker_box, dies, WorkerState.EXITED)
    await until(lambda: not driver._watch.trouble)
    assert await driver.problems() == ()
    # It could not be ended while the engine was away: it is known until it is.
    assert (await driver.find("lives")).state is WorkerState.EXITED
    assert await driver.destroy("lives") is True
    assert await driver.destroy("dies") is True
    again = await docker_box.worker(worker_id="lives")
    assert (await docker_box.tell(again)).status == 200
    await docker_box.logged("told to None")
    assert lives.address


async def test_without_an_engine_the_agent_says_so_and_does_not_start(docker_box, tmp_path):
    await docker_box.driver.close()
    with pytest.raises(ConfigError, match=r"none\.sock: no Docker Engine answers"):
        await docker_box.start(host=f"unix://{tmp_path}/none.sock")


async def test_images_come_from_their_registry_as_the_policy_says(docker_box):
    engine, ref = docker_box.engine, "127.0.0.1:5010/lambda-python:3.12"
    copy = f"127.0.0.1:5010/esb-test-pull:{docker_box.environment}"
    with pytest.raises(ImageNotFoundError, match="no such image"):
        await docker_box.worker(copy)
    repository, _, tag = copy.rpartition(":")
    engine.push(docker_box.images.echo, repository, tag)
    engine.remove_image(copy)
    await docker_box.driver.close()
    await docker_box.start(pull=PullPolicy.MISSING)
    try:
        # Two starts, one pull; a start that gives up does not end it.
        given_up = asyncio.create_task(docker_box.worker(copy, worker_id="g"))
        await asyncio.sleep(0.005)
        given_up.cancel()
        worker = await docker_box.worker(copy)
        assert (await docker_box.tell(worker, a=1)).json() == {"a": 1}
        with pytest.raises(ImageNotFoundError, match="cannot be pulled"):
            await docker_box.worker("127.0.0.1:5010/no-such-image:1")
        with pytest.raises(DriverError, match="cannot be pulled"):
            await docker_box.worker("127.0.0.1:1/no-such-registry:1")
        await docker_box.driver.close()
        await docker_box.start(pull=PullPolicy.ALWAYS)
        assert (await docker_box.worker(ref, handler="x.y", worker_id="a")).state is WorkerState.READY
    finally:
        await asyncio.gather(given_up, return_exceptions=True)
        await docker_box.driver.close()
        for container in docker_box.left():
            engine.remove(container.strip("/"))
        engine.remove_image(copy)
        engine.unpublish(copy)
