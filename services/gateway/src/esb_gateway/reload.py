"""Follows CONFIG_DIR: a new generation is loaded, understood, and only then served.

    current link ─changed?▶ load and plan in a thread ─▶ Fleet.adopt ─▶ served.current

What cannot be loaded is refused as a whole: the deployment before it goes on, and `ReloadState` says why. An
empty or missing CONFIG_DIR is no error: the first generation is served when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from artifact_contract.config_files import CONFIG_FILES, FUNCTIONS_FILE
from artifact_contract.errors import ArtifactError
from artifact_contract.loader import CURRENT_LINK, current_generation, load_runtime_config
from attrs import define

from esb_gateway.access_log import Log
from esb_gateway.deployment import Box, Deployment, Plan, Served, plan_deployment
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.fleet import Fleet

POLL_SECONDS = 0.5
Mark = tuple[object, ...]


@define
class ReloadState:
    """How the last reload went. `refused` is the generation that `error` is about."""

    error: str | None = None
    refused: str | None = None


class Reloader:
    """Keeps `served` at what CONFIG_DIR says."""

    def __init__(
        self,
        config_dir: Path,
        box: Box,
        fleet: Fleet,
        served: Served,
        *,
        stats: GatewayStats,
        log: Log,
        on_change: Callable[[Deployment], None],
    ) -> None:
        self._config_dir = config_dir
        self._box = box
        self._fleet = fleet
        self._served = served
        self._stats = stats
        self._log = log
        self._on_change = on_change
        self._seen: Mark | None = None
        self.state = ReloadState()

    async def check(self) -> None:
        """Serve what is new, if anything is; cheap enough to be done twice a second."""
        try:
            mark = config_mark(self._config_dir)
        except OSError as error:
            self._seen = None  # what is served is looked at again, and the error forgotten, once it can be
            self._refuse(None, str(error))
            return
        if mark is None or mark == self._seen:
            return
        self._seen = mark
        try:
            plan = await asyncio.to_thread(self._plan)
        except ArtifactError as error:
            self._refuse(mark, str(error))
        except OSError as error:
            self._seen = None  # a disk may come back without a new generation
            self._refuse(mark, str(error))
        except Exception as error:  # noqa: BLE001 - a bug in reading one generation must not end another's service
            self._log.exception("bug while a generation was read")
            self._refuse(mark, f"the gateway failed to read it: {error!r}")
        else:
            self._serve(plan)

    def _plan(self) -> Plan:
        loaded = load_runtime_config(self._config_dir)
        return plan_deployment(loaded, self._box, _modified(self._config_dir))

    def _serve(self, plan: Plan) -> None:
        # From here to the assignment nothing awaits: a request sees the old deployment or the new one, whole.
        self._served.current = deployment = self._fleet.adopt(plan)
        self._on_change(deployment)
        self.state = ReloadState()
        self._stats.reloads += 1
        self._log.info(
            "generation served",
            generation=plan.generation,
            functions=len(plan.functions),
            routes=len(plan.router.routes),
            schedules=len(plan.schedules),
        )
        for warning in plan.warnings:
            self._log.warning("config warning", generation=plan.generation, warning=warning)

    def _refuse(self, mark: Mark | None, error: str) -> None:
        refused = str(mark[0]) if mark and isinstance(mark[0], str) else None
        if error == self.state.error and refused == self.state.refused:
            return
        self.state = ReloadState(error, refused)
        self._stats.reload_failures += 1
        self._log.error(
            "generation refused", refused=refused, serving=self._served.current.generation, error=error
        )


def config_mark(config_dir: Path) -> Mark | None:
    """Return what changes when the config does: a generation's name, or the looks of plain files."""
    generation = current_generation(config_dir)
    if generation is not None:
        return (generation,)
    if not (config_dir / FUNCTIONS_FILE).exists():
        return None
    return tuple(_file_mark(config_dir / name) for name in CONFIG_FILES)


def _modified(config_dir: Path) -> float:
    """When the functions served now were written."""
    current = config_dir / CURRENT_LINK / FUNCTIONS_FILE
    return (current if current.exists() else config_dir / FUNCTIONS_FILE).stat().st_mtime


def _file_mark(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
