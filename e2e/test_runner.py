"""The gate's runner: what of a matrix it takes, what it says of a host, how a run ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from faults.remains import marked_processes
from runner.box import Work, mark
from runner.cli import run as run_gate
from runner.commands import Commands, PhaseError
from runner.display import tail
from runner.matrix import MatrixError, Profile, Requirement, choose, load
from runner.outcome import Ending, Outcome, Tally, read_tally
from runner.phases import Plan, ProfileRun
from runner.preflight import host_lacks
from runner.probes import PROBES, missing
from runner.run import DRIVERS

ROOT = Path(__file__).resolve().parent.parent
MATRIX = """
suites:
  smoke: {path: tests}
profiles:
  one:
    driver: process
    deploy_driver: artifact
    artifact_generate: none
    artifact: artifact.yml
    suites: [smoke]
    requires: [linux, registry: "127.0.0.1:1"]
    environment: {WAIT: 3}
"""


def read(place: Path, text: str) -> dict[str, Profile]:
    (place / "tests").mkdir(exist_ok=True)
    file = place / "matrix.yaml"
    file.write_text(text)
    return load(file, place, ("process",), tuple(PROBES))


def test_a_matrix_is_read(tmp_path: Path) -> None:
    profile = read(tmp_path, MATRIX)["one"]
    assert [suite.path for suite in profile.suites] == ["tests"]
    assert profile.artifact == tmp_path / "artifact.yml"
    assert profile.requires == (Requirement("linux"), Requirement("registry", "127.0.0.1:1"))
    assert profile.environment == {"WAIT": "3"}
    assert profile.deferred == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("deploy_driver: artifact", "deploy_driver: compose", "deploy_driver: expected 'artifact', the only"),
        ("artifact_generate: none", "artifact_generate: esb", "artifact_generate: expected 'none', the only"),
        ("    deploy_driver: artifact\n", "", "profiles.one.deploy_driver: expected a value"),
        ("driver: process", "driver: rocket", "profiles.one.driver: expected one of process, found 'rocket'"),
        ("[smoke]", "[smoke, speed]", "profiles.one.suites: expected one of smoke, found 'speed'"),
        ("[linux,", "[moon,", "profiles.one.requires: expected one of linux, root, "),
        ("path: tests", "path: nowhere", "suites.smoke.path: expected a directory of the checkout"),
        ("WAIT: 3", "WAIT: [3]", "profiles.one.environment.WAIT: expected a text or a number"),
        ("    suites:", "    colour: red\n    suites:", "profiles.one.colour: expected one of description, "),
        ("    suites:", "    status: deferred\n    suites:", "profiles.one.reasons: expected why"),
        ("    suites:", "    status: later\n    suites:", "profiles.one.status: expected active or deferred"),
        ("profiles:\n", "profiles: [\n", "cannot be read"),
    ],
)
def test_a_mistake_in_a_matrix_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(MatrixError) as caught:
        read(tmp_path, MATRIX.replace(old, new))
    assert said in str(caught.value)


def test_mistakes_are_told_together(tmp_path: Path) -> None:
    text = MATRIX.replace("deploy_driver: artifact", "deploy_driver: a").replace("none", "b")
    with pytest.raises(MatrixError) as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 2


def test_profiles_are_chosen_in_the_order_of_the_matrix(tmp_path: Path) -> None:
    one = read(tmp_path, MATRIX)["one"]
    profiles = {"one": one, "two": one}
    assert choose(profiles, (), MatrixError) == [one, one]
    assert choose(profiles, ("two",), MatrixError) == [one]
    with pytest.raises(MatrixError, match="expected one of one, two"):
        choose(profiles, ("three",), MatrixError)


def test_the_projects_own_matrix_is_read() -> None:
    file = ROOT / "e2e/environments/test_matrix.yaml"
    for profile in load(file, ROOT, tuple(DRIVERS), tuple(PROBES)).values():
        assert profile.deferred or profile.artifact.is_file(), profile.artifact


@pytest.fixture
def registry() -> Any:
    """A registry with one image."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path in ("/v2/", "/v2/base/manifests/1")
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_host_has_is_not_missing(registry: str) -> None:
    requires = [Requirement("linux"), Requirement("command", "sh")]
    requires += [Requirement("registry", registry), Requirement("image", f"{registry}/base:1")]
    assert missing(requires) == []


