"""One worker: a process, its two servers, its log, and the exchange between them."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from esb_agent import unix_socket
from esb_agent.drivers.log_files import LogFile
from esb_agent.drivers.process import loopback
from esb_agent.drivers.process.call_log import CallLog
from esb_agent.drivers.process.capture import Captures
from esb_agent.drivers.process.environment import ACCOUNT, DEFAULT_REGION
from esb_agent.drivers.process.exchange import Call, Exchange
from esb_agent.drivers.process.invoke_api import MAX_EVENT_BYTES, CallDefaults, InvokeApi
from esb_agent.drivers.process.keeper import procfs
from esb_agent.drivers.process.keeper.messages import Started
from esb_agent.drivers.process.payloads import Ending, error_type, init_ended, init_timed_out, timed_out
from esb_agent.drivers.process.runtime_api import MAX_RESPONSE_BYTES, RuntimeApi
from esb_agent.errors import AgentError, DriverError, InitFailedError
from esb_agent.http_connection import Clients
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerState
from esb_agent.tally import Tally

MEASURE_SECONDS = 0.05


@frozen(kw_only=True)
class Paths:
    """What is this worker's alone.

    A directory, in it one for temporary files, and the socket its calls come in by.
    """

    directory: Path
    temporary: Path
    socket: Path


class ProcessWorker:
    """From before its process until after it.

    `kill` ends the process and all it started, and returns at once.
    """

    def __init__(
        self,
        identity: Identity,
        spec: FunctionSpec,
        paths: Paths,
        log: LogFile,
        *,
        kill: Callable[[str], None],
        tally: Tally,
    ) -> None:
        self.identity = identity
        self.spec = spec
        self.paths = paths
        self.process: Started | None = None
        self.spawning = False
        self.exited = asyncio.Event()
        self.rss_peak_bytes = 0
        self._measured = float("-inf")
        self.created = time.time()
        self._begun = time.monotonic()
        self.init_seconds = 0.0
        self.exchange = Exchange(
            on_ready=self._on_ready,
            on_init_error=self._fail_init,
            on_timeout=lambda seconds: self.end(timed_out(seconds)),
            record=self,
        )
        self._kill = kill
        self._tally = tally
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening: asyncio.Task[str] | None = None
        self._servers: list[asyncio.Server] = []
        self._clients: tuple[Clients, ...] = ()
        self._log = CallLog(
            log,
            identity.worker_id,
            spec.memory_mb,
            peak_bytes=self._peak_bytes,
            init_seconds=lambda: self.init_seconds,
        )
        self._captures = Captures(self._log.output)

    @property
    def age_seconds(self) -> float:
        """Since it began to be made, whatever the wall clock did meanwhile."""
        return time.monotonic() - self._begun

    @property
    def run(self) -> str:
        """Names this worker and none before or after it with the same worker id."""
        return self.paths.directory.name

    @property
    def state(self) -> WorkerState:
        """As the exchange tells it."""
        exchange = self.exchange
        if exchange.ending:
            return WorkerState.EXITED
        if not exchange.initialised:
            return WorkerState.STARTING
        if exchange.paused:
            return WorkerState.PAUSED
        return WorkerState.BUSY if exchange.busy else WorkerState.READY

    def view(self) -> Worker:
        """As callers see it."""
        return Worker(
            identity=self.identity,
            function=self.spec.name,
            image=self.spec.image,
            spec_digest=self.spec.digest(),
            state=self.state,
            address=f"unix:{self.paths.socket}",
            created_unix_ms=int(self.created * 1000),
            init_ms=round(self.init_seconds * 1000),
            exit_reason=self.exchange.ending.reason if self.exchange.ending else "",
        )

    async def open_servers(self) -> str:
        """Listen for its runtime and for its callers. Returns the runtime's `host:port`.

        To its end even when whoever waits gives up: a server that is half made could not be closed.
        """
        self._opening = asyncio.create_task(self._open_servers())
        return await asyncio.shield(self._opening)

    async def settled(self) -> None:
        """Return when none of its servers is being made."""
        if self._opening:
            await asyncio.gather(self._opening, return_exceptions=True)

    async def _open_servers(self) -> str:
        loop = asyncio.get_running_loop()
        region = self.spec.environment.get("AWS_REGION", DEFAULT_REGION)
        arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{self.spec.name}"
        runtime_api = RuntimeApi(self.exchange)
        invoke_api = InvokeApi(self.exchange, CallDefaults(arn.encode(), self.spec.timeout_ms / 1000))
        runtimes = Clients(runtime_api, MAX_RESPONSE_BYTES, loopback.same_user)
        callers = Clients(invoke_api, MAX_EVENT_BYTES)
        self._clients = (runtimes, callers)
        runtime = await loop.create_server(runtimes.connection, "127.0.0.1", 0)
        self._servers.append(runtime)
        calls = await loop.create_unix_server(callers.connection, sock=unix_socket.bind(self.paths.socket))
        self._servers.append(calls)
        return f"127.0.0.1:{runtime.sockets[0].getsockname()[1]}"

    def open_pipes(self) -> tuple[int, int]:
        """Read its output. Returns what it writes to, stdout and stderr, the caller's to close."""
        return self._captures.open()

    async def wait_ready(self, seconds: float) -> None:
        """Return when it can take a call.

        Raises:
            InitFailedError: it reported an error, ended, or took too long.
            DriverError: this agent ended it, which is none of the function's doing.
        """
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), seconds)
        except TimeoutError:
            self._log.init_failed(self.age_seconds, "Status: timeout")
            raise InitFailedError(init_timed_out(seconds).decode()) from None
        except InitFailedError as error:
            self._captures.drain()
            status = f"Status: error\tError Type: {error_type(str(error))}"
            self._log.init_failed(self.age_seconds, status)
            raise

    def check_not_ended(self) -> None:
        """Raises DriverError when it was destroyed while it was being made."""
        if self.exchange.ending:
            raise self._start_error(self.exchange.ending)

    def _on_ready(self) -> None:
        self.init_seconds = self.age_seconds
        if not self._ready.done():
            self._ready.set_result(None)

    def _fail_init(self, payload: bytes) -> None:
        self._fail_start(InitFailedError(payload.decode("utf-8", "replace")))

    def _start_error(self, ending: Ending) -> AgentError:
        if ending.asked_for:
            return DriverError(
                f"worker {self.identity.worker_id} was ended during its start: {ending.reason}"
            )
        return InitFailedError(init_ended(ending).decode())

    def _fail_start(self, error: AgentError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)
            # Whoever waited may have been cancelled; then nobody is to be told.
            self._ready.exception()

    def started(self, call: Call) -> None:
        """See `exchange.Recorder`. What was printed before is none of this call's."""
        self._captures.drain()
        if not self.rss_peak_bytes and self.process:
            # The call may end the process before anybody has looked at it.
            self.rss_peak_bytes = procfs.resident_bytes((self.process.pid,))
        self._tally.calls[self.spec.name] += 1
        self._log.started(call)

    def finished(self, ending: Ending | None) -> bytes:
        """See `exchange.Recorder`."""
        self._captures.drain()
        return self._log.finished(ending)

    def show_start(self) -> None:
        """Log the start of a call that has been silent until now."""
        self._log.show_start()

    def _peak_bytes(self) -> int:
        """Its own memory is looked at when a call ends, that of what it started when the watch does.

        Not after each of many short calls: a look costs as much as all else that is logged of one.
        """
        now = time.monotonic()
        if self.process and now - self._measured > MEASURE_SECONDS:
            self._measured = now
            self.rss_peak_bytes = max(self.rss_peak_bytes, procfs.resident_bytes((self.process.pid,)))
        return self.rss_peak_bytes

    def end(self, ending: Ending) -> None:
        """Kill it, and answer the call it holds; the first ending counts."""
        if self.exchange.ending:
            return
        if self.spawning:
            self._kill(self.run)
        self.exchange.end(ending, time.time())
        self._fail_start(self._start_error(ending))

    def process_ended(self, ending: Ending) -> None:
        """Its process is gone, and all it started.

        `ending` counts unless it was being killed for a reason already.
        """
        self.exchange.end(ending, time.time())
        self._fail_start(self._start_error(ending))
        self._captures.drain()
        self._captures.close()
        self._log.flush()
        if not self.exited.is_set() and (known := self.exchange.ending):
            self._tally.ended[self.spec.name, known.cause] += 1
        self.exited.set()

    def close(self) -> None:
        """Stop listening and reading, and let its clients go."""
        for server in self._servers:
            server.close()
        for clients in self._clients:
            clients.close()
        self._captures.close()
        self.paths.socket.unlink(missing_ok=True)
