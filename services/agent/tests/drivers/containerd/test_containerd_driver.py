"""Workers as tasks of a real containerd. What all drivers must do is in ../test_driver_contract.py."""

import asyncio
import json
import os
import secrets
import shutil
import signal
from contextlib import contextmanager

import pytest
from esb_agent.drivers.containerd.removal import END_SECONDS
from esb_agent.drivers.containerd.runtimes import GVISOR_SHIM
from esb_agent.drivers.containerd.settings import FIRECRACKER
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


@pytest.fixture
def pushed(engine):
    """An image from a Dockerfile in the registry on loopback, for as long as it is used."""

    @contextmanager
    def push(dockerfile):
        with engine.build_from(dockerfile) as local:
            ref = engine.push(local, f"127.0.0.1:5010/esb-test-{secrets.token_hex(4)}", "1")
            try:
                yield ref
            finally:
                engine.unpublish(ref)
                engine.remove_image(ref)

    return push


async def test_a_function_has_no_power_over_its_container(box):
    worker = await box.worker(environment={"STAGE": "x"})
    seen = (await box.tell(worker, do="look")).json()
    assert (seen["uid"], int(seen["capabilities"], 16), seen["no_new_privileges"]) == (993, 0, "1")
    assert (seen["env"]["STAGE"], seen["env"]["AWS_LAMBDA_FUNCTION_NAME"]) == ("x", "f")
    assert seen["filter"] == "2"
    for path in ("/var/task/x", "/x", "/dev/x", "/etc/hosts", "/sys/fs/cgroup/x", "/proc/sys/vm/swappiness"):
        assert (await box.tell(worker, do="write", path=path)).json() in (
            "Read-only file system",
            "Permission denied",
        )
    assert (await box.tell(worker, do="write", path="/tmp/x")).json() == seen["run"]
    linux = box.spec(worker)["linux"]
    assert linux["resources"]["memory"]["limit"] == 256 * 2**20
    assert linux["resources"]["pids"]["limit"] == 1024


async def test_cpus_are_cut_to_the_memorys_share_after_the_first_call(box, until):
    worker = await box.worker(memory_mb=354)
    assert box.cpus(worker) > 0.9
    assert len(box.cpu_set(worker)) == 1
    await box.tell(worker)
    await until(lambda: box.cpus(worker) == pytest.approx(354 / 1769, abs=0.001))
    assert len(box.cpu_set(worker)) == os.cpu_count()


async def test_a_function_with_more_than_a_cpu_starts_on_all(box):
    assert len(box.cpu_set(await box.worker(memory_mb=2000))) == os.cpu_count()


async def test_output_is_in_the_functions_log_with_its_request(box):
    worker = await box.worker()
    await box.http_call(worker, {"do": "nothing"}, **{"X-Amzn-Requestid": "r-1"})
    entry = await box.logged("told to nothing")
    assert (entry["worker"], entry["stream"], entry["request_id"]) == ("w1", "stdout", "r-1")
    assert (await box.logged("REPORT RequestId: r-1"))["stream"] == "platform"


async def test_a_worker_with_a_call_is_busy_and_is_not_paused(box):
    worker = await box.worker()
    call = asyncio.create_task(box.tell(worker, do="sleep", seconds=1.5))
    await box.reaches(worker, WorkerState.BUSY)
    with pytest.raises(WorkerBusyError):
        await box.driver.pause("w1")
    await call
    await box.reaches(worker, WorkerState.READY)


async def test_a_call_that_takes_too_long_is_ended_by_the_emulator(box):
    worker = await box.worker(timeout_ms=1000)
    answer = await box.tell(worker, do="sleep", seconds=5)
    assert (answer.status, answer.body) == (200, b"Task timed out after 1.00 seconds")


async def test_memory_beyond_the_limit_ends_the_worker(box):
    worker = await box.worker(memory_mb=128)
    answer = await box.tell(worker, do="eat", mb=200)
    assert (answer.status, answer.json()["errorType"]) == (502, "Runtime.ExitError")
    ended = await box.reaches(worker, WorkerState.EXITED)
    assert "OOMKilled" in ended.exit_reason
    assert await box.driver.destroy("w1") is True
    assert box.left() == []


async def test_a_container_that_somebody_removed_is_seen(box):
    worker = await box.worker()
    box.ctr("task", "rm", "--force", box.container(worker))
    box.ctr("container", "rm", box.container(worker))
    await box.reaches(worker, WorkerState.EXITED)
    assert await box.driver.destroy("w1") is True
    assert box.left() == []


async def test_a_shim_that_was_killed_is_the_end_of_its_worker(box):
    worker = await box.worker()
    box.signal_shim(worker, signal.SIGKILL)
    await box.reaches(worker, WorkerState.EXITED)
    assert await box.driver.destroy("w1") is True
    assert box.left() == []


