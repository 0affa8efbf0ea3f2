"""Which shim runs a worker, and what of it a host lacks."""

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers.containerd.runtimes import (
    FIRECRACKER_SHIM,
    GVISOR_SHIM,
    RUNSC_ROOT,
    Runtimes,
    wrapper,
)
from esb_agent.drivers.containerd.settings import FIRECRACKER, GVISOR, RUNC, ContainerdConfig
from esb_agent.errors import BadRequestError, ConfigError

IDENTITY = RuntimeIdentity(slug="t", source="")
RUNSC = "/opt/run sc/runsc"


def config(state, **more):
    return ContainerdConfig(**{"state_dir": state, "identity": IDENTITY, **more})


def has(*programs):
    """A host with these programs on PATH, or at these paths."""
    return lambda program: program if program in programs else None


@pytest.fixture
def runsc(tmp_path):
    """A runsc that knows the newer platform."""
    path = tmp_path / "bin" / "runsc"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho '-platform string  ptrace (default), kvm, systrap' >&2\n")
    path.chmod(0o755)
    return path


def test_runc_needs_nothing_and_is_named_to_containerd_as_it_is(tmp_path):
    runtimes = Runtimes(config(tmp_path), has())
    runtimes.check()
    assert runtimes.missing(RUNC) == []
    found = runtimes.shim(RUNC)
    assert (found.name, found.binary, found.root) == (RUNC, "", "")


def test_a_functions_sandbox_wins_over_the_configured_runtime(tmp_path):
    runtimes = Runtimes(config(tmp_path, runtime=GVISOR), has(GVISOR_SHIM))
    assert [runtimes.name_of(one) for one in ("", "runc", "gvisor")] == [GVISOR, RUNC, GVISOR]


def test_a_sandbox_that_is_none_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(
        BadRequestError, match="sandbox: expected one of runc, gvisor, firecracker, found 'x'"
    ):
        Runtimes(config(tmp_path), has()).name_of("x")


def test_a_sandbox_this_host_lacks_is_refused_with_what_is_missing(tmp_path):
    runtimes = Runtimes(config(tmp_path), has(), (tmp_path / "kvm", tmp_path / "vsock"))
    with pytest.raises(BadRequestError, match=f"sandbox gvisor: .*{GVISOR_SHIM} or runsc on PATH"):
        runtimes.name_of("gvisor")
    with pytest.raises(
        BadRequestError, match=f"{FIRECRACKER_SHIM} on PATH; {tmp_path}/kvm; {tmp_path}/vsock"
    ):
        runtimes.name_of("firecracker")


def test_microvms_run_where_shim_and_devices_are(tmp_path):
    device = tmp_path / "kvm"
    device.touch()
    runtimes = Runtimes(config(tmp_path, runtime=FIRECRACKER), has(FIRECRACKER_SHIM), (device,))
    runtimes.check()
    assert runtimes.name_of("firecracker") == FIRECRACKER
    assert runtimes.shim(FIRECRACKER).name == FIRECRACKER


@pytest.mark.parametrize("runtime", [GVISOR, FIRECRACKER])
def test_a_configured_runtime_this_host_lacks_stops_the_agent(tmp_path, runtime):
    with pytest.raises(ConfigError, match=f"CONTAINERD_RUNTIME={runtime}: missing "):
        Runtimes(config(tmp_path, runtime=runtime), has(), (tmp_path / "kvm",)).check()


def test_gvisors_own_shim_comes_before_all_that_stands_for_it(tmp_path):
    runtimes = Runtimes(config(tmp_path, runtime=GVISOR, runsc=Path(RUNSC)), has(GVISOR_SHIM, "runsc", RUNSC))
    runtimes.check()
    found = runtimes.shim(GVISOR)
    assert (found.name, found.binary, found.root) == (GVISOR, "", "")


def test_without_it_what_was_named_stands_for_runc_apart_from_runcs_files(tmp_path):
    runtimes = Runtimes(config(tmp_path, runtime=GVISOR, runsc=Path(RUNSC)), has("runsc", RUNSC))
    runtimes.check()
    found = runtimes.shim(GVISOR)
    assert (found.name, found.binary, found.root) == (RUNC, RUNSC, RUNSC_ROOT)
    assert not (tmp_path / "runsc").exists()


def test_what_was_named_and_is_not_there_stops_the_agent_with_the_variables_name(tmp_path):
    with pytest.raises(ConfigError, match=rf"missing {RUNSC}, a program \(ESB_RUNSC_BINARY\)"):
        Runtimes(config(tmp_path, runtime=GVISOR, runsc=Path(RUNSC)), has("runsc")).check()


def test_with_runsc_on_the_path_a_script_stands_for_runc(tmp_path, runsc):
    def find(program):
        return str(runsc) if program == "runsc" else shutil.which(program) if "/" in program else None

    runtimes = Runtimes(config(tmp_path, runtime=GVISOR), find)
    runtimes.check()
    script = tmp_path / "runsc"
    assert runtimes.shim(GVISOR).binary == str(script)
    assert script.read_text() == f'#!/bin/sh\nexec {runsc} --platform=systrap --network=host "$@"\n'
    assert stat.S_IMODE(script.stat().st_mode) == 0o700
    # An agent that starts again has one that shims of living workers call.
    opened = script.open()
    runtimes.check()
    assert opened.read() == script.read_text()
    opened.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "runsc"]


def test_a_runsc_that_cannot_be_run_stops_the_agent(tmp_path):
    nothing = tmp_path / "runsc-that-is-none"
    find = {"runsc": str(nothing)}.get
    with pytest.raises(ConfigError, match=f"{nothing}: cannot be made ready"):
        Runtimes(config(tmp_path), find).check()


def test_an_older_runsc_is_told_the_platform_it_has():
    assert "--platform=systrap" in wrapper("runsc", "platform: ptrace, systrap, kvm")
    assert "--platform=ptrace" in wrapper("runsc", "platform: ptrace, kvm")


def test_the_script_hands_on_its_words_whatever_its_program_is_called(tmp_path):
    program = tmp_path / "a runsc"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "script"
    script.write_text(wrapper(str(program), "systrap"))
    said = subprocess.run(
        ["/bin/sh", str(script), "create", "a b"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "--platform=systrap|--network=host|create|a b|"
