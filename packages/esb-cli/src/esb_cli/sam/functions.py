"""What a function of a template is on a box."""

import re
from pathlib import Path

from artifact_contract.nodes import quote
from attrs import frozen

from esb_cli.sam.apis import RouteBook
from esb_cli.sam.code import Site, build_settings, function_code, image_code, requirements_in
from esb_cli.sam.environment import environment_of
from esb_cli.sam.events import Events, read_events
from esb_cli.sam.invoking import async_invoke_of, function_url_of
from esb_cli.sam.layers import Layers
from esb_cli.sam.properties import Properties, is_nothing, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.sandbox import sandbox_of
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Text, describe
from esb_cli.spec_model import CodeSource, FunctionSpec, ImageSource, LocalDir, Where

__all__ = ["FUNCTION_TYPES", "Reader"]

FUNCTION_TYPES = ("AWS::Serverless::Function", "AWS::Lambda::Function")
_PYTHON = re.compile(r"python3\.[0-9]{1,2}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_HANDLER = re.compile(r"[^\s.]\S*\.[^\s./]+\Z")
_ARCHITECTURES = ("x86_64", "arm64")


@frozen
class Reader:
    """Reads functions one after the other; they share the template's layers and routes."""

    resolution: Resolution
    layers: Layers
    book: RouteBook
    site: Site

    def read(self, resource: Resource) -> FunctionSpec | None:
        """The function; None when it is left out or wrong, which is reported either way."""
        props = of_resource(resource, self.resolution)
        if _is_image(resource, props):
            code = image_code(props)
            return self._with_code(resource, props, "", "", code) if code is not None else None
        runtime = self._runtime(props)
        if runtime is None:
            return None
        handler = props.required_text("Handler", "module.function")
        if handler is None:
            return None
        if not _HANDLER.match(handler.text):
            props.wrong("Handler", "module.function", quote(handler.text), at=handler)
            return None
        return self._with_source(resource, props, runtime, handler.text)

    def _runtime(self, props: Properties) -> str | None:
        runtime = props.required_text("Runtime", "a runtime such as python3.12")
        if runtime is None or _PYTHON.match(runtime.text):
            return None if runtime is None else runtime.text
        props.lose(
            f"the function is left out: runtime {runtime.text} isn't supported in this version", runtime
        )
        return None

    def _with_source(
        self, resource: Resource, props: Properties, runtime: str, handler: str
    ) -> FunctionSpec | None:
        code = function_code(props, resource, handler, self.site)
        method, builds = build_settings(props, resource)
        if method and not method.startswith("python"):
            props.lose(f"its build method {method}: the directory is taken as it is")
            builds = False
        requirements = requirements_in(code.path) if builds and isinstance(code, LocalDir) else None
        return self._with_code(resource, props, runtime, handler, code, requirements=requirements)

    def _with_code(
        self,
        resource: Resource,
        props: Properties,
        runtime: str,
        handler: str,
        code: CodeSource | None,
        *,
        requirements: Path | None = None,
    ) -> FunctionSpec | None:
        name = self._name(resource, props)
        sam = resource.type == FUNCTION_TYPES[0]
        events = read_events(props, self.book) if sam else Events()
        low, high = _capacity(props)
        spec = FunctionSpec(
            logical_id=resource.logical_id,
            name=name,
            runtime=runtime,
            handler=handler,
            code=code or LocalDir(self.site.directory),
            where=Where(self.resolution.report.file, resource.line),
            layers=() if isinstance(code, ImageSource) else self.layers.of_function(props),
            requirements=requirements,
            environment=environment_of(props),
            timeout=_or(props.integer("Timeout", 1, 900, " seconds"), 3),
            memory_size=_or(props.integer("MemorySize", 128, 10240, " MB"), 128),
            architectures=_architectures(props),
            min_capacity=low,
            max_capacity=high,
            routes=tuple(events.routes),
            schedules=tuple(events.schedules),
            function_url=function_url_of(props) if sam else None,
            async_invoke=async_invoke_of(props) if sam else None,
            description=_description(props),
            sandbox=sandbox_of(props, resource),
        )
        _logging(props)
        props.finish(resource.type)
        return None if code is None else spec

    def _name(self, resource: Resource, props: Properties) -> str:
        name = props.text("FunctionName") or Text(resource.logical_id)
        if not _NAME.match(name.text):
            props.wrong("FunctionName", "1 to 64 letters, digits, - and _", quote(name.text))
        return name.text


def _is_image(resource: Resource, props: Properties) -> bool:
    package = props.text("PackageType")
    if (package is not None and package.text == "Image") or props.value("ImageUri") is not None:
        return True
    code = props.value("Code") if resource.type == FUNCTION_TYPES[1] else None
    return isinstance(code, Fields) and "ImageUri" in code.items


def _description(props: Properties) -> str:
    """The description; none where it isn't known, as nothing depends on it."""
    value = props.value("Description")
    return value.text if isinstance(value, Text) and not is_nothing(value) else ""


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _architectures(props: Properties) -> tuple[str, ...]:
    items = props.items("Architectures")
    texts = tuple(item.text for item in items if isinstance(item, Text))
    if len(items) > 1 or len(texts) < len(items) or not set(texts) <= set(_ARCHITECTURES):
        found = ", ".join(map(describe, items))
        props.wrong("Architectures", "[x86_64] or [arm64]", found)
    return texts or _ARCHITECTURES[:1]


def _capacity(props: Properties) -> tuple[int | None, int | None]:
    """How many workers are kept, and how many there may be at most."""
    high = props.integer("ReservedConcurrentExecutions", 0, 100_000)
    config = props.child("ProvisionedConcurrencyConfig")
    low = None if config is None else config.integer("ProvisionedConcurrentExecutions", 1, 100_000)
    if config is not None:
        config.finish("ProvisionedConcurrencyConfig")
    if low is not None and high is not None and low > high:
        expected = f"at most {high}, the ReservedConcurrentExecutions"
        props.wrong("ProvisionedConcurrencyConfig", expected, str(low))
    return low, high


def _logging(props: Properties) -> None:
    logging = props.child("LoggingConfig")
    if logging is not None:
        text = logging.text("LogFormat")
        if text is not None and text.text != "Text":
            logging.lose(f"its log format {text.text}", text)
        logging.finish("LoggingConfig")