async def test_a_worker_whose_shim_has_hung_is_removed_with_it(box):
    worker, other = await box.worker(), await box.worker()
    box.signal_shim(worker, signal.SIGSTOP)
    async with asyncio.timeout(END_SECONDS):
        assert await box.driver.destroy("w1") is True
    assert (await box.tell(other, do="look")).status == 200
    assert await box.driver.destroy("w2") is True
    assert box.left() == []


async def test_a_paused_worker_is_removed_at_once(box):
    await box.worker()
    await box.driver.pause("w1")
    assert await box.driver.destroy("w1") is True
    assert box.left() == []


async def test_a_paused_worker_that_is_killed_is_seen_to_end(box):
    worker = await box.worker()
    await box.driver.pause("w1")
    box.kill(box.container(worker))
    box.ctr("task", "resume", box.container(worker), check=False)
    await box.reaches(worker, WorkerState.EXITED)
    assert await box.driver.destroy("w1") is True


async def test_an_image_that_ends_at_once_or_is_none_leaves_nothing_but_its_reason(box, pushed):
    ending = 'FROM {base}\nENTRYPOINT ["/bin/sh", "-c", "echo going down; exit 7"]\n'
    with pushed(ending) as ends, pytest.raises(InitFailedError) as caught:
        await box.worker(ends)
    assert json.loads(str(caught.value)) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "Error: Runtime exited with error: exit status 7",
    }
    await box.logged("going down")
    for entrypoint in ("/no/such/program", "/etc/passwd", "no-such-program"):
        broken = f'FROM {{base}}\nENTRYPOINT ["{entrypoint}"]\n'
        with pushed(broken) as image, pytest.raises(ImageBrokenError):
            await box.worker(image)
    assert (await box.driver.list_workers(), box.left()) == ((), [])


async def test_an_image_where_nobody_listens_is_given_up(box, pushed):
    await box.driver.close()
    await box.start(init_seconds=0.5)
    silent = pushed('FROM {base}\nENTRYPOINT ["sleep", "60"]\n')
    with silent as image, pytest.raises(InitFailedError, match="nobody listens on port 8080"):
        await box.worker(image)
    assert box.left() == []


async def test_starts_that_are_given_up_at_any_moment_leave_nothing(box):
    for number in range(24):
        starting = asyncio.create_task(box.worker(worker_id=f"x{number}"))
        await asyncio.sleep(number * 0.01)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await box.driver.destroy(f"x{number}")
        assert box.left() == []


async def test_a_worker_id_is_free_again_while_the_last_one_is_still_being_removed(box):
    await box.worker(worker_id="w")
    ending = asyncio.create_task(box.driver.destroy("w"))
    await asyncio.sleep(0)
    second = await box.worker(worker_id="w")
    assert await ending is True
    assert (await box.tell(second)).status == 200


async def test_many_start_at_once_and_all_answer(box):
    workers = await asyncio.gather(*(box.worker() for _ in range(8)))
    assert len({worker.address for worker in workers}) == 8
    answers = await asyncio.gather(*(box.tell(worker) for worker in workers))
    assert len({answer.json() for answer in answers}) == 8
    gone = await asyncio.gather(*(box.driver.destroy(worker.identity.worker_id) for worker in workers))
    assert (set(gone), box.left()) == ({True}, [])


async def test_the_next_agent_finds_workers_their_calls_and_what_they_printed_meanwhile(box):
    worker = await box.worker()
    run = (await box.tell(worker)).json()
    await box.logged("REPORT")
    await box.driver.close()
    call = asyncio.create_task(box.http_call(worker, {"do": "sleep", "seconds": 3}))
    await asyncio.sleep(0.5)
    found = await box.start()
    # The call that a gateway may have given up on is still known: no second one may be sent.
    assert [one.state for one in found] == [WorkerState.BUSY]
    assert (await call).json() == run
    await box.reaches(worker, WorkerState.READY)
    assert (await box.driver.metrics("w1")).invocations == 2
    await box.logged("told to sleep")
    lines = [entry["line"] for entry in box.log()]
    assert (lines.count("initialised"), lines.count("told to sleep")) == (1, 1)


async def test_the_next_agent_knows_of_a_call_that_the_last_one_saw_begin(box):
    worker = await box.worker()
    call = asyncio.create_task(box.tell(worker, do="sleep", seconds=3))
    await box.reaches(worker, WorkerState.BUSY)
    await box.driver.close()
    assert [one.state for one in await box.start()] == [WorkerState.BUSY]
    assert (await call).status == 200
    await box.reaches(worker, WorkerState.READY)
    assert (await box.driver.metrics("w1")).invocations == 1
    await box.driver.close()
    assert [one.state for one in await box.start()] == [WorkerState.READY]


