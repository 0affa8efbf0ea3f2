"""Blobs: looked for, mounted from another repository, read, and pushed in constant memory.

small: POST, PUT      big: POST, PATCH a chunk each, PUT; after a broken connection the registry says
                      how much it has, and what is missing is sent
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from urllib.parse import quote, urljoin

from attrs import evolve, field, frozen

from artifactctl.registry.auth import pull_scope, push_scope
from artifactctl.registry.backoff import Backoff
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.failures import BUSY, retry_after
from artifactctl.registry.references import Repository
from artifactctl.registry.session import Session
from artifactctl.registry.transport import Answer, Request

_OCTETS = {"Content-Type": "application/octet-stream"}


@frozen
class Blob:
    """Bytes that can be pushed: `open` gives them from an offset on, as often as needed."""

    digest: str
    size: int
    open: Callable[[int], Iterator[bytes]] = field(repr=False, eq=False)


def blob_of(digest: str, data: bytes) -> Blob:
    """A blob that is in memory."""
    return Blob(digest, len(data), lambda offset: iter((data[offset:],)))


class SourceError(Exception):
    """What was to be pushed couldn't be read; the HTTP library would take an OSError for its own."""


class Blobs:
    """The blobs of all registries."""

    def __init__(self, session: Session, chunk_size: int) -> None:
        self._session = session
        self._chunk_size = chunk_size

    def has(self, repository: Repository, digest: str) -> bool:
        """Whether a repository has the blob.

        Raises:
            RegistryError: it can't be asked.
        """
        request = self._request(repository, f"look for {digest}", "HEAD", f"blobs/{digest}")
        answer = self._session.send(request, (push_scope(repository.name),))
        if answer.status not in (200, 404):
            raise answer.error()
        return answer.status == 200

    def get(self, repository: Repository, digest: str) -> bytes:
        """A small blob.

        Raises:
            RegistryError: it isn't there, or its bytes are others.
        """
        request = self._request(repository, f"read {digest}", "GET", f"blobs/{digest}")
        answer = self._session.send(request, (pull_scope(repository.name),))
        if answer.status != 200:
            raise answer.error()
        _check_digest(request, digest, sha256(answer.data).hexdigest())
        return answer.data

    def read(self, repository: Repository, digest: str, offset: int = 0) -> Iterator[bytes]:
        """A blob of any size from an offset on; one that is read from its start is checked.

        Raises:
            RegistryError: it isn't there, or its bytes are others.
        """
        request = self._request(repository, f"read {digest}", "GET", f"blobs/{digest}")
        attempts = self._session.backoff()
        position, seen = offset, sha256()
        while True:
            try:
                for piece in self._pieces(request, repository, position):
                    position += len(piece)
                    seen.update(piece)
                    yield piece
                    attempts.restart()
                break
            except RegistryError as error:
                attempts.wait(error)
        if offset == 0:
            _check_digest(request, digest, seen.hexdigest())

    def mount(self, repository: Repository, digest: str, source: str) -> str | None:
        """Take a blob over from another repository of the same registry.

        Returns:
            Nothing when it is there now, else where it can be uploaded to, "" when not even that.

        Raises:
            RegistryError: no answer.
        """
        path = f"blobs/uploads/?mount={quote(digest)}&from={quote(source, safe='')}"
        request = self._request(repository, f"take over {digest} from {source}", "POST", path)
        scope = (push_scope(repository.name), pull_scope(source))
        answer = self._session.send(request, scope)
        if answer.status == 201:
            return None
        return _location(answer) if answer.status == 202 else ""

    def push(self, repository: Repository, blob: Blob, upload: str = "") -> None:
        """Upload a blob, to where a `mount` has said or to a place of its own.

        Raises:
            RegistryError: it was refused, or the registry stays away.
            OSError: it can't be read.
        """
        attempts = self._session.backoff()
        way = _Upload(self._session, repository, blob, self._chunk_size, attempts)
        try:
            way.run(upload)
        except SourceError as error:
            raise error.args[0] from error

    def _pieces(self, request: Request, repository: Repository, position: int) -> Iterator[bytes]:
        wanted = evolve(request, headers={"Range": f"bytes={position}-"}) if position else request
        response = self._session.open(wanted, (pull_scope(repository.name),))
        if response.status not in (200, 206):
            raise self._session.read(wanted, response).error()
        to_skip = position if response.status == 200 else 0
        for piece in self._session.pieces(wanted, response):
            if to_skip < len(piece):
                yield piece[to_skip:]
            to_skip = max(0, to_skip - len(piece))

    def _request(self, repository: Repository, what: str, method: str, path: str) -> Request:
        return Request(
            repository.registry, f"{what} in {repository.name}", method, self._session.url(repository, path)
        )


