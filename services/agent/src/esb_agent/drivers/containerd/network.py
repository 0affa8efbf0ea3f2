"""The workers' network: a namespace and an address each on one bridge, some of them prepared ahead.

acquire ─▶ a prepared one, or one made now ─▶ (a worker lives in it) ─▶ release; the pool fills up later

Ports of the bridge are isolated: workers reach the host's end and not each other. What of the host they may
reach, and what beyond it, is the firewall's business.
"""

import asyncio
import os
import re
import secrets
from collections import deque
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

import structlog
from attrs import frozen

from esb_agent.drivers.background import Background
from esb_agent.drivers.containerd import netns
from esb_agent.drivers.containerd.addresses import Addresses
from esb_agent.drivers.containerd.cni import Bridge
from esb_agent.errors import ConfigError, DriverError

log = structlog.get_logger()
PLUGINS = ("bridge", "host-local")
# More at once only wait for each other: the kernel makes namespaces and cables one after the other.
AT_ONCE = 4
# The pool fills up when nobody has asked for this long: a worker that starts needs the CPU more.
QUIET_SECONDS = 0.25
RETRY_SECONDS = 2.0
INTERFACES = Path("/sys/class/net")
SUBNET = IPv4Network("10.88.0.0/16")


@frozen(kw_only=True)
class NetworkConfig:
    """`prefix` begins the names of all the box's namespaces, and of no other box's."""

    state_dir: Path
    bridge: str
    name: str
    prefix: str
    subnet: IPv4Network = SUBNET
    bin_dir: Path = Path("/usr/lib/cni")
    netns_dir: Path = Path("/run/netns")
    pool: int = 8

    @property
    def gateway(self) -> str:
        """The bridge's own address: the first one."""
        return str(self.subnet.network_address + 1)


@frozen
class Namespace:
    """A worker's. `port` is its cable's end at the bridge; "" for one taken back."""

    name: str
    path: Path
    address: str
    port: str = ""


