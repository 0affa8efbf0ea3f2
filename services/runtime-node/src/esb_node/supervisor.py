"""The supervisor: services in order, each when the one before it is ready; then whatever crashes, to the end.

    start in order ─all ready▶ keep: tick every service and the provisioning ─stop▶ reverse order

One thread and no waiting inside: every turn looks at each part once, then sleeps until the next turn is due,
a child ends or a signal comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field

from esb_node import box_state
from esb_node.box_state import ProvisionerState, ServiceState
from esb_node.errors import StartError
from esb_node.ground import BareGround, Ground, Tell
from esb_node.logs import last_lines
from esb_node.provisioning import Provisioning, RunState
from esb_node.service import Phase, Service

BUSY_TURN = 0.02
CALM_TURN = 0.25
_LOG_LINES = 15


@define
class Supervisor:
    """All parts of one box.

    `pause` sleeps up to some seconds, less when something happened; `stopping` says whether to stop;
    `report` is told after each turn; `clear` clears away adopted processes, all of them when asked. `ground`
    is what the services stand on, `tell` takes what an operator wants to know about it.
    """

    services: Sequence[Service]
    provisioning: Provisioning | None
    data_plane: str
    clock: Callable[[], float]
    pause: Callable[[float], None]
    stopping: Callable[[], bool]
    report: Callable[[str, tuple[ServiceState, ...], ProvisionerState], None]
    clear: Callable[[set[int], bool], None]
    ground: Ground = field(factory=BareGround)
    tell: Tell = lambda _event: None

    def start(self, seconds: float) -> bool:
        """Bring everything up, provisioning included; False when told to stop meanwhile.

        Raises:
            StartError: a service ended, or was not ready in time; has its last log lines.
            NodeError: this host does not let the ground be laid.
        """
        deadline = self.clock() + seconds
        self.ground.lay(self.tell)
        for service in self.services:
            service.start()
            while service.phase is not Phase.READY:
                if service.phase is Phase.BACKOFF:
                    raise StartError(_failure(service, service.trouble))
                if self.clock() >= deadline:
                    raise StartError(_failure(service, f"not ready within {seconds:g} s"))
                if not self._turn(box_state.STARTING):
                    return False
        while self.provisioning and not self._provisioned() and self.clock() < deadline:
            if not self._turn(box_state.STARTING):
                return False
        self._report(self._state())
        return True

    def keep(self) -> None:
        """Look after everything until told to stop."""
        while self._turn(self._state()):
            pass

    def stop(self) -> None:
        """End everything, the last one started first, and whatever they left behind."""
        while self.provisioning and not self.provisioning.stop():
            self._rest(box_state.STOPPING)
        for service in reversed(self.services):
            if service.pid is not None:
                self.ground.before_stop(service.spec.name, self.tell)
            while not service.stop():
                self._rest(box_state.STOPPING)
        self.clear(set(), True)
        self.ground.lift(self.tell)
        self._report(box_state.STOPPED)

    def _report(self, state: str) -> None:
        self.report(state, self._service_states(), self._provisioner_state())

    def _service_states(self) -> tuple[ServiceState, ...]:
        return tuple(
            ServiceState(
                name=service.spec.name,
                state=service.phase.value,
                pid=service.pid,
                address=service.spec.address,
                log=str(service.spec.log),
                restarts=service.restarts,
                trouble=service.trouble,
            )
            for service in self.services
        )

    def _provisioner_state(self) -> ProvisionerState:
        part = self.provisioning
        if part is None:
            return ProvisionerState()
        return ProvisionerState(part.state.value, part.provisioned, part.counts, part.trouble)

    def _turn(self, state: str) -> bool:
        """Look at each part once, report, rest; False when told to stop."""
        phases = [service.phase for service in self.services]
        for service in self.services:
            service.tick()
        if self.provisioning:
            self.provisioning.tick(self._life())
        ended = any(
            service.phase is Phase.BACKOFF is not before
            for before, service in zip(phases, self.services, strict=True)
        )
        self.clear(self._pids(), ended)
        self.ground.mend(self.tell)
        self._rest(state)
        return not self.stopping()

    def _rest(self, state: str) -> None:
        self._report(state)
        provisioning = self.provisioning is not None and self.provisioning.state is RunState.RUNNING
        starting = any(service.phase is Phase.STARTING for service in self.services)
        busy = provisioning or starting or state in {box_state.STARTING, box_state.STOPPING}
        self.pause(BUSY_TURN if busy else CALM_TURN)

    def _state(self) -> str:
        ready = all(service.phase is Phase.READY for service in self.services)
        return box_state.READY if ready else box_state.DEGRADED

    def _life(self) -> int | None:
        """Which life of the data plane this is; None while it isn't ready."""
        for service in self.services:
            if service.spec.name == self.data_plane:
                return service.starts if service.phase is Phase.READY else None
        return None

    def _provisioned(self) -> bool:
        life = self._life()
        return self.provisioning is not None and life is not None and self.provisioning.settled(life)

    def _pids(self) -> set[int]:
        pids = [service.pid for service in self.services]
        job = self.provisioning.pid if self.provisioning else None
        return {pid for pid in (*pids, job) if pid is not None}


def _failure(service: Service, fact: str) -> str:
    lines = last_lines(service.spec.log, _LOG_LINES)
    told = (
        "\n".join(["its log ends with:", *(f"  {line}" for line in lines)]) if lines else "its log is empty"
    )
    return f"{service.spec.name} {fact}; {told}"
