"""The credentials in force; the file is read again when it changed."""

from __future__ import annotations

from pathlib import Path

from esb_gateway.access_log import Log
from esb_gateway.auth.credentials import AccessKey, Credentials
from esb_gateway.auth.credentials_file import CredentialsError, load

RELOAD_SECONDS = 2.0


class CredentialStore:
    """`current` is replaced as a whole; whoever caches something of it compares by identity."""

    def __init__(
        self, current: Credentials, path: Path | None = None, environment: AccessKey | None = None
    ) -> None:
        self.current = current
        self._path = path
        self._environment = environment
        self._seen = self._mark()

    def reload(self, log: Log) -> None:
        """Take over a changed file; one that is wrong is logged once and changes nothing."""
        mark = self._mark()
        if self._path is None or mark is None or mark == self._seen:
            return
        self._seen = mark
        try:
            self.current = load(self._path, self._environment)
        except CredentialsError as error:
            log.warning("credentials refused, the ones before stay", path=str(self._path), error=str(error))
        else:
            log.info("credentials reloaded", path=str(self._path))

    def _mark(self) -> tuple[int, int, int, int] | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_mode)
