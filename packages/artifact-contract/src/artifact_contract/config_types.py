"""The runtime config as typed values: functions, routes, resources, image imports (contract §9).

Only what the contract names is typed. Other keys are legal: they stand in `extra` as plain values, and
merging, which works on the nodes, keeps them as they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, field, frozen

from artifact_contract.nodes import PlainValue

NO_TEXTS: Mapping[str, str] = MappingProxyType({})
NO_EXTRA: Mapping[str, PlainValue] = MappingProxyType({})


@frozen
class Scaling:
    """How many workers a function has, times in seconds; None leaves it to the defaults or the gateway."""

    min_capacity: int | None = None
    max_capacity: int | None = None
    idle_timeout: float | None = None
    acquire_timeout: float | None = None


@frozen
class ScheduleEvent:
    """A schedule: a `rate(...)` or `cron(...)` expression, and the event text to invoke with.

    `timezone` is the IANA name that a cron expression is meant in, `""` UTC; only its form was checked.
    """

    rate: str
    input: str | None = None
    timezone: str = ""
    enabled: bool = True
    name: str = ""


@frozen
class Cors:
    """What other origins' pages may do; methods in upper case, `*` stands for all, `max_age` in seconds."""

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    allow_credentials: bool = False
    max_age: int | None = None


@frozen
class FunctionUrl:
    """A function's own URL; `auth_type` is `NONE` or `AWS_IAM`, the mode `BUFFERED` or `RESPONSE_STREAM`."""

    auth_type: str = "NONE"
    invoke_mode: str = "BUFFERED"
    cors: Cors | None = None


@frozen
class AsyncInvoke:
    """How events of a function are kept: `max_age` in seconds, None where the gateway's own setting holds.

    `on_failure` is the function that is told of an event given up: its name, or its ARN as it was written.
    """

    max_age: int | None = None
    max_retries: int | None = None
    on_failure: str = ""


@frozen
class Function:
    """One function; `timeout` in seconds, `memory_size` in MB, None where the file says nothing.

    `sandbox` is what its workers are shut in; empty: the agent's own choice.
    """

    name: str
    image: str
    timeout: int | None = None
    memory_size: int | None = None
    environment: Mapping[str, str] = NO_TEXTS
    scaling: Scaling | None = None
    events: tuple[ScheduleEvent, ...] = ()
    runtime: str = ""
    handler: str = ""
    architectures: tuple[str, ...] = ()
    function_url: FunctionUrl | None = None
    async_invoke: AsyncInvoke | None = None
    description: str = ""
    sandbox: str = ""
    extra: Mapping[str, PlainValue] = NO_EXTRA


@frozen
class Defaults:
    """What holds for a function that is silent; `extra` has the defaults the contract doesn't name."""

    environment: Mapping[str, str] = NO_TEXTS
    scaling: Scaling | None = None
    timeout: int | None = None
    memory_size: int | None = None
    runtime: str = ""
    handler: str = ""
    architectures: tuple[str, ...] = ()
    extra: Mapping[str, PlainValue] = NO_EXTRA


@frozen
class FunctionsConfig:
    """`functions.yml`."""

    defaults: Defaults = field(factory=Defaults)
    functions: Mapping[str, Function] = field(factory=lambda: MappingProxyType({}))


@frozen
class RouteAuth:
    """Who may call a route: `type` is `none`, `api_key`, `jwt` or `closed` (nobody); the rest is of `jwt`.

    Without an issuer the box's own tokens are meant; an empty `audience` or `scopes` asks for none.
    """

    type: str
    issuer: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


@frozen
class Route:
    """One route; `method` is upper-case, `payload_version` `1.0` or `2.0`, `api_type` `rest` or `http`.

    `stage` is empty where the kind of API decides it; `auth` None is an open route.
    """

    path: str
    method: str
    function: str
    payload_version: str = "1.0"
    api_type: str = field()
    stage: str = ""
    auth: RouteAuth | None = None
    cors: Cors | None = None
    extra: Mapping[str, PlainValue] = NO_EXTRA

    @api_type.default
    def _of_payload(self) -> str:
        return "http" if self.payload_version == "2.0" else "rest"


@frozen
class ResourcesConfig:
    """`resources.yml`: resources in the shape CloudFormation gives them; `others` are lists not in §9."""

    dynamodb: tuple[Mapping[str, PlainValue], ...] = ()
    s3: tuple[Mapping[str, PlainValue], ...] = ()
    layers: tuple[Mapping[str, PlainValue], ...] = ()
    others: Mapping[str, PlainValue] = NO_EXTRA


@frozen
class ImageImportEntry:
    """One image to bring from `image_source` to `image_ref`."""

    function_name: str = ""
    image_source: str = ""
    image_ref: str = ""

    @property
    def key(self) -> str:
        """What the entry is merged by: `function_name`, else `image_source|image_ref` (§10)."""
        return self.function_name or f"{self.image_source}|{self.image_ref}"


@frozen
class ImageImport:
    """`image-import.json`."""

    version: str = ""
    push_target: str = ""
    images: tuple[ImageImportEntry, ...] = ()


@frozen
class RuntimeConfig:
    """All four files; what services work with."""

    functions: FunctionsConfig = field(factory=FunctionsConfig)
    routing: tuple[Route, ...] = ()
    resources: ResourcesConfig = field(factory=ResourcesConfig)
    images: ImageImport = field(factory=ImageImport)


def with_defaults(function: Function, defaults: Defaults) -> Function:
    """The function with the defaults filled in where it is silent; `environment` and `scaling` key by key."""
    return evolve(
        function,
        environment={**defaults.environment, **function.environment},
        scaling=_fill_scaling(function.scaling or Scaling(), defaults.scaling or Scaling()),
        timeout=defaults.timeout if function.timeout is None else function.timeout,
        memory_size=defaults.memory_size if function.memory_size is None else function.memory_size,
        runtime=function.runtime or defaults.runtime,
        handler=function.handler or defaults.handler,
        architectures=function.architectures or defaults.architectures,
        extra={**defaults.extra, **function.extra},
    )


def _fill_scaling(own: Scaling, default: Scaling) -> Scaling:
    def pick(name: str) -> float | None:
        value: float | None = getattr(own, name)
        fallback: float | None = getattr(default, name)
        return fallback if value is None else value

    minimum, maximum = pick("min_capacity"), pick("max_capacity")
    return Scaling(
        None if minimum is None else int(minimum),
        None if maximum is None else int(maximum),
        pick("idle_timeout"),
        pick("acquire_timeout"),
    )