async def test_a_function_that_prints_much_without_an_agent_waits_for_the_next_one(box, until):
    worker = await box.worker()
    await box.driver.close()
    call = asyncio.create_task(box.tell(worker, do="talk", lines=2000))
    await asyncio.sleep(0.5)
    assert not call.done()
    await box.start()
    assert (await call).status == 200
    await box.logged("line 1999")
    numbers = [int(entry["line"].split()[1]) for entry in box.log() if entry["line"].startswith("line ")]
    assert numbers == list(range(2000))


async def test_what_is_dead_or_no_worker_is_removed_at_the_next_start(box, tmp_path):
    workers = {worker_id: await box.worker(worker_id=worker_id) for worker_id in ("dead", "alive")}
    image, slug = box.images.wild, box.identity.namespace
    box.ctr("container", "create", image, "strange")
    box.ctr("run", "--detach", image, "stranger")
    chain = next(
        words[1]
        for words in map(str.split, box.ctr("snapshots", "ls").stdout.splitlines()[1:])
        if words[0] == box.container(workers["alive"])
    )
    box.ctr("snapshots", "prepare", "orphan", chain)
    network = box.driver._network
    await network.acquire()
    await box.driver.close()
    box.kill(box.container(workers["dead"]))
    (box.settings["state_dir"] / "workers" / f"{slug}-nobody").mkdir()
    assert [one.identity.worker_id for one in await box.start()] == ["alive"]
    assert (await box.tell(workers["alive"])).status == 200
    assert await box.driver.destroy("alive") is True
    assert box.left() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_workers_live_on_without_containerd_and_what_happened_meanwhile_is_seen(
    box, real_containerd, until, number
):
    dies, lives, _ = [await box.worker(worker_id=one) for one in ("dies", "lives", "held")]
    await box.driver.pause("held")
    real_containerd.stop(number)
    try:
        await until(lambda: box.driver._watch.trouble)
        assert real_containerd.address in (await box.driver.problems())[0]
        assert (await box.tell(lives)).status == 200
        with pytest.raises(DriverError):
            await box.worker()
        with pytest.raises(DriverError):
            await box.driver.destroy("held")
        box.end_process(dies)
    finally:
        real_containerd.start()
    await box.reaches(dies, WorkerState.EXITED)
    await until(lambda: not box.driver._watch.trouble)
    assert await box.driver.problems() == ()
    assert (await box.tell(lives)).status == 200
    # It could not be ended while containerd was away: it is known until it is.
    assert (await box.driver.find("held")).state is WorkerState.EXITED
    for worker_id in ("held", "dies", "lives"):
        assert await box.driver.destroy(worker_id) is True
    assert box.left() == []
    again = await box.worker(worker_id="held")
    assert (await box.tell(again)).status == 200


async def test_without_containerd_the_agent_says_so_and_does_not_start(box, tmp_path):
    await box.driver.close()
    with pytest.raises(ConfigError, match=r"none\.sock does not answer"):
        await box.start(address=f"{tmp_path}/none.sock")


async def test_an_image_that_was_removed_from_containerd_is_pulled_again(box):
    first = await box.worker()
    await box.driver.destroy("w1")
    box.ctr("images", "rm", "--sync", box.images.wild)
    second = await box.worker()
    assert (await box.tell(second)).status == 200
    assert first.address
    with pytest.raises(ImageNotFoundError):
        await box.worker("127.0.0.1:5010/no-such-image:1")


async def test_a_function_may_have_another_sandbox_than_the_box(box, until):
    if not (shutil.which("runsc") or shutil.which(GVISOR_SHIM)):
        pytest.skip("not installed: runsc")
    plain, walled = await asyncio.gather(box.worker(), box.worker(sandbox="gvisor", memory_mb=354))
    host, guest = [(await box.tell(one, do="look")).json()["kernel"] for one in (plain, walled)]
    assert host != guest
    await until(lambda: box.cpus(walled) == pytest.approx(354 / 1769, abs=0.001))
    await box.reaches(walled, WorkerState.READY)
    assert (await box.driver.pause(walled.identity.worker_id)).state is WorkerState.PAUSED
    assert (await box.driver.resume(walled.identity.worker_id)).state is WorkerState.READY
    assert (await box.tell(walled)).status == 200
    with pytest.raises(BadRequestError, match="sandbox: expected one of"):
        await box.worker(sandbox="jail")


async def test_a_sandbox_that_this_host_cannot_have_is_refused_with_what_is_missing(box):
    if shutil.which("containerd-shim-aws-firecracker"):
        pytest.skip("this host has Firecracker")
    with pytest.raises(BadRequestError, match="containerd-shim-aws-firecracker"):
        await box.worker(sandbox="firecracker")
    assert box.left() == []
    await box.driver.close()
    with pytest.raises(ConfigError, match="containerd-shim-aws-firecracker"):
        await box.start(runtime=FIRECRACKER)
