"""The files in which the address plugin writes down who has which address.

One a used address, named by it, with the container's name in its first line; under one lock.
"""

import fcntl
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


class Addresses:
    """Of one network."""

    def __init__(self, data_dir: Path, network: str) -> None:
        self._folder = data_dir / network

    def keep(self, address: str, container: str) -> None:
        """Write down an address in use, in case its file is gone. Blocks while a plugin has the lock."""
        with self._locked():
            file = self._folder / address
            if not file.exists():
                file.write_text(f"{container}\r\neth0")

    def free(self, container: str) -> None:
        """Forget the address of one no plugin can be asked for. Blocks while a plugin has the lock."""
        with self._locked():
            for address, owner in self.used().items():
                if owner == container:
                    (self._folder / address).unlink(missing_ok=True)

    def free_all_but(self, containers: Container[str]) -> int:
        """Forget the addresses of all others; how many. Blocks while a plugin has the lock."""
        freed = 0
        with self._locked():
            for file in self._folder.iterdir():
                if ADDRESS.fullmatch(file.name) and _owner(file) not in containers:
                    file.unlink(missing_ok=True)
                    freed += 1
        return freed

    def used(self) -> dict[str, str]:
        """Address to container."""
        if not self._folder.is_dir():
            return {}
        return {file.name: _owner(file) for file in self._folder.iterdir() if ADDRESS.fullmatch(file.name)}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """As the plugin does it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _owner(file: Path) -> str:
    try:
        return file.read_text(errors="replace").partition("\n")[0].strip()
    except FileNotFoundError:
        return ""
