"""Network namespaces as files that keep them alive, and what is set in one before anybody lives in it.

Made in a thread that moves into the new namespace and ends: no program is started for it.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
MS_BIND, MNT_DETACH = 0x1000, 2
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
OWN_NAMESPACE = "/proc/thread-self/ns/net"
# For interfaces that come later: `lo`, made already, keeps its ::1.
NO_IPV6 = Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")


def make(path: Path) -> None:
    """A new network namespace at `path`, with `lo` up and no IPv6 to the outside.

    Blocks for about a millisecond. Raises OSError; nothing is left then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o400, exist_ok=False)
    failures: list[OSError] = []
    thread = threading.Thread(target=_make_inside, args=(path, failures), name="netns")
    thread.start()
    thread.join()
    if failures:
        remove(path)
        raise failures[0]


def _make_inside(path: Path, failures: list[OSError]) -> None:
    try:
        _check(_libc().unshare(CLONE_NEWNET))
        _loopback_up()
        if NO_IPV6.exists():
            # Nobody's firewall has to think of addresses that nobody asked for.
            NO_IPV6.write_text("1")
        _check(_libc().mount(OWN_NAMESPACE.encode(), os.fsencode(path), None, MS_BIND, None))
    except OSError as error:
        failures.append(error)


def _loopback_up() -> None:
    """A program that talks to itself would fail otherwise: it starts down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def remove(path: Path) -> None:
    """Let go of the namespace: it is gone as soon as nobody lives in it. None there is fine.

    Raises OSError.
    """
    while _libc().umount2(os.fsencode(path), MNT_DETACH) == 0:
        """Mounted once, as a rule; what was mounted over it goes too."""
    if (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOENT):
        raise OSError(code, os.strerror(code), str(path))
    with suppress(FileNotFoundError):
        path.unlink()


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