class _LostError(Exception):
    """The upload is gone, or nobody knows how far it got: begin again."""

    def __init__(self, reason: RegistryError, retry_after: float | None = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.retry_after = retry_after


def _lost(answer: Answer) -> _LostError:
    return _LostError(answer.error(transient=True), retry_after(answer.headers))


class _Cursor:
    """A blob that is read from front to back, and from elsewhere only after a break."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._position = -1
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""

    def take(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`.

        Raises:
            SourceError: they can't be read.
        """
        try:
            if start != self._position:
                self._pieces, self._rest, self._position = self._blob.open(start), b"", start
            while self._position < end:
                piece = self._rest or next(self._pieces, None)
                if piece is None:
                    raise SourceError(OSError(f"{self._blob.digest} ended after {self._position} bytes"))
                now = piece[: end - self._position]
                self._rest = piece[len(now) :]
                self._position += len(now)
                yield now
        except OSError as error:
            self._position = -1
            raise SourceError(error) from error


class _Upload:
    """The way of one blob into one repository; begun again when it is lost."""

    def __init__(
        self, session: Session, repository: Repository, blob: Blob, chunk_size: int, attempts: Backoff
    ) -> None:
        self._session = session
        self._repository = repository
        self._blob = blob
        self._chunk_size = chunk_size
        self._attempts = attempts
        self._cursor = _Cursor(blob)
        self._farthest = 0
        self._what = f"push {blob.digest} to {repository.name}"
        self._scope = (push_scope(repository.name),)

    def run(self, location: str) -> None:
        """Upload it, to this place if there is one already.

        Raises:
            RegistryError: it was refused, or too many attempts got nowhere.
            SourceError: it can't be read.
        """
        while True:
            try:
                self._once(location or self._start())
            except _LostError as error:
                location = ""
                self._attempts.wait(error.reason, error.retry_after)
            else:
                return

    def _once(self, location: str) -> None:
        offset = 0
        while offset < self._blob.size > self._chunk_size:
            location, offset = self._send_or_ask(location, offset)
            if offset > self._farthest:
                self._farthest = offset
                self._attempts.restart()
        self._finish(location, offset)

    def _start(self) -> str:
        url = self._session.url(self._repository, "blobs/uploads/")
        answer = self._session.send(self._request("POST", url, retry=True), self._scope)
        found = _location(answer) if answer.status == 202 else ""
        if not found:
            raise answer.error()
        shortest = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._chunk_size = max(self._chunk_size, int(shortest) if shortest.isdecimal() else 0)
        return found

    def _send_or_ask(self, location: str, offset: int) -> tuple[str, int]:
        try:
            return self._send_chunk(location, offset)
        except RegistryError as error:
            self._attempts.wait(error)
            return self._ask(location, error)

    def _send_chunk(self, location: str, offset: int) -> tuple[str, int]:
        end = min(offset + self._chunk_size, self._blob.size)
        headers = {"Content-Range": f"{offset}-{end - 1}", "Content-Length": str(end - offset), **_OCTETS}
        request = self._request("PATCH", location, headers=headers)
        answer = self._session.send(evolve(request, body=lambda: self._cursor.take(offset, end)), self._scope)
        if answer.status not in (201, 202, 204):
            if answer.status == 404:
                raise _lost(answer)
            # 416: the registry has another part of it than we think, and says which when asked
            raise answer.error(transient=answer.status == 416)
        return _location(answer) or location, end

    def _ask(self, location: str, error: RegistryError) -> tuple[str, int]:
        """Where to go on, and how many bytes the registry has."""
        answer = self._session.send(self._request("GET", location, retry=True), self._scope)
        first, _, last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")
        # 0-0 is an upload with one byte, and one with none
        if answer.status not in (200, 202, 204) or first != "0" or not last.isdecimal() or last == "0":
            raise _LostError(error)
        return _location(answer) or location, min(int(last) + 1, self._blob.size)

    def _finish(self, location: str, offset: int) -> None:
        joint = "&" if "?" in location else "?"
        headers = {"Content-Length": str(self._blob.size - offset), **_OCTETS}
        request = evolve(
            self._request("PUT", f"{location}{joint}digest={quote(self._blob.digest)}", headers=headers),
            body=(lambda: self._cursor.take(offset, self._blob.size)) if offset < self._blob.size else b"",
        )
        try:
            answer = self._session.send(request, self._scope)
        except RegistryError as error:
            raise _LostError(error) from error
        if answer.status not in (200, 201, 202, 204):
            # 400 is a blob with another digest: sending it again doesn't help
            raise _lost(answer) if answer.status in BUSY | {404, 416} else answer.error()

    def _request(
        self, method: str, url: str, *, headers: dict[str, str] | None = None, retry: bool = False
    ) -> Request:
        return Request(self._repository.registry, self._what, method, url, headers or {}, retry=retry)


def _location(answer: Answer) -> str:
    found = answer.headers.get("Location", "")
    return urljoin(answer.request.url, found) if found else ""


def _check_digest(request: Request, digest: str, found: str) -> None:
    if digest != f"sha256:{found}":
        raise RegistryError(request.registry, request.what, f"bytes of sha256:{found} came")
