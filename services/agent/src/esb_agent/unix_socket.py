"""Unix sockets only their owner can reach, at paths that are free or were left behind by the dead."""

import errno
import os
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from esb_agent.errors import ConfigError

# sockaddr_un.sun_path, with its closing zero.
MAX_PATH_BYTES = 107
PRIVATE = 0o177
NAME_LENGTH = 16
CONNECT_SECONDS = 1.0


def check_path(path: Path) -> None:
    """Raises ConfigError when the kernel could not take it."""
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise ConfigError(f"{path}: a socket path of {length} bytes, at most {MAX_PATH_BYTES}")


def claim(path: Path) -> None:
    """Make the path free for a new socket: a stale one is removed, a live one and anything else is refused.

    Raises:
        ConfigError: somebody listens there, it is no socket, or it cannot be looked at.
    """
    check_path(path)
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path}: is there already and is no socket")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: cannot be looked at: {error.strerror}") from error
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_SECONDS)
        code = probe.connect_ex(str(path))
    if code not in (errno.ECONNREFUSED, errno.ENOENT):
        raise ConfigError(f"{path}: another agent listens there")
    path.unlink(missing_ok=True)


@contextmanager
def private_umask() -> Iterator[None]:
    """Sockets bound in here have mode 0600 from their first moment.

    For the start only: no thread makes files yet.
    """
    before = os.umask(PRIVATE)
    try:
        yield
    finally:
        os.umask(before)


def bind(path: Path) -> socket.socket:
    """A listening socket with mode 0600, not blocking."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        # Not by the umask: that is the whole process's, and threads unpack images meanwhile.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(str(path))
        listener.listen(64)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class SocketDirectory:
    """Where workers' sockets lie.

    In the state directory, or, where paths would be too long, in one below the temporary directory.
    """

    def __init__(self, state: Path) -> None:
        self._wanted = state / "s"
        self._linked = state / "s.link"
        self._path = self._wanted

    def make(self) -> None:
        """Make it anew, mode 0700, without what an earlier life left in it."""
        self._remove(self._wanted)
        with suppress(OSError):
            self._remove(self._linked.readlink())
            self._linked.unlink()
        if len(os.fsencode(self._wanted)) + 1 + NAME_LENGTH <= MAX_PATH_BYTES:
            self._path = self._wanted
            self._path.mkdir(mode=0o700)
        else:
            self._path = Path(tempfile.mkdtemp(prefix="esb-agent-"))
            # So that the next start finds it, should this one be killed.
            self._linked.symlink_to(self._path)

    def new(self) -> Path:
        """A path nobody has had: an address kept by a caller of long ago must not reach another worker."""
        return self._path / f"{secrets.token_hex(6)}.sock"

    def remove(self) -> None:
        """Remove it with everything in it."""
        self._remove(self._path)
        self._linked.unlink(missing_ok=True)

    @staticmethod
    def _remove(path: Path) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in path.iterdir():
                if entry.is_socket():
                    entry.unlink(missing_ok=True)
            path.rmdir()
