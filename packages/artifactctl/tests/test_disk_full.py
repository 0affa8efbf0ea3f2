"""A full disk, and a read-only one: what was in force stays so, the exit code is 4, no rest is left.

On a small file system in memory, in a mount namespace of its own: it is gone when the process ends.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNSHARE = ["unshare", "--mount", "--map-root-user"]
SCRIPT = r"""
import json, os, subprocess, sys
from pathlib import Path

small, first, second, artifactctl = Path(sys.argv[1]), *sys.argv[2:4], sys.argv[4:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], check=True)
config = small / "config"


def run(*arguments):
    done = subprocess.run([*artifactctl, *arguments], capture_output=True, text=True)
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def state():
    names = sorted(str(path.relative_to(config)) for path in config.rglob("*") if path.name != ".lock")
    return {"names": names, "functions": (config / "functions.yml").read_text()}


def fill(left):
    free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
    (small / "filler").write_bytes(b"x" * max(0, free - left * 1024))


seen = {"before": run("apply", "--artifact", first, "--out", config), "at_first": state(), "full": []}
# All space but some kilobytes goes, so that the apply fails early and late in its course.
for left in range(0, 48, 8):
    fill(left)
    seen["full"].append({"run": run("apply", "--artifact", second, "--out", config), "state": state()})
    (small / "filler").unlink()
seen["after"] = run("apply", "--artifact", second, "--out", config)
seen["in_the_end"] = state()
fill(0)
seen["rollback"] = run("rollback", "--out", config, "--to", "1")
seen["rolled_back"] = state()
(small / "filler").unlink()
subprocess.run(["mount", "-o", "remount,ro", small], check=True)
seen["read_only"] = run("apply", "--artifact", second, "--out", config)
seen["read_only_same"] = run("apply", "--artifact", first, "--out", config)
seen["read_only_rollback"] = run("rollback", "--out", config, "--to", "2")
seen["read_only_state"] = state()
print(json.dumps(seen))
"""


def missing_permission():
    """Why this machine can't mount a small file system; empty when it can."""
    if not shutil.which("unshare") or not shutil.which("mount"):
        return "no unshare or mount here"
    probe = [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no mount namespace here: {done.stderr.strip()}"


def test_a_full_or_read_only_disk_leaves_the_old_state(build, tmp_path):
    reason = missing_permission()
    if reason:
        pytest.skip(reason)
    first = build(name="first").entry(functions=["api"]).write()
    many = {f"function-{number}": {} for number in range(400)}
    second = build(name="second").entry(functions=many).write()
    small = tmp_path / "small"
    small.mkdir()
    command = [*UNSHARE, sys.executable, "-c", SCRIPT, str(small), str(first), str(second)]
    artifactctl = [sys.executable, "-c", "from artifactctl.cli import main; main()"]
    done = subprocess.run([*command, *artifactctl], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["before"]["code"] == 0
    for each in seen["full"]:
        assert each["run"]["code"] == 4
        assert "No space left on device" in each["run"]["err"]
        assert "Traceback" not in each["run"]["err"]
        assert each["state"] == seen["at_first"]
    assert seen["after"]["code"] == 0
    assert "function-399" in seen["in_the_end"]["functions"]
    assert seen["rollback"]["code"] == 0, "going back takes no space"
    assert seen["rolled_back"]["functions"] == seen["at_first"]["functions"]
    for each in (seen["read_only"], seen["read_only_rollback"]):
        assert (each["code"], each["out"]) == (4, "")
        assert each["err"].endswith("config/.lock: cannot open the lock file: Read-only file system\n")
    assert seen["read_only_same"]["code"] == 0
    assert seen["read_only_state"] == seen["rolled_back"]
    assert not list(Path(small).iterdir()), "the small file system was only there for the script"
