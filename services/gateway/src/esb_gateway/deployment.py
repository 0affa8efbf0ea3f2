"""A runtime config made ready to serve: functions with their pools, the router, the schedules.

    RuntimeConfig ─plan▶ Plan ─Fleet.adopt▶ Deployment, which replaces the one before in a single assignment

Planning is pure and may fail; what fails leaves the deployment before it in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from artifact_contract.config_types import (
    Function,
    FunctionsConfig,
    RuntimeConfig,
    Scaling,
    with_defaults,
)
from artifact_contract.loader import LoadedConfig, expand_functions
from attrs import field, frozen

from esb_gateway.async_invoke.dead_letters_path import is_dead_letters
from esb_gateway.lambda_api.paths import is_lambda_api
from esb_gateway.routes.planned import cors_and_url_warnings, plan_router
from esb_gateway.routes.router import Router
from esb_gateway.scheduling.cron import ExpressionError
from esb_gateway.scheduling.expressions import parse_expression
from esb_gateway.scheduling.schedules import Schedule
from esb_gateway.workers.agent import WorkerSpec
from esb_gateway.workers.invoker import Target
from esb_gateway.workers.worker import PoolLimits

_DEFAULT_TIMEOUT = 3
_DEFAULT_MEMORY = 128
VIEW_PATHS = ("/metrics/pools", "/metrics/containers", "/functions", "/routes")
LOGIN_PATH = "/user/auth/v1"
RESERVED_PATHS = frozenset({"/health", "/metrics", *VIEW_PATHS})


@frozen
class Box:
    """What holds for all functions: where the box pretends to be, what workers get, limits by default."""

    region: str = "us-east-1"
    account: str = "000000000000"
    worker_environment: Mapping[str, str] = field(factory=dict)
    variables: Mapping[str, str] = field(factory=dict)
    limits: PoolLimits = field(factory=PoolLimits)
    login_path: str = LOGIN_PATH

    def arn(self, function: str) -> str:
        """Return a function's ARN, without qualifier."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{function}"


@frozen
class FunctionPlan:
    """What one function needs to run; `timeout` in seconds."""

    spec: WorkerSpec
    limits: PoolLimits
    timeout: float


@frozen
class Plan:
    """A generation, understood.

    `written` is what its `functions.yml` says, `${NAME}` unexpanded; `modified` is when, in seconds since the
    epoch.
    """

    generation: str | None
    functions: Mapping[str, FunctionPlan]
    router: Router
    schedules: tuple[Schedule, ...]
    warnings: tuple[str, ...]
    written: FunctionsConfig = field(factory=FunctionsConfig)
    modified: float = 0.0


@frozen
class Deployment:
    """A generation, ready to serve; `written` and `modified` as in its plan."""

    box: Box
    generation: str | None = None
    targets: Mapping[str, Target] = field(factory=dict)
    router: Router = field(factory=lambda: Router(()))
    schedules: tuple[Schedule, ...] = ()
    warnings: tuple[str, ...] = ()
    written: FunctionsConfig = field(factory=FunctionsConfig)
    modified: float = 0.0

    def arn_of(self, function: str) -> str:
        """Return the ARN a function of that name has or would have."""
        return self.box.arn(function)


class Served:
    """The deployment that is served now; whoever answers a request takes `current` once and keeps it."""

    __slots__ = ("current",)

    def __init__(self, deployment: Deployment) -> None:
        self.current = deployment


def plan_deployment(loaded: LoadedConfig, box: Box, modified: float = 0.0) -> Plan:
    """Understand a loaded config that was written at `modified`.

    Raises:
        ArtifactError: an environment refers to a variable that has no value (contract §9).
    """
    config = loaded.config
    expanded = expand_functions(config.functions, box.variables)
    functions = {
        name: _function_plan(with_defaults(function, expanded.defaults), box)
        for name, function in expanded.functions.items()
    }
    router = plan_router(config.routing, expanded.functions.values())
    schedules, schedule_warnings = _schedules(expanded.functions.values())
    warnings = [
        *(str(problem) for problem in loaded.warnings),
        *_limit_warnings(functions),
        *_route_warnings(config, router, box),
        *cors_and_url_warnings(config.routing, expanded.functions.values()),
        *schedule_warnings,
    ]
    return Plan(
        loaded.generation,
        functions,
        router,
        tuple(schedules),
        tuple(warnings),
        written=config.functions,
        modified=modified,
    )


def _function_plan(function: Function, box: Box) -> FunctionPlan:
    timeout = function.timeout or _DEFAULT_TIMEOUT
    spec = WorkerSpec(
        function=function.name,
        image=function.image,
        handler=function.handler,
        runtime=function.runtime,
        timeout_ms=timeout * 1000,
        memory_mb=function.memory_size or _DEFAULT_MEMORY,
        environment=tuple(sorted({**box.worker_environment, **function.environment}.items())),
        sandbox=function.sandbox,
    )
    return FunctionPlan(spec, _limits(function.scaling or Scaling(), box.limits), float(timeout))


def _limits(scaling: Scaling, default: PoolLimits) -> PoolLimits:
    def chosen(own: float | None, fallback: float) -> float:
        return fallback if own is None else own

    return PoolLimits(
        min=int(chosen(scaling.min_capacity, default.min)),
        # A minimum above the gateway's default maximum is a wish for more workers, not a mistake.
        max=int(chosen(scaling.max_capacity, max(default.max, scaling.min_capacity or 0))),
        idle_timeout=chosen(scaling.idle_timeout, default.idle_timeout),
        acquire_timeout=chosen(scaling.acquire_timeout, default.acquire_timeout),
        queue=default.queue,
        pause_after=default.pause_after,
        reserved=scaling.max_capacity is not None,
    )


def _limit_warnings(functions: Mapping[str, FunctionPlan]) -> list[str]:
    return [
        f"function {name}: min_capacity {plan.limits.min} is above max_capacity {plan.limits.max}, which wins"
        for name, plan in functions.items()
        if plan.limits.min > plan.limits.max
    ]


def _route_warnings(config: RuntimeConfig, router: Router, box: Box) -> list[str]:
    warnings = []
    own = RESERVED_PATHS | {box.login_path}
    for route in config.routing:
        if route.path in own or is_lambda_api(route.path) or is_dead_letters(route.path):
            warnings.append(
                f"route {route.method} {route.path}: never reached, the path is the gateway's own"
            )
    for earlier, later in router.shadowed:
        warnings.append(f"route {earlier.key}: never reached, {later.key} takes the same requests")
    return warnings


def _schedules(functions: Iterable[Function]) -> tuple[list[Schedule], list[str]]:
    """One that can't be read is left out with a warning: it must not keep all functions from being served."""
    schedules, warnings = [], []
    for function in functions:
        for event in function.events:
            if not event.enabled:
                continue
            try:
                times = parse_expression(event.rate, event.timezone)
            except ExpressionError as error:
                warnings.append(f"function {function.name}: schedule left out: {error}")
            else:
                schedules.append(
                    Schedule(function.name, event.rate, times, event.input, event.timezone, event.name)
                )
    return schedules, warnings
