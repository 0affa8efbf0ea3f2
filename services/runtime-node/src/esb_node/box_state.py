"""The state file `box.json`: what runs where, for people, scripts and the other `esb-node` commands.

It is a report, not a truth: whether a box runs is told by the lock alone (`lock.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from attrs import asdict, evolve, field, frozen

from esb_node.files import write_private

FILE = "box.json"
STARTING, READY, DEGRADED, STOPPING, STOPPED = "starting", "ready", "degraded", "stopping", "stopped"


@frozen
class ServiceState:
    """One service: its process, where it listens, how it has been doing."""

    name: str
    state: str
    pid: int | None
    address: str
    log: str
    restarts: int = 0
    trouble: str = ""


@frozen
class ProvisionerState:
    """The last run of the provisioner: `generation` is the last one that is provisioned."""

    state: str = "idle"
    generation: str | None = None
    counts: Mapping[str, int] = field(factory=dict)
    trouble: str = ""


@frozen
class BoxState:
    """A whole box; its ports outlive it, so that the next start takes the same where they are free."""

    state: str
    state_dir: str
    config_dir: str
    images_dir: str
    urls: Mapping[str, str]
    ports: Mapping[str, int]
    credentials_file: str
    mode: str = "process"
    supervisor_pid: int | None = None
    started_at: str = ""
    services: tuple[ServiceState, ...] = ()
    provisioner: ProvisionerState = field(factory=ProvisionerState)


def stopped(state: BoxState) -> BoxState:
    """The state with nothing running any more."""
    services = tuple(evolve(service, pid=None, state=STOPPED) for service in state.services)
    return evolve(state, state=STOPPED, supervisor_pid=None, services=services)


def write_state(state: BoxState) -> None:
    """Replace the state file of the box."""
    write_private(
        Path(state.state_dir) / FILE, json.dumps(asdict(state), indent=2, ensure_ascii=False) + "\n"
    )


def read_state(state_dir: Path) -> BoxState | None:
    """The state file; None when there is none or it is no state file."""
    try:
        document = json.loads((state_dir / FILE).read_text("utf-8"))
        services = tuple(ServiceState(**service) for service in document.pop("services"))
        provisioner = ProvisionerState(**document.pop("provisioner"))
        return BoxState(**document, services=services, provisioner=provisioner)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
