"""The runtime config as typed values: functions, routes, resources, image imports (contract §9).

Only what the contract names is typed. Other keys are legal: they stand in `extra` as plain values, and
merging, which works on the nodes, keeps them as they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, field, frozen

from artifact_contract.config_files import (
    CONFIG_FILES,
    FUNCTIONS_FILE,
    IMAGE_IMPORT_FILE,
    PAYLOAD_VERSIONS,
    REQUIRED_FILES,
    RESOURCE_KEYS,
    RESOURCES_FILE,
    ROUTING_FILE,
)
from artifact_contract.nodes import PlainValue

__all__ = [
    "CONFIG_FILES",
    "FUNCTIONS_FILE",
    "IMAGE_IMPORT_FILE",
    "PAYLOAD_VERSIONS",
    "REQUIRED_FILES",
    "RESOURCES_FILE",
    "RESOURCE_KEYS",
    "ROUTING_FILE",
    "Defaults",
    "Function",
    "FunctionsConfig",
    "ImageImport",
    "ImageImportEntry",
    "ResourcesConfig",
    "Route",
    "RuntimeConfig",
    "Scaling",
    "ScheduleEvent",
    "with_defaults",
]

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
    """A schedule: a `rate(...)` or `cron(...)` expression, and the event text to invoke with."""

    rate: str
    input: str | None = None


@frozen
class Function:
    """One function; `timeout` in seconds, `memory_size` in MB, None where the file says nothing."""

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
class Route:
    """One route; `method` is upper-case, `payload_version` `1.0` or `2.0`."""

    path: str
    method: str
    function: str
    payload_version: str = "1.0"
    extra: Mapping[str, PlainValue] = NO_EXTRA


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
