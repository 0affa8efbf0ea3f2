"""What a function's container is asked to be."""

from pathlib import Path

import pytest
from attrs import evolve, frozen
from esb_agent.drivers.containerd.oci_spec import Place, cpu_limit, oci_spec
from esb_agent.drivers.containerd.users import User
from esb_agent.model import FunctionSpec, Identity

WHO = Identity(owner_id="box", worker_id="a1-1-hello", fingerprint="f00")
MIB = 2**20


@frozen(kw_only=True)
class Image:
    entrypoint: tuple[str, ...] = ("aws-lambda-rie", "python3", "-m", "awslambdaric")
    cmd: tuple[str, ...] = ("app.image_handler",)
    env: tuple[str, ...] = ("PATH=/opt/bin:/bin", "LANG=C", "STAGE=image")
    workdir: str = "/var/task"


PLACE = Place(
    netns=Path("/run/netns/box-1"),
    resolv=Path("/state/resolv.conf"),
    hosts=Path("/state/hosts"),
    cgroup="/esb/box/a1",
    nano_cpus=500_000_000,
)


def made(spec=None, place=PLACE, image=None, seccomp=None):
    function = spec or FunctionSpec(name="hello", image="hello:1", memory_mb=256)
    return oci_spec(function, WHO, image or Image(), place, user=User(993, 990), seccomp=seccomp)


def mounts(spec):
    return {one["destination"]: one for one in spec["mounts"]}


def test_a_container_has_no_capability_and_gains_none():
    process = made()["process"]
    assert process["noNewPrivileges"] is True
    assert set(map(tuple, process["capabilities"].values())) == {()}
    assert process["user"] == {"uid": 993, "gid": 990, "additionalGids": []}


def test_only_tmp_can_be_written():
    spec = made()
    assert spec["root"] == {"path": "rootfs", "readonly": True}
    writable = [name for name, one in mounts(spec).items() if "ro" not in one["options"]]
    # The kernel's own views: what of them can be written is masked, read-only, or needs a capability.
    assert writable == ["/proc", "/dev/pts", "/tmp"]
    assert set(mounts(spec)["/tmp"]["options"]) >= {"nosuid", "nodev", "size=512m"}


def test_memory_has_no_swap_beyond_it_where_the_host_can_count_swap():
    assert made()["linux"]["resources"]["memory"] == {"limit": 256 * MIB, "swap": 256 * MIB}
    without = made(place=evolve(PLACE, swap_limited=False))
    assert without["linux"]["resources"]["memory"] == {"limit": 256 * MIB}


def test_processes_files_cores_and_cpu_are_limited_and_no_device_is_given():
    spec = made()
    resources = spec["linux"]["resources"]
    assert (resources["pids"], resources["cpu"]) == ({"limit": 1024}, {"quota": 50_000, "period": 100_000})
    assert resources["devices"] == [{"allow": False, "access": "rwm"}]
    limits = {one["type"]: (one["soft"], one["hard"]) for one in spec["process"]["rlimits"]}
    assert limits == {"RLIMIT_NOFILE": (1024, 1024), "RLIMIT_CORE": (0, 0)}
    assert "devices" not in spec["linux"]


def test_a_share_of_cpu_is_never_less_than_the_kernel_takes():
    assert cpu_limit(1) == {"quota": 1000, "period": 100_000}


def test_every_namespace_is_its_own_and_the_network_one_is_the_prepared():
    namespaces = {one["type"]: one.get("path") for one in made()["linux"]["namespaces"]}
    own = dict.fromkeys(("pid", "ipc", "uts", "mount", "cgroup"))
    assert namespaces == {**own, "network": "/run/netns/box-1"}


def test_what_tells_of_the_host_is_hidden():
    linux = made()["linux"]
    assert {"/proc/kcore", "/proc/keys", "/proc/pressure", "/sys/firmware"} <= set(linux["maskedPaths"])
    assert {"/proc/sys", "/proc/sysrq-trigger", "/sys/fs/cgroup"} <= set(linux["readonlyPaths"])


def test_names_are_resolved_by_the_box():
    found = mounts(made())
    assert found["/etc/resolv.conf"]["source"] == "/state/resolv.conf"
    assert found["/etc/hosts"]["source"] == "/state/hosts"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (FunctionSpec(name="f", image="f:1"), ["app.image_handler"]),
        (FunctionSpec(name="f", image="f:1", handler="app.handler"), ["app.handler"]),
        (FunctionSpec(name="f", image="f:1", handler="app.handler", cmd=("o.h", "x")), ["o.h", "x"]),
    ],
)
def test_the_command_wins_over_the_handler_and_both_over_the_images(function, words):
    assert made(function)["process"]["args"] == [*Image().entrypoint, *words]


def test_the_functions_environment_wins_over_the_images_and_the_platforms_over_both():
    given = {"STAGE": "prod", "AWS_LAMBDA_FUNCTION_NAME": "other", "AWS_LAMBDA_RUNTIME_API": "evil"}
    env = made(FunctionSpec(name="f", image="f:1", environment=given))["process"]["env"]
    values = dict(one.split("=", 1) for one in env)
    assert len(values) == len(env)
    assert (values["PATH"], values["LANG"], values["STAGE"]) == ("/opt/bin:/bin", "C", "prod")
    assert values["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert "AWS_LAMBDA_RUNTIME_API" not in values


def test_an_image_that_names_no_folder_and_no_path_gets_the_usual_ones():
    process = made(image=Image(env=(), workdir=""))["process"]
    assert process["cwd"] == "/"
    assert any(one.startswith("PATH=/usr/local/sbin:") for one in process["env"])


def test_a_filter_is_passed_on_and_none_means_none():
    assert made(seccomp={"defaultAction": "SCMP_ACT_ERRNO"})["linux"]["seccomp"]
    assert "seccomp" not in made()["linux"]
