import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from esb_node.containerd.commands import find
from esb_node.containerd.host import require_host
from esb_node.containerd.layout import Layout, read_layout
from esb_node.doctor_observe import observe
from esb_node.errors import NodeError

# Names and addresses of this run's own: other boxes may be on this host, those of another run too.
SUBNET = f"10.212.{secrets.randbelow(250)}.0/24"
SLUG = f"nt{secrets.token_hex(3)}"
TABLE = Layout(Path(), Path(), SLUG, "", f"esb-{SLUG}", IPv4Network(SUBNET)).table


def lacking():
    facts = observe(os.environ | {"ESB_BRAND_SLUG": SLUG}, ("containerd",))
    try:
        require_host(("containerd", "dns"), "runc", facts)
    except NodeError as error:
        return str(error)
    return "" if find("unshare") else "unshare is not installed"


def output(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    sys.stderr.write(done.stderr)  # shown where a test fails
    return done.stdout


class NodeBox:
    """The node's own parts of a box, as a host that runs agent and gateway elsewhere has them."""

    slug, bridge, subnet, own = SLUG, f"esb-{SLUG}", SUBNET, str(IPv4Network(SUBNET)[1])

    def __init__(self, state):
        self.state, self.workers = state, 0

    def node(self, *arguments, timeout=90):
        return subprocess.run(
            [sys.executable, "-m", "esb_node", *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=os.environ | {"ESB_BRAND_SLUG": SLUG},
        )

    def up(self, *more):
        mode = ("--mode", "containerd", "--services", "node", "--subnet", SUBNET)
        return self.node("up", *mode, "--detach", *more)

    def down(self):
        return self.node("down")

    def status(self):
        return json.loads(self.node("status", "--output", "json").stdout)

    def service(self, name):
        return next(service for service in self.status()["services"] if service["name"] == name)

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log("supervisor")
            time.sleep(0.1)

    def log(self, name):
        return (self.state / "logs" / f"{name}.log").read_text()

    def ctr(self, *arguments):
        socket = read_layout(self.state).socket
        return output("ctr", "--address", str(socket), "--namespace", f"esb-{SLUG}", *arguments)

    def worker(self):
        """A container that sleeps, with a snapshot and a network namespace, as the agent makes them."""
        self.workers += 1
        name = f"worker{self.workers}"
        root = self.state.parent / "root"
        if not root.exists():
            fill_root(root)
        namespace = f"esb-{SLUG}-{self.workers:012x}"
        subprocess.run(["ip", "netns", "add", namespace], check=True, timeout=20)
        self.ctr("snapshots", "prepare", f"snapshot-{name}")
        cgroup = f"/esb-{SLUG}/{name}"
        self.ctr("run", "--detach", "--cgroup", cgroup, "--rootfs", str(root), name, "/bin/sleep", "600")
        assert name in self.tasks()
        return name

    def tasks(self):
        return self.ctr("tasks", "list", "--quiet").split()

    def left(self):
        """What anybody could find of the box on this host."""
        nets = Path("/run/netns")
        return {
            "bridge": [f.name for f in Path("/sys/class/net").glob(f"esb-{SLUG}")],
            "namespaces": [f.name for f in nets.glob(f"esb-{SLUG}-*")] if nets.exists() else [],
            "mounts": [
                line for line in Path("/proc/mounts").read_text().splitlines() if str(self.state) in line
            ],
            "tables": [line for line in output("nft", "list", "tables").splitlines() if TABLE in line],
            "chains": [line for line in output("iptables-save").splitlines() if TABLE in line],
            "processes": [argv for argv in processes() if str(self.state) in argv and "esb_node" not in argv],
            "cgroups": [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/esb-{SLUG}*")],
            "runtimes": [str(path) for path in Path("/run/containerd").glob(f"run*/esb-{SLUG}")],
            "notes": [
                f.name for f in (self.state / "node.json", self.state / "run" / "node.env") if f.exists()
            ],
        }

    def kill(self, *pids):
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def processes():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


def fill_root(root):
    """A file system of one program and the libraries it needs."""
    sleep = shutil.which("sleep")
    words = output("ldd", sleep).split()
    for path in [sleep, *(word for word in words if word.startswith("/"))]:
        target = root / (("bin/" + Path(path).name) if path == sleep else path.lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


@pytest.fixture
def node_box(tmp_path):
    if missing := lacking():
        reason = f"bringing a node up needs root and engines, lacking: {missing}"
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    box = NodeBox(tmp_path / "box")
    before = box.left()["tables"], box.left()["chains"]
    yield box
    done = box.down()
    assert done.returncode == 0, done.stderr
    left = box.left()
    left["tables"] = [line for line in left["tables"] if line not in before[0]]
    left["chains"] = [line for line in left["chains"] if line not in before[1]]
    assert not any(left.values()), left
