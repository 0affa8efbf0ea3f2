"""What a template asks a box to run: the values between reading a template and rendering an artifact.

    bytes -parse-> Template -resolve-> DeploySpec -render-> RenderedArtifact -publish-> artifact root

Everything here is frozen and fully resolved: no intrinsic function, no parameter, no condition is left in it.
Tuples keep the order of the template.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifact_contract.config_types import AsyncInvoke, Cors, FunctionUrl, RouteAuth
from attrs import field, frozen

__all__ = [
    "BucketSpec",
    "CodeSource",
    "DeploySpec",
    "Finding",
    "FunctionSpec",
    "ImageSource",
    "Inline",
    "LayerSpec",
    "LocalDir",
    "RouteSpec",
    "ScheduleSpec",
    "TableSpec",
    "Where",
]


@frozen
class Where:
    """A place in a template. `line` counts from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen
class LocalDir:
    """Code that lies in a directory. The path exists and is absolute."""

    path: Path


@frozen
class Inline:
    """Code that stands in the template, to be written as `filename` into the function's source directory."""

    text: str
    filename: str


@frozen
class ImageSource:
    """Code that is a container image, with its reference; what else is given replaces what the image says."""

    uri: str
    command: tuple[str, ...] = ()
    entry_point: tuple[str, ...] = ()
    working_directory: str = ""


CodeSource = LocalDir | Inline | ImageSource


@frozen
class LayerSpec:
    """A local layer. `source` is an existing, absolute directory.

    `content_root` is where the directory's content goes below `/opt`: `""` (copied as it is) or `"python"`
    (a layer that is built from its sources, see `BuildMethod`).
    `requirements` is the requirements.txt to install below `/opt/python`, when the layer is a built one.
    """

    name: str
    source: Path
    content_root: str = ""
    requirements: Path | None = None
    logical_id: str = ""
    where: Where = Where("", 0)


@frozen
class RouteSpec:
    """One route. `path` is as API Gateway writes it, or `$default`; `method` is upper case, or `ANY`.

    `payload_version` is "1.0" (REST proxy events) or "2.0" (HTTP API events); `api_type` is `rest` or `http`.
    No `auth` is an open route, no `stage` the default one of its kind of API.
    """

    path: str
    method: str
    payload_version: str = "1.0"
    api_type: str = field()
    stage: str = ""
    auth: RouteAuth | None = None
    cors: Cors | None = None

    @api_type.default
    def _of_payload(self) -> str:
        return "http" if self.payload_version == "2.0" else "rest"


@frozen
class ScheduleSpec:
    """One schedule. `expression` is `rate(…)` or `cron(…)`; `input` is JSON text; none: the default event.

    `timezone` is an IANA name; none: UTC.
    """

    expression: str
    input: str | None = None
    enabled: bool = True
    timezone: str = ""
    name: str = ""


@frozen
class FunctionSpec:
    """One function. `timeout` is in seconds, `memory_size` in MB.

    `environment` values may hold `${NAME}` where a NoEcho parameter stands (contract §8, §9).
    `requirements` is the requirements.txt beside the code, when there is one. Where the code is an image,
    `runtime` and `handler` are empty: the image knows. `sandbox` is empty where the agent chooses.
    """

    logical_id: str
    name: str
    runtime: str
    handler: str
    code: CodeSource
    where: Where
    layers: tuple[LayerSpec, ...] = ()
    requirements: Path | None = None
    environment: Mapping[str, str] = field(factory=dict)
    timeout: int = 3
    memory_size: int = 128
    architectures: tuple[str, ...] = ("x86_64",)
    min_capacity: int | None = None
    max_capacity: int | None = None
    routes: tuple[RouteSpec, ...] = ()
    schedules: tuple[ScheduleSpec, ...] = ()
    function_url: FunctionUrl | None = None
    async_invoke: AsyncInvoke | None = None
    description: str = ""
    sandbox: str = ""


@frozen
class TableSpec:
    """A DynamoDB table. `properties` is its item of resources.yml, as CloudFormation writes it."""

    name: str
    properties: Mapping[str, Any]  # CloudFormation's own JSON shape: any value JSON has
    logical_id: str = ""
    where: Where = Where("", 0)


@frozen
class BucketSpec:
    """An S3 bucket. `properties` is its item of resources.yml, as CloudFormation writes it."""

    name: str
    properties: Mapping[str, Any]  # CloudFormation's own JSON shape: any value JSON has
    logical_id: str = ""
    where: Where = Where("", 0)


@frozen
class Finding:
    """Something of the template that the box won't have. `lost` says what, in a few words."""

    logical_id: str
    type: str
    file: str
    line: int
    lost: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.logical_id} ({self.type}): {self.lost}"


@frozen
class DeploySpec:
    """All that one template asks for.

    `layers` are the template's local layers, for resources.yml; each function names its own as well.
    `secrets` names the NoEcho parameters that environment values refer to as `${NAME}`: what has to be in
    `required_secret_env`. `secret_parameters` names all whose value is no default of the template: none of
    them may stand in `source_template.parameters` (contract §8).
    """

    functions: tuple[FunctionSpec, ...] = ()
    tables: tuple[TableSpec, ...] = ()
    buckets: tuple[BucketSpec, ...] = ()
    layers: tuple[LayerSpec, ...] = ()
    findings: tuple[Finding, ...] = ()
    secrets: tuple[str, ...] = ()
    secret_parameters: tuple[str, ...] = ()
