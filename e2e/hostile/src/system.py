"""Asking the kernel for what nobody in here should get."""

import ctypes
import errno
import os
import platform
import socket
from pathlib import Path

from tried import tried

NEW_USER, NEW_NAMESPACE = 0x10000000, 0x00020000
KILLED = 17
# Numbers on x86_64 and aarch64, and words that would do something where it is allowed.
CALLS = {
    "ptrace": (101, 117, (16, 1)),
    "mount": (165, 40, (b"none", b"/tmp", b"tmpfs", 0, 0)),
    "umount2": (166, 39, (b"/tmp", 2)),
    "unshare user": (272, 97, (NEW_USER,)),
    "unshare mount": (272, 97, (NEW_NAMESPACE,)),
    "setns": (308, 268, (0, 0)),
    "clone user": (56, 220, (NEW_USER | KILLED, 0, 0, 0, 0)),
    "pivot_root": (155, 41, (b"/tmp", b"/tmp")),
    "chroot": (161, 51, (b"/tmp",)),
    "keyctl": (250, 219, (0, -3, 0)),
    "add_key": (248, 217, (b"user", b"hostile", b"x", 1, -2)),
    "request_key": (249, 218, (b"user", b"hostile", 0, 0)),
    "bpf": (321, 280, (0, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, -1, -1, 0)),
    "init_module": (175, 105, (0, 0, b"")),
    "finit_module": (313, 273, (0, b"", 0)),
    "delete_module": (176, 106, (b"hostile", 0)),
    "kexec_load": (246, 104, (0, 0, 0, 0)),
    "reboot": (169, 142, (0, 0, 0, 0)),
    "swapon": (167, 224, (b"/tmp/none", 0)),
    "sethostname": (170, 161, (b"hostile", 7)),
    "settimeofday": (164, 170, (0, 0)),
    "io_uring_setup": (425, 425, (1, 0)),
    "userfaultfd": (323, 282, (1,)),
    "name_to_handle_at": (303, 264, (-100, b"/", 0, 0, 0)),
    "open_by_handle_at": (304, 265, (-100, 0, 0)),
    "process_vm_readv": (310, 270, (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": (311, 271, (1, 0, 0, 0, 0, 0)),
    "kcmp": (312, 272, (1, 1, 0, 0, 0)),
    "pidfd_getfd": (438, 438, (-1, 0, 0)),
    "acct": (163, 89, (0,)),
    "syslog": (103, 116, (10, 0, 0)),
    "quotactl": (179, 60, (0, 0, 0, 0)),
    "open_tree": (428, 428, (-100, b"/", 1)),
    "fsopen": (430, 430, (b"tmpfs", 0)),
    "move_mount": (429, 429, (-1, b"", -1, b"", 0)),
}
FAMILIES = {"vsock": 40, "ciphers of the kernel": 38, "packet": 17, "bluetooth": 31}


def calls():
    """How each ends; a child asks, as one that is allowed may leave its process unlike before."""
    return {name: _in_child(number) for name, number in _numbers().items()}


def _numbers():
    column = 0 if platform.machine() == "x86_64" else 1
    return {name: (row[column], row[2]) for name, row in CALLS.items()}


def _in_child(call):
    child = os.fork()
    if not child:
        number, words = call
        ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *map(_word, words))
        os._exit(ctypes.get_errno())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return errno.errorcode.get(code, "done" if code == 0 else str(code))


def _word(value):
    return ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_long(value)


def families():
    """Kinds of sockets that lead elsewhere than to the network."""
    return {name: tried(socket.socket, number, socket.SOCK_STREAM) for name, number in FAMILIES.items()}


def privileges():
    """What the kernel holds of this process, and attempts to be more."""
    lines = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kept = ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    attempts = {
        "setuid": tried(os.setuid, 0),
        "setgid": tried(os.setgid, 0),
        "setgroups": tried(os.setgroups, [0]),
        "nice": tried(os.nice, -5),
        "a file of root": tried(os.chown, _own_file(), 0, 0),
    }
    return {"status": {name: lines.get(name, "") for name in kept}, "attempts": attempts}


def _own_file():
    path = Path("/tmp/own")
    path.touch()
    return path


def kernel():
    return {"release": platform.release(), "version": platform.version()}
