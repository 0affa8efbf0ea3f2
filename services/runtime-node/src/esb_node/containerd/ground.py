"""What a containerd box stands on, laid and lifted: leftovers of an earlier one, files, network."""

from __future__ import annotations

import shlex
import shutil
import signal
import time
from collections.abc import Callable, Mapping

from attrs import define, field

from esb_node.containerd.dns import dns_config
from esb_node.containerd.engine_config import engine_config
from esb_node.containerd.firewall import Ports
from esb_node.containerd.kernel import expedite
from esb_node.containerd.layout import Layout, forget_layout, read_layout, write_layout
from esb_node.containerd.leftovers import end, end_engine, remove_workers, shims, strays
from esb_node.containerd.network import lay_network, lift_network, mend_network, namespaces, require_own
from esb_node.errors import NodeError
from esb_node.files import make_private, write_private
from esb_node.ground import Tell
from esb_node.parts import ENGINE
from esb_node.sockets import remove_sockets, socket_path

_MEND_SECONDS = 10.0


@define
class ContainerdGround:
    """The host's side of one box; `environment` is what node.env says.

    `expedited`: have the kernel end grace periods at once. `fresh`: end what an earlier box left running
    instead of taking it over. `keep_workers`: at the end leave workers and network as they are, for the next
    box to take over.
    """

    layout: Layout
    ports: Ports
    names: Mapping[str, str]
    environment: Mapping[str, str]
    snapshotter: str
    upstream: tuple[str, ...] = ()
    devmapper_pool: str = ""
    expedited: bool = True
    fresh: bool = False
    keep_workers: bool = False
    clock: Callable[[], float] = time.monotonic
    _laid: bool = False
    _mended: float = field(default=0.0)

    def lay(self, tell: Tell) -> None:
        """See `Ground`."""
        require_own(self.layout)
        self._laid = True
        self._take_over(tell)
        write_layout(self.layout)
        self._write_files()
        if self.expedited and (why := expedite()):
            tell(
                f"workers start slower than they could: the kernel's grace periods can't be expedited: {why}"
            )
        lay_network(self.layout, self.ports)
        self._mended = self.clock()
        tell(f"workers' network {self.layout.subnet} on {self.layout.bridge}, firewall {self.layout.table}")

    def mend(self, tell: Tell) -> None:
        """See `Ground`."""
        if not self._laid or self.clock() - self._mended < _MEND_SECONDS:
            return
        self._mended = self.clock()
        try:
            mend_network(self.layout, self.ports, tell)
        except NodeError as error:
            tell(f"the workers' network can't be mended: {error}")

    def before_stop(self, service: str, tell: Tell) -> None:
        """See `Ground`: workers are containerd's to end."""
        if service == ENGINE and self._laid and not self.keep_workers:
            remove_workers(self.layout, {"overlayfs", self.snapshotter})
            tell("the workers are removed")

    def lift(self, tell: Tell) -> None:
        """See `Ground`."""
        if self._laid and not self.keep_workers:
            lift(self.layout)
            tell("the workers' network is removed")

    def spared(self) -> set[int]:
        """See `Ground`: workers outlive containerd, and the box's supervisor when it is killed."""
        return shims(self.layout)

    def _take_over(self, tell: Tell) -> None:
        """Of what an earlier box left, keep what still serves; end the rest."""
        earlier = read_layout(self.layout.state)
        if earlier is not None and earlier != self.layout:
            tell("the box's name, subnet or directories have changed: what the old ones left is ended")
            lift(earlier)
        end(strays(self.layout), signal.SIGTERM)
        found = shims(self.layout)
        if found and not self.fresh:
            tell(f"{len(found)} workers of an earlier box still run, the agent takes them over")
            return
        if found:
            tell(f"{len(found)} workers of an earlier box still run, they are ended")
        _end_all(self.layout)
        for namespace in namespaces(self.layout):
            tell(f"network namespace {namespace} has no worker any more, removed")
        lift_network(self.layout)

    def _write_files(self) -> None:
        layout = self.layout
        for directory in (
            layout.run,
            layout.engine_config.parent,
            layout.engine_root,
        ):
            make_private(directory)
        socket_path(layout.run / "containerd", layout.socket.name)
        write_private(layout.engine_config, engine_config(layout, self.devmapper_pool))
        write_private(layout.dns_config, dns_config(layout.gateway_address, self.names, self.upstream))
        write_private(
            layout.environment_file,
            "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items())),
        )


def lift(layout: Layout) -> None:
    """Take away everything of a box but its images; what is gone already is no error.

    Raises:
        NodeError: some process could not be killed.
    """
    _end_all(layout)
    lift_network(layout)
    shutil.rmtree(layout.addresses, ignore_errors=True)
    layout.environment_file.unlink(missing_ok=True)
    remove_sockets(layout.run / "containerd")
    forget_layout(layout.state)


def _end_all(layout: Layout) -> None:
    if left := end_engine(layout):
        raise NodeError(f"these processes could not be killed: {', '.join(map(str, sorted(left)))}")
