"""What services read at run time: a DeploySpec as the files of `runtime-config/` (contract §9)."""

from collections.abc import Mapping

from artifact_contract.codec import dump_yaml
from artifact_contract.config_types import FunctionUrl, ScheduleEvent
from artifact_contract.nodes import from_python
from artifact_contract.runtime_config import FUNCTIONS_FILE, RESOURCES_FILE, ROUTING_FILE
from attrs import AttrsInstance, evolve, fields

from esb_cli.spec_model import DeploySpec, FunctionSpec, RouteSpec, ScheduleSpec

__all__ = ["config_files"]


def config_files(spec: DeploySpec, images: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files by name, without those that say nothing; `images` are references by function name."""
    functions = {function.name: _function(function, images[function.name]) for function in spec.functions}
    routes = [_route(route, function.name) for function in spec.functions for route in function.routes]
    documents: dict[str, object] = {
        FUNCTIONS_FILE: {"functions": functions},
        ROUTING_FILE: {"routes": routes},
    }
    if resources := _resources(spec):
        documents[RESOURCES_FILE] = {"resources": resources}
    return {name: dump_yaml(from_python(value)).encode() for name, value in documents.items()}


def _route(route: RouteSpec, function: str) -> dict[str, object]:
    said: dict[str, object] = {
        "path": route.path,
        "method": route.method,
        "function": function,
        "payload_version": route.payload_version,
    }
    if (route.api_type == "http") != (route.payload_version == "2.0"):
        said["api_type"] = route.api_type
    sections = {"stage": route.stage, "auth": _section(route.auth), "cors": _section(route.cors)}
    return said | {key: value for key, value in sections.items() if value}


def _section(value: AttrsInstance | None) -> dict[str, object]:
    """The fields of a section that say something: those that aren't what they are by default."""
    said: dict[str, object] = {}
    for one in fields(type(value)) if value is not None else ():
        item = getattr(value, one.name)
        if item != one.default:
            said[one.name] = list(item) if isinstance(item, tuple) else item
    return said


def _function_url(url: FunctionUrl | None) -> dict[str, object]:
    if url is None:
        return {}
    cors = {} if url.cors is None else {"cors": _section(url.cors)}
    return {"auth_type": url.auth_type, **_section(evolve(url, cors=None)), **cors}


def _schedule(spec: ScheduleSpec) -> dict[str, object]:
    event = ScheduleEvent(spec.expression, spec.input, spec.timezone, spec.enabled, spec.name)
    return {"schedule": _section(event)}


def _function(spec: FunctionSpec, image: str) -> dict[str, object]:
    scaling = {"min_capacity": spec.min_capacity, "max_capacity": spec.max_capacity}
    said: dict[str, object] = {
        "image": image,
        "description": spec.description,
        "runtime": spec.runtime,
        "handler": spec.handler,
        "architectures": list(spec.architectures),
        "timeout": spec.timeout,
        "memory_size": spec.memory_size,
        "environment": dict(spec.environment),
        "scaling": {key: value for key, value in scaling.items() if value is not None},
        "events": [_schedule(schedule) for schedule in spec.schedules],
        "function_url": _function_url(spec.function_url),
        "async_invoke": _section(spec.async_invoke),
        "sandbox": spec.sandbox,
    }
    return {key: value for key, value in said.items() if value not in ({}, [], "")}


def _resources(spec: DeploySpec) -> dict[str, object]:
    lists = {
        "dynamodb": [table.properties for table in spec.tables],
        "s3": [bucket.properties for bucket in spec.buckets],
        "layers": [{"Name": layer.name} for layer in spec.layers],
    }
    return {name: items for name, items in lists.items() if items}