class Network:
    """Prepares, gives out and takes back namespaces. `problem` says why none could be made, the last time."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        data_dir = config.state_dir / "cni"
        self._bridge = Bridge(
            bin_dir=config.bin_dir,
            name=config.name,
            bridge=config.bridge,
            subnet=config.subnet,
            data_dir=data_dir,
        )
        self._addresses = Addresses(data_dir, config.name)
        self._names = re.compile(re.escape(config.prefix) + r"-[0-9a-f]{12}")
        self._ready: deque[Namespace] = deque()
        self._used: set[str] = set()
        self._makers = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._background = Background()
        self._refill: asyncio.Task[None] | None = None
        self._asked = 0.0
        self._closed = False
        self.problem = ""
        self.leftovers_removed = 0

    @property
    def prepared(self) -> int:
        """How many wait for a worker."""
        return len(self._ready)

    async def adopt(self, name: str, path: Path, address: str) -> Namespace:
        """One that a worker of an earlier agent lives in; before `start`, which removes all it does not know.

        Raises DriverError: it is gone.
        """
        if not await asyncio.to_thread(path.exists):
            raise DriverError(f"network namespace {path} is gone")
        await asyncio.to_thread(self._addresses.keep, address, name)
        self._used.add(name)
        return Namespace(name, path, address)

    def disown(self, name: str) -> None:
        """One that was adopted for nobody: `start` removes it."""
        self._used.discard(name)

    async def start(self) -> None:
        """Remove what an earlier agent left, and see that namespaces can be made: the bridge is up then.

        Raises ConfigError: they cannot.
        """
        for plugin in PLUGINS:
            if not os.access(self._config.bin_dir / plugin, os.X_OK):
                raise ConfigError(f"ESB_CNI_BIN_DIR: there is no plugin {plugin} in {self._config.bin_dir}")
        try:
            await self._remove_leftovers()
            first = await self._make()
        except (DriverError, OSError) as error:
            raise ConfigError(f"no network for workers: {error}") from error
        await self._put_back(first)
        self._fill_up()

    async def acquire(self) -> Namespace:
        """A namespace for one worker. Cancelled, it is left for the next. Raises DriverError."""
        self._asked = asyncio.get_running_loop().time()
        while self._ready:
            namespace = self._ready.popleft()
            if self._sound(namespace):
                self._used.add(namespace.name)
                self._fill_up()
                return namespace
            # Found useless, which is no reason not to start: what is left of it the next agent removes.
            with suppress(DriverError):
                await self.release(namespace)
        self._waiting += 1
        try:
            namespace = await self._made()
        finally:
            self._waiting -= 1
        self._used.add(namespace.name)
        self._fill_up()
        return namespace

    async def release(self, namespace: Namespace) -> None:
        """Take it back with its address, also when cancelled; nobody may live in it any more.

        Raises DriverError: something is left, which the next `start` removes.
        """
        self._used.discard(namespace.name)
        erasing = asyncio.create_task(self._erase(namespace))
        try:
            await asyncio.shield(erasing)
        except asyncio.CancelledError:
            self._background.start(_heard(erasing))
            raise

    async def close(self) -> None:
        """Remove the prepared ones; those of workers stay."""
        self._closed = True
        if self._refill:
            self._refill.cancel()
            await asyncio.gather(self._refill, return_exceptions=True)
        await self._background.settled()
        while self._ready:
            with suppress(DriverError):
                await self._erase(self._ready.popleft())

    async def _made(self) -> Namespace:
        """A new one; cancelled, it is made all the same and waits in the pool."""
        making = asyncio.create_task(self._make())
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            self._background.start(self._keep_unwanted(making))
            raise

    # ── making and removing ──────────────────────────────────────────────────────────────────────────────

    async def _make(self) -> Namespace:
        """On any error nothing is left of it."""
        async with self._makers:
            name = f"{self._config.prefix}-{secrets.token_hex(6)}"
            path = self._config.netns_dir / name
            try:
                await asyncio.to_thread(netns.make, path)
            except OSError as error:
                self.problem = f"no network namespace: {error.strerror} ({path})"
                raise DriverError(self.problem) from error
            try:
                attached = await self._bridge.add(name, path)
                self._isolate(attached.port)
            except BaseException as error:
                self.problem = str(error)
                with suppress(DriverError):
                    await self._erase(Namespace(name, path, ""))
                raise
            self.problem = ""
            return Namespace(name, path, attached.address, attached.port)

    @staticmethod
    def _isolate(port: str) -> None:
        """Ports that are isolated pass nothing to each other."""
        try:
            (INTERFACES / port / "brport" / "isolated").write_text("1")
        except OSError as error:
            raise DriverError(f"the bridge's port {port} cannot be isolated: {error.strerror}") from error

    async def _erase(self, namespace: Namespace) -> None:
        """The cable and the address first: the plugin needs the namespace for them.

        Where somebody removed that, or the plugin fails, the cable goes with the namespace, and the address
        is freed here: a subnet would be used up by those that nobody has.
        """
        deleted = False
        try:
            if namespace.path.exists():
                await self._bridge.delete(namespace.name, namespace.path)
                deleted = True
        except DriverError as error:
            log.warning("network namespace removed without its plugin", name=namespace.name, error=str(error))
        finally:
            try:
                await asyncio.to_thread(netns.remove, namespace.path)
            except OSError as error:
                raise DriverError(f"network namespace {namespace.path}: {error.strerror}") from error
        if not deleted:
            await asyncio.to_thread(self._addresses.free, namespace.name)

    async def _remove_leftovers(self) -> None:
        """Namespaces and addresses that nobody was adopted for."""
        folder = self._config.netns_dir
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        for path in found:
            if self._names.fullmatch(path.name) and path.name not in self._used:
                # Half-made ones have nothing the plugin could find; the address is freed below in any case.
                with suppress(DriverError):
                    await self._erase(Namespace(path.name, path, ""))
                self.leftovers_removed += 1
        self.leftovers_removed += await asyncio.to_thread(self._addresses.free_all_but, self._used)
        if self.leftovers_removed:
            log.info("removed what was left of networks", count=self.leftovers_removed)

    # ── the pool ─────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _sound(namespace: Namespace) -> bool:
        """Nobody took it off the bridge in the meantime."""
        return namespace.path.exists() and (INTERFACES / namespace.port / "brport").exists()

    async def _put_back(self, namespace: Namespace) -> None:
        if self._closed or len(self._ready) >= self._config.pool:
            await self._erase(namespace)
        else:
            self._ready.append(namespace)

    async def _keep_unwanted(self, making: asyncio.Task[Namespace]) -> None:
        with suppress(DriverError):
            await self._put_back(await making)

    def _fill_up(self) -> None:
        if not self._closed and (self._refill is None or self._refill.done()):
            self._refill = self._background.start(self._fill())

    async def _fill(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._ready) < self._config.pool:
            if (quiet := loop.time() - self._asked) < QUIET_SECONDS or self._waiting:
                await asyncio.sleep(max(QUIET_SECONDS - quiet, 0.01))
                continue
            try:
                await self._put_back(await self._made())
            except DriverError as error:
                log.warning("no network namespace prepared", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)


async def _heard(erasing: asyncio.Task[None]) -> None:
    """Nobody waits for it any more."""
    with suppress(DriverError):
        await erasing
