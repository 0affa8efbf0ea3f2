"""What services read at run time: a DeploySpec as the files of `runtime-config/` (contract §9)."""

from collections.abc import Mapping

from artifact_contract.codec import dump_yaml
from artifact_contract.nodes import from_python
from artifact_contract.runtime_config import FUNCTIONS_FILE, RESOURCES_FILE, ROUTING_FILE

from esb_cli.spec_model import DeploySpec, FunctionSpec

__all__ = ["config_files"]


def config_files(spec: DeploySpec, images: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files by name, without those that say nothing; `images` are references by function name."""
    functions = {function.name: _function(function, images[function.name]) for function in spec.functions}
    routes = [
        {
            "path": route.path,
            "method": route.method,
            "function": function.name,
            "payload_version": route.payload_version,
        }
        for function in spec.functions
        for route in function.routes
    ]
    documents: dict[str, object] = {
        FUNCTIONS_FILE: {"functions": functions},
        ROUTING_FILE: {"routes": routes},
    }
    if resources := _resources(spec):
        documents[RESOURCES_FILE] = {"resources": resources}
    return {name: dump_yaml(from_python(value)).encode() for name, value in documents.items()}


def _function(spec: FunctionSpec, image: str) -> dict[str, object]:
    scaling = {"min_capacity": spec.min_capacity, "max_capacity": spec.max_capacity}
    events = [
        {"schedule": {"rate": it.expression} | ({} if it.input is None else {"input": it.input})}
        for it in spec.schedules
        if it.enabled
    ]
    said: dict[str, object] = {
        "image": image,
        "runtime": spec.runtime,
        "handler": spec.handler,
        "architectures": list(spec.architectures),
        "timeout": spec.timeout,
        "memory_size": spec.memory_size,
        "environment": dict(spec.environment),
        "scaling": {key: value for key, value in scaling.items() if value is not None},
        "events": events,
    }
    return {key: value for key, value in said.items() if value not in ({}, [])}


def _resources(spec: DeploySpec) -> dict[str, object]:
    lists = {
        "dynamodb": [table.properties for table in spec.tables],
        "s3": [bucket.properties for bucket in spec.buckets],
        "layers": [{"Name": layer.name} for layer in spec.layers],
    }
    return {name: items for name, items in lists.items() if items}