def test_what_a_host_does_not_have_is_named_with_the_reason(registry: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{unused.getsockname()[1]}"
        found = missing([Requirement("registry", nobody), Requirement("image", f"{registry}/other:1")])
    found += missing([Requirement("command", "no-such-command-here")])
    assert [reason.partition(":")[0] for reason in found] == [
        "registry 127.0.0.1",
        "image 127.0.0.1",
        "command no-such-command-here",
    ]
    assert "Connection refused" in found[0]
    assert "404" in found[1]
    assert all("setup-host.sh" in reason for reason in found)


def test_the_mark_differs_by_place_and_profile() -> None:
    marks = {mark(name, Path(root)) for name in ("a", "b") for root in ("/x", "/y")}
    assert len(marks) == 4
    assert mark("a", Path("/x")) == mark("a", Path("/x"))


def test_processes_are_found_by_a_mark_in_words_or_environment(tmp_path: Path) -> None:
    word = f"esb-{tmp_path.name}-mark"
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    first = subprocess.Popen([*sleeping, f"/x/{word}/y"])
    second = subprocess.Popen(sleeping, env={**os.environ, "MARK": word})
    try:
        deadline = time.monotonic() + 20
        while len(found := marked_processes(word)) < 2:
            assert time.monotonic() < deadline, found
        assert marked_processes(word[:-1]) == []
    finally:
        for process in (first, second):
            process.kill()
            process.wait()
    assert marked_processes(word) == []


async def test_a_command_that_is_late_is_ended_with_all_it_started(tmp_path: Path) -> None:
    commands = Commands(tmp_path, os.environ, tmp_path / "log")
    with pytest.raises(PhaseError, match=r"did not end within 0\.3 s"):
        await commands.run("sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait", seconds=0.3)
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(child))


async def test_what_a_command_prints_is_in_the_log_and_what_is_asked_for_is_not(tmp_path: Path) -> None:
    commands = Commands(tmp_path, {**os.environ, "ONE": "1"}, tmp_path / "log")
    await commands.run("sh", "-c", "echo out$ONE; echo err >&2", seconds=30)
    assert await commands.ask("sh", "-c", "echo result", seconds=30) == "result\n"
    with pytest.raises(PhaseError, match="ended with 3"):
        await commands.run("sh", "-c", "exit 3", seconds=30)
    log = (tmp_path / "log").read_text().splitlines()
    assert "out1" in log
    assert "err" in log
    assert "result" not in log


class FakeBox:
    """A box that notes what is done to it."""

    def __init__(self, fails: Mapping[str, Exception] | None = None, left: list[str] | None = None) -> None:
        self.done: list[str] = []
        self._fails = dict(fails or {})
        self._left = left or []
        self.waiting = asyncio.Event()
        self.reached = asyncio.Event()

    async def _do(self, name: str) -> None:
        self.done.append(name)
        if name in self._fails:
            raise self._fails[name]

    async def reset(self) -> None:
        await self._do("reset")

    async def compose(self) -> None:
        await self._do("compose")

    async def deploy(self) -> None:
        await self._do("deploy")
        self.reached.set()
        if not self.waiting.is_set():
            await self.waiting.wait()

    async def facts(self) -> Mapping[str, str]:
        return {"URL": "http://127.0.0.1:1"}

    async def down(self) -> None:
        await self._do("down")

    async def leftovers(self) -> list[str]:
        await self._do("leftovers")
        return self._left

    async def trouble(self) -> str:
        return "all is lost"


@pytest.fixture
def profile_run(tmp_path: Path) -> Callable[..., ProfileRun]:
    """A function that makes the run of a profile whose one suite has one test."""
    (tmp_path / "tests").mkdir()
    test = "import os\ndef test_it():\n    assert os.environ['ESB_E2E_URL'] == 'http://127.0.0.1:1'\n"
    (tmp_path / "tests" / "test_one.py").write_text(test)
    profile = read(tmp_path, MATRIX)["one"]

    def make(box: FakeBox, **plan: Any) -> ProfileRun:
        if not plan.pop("hangs", False):
            box.waiting.set()
        commands = Commands(tmp_path, os.environ, tmp_path / "one.log")
        work = Work(profile, tmp_path, commands, "mark", tmp_path)
        return ProfileRun(work, box, Plan(**plan), tmp_path / "state.json", lambda _: None)

    return make


