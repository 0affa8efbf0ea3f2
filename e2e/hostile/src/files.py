"""Leaving one's own files: what can be written, opened, read."""

import os
import socket
import stat
from pathlib import Path

from tried import tried, write

NEW = (
    *("/", "/var/task", "/var/runtime", "/opt", "/etc", "/usr/bin", "/var", "/run", "/home", "/root"),
    *("/dev", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/proc", "/proc/sys/kernel"),
)
TEMPORARY = "/tmp"
# The image's own, of many files.
PASSED_OVER = {"//proc", "//usr", "//sys", "/var/lang"}


def writes(files):
    """New files all over, and files that are there."""
    places = [f"{place.rstrip('/')}/hostile" for place in NEW if Path(place).is_dir()]
    return {path: tried(write, path) for path in [*places, *files]}


def cgroup_files():
    """Every file of control groups that its mode would let somebody write."""
    found = [str(path) for path in Path("/sys/fs/cgroup").rglob("*") if path.is_file()]
    return {path: tried(write, path, "-1") for path in found}


def open_to_writing():
    """What this user may write of the kernel's own file systems, own processes aside."""
    found = []
    for top in ("/dev", "/sys", "/proc"):
        device = Path(top).stat().st_dev
        for directory, names, files in os.walk(top):
            names[:] = [name for name in names if not _another(directory, name, device)]
            for name in [*files, "."]:
                path = Path(directory, name)
                if not path.is_symlink() and os.access(path, os.W_OK):
                    found.append(str(path))
    return found


def _another(directory, name, device):
    """Another file system, or a process: those are its own."""
    path = Path(directory, name)
    if directory == "/proc" and (name.isdigit() or name in {"self", "thread-self"}):
        return True
    try:
        return path.is_symlink() or path.stat().st_dev != device
    except OSError:
        return True


def mounts():
    """Mount points with their options."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return {words[1]: words[3].split(",") for words in lines}


def sockets(paths, names):
    """All sockets there are as files; those at given paths and of given abstract names, when asked."""
    found = []
    for directory, children, files in os.walk("/"):
        children[:] = [name for name in children if f"{directory}/{name}" not in PASSED_OVER]
        for name in files:
            path = Path(directory, name)
            if stat.S_ISSOCK(path.lstat().st_mode):
                found.append(str(path))
    asked = {path: tried(_connect, path) for path in paths}
    return {"found": found, "asked": asked, "abstract": {n: tried(_connect, f"\0{n}") for n in names}}


def _connect(address):
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(5)
        end.connect(address)


def secrets():
    """All that is said of processes, and which processes there are."""
    found, processes = [repr(dict(os.environ))], {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            processes[path.name] = _text(path / "cmdline")
            found += [processes[path.name], _text(path / "environ")]
    found += [_text(Path(f"/proc/{name}")) for name in ("cmdline", "keys", "kallsyms")]
    return {"text": "\n".join(found), "processes": processes}


def _text(path):
    try:
        return path.read_bytes()[:100_000].replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _open(path):
    os.close(os.open(path, os.O_RDONLY))


def devices(disk):
    """The host's disk, memory and log as files of one's own; what there is in /dev."""
    wanted = (
        ("disk", stat.S_IFBLK, disk),
        ("memory", stat.S_IFCHR, (1, 1)),
        ("log", stat.S_IFCHR, (1, 11)),
    )
    made, opened = {}, {}
    for kind, mode, numbers in wanted:
        path = f"{TEMPORARY}/{kind}"
        made[kind] = tried(os.mknod, path, mode | 0o666, os.makedev(*numbers))
        opened[kind] = tried(_open, path)
    return {"made": made, "opened": opened, "names": sorted(path.name for path in Path("/dev").iterdir())}
