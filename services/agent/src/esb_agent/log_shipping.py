"""Functions' log lines, sent on to a store that takes JSON lines as VictoriaLogs does.

    LogFile.write ─offer▶ bounded buffer ─batch▶ POST /insert/jsonline

`offer` only appends: a store that is slow, away or refusing costs lines, counted, and never a call. A thread
of its own sends. The oldest lines go first when the buffer is full. A lost answer means lines twice.
"""

import json
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import unquote, urlencode, urlsplit

import structlog
from attrs import field, frozen

from esb_agent.errors import ConfigError
from esb_agent.tally import Tally

log = structlog.get_logger()
PATH = "/insert/jsonline"
QUERY = urlencode({"_stream_fields": "function,stream", "_time_field": "time", "_msg_field": "line"})
BATCH_BYTES = 1024 * 1024
# A line waits this long for others at most.
GATHER_SECONDS = 1.0
ANSWER_SECONDS = 10.0
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 1.0, 30.0
# What is left at the agent's end gets this long.
LEAVE_SECONDS = 2.0
TRY_AGAIN = (408, 429)


@frozen(kw_only=True)
class Endpoint:
    """Where lines go; `credentials` are `user:password` and stay out of logs."""

    secure: bool
    host: str
    port: int | None
    path: str
    credentials: str = field(default="", repr=False)


def parse_endpoint(url: str) -> Endpoint:
    """Raises ConfigError unless it is an http or https URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        # Not the value: it may hold a password.
        raise ConfigError("ESB_LOG_SHIP_URL: expected http(s)://[user:password@]host[:port][/path]")
    path = parts.path.rstrip("/")
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    return Endpoint(
        secure=parts.scheme == "https",
        host=parts.hostname,
        port=port,
        path=path if path.endswith(PATH) else path + PATH,
        credentials=credentials,
    )


Chunk = tuple[str, bytes]


class LogShipper:
    """Holds at most `limit_bytes`; `tally` gets what was shipped and what was dropped."""

    def __init__(self, endpoint: Endpoint, limit_bytes: int, tally: Tally) -> None:
        self._endpoint = endpoint
        self._limit = limit_bytes
        self._tally = tally
        self._lock = threading.Lock()
        self._chunks: deque[Chunk] = deque()
        self._bytes = 0
        self._stop = threading.Event()
        self._full = threading.Event()
        self._down = False
        self._connection: HTTPConnection | None = None
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def offer(self, function: str, data: bytes) -> None:
        """Take whole JSON lines of one function; never waits."""
        with self._lock:
            self._chunks.append((function, data))
            self._bytes += len(data)
            while self._bytes > self._limit:
                _, oldest = self._chunks.popleft()
                self._bytes -= len(oldest)
                self._tally.logs_dropped += oldest.count(b"\n")
            if self._bytes >= BATCH_BYTES:
                self._full.set()

    def close(self) -> None:
        """Send what is left, within a short time; blocks meanwhile. What could not be sent is dropped."""
        self._stop.set()
        self._full.set()
        self._thread.join(LEAVE_SECONDS)
        with self._lock:
            self._tally.logs_dropped += sum(data.count(b"\n") for _, data in self._chunks)
            self._chunks.clear()
            self._bytes = 0

    def _take(self) -> list[Chunk]:
        with self._lock:
            taken: list[Chunk] = []
            size = 0
            while self._chunks and (not taken or size + len(self._chunks[0][1]) <= BATCH_BYTES):
                taken.append(self._chunks.popleft())
                size += len(taken[-1][1])
            self._bytes -= size
            if self._bytes < BATCH_BYTES:
                self._full.clear()
            return taken

    def _run(self) -> None:
        while not self._stop.is_set():
            self._full.wait(GATHER_SECONDS)
            self._send_all()
        self._send_all()
        self._disconnect()

    def _send_all(self) -> None:
        while chunks := self._take():
            body = b"".join(named(function, data) for function, data in chunks)
            lines = body.count(b"\n")
            sent = self._send_stubbornly(body)
            with self._lock:
                if sent:
                    self._tally.logs_shipped += lines
                else:
                    self._tally.logs_dropped += lines

    def _send_stubbornly(self, body: bytes) -> bool:
        """False: it was refused, or the agent ends."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            status, why = self._post(body)
            if 200 <= status < 300:
                self._tell(up=True)
                return True
            if 400 <= status < 500 and status not in TRY_AGAIN:
                self._tell(up=False, why=why)
                return False
            self._tell(up=False, why=why)
            if self._stop.wait(backoff):
                return False
            backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    def _post(self, body: bytes) -> tuple[int, str]:
        """The status, 0 when there was no answer, and what is wrong in words."""
        # A store closes connections that were idle: that is no trouble worth a word.
        for tries_left in (1, 0) if self._connection else (0,):
            try:
                return self._ask(body)
            except (OSError, HTTPException, ValueError) as error:  # ValueError: no name or path to ask for
                self._disconnect()
                why = str(error) or type(error).__name__
                if not tries_left:
                    break
        return 0, why

    def _ask(self, body: bytes) -> tuple[int, str]:
        connection = self._connection = self._connection or self._connect()
        connection.request("POST", f"{self._endpoint.path}?{QUERY}", body, self._headers())
        with connection.getresponse() as answer:
            answer.read()
        return answer.status, f"HTTP {answer.status} {answer.reason}"

    def _connect(self) -> HTTPConnection:
        make: Callable[..., HTTPConnection] = HTTPSConnection if self._endpoint.secure else HTTPConnection
        return make(self._endpoint.host, self._endpoint.port, timeout=ANSWER_SECONDS)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/stream+json"}
        if self._endpoint.credentials:
            headers["Authorization"] = f"Basic {b64encode(self._endpoint.credentials.encode()).decode()}"
        return headers

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _tell(self, *, up: bool, why: str = "") -> None:
        """Once a change, not once a batch."""
        if not up and not self._down:
            log.warning("function logs cannot be shipped", host=self._endpoint.host, reason=why)
        elif up and self._down:
            log.info("function logs are shipped again", host=self._endpoint.host)
        self._down = not up


def named(function: str, data: bytes) -> bytes:
    """The lines with the function's name in each; within a line every newline is escaped."""
    start = b'{"function": ' + json.dumps(function).encode() + b", "
    return start + data[1:].replace(b"\n{", b"\n" + start)
