"""What a function's container is asked to be, and what is read back from it."""

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers import emulator_function
from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.container import Found
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.emulator_worker import new_worker
from esb_agent.model import FunctionSpec, Identity, WorkerState

IDENTITY = RuntimeIdentity(slug="acme", source="", environment="stage", given_network="shop")
WHO = Identity(owner_id="box", worker_id="a1-1-hello", fingerprint="f00")


@pytest.fixture
def config(tmp_path):
    return DockerConfig(state_dir=tmp_path, identity=IDENTITY)


def request_for(config, spec, image_user=""):
    _, marks = new_worker(container.box_labels(config), WHO, spec, 4)
    return container.create_request(config, WHO, spec, marks, image_user=image_user, nano_cpus=5)


def test_a_container_gets_nothing_that_a_function_does_not_need(config):
    request = request_for(config, FunctionSpec(name="hello", image="hello:1", memory_mb=256))
    host = request["HostConfig"]
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
    assert (host["ReadonlyRootfs"], host["PidsLimit"]) == (True, 1024)
    assert host["Tmpfs"] == {"/tmp": "rw,exec,nosuid,nodev,size=512m,mode=1777"}
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (256 * 2**20, 256 * 2**20, 5)
    assert (host["NetworkMode"], host["RestartPolicy"]) == ("shop", {"Name": "no"})
    assert request["User"] == "993:990"
    assert not {"Privileged", "Binds", "Mounts", "CapAdd", "Devices", "PortBindings", "VolumesFrom"} & set(
        host
    )


def test_an_images_own_user_stays(config):
    assert request_for(config, FunctionSpec(name="f", image="f:1"), image_user="app")["User"] == "app"


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (FunctionSpec(name="f", image="f:1"), None),
        (FunctionSpec(name="f", image="f:1", handler="app.handler"), ["app.handler"]),
        (
            FunctionSpec(name="f", image="f:1", handler="app.handler", cmd=("other.handler", "x")),
            ["other.handler", "x"],
        ),
    ],
)
def test_the_command_wins_over_the_handler_and_both_over_the_images(config, spec, command):
    assert request_for(config, spec).get("Cmd") == command


def test_the_environment_is_the_functions_with_what_the_platform_says(config):
    given = {"STAGE": "x", "AWS_REGION": "eu-central-1", "AWS_LAMBDA_RUNTIME_API": "evil", "HOME": "/opt"}
    given["AWS_LAMBDA_FUNCTION_NAME"] = "other"
    spec = FunctionSpec(name="hello", image="h:1", timeout_ms=2500, memory_mb=512, environment=given)
    variables = dict(one.split("=", 1) for one in request_for(config, spec)["Env"])
    assert variables["STAGE"] == "x"
    assert variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert "AWS_LAMBDA_RUNTIME_API" not in variables
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "hello"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert variables["AWS_LAMBDA_FUNCTION_TIMEOUT"] == "3"
    assert variables["HOME"] == "/opt"


@pytest.mark.parametrize(
    ("memory_mb", "available", "cpus", "at_start"),
    [
        (128, 2, 0.1, 2),
        (1769, 2, 1, 2),
        (3538, 8, 2, 2),
        (10240, 8, 5.788, 5.788),
        (10240, 2, 2, 2),
        (128, 1, 0.1, 1),
    ],
)
def test_cpus_go_with_memory_and_a_start_gets_more(memory_mb, available, cpus, at_start):
    assert emulator_function.cpus(memory_mb, available) == pytest.approx(cpus * 1e9, rel=1e-3)
    assert emulator_function.start_cpus(memory_mb, available) == pytest.approx(at_start * 1e9, rel=1e-3)


def test_the_name_says_whose_which_and_what(config):
    spec = FunctionSpec(name="orders: größer/neu", image="x:1")
    assert container.container_name(config, WHO, spec) == "acme-stage-orders-gr-er-neu-a1-1-hello"


def found_from(config, spec, **more):
    _, marks = new_worker(container.box_labels(config), WHO, spec, 4)
    return Found(container_id="c1", labels=marks, **{"status": "running", "address": "10.0.0.2", **more})


def test_a_worker_is_known_again_by_its_labels(config):
    spec = FunctionSpec(name="hello", image="hello:1")
    found = found_from(config, spec)
    worker = container.to_worker(found)
    assert (worker.identity, worker.function, worker.image) == (WHO, "hello", "hello:1")
    assert (worker.spec_digest, worker.address) == (spec.digest(), "http://10.0.0.2:8080")
    assert worker.state is WorkerState.READY


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("paused", WorkerState.PAUSED),
        ("exited", WorkerState.EXITED),
        ("created", WorkerState.EXITED),
        ("dead", WorkerState.EXITED),
    ],
)
def test_its_state_is_the_engines(config, status, state):
    assert (
        container.to_worker(found_from(config, FunctionSpec(name="f", image="f:1"), status=status)).state
        is state
    )


def test_a_container_that_is_no_worker_is_none():
    with pytest.raises(KeyError):
        container.to_worker(Found(container_id="c1", labels={}, status="running"))


def test_what_ended_it_is_said():
    ended = Found(container_id="c1", labels={}, status="exited", exit_code=137)
    assert container.end_reason(ended) == "exit status 137"
    killed = Found(container_id="c1", labels={}, status="exited", exit_code=137, oom_killed=True)
    assert "OOMKilled" in container.end_reason(killed)
