"""`/health`: which generation is served, how the last reload went, whether the agent answers.

200 while calls can be answered ("degraded" when a newer generation was refused, or a function's breaker is
open), also while images are still being fetched; 503 when the agent cannot be reached.
"""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import respond
from esb_gateway.deployment import Served
from esb_gateway.reload import Reloader
from esb_gateway.workers.agent import Agent, AgentError, AgentHealth
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.prefetch import Prefetch


class HealthEndpoint:
    """ASGI endpoint of `/health`."""

    def __init__(
        self, served: Served, reloader: Reloader, agent: Agent, fleet: Fleet, prefetch: Prefetch | None
    ) -> None:
        self._served = served
        self._fleet = fleet
        self._reloader = reloader
        self._agent = agent
        self._prefetch = prefetch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; asks the agent each time, which takes a second at most."""
        try:
            agent, problem = await self._agent.health(), None
        except AgentError as error:
            agent, problem = AgentHealth(serving=False), str(error)
        broken = [name for name, pool in self._fleet.pools.items() if pool.breaker.tripped]
        body = {
            "status": self._status(agent, broken),
            **self._deployment(),
            "broken_functions": broken,
            "images": _images(self._prefetch),
            "agent": _agent(agent, problem),
        }
        content_type = (b"content-type", b"application/json")
        await respond(
            send,
            200 if agent.serving else 503,
            [content_type],
            orjson.dumps(body, option=orjson.OPT_INDENT_2),
        )

    def _status(self, agent: AgentHealth, broken: list[str]) -> str:
        if not agent.serving:
            return "unavailable"
        return "degraded" if self._reloader.state.error or broken else "ok"

    def _deployment(self) -> dict[str, object]:
        deployment, state = self._served.current, self._reloader.state
        return {
            "generation": deployment.generation,
            "functions": len(deployment.targets),
            "routes": len(deployment.router.routes),
            "schedules": len(deployment.schedules),
            "warnings": list(deployment.warnings),
            "reload": {
                "state": "refused" if state.error else "ok",
                "refused": state.refused,
                "error": state.error,
            },
        }


def _images(prefetch: Prefetch | None) -> dict[str, object] | None:
    if prefetch is None:
        return None
    missing = [{"image": image.ref, "error": error} for image, error in prefetch.missing.items()]
    return {"there": prefetch.there, "missing": missing}


def _agent(agent: AgentHealth, problem: str | None) -> dict[str, object]:
    return {
        "reachable": problem is None,
        "driver": agent.driver,
        "problems": list(agent.problems),
        "error": problem,
    }