ALL = ["reset", "compose", "deploy", "down", "leftovers"]


async def test_a_profile_goes_through_all_phases(profile_run: Callable[..., ProfileRun]) -> None:
    box = FakeBox()
    outcome = await profile_run(box).run()
    assert (outcome.ending, outcome.reasons, str(outcome.tally)) == (Ending.PASSED, (), "1 passed")
    assert box.done == ALL
    assert [name for name, _ in outcome.phases] == ["reset", "compose", "deploy", "test", "clean"]


async def test_a_phase_that_fails_ends_in_cleaning_up(
    profile_run: Callable[..., ProfileRun], tmp_path: Path
) -> None:
    box = FakeBox({"compose": PhaseError("no engine")})
    outcome = await profile_run(box).run()
    assert (outcome.ending, outcome.reasons) == (Ending.FAILED, ("no engine",))
    assert box.done == ["reset", "compose", "down", "leftovers"]
    assert (tmp_path / "one.box.log").read_text() == "all is lost"


async def test_a_bug_is_raised_when_the_box_is_gone(profile_run: Callable[..., ProfileRun]) -> None:
    box = FakeBox({"deploy": KeyError("typo")})
    with pytest.raises(KeyError):
        await profile_run(box).run()
    assert box.done == ALL


async def test_what_is_left_fails_the_profile(profile_run: Callable[..., ProfileRun]) -> None:
    outcome = await profile_run(FakeBox(left=["container x"])).run()
    assert (outcome.ending, outcome.reasons) == (Ending.FAILED, ("left behind: container x",))


async def test_cleaning_up_that_fails_fails_the_profile(profile_run: Callable[..., ProfileRun]) -> None:
    outcome = await profile_run(FakeBox({"down": PhaseError("stuck")})).run()
    assert (outcome.ending, outcome.reasons) == (Ending.FAILED, ("not cleaned up: stuck",))


async def test_an_interrupted_profile_is_cleaned_up(profile_run: Callable[..., ProfileRun]) -> None:
    box = FakeBox()
    run = profile_run(box, hangs=True)
    task = asyncio.create_task(run.run())
    async with asyncio.timeout(20):
        await box.reached.wait()
        run.interrupt()
        outcome = await task
    assert (outcome.ending, box.done) == (Ending.INTERRUPTED, ALL)


async def test_a_failed_test_fails_the_profile(
    profile_run: Callable[..., ProfileRun], tmp_path: Path
) -> None:
    (tmp_path / "tests" / "test_two.py").write_text("def test_no():\n    assert not 1\n")
    outcome = await profile_run(FakeBox()).run()
    assert outcome.ending is Ending.FAILED
    assert outcome.tally == Tally(1, ("tests.test_two::test_no",))


async def test_no_test_at_all_is_a_failure(profile_run: Callable[..., ProfileRun], tmp_path: Path) -> None:
    (tmp_path / "tests" / "test_one.py").unlink()
    assert (await profile_run(FakeBox()).run()).ending is Ending.FAILED


async def test_a_box_that_is_built_stays_for_its_tests(profile_run: Callable[..., ProfileRun]) -> None:
    built = FakeBox()
    assert (await profile_run(built, build_only=True).run()).ending is Ending.PASSED
    assert built.done == ["reset", "compose", "deploy"]
    tested = FakeBox()
    outcome = await profile_run(tested, test_only=True).run()
    assert (outcome.ending, tested.done) == (Ending.PASSED, [])


async def test_tests_without_a_box_say_how_to_have_one(profile_run: Callable[..., ProfileRun]) -> None:
    outcome = await profile_run(FakeBox(), test_only=True).run()
    assert (outcome.ending, outcome.reasons[0][:28]) == (Ending.FAILED, "no box is deployed; run it w")


@pytest.mark.parametrize(
    ("ending", "bad", "bad_when_excused"),
    [
        (Ending.PASSED, False, False),
        (Ending.FAILED, True, True),
        (Ending.INTERRUPTED, True, True),
        (Ending.UNAVAILABLE, True, False),
        (Ending.DEFERRED, False, False),
    ],
)
def test_which_endings_fail_a_run(ending: Ending, bad: bool, bad_when_excused: bool) -> None:
    outcome = Outcome("one", ending)
    assert outcome.bad(available_only=False) is bad
    assert outcome.bad(available_only=True) is bad_when_excused


def test_a_report_that_is_not_there_has_no_tally(tmp_path: Path) -> None:
    assert read_tally(tmp_path / "none.xml") is None


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"{number}\n" for number in range(100_000)))
    assert tail(log, 3) == ["99997", "99998", "99999"]


UNAVAILABLE = MATRIX + "    status: active\n"
DEFERRED = MATRIX + "    status: deferred\n    reasons: [no such machine yet]\n"


@pytest.mark.parametrize(
    ("matrix", "more", "code", "said"),
    [
        (UNAVAILABLE, [], 1, "one: unavailable"),
        (UNAVAILABLE, ["--available-only"], 0, "registry 127.0.0.1:1: "),
        (DEFERRED, [], 0, "no such machine yet"),
        (MATRIX, ["--profile", "other"], 2, "expected one of one"),
        (MATRIX.replace("none", "esb"), [], 2, "the only one there is"),
    ],
)
def test_the_command_says_what_cannot_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], matrix: str, more: list[str], code: int, said: str
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "matrix.yaml").write_text(matrix)
    given = ["--matrix", str(tmp_path / "matrix.yaml"), "--place", str(tmp_path / "place"), *more]
    assert run_gate(given, tmp_path) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err


@pytest.mark.parametrize(
    ("prints", "expected"),
    [
        (
            """{"checks": [
            {"name": "kvm", "needed": true, "passed": false, "found": "no /dev/kvm", "remedy": "get one"},
            {"name": "zfs", "needed": false, "passed": false, "found": "none", "remedy": ""},
            {"name": "root", "needed": true, "passed": true, "found": "root", "remedy": ""}]}""",
            ["kvm: no /dev/kvm; get one"],
        ),
        ("no such command", ["esb-node doctor --mode firecracker says nothing that can be read"]),
    ],
)
def test_what_a_deferred_profiles_host_lacks(tmp_path: Path, prints: str, expected: list[str]) -> None:
    doctor = tmp_path / "esb-node"
    doctor.write_text(f"#!/bin/sh\ncat <<'END'\n{prints}\nEND\nexit 4\n")
    doctor.chmod(0o755)
    assert [
        reason.partition(": JSONDecodeError")[0] for reason in host_lacks("firecracker", doctor)
    ] == expected


@pytest.mark.gate
@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("e2e-process", "compose"),
        ("e2e-process", "deploy"),
        ("e2e-process", "test"),
        ("e2e-docker", "compose"),
        ("e2e-docker", "test"),
        ("e2e-containerd", "compose"),
        ("e2e-containerd", "test"),
    ],
)
def test_ctrl_c_leaves_nothing(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str, when: str
) -> None:
    """The whole command, a real box, and the signal in the middle of a phase."""
    profiles = load(ROOT / "e2e/environments/test_matrix.yaml", ROOT, tuple(DRIVERS), tuple(PROBES))
    if reasons := [*profiles[name].deferred, *missing(profiles[name].requires)]:
        pytest.skip("; ".join(reasons))
    # Short: sockets of a box lie below it, whose paths have at most 104 letters.
    temporary, place = tmp_path_factory.getbasetemp() / f"{name[4]}{when[0]}", tmp_path / "place"
    temporary.mkdir()
    words = [sys.executable, ROOT / "e2e/run_tests.py", "--profile", name, "--place", place]
    options: Any = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(words, env={**os.environ, "TMPDIR": str(temporary)}, **options) as gate:
        assert gate.stdout
        for line in gate.stdout:
            if line == f"{name}: {when}\n":
                break
        wait_until(lambda: (temporary / mark(name, place)).exists() or gate.poll() is not None)
        os.killpg(gate.pid, signal.SIGINT)
        said = gate.stdout.read()
        assert gate.wait(60) == 130, said
    assert "interrupted" in said
    assert "left behind" not in said
    assert list(temporary.iterdir()) == []
    assert marked_processes(mark(name, place)) == []
    assert not list((place / "state").glob("*.json"))
    if name == "e2e-docker":
        assert mark(name, place) not in engine_has()


def engine_has() -> str:
    """Names of all containers, networks and volumes of the engine."""
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    asked = [
        subprocess.run(["docker", *words], check=True, capture_output=True, text=True) for words in kinds
    ]
    return "".join(one.stdout for one in asked)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
