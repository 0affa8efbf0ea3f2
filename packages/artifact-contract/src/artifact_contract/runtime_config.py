"""The nodes of the runtime config's files to typed values (contract §9).

Written by hand and not with cattrs, because there may be ten thousand functions. Everything wrong in a
file is reported together; keys that the contract doesn't name are legal and stand in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping

from artifact_contract.config_fields import Check, FieldReader, read_fields, text
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
from artifact_contract.config_sandbox import refuse_default_sandbox, refuse_misspelt_sandbox
from artifact_contract.config_sections import DEFAULTS_FIELDS, FUNCTION_FIELDS, ROUTE_FIELDS
from artifact_contract.config_types import (
    AsyncInvoke,
    Cors,
    Defaults,
    Function,
    FunctionsConfig,
    FunctionUrl,
    ImageImport,
    ImageImportEntry,
    ResourcesConfig,
    Route,
    RouteAuth,
    RuntimeConfig,
    Scaling,
    ScheduleEvent,
    with_defaults,
)
from artifact_contract.errors import FieldError, Severity, in_order, raise_errors
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, PlainValue, Scalar, as_text, describe, plain_python, quote
from artifact_contract.parsed import Parsed, Places
from artifact_contract.paths import parse_segment

__all__ = [
    "CONFIG_FILES",
    "FUNCTIONS_FILE",
    "IMAGE_IMPORT_FILE",
    "PAYLOAD_VERSIONS",
    "REQUIRED_FILES",
    "RESOURCES_FILE",
    "RESOURCE_KEYS",
    "ROUTING_FILE",
    "AsyncInvoke",
    "Cors",
    "Defaults",
    "Function",
    "FunctionUrl",
    "FunctionsConfig",
    "ImageImport",
    "ImageImportEntry",
    "ResourcesConfig",
    "Route",
    "RouteAuth",
    "RuntimeConfig",
    "Scaling",
    "ScheduleEvent",
    "structure_functions",
    "structure_image_import",
    "structure_resources",
    "structure_routing",
    "with_defaults",
]

DEFAULT_ROUTE = "$default"  # HTTP API: what matches no other route

_IMAGE_FIELDS: Mapping[str, FieldReader] = {"function_name": text, "image_source": text, "image_ref": text}


def structure_functions(node: Node, file: str = FUNCTIONS_FILE) -> Parsed[FunctionsConfig]:
    """`functions.yml`.

    Raises:
        ArtifactError: it breaks §9; has every problem of the file.
    """
    check = Check(Places(node, file))
    top = check.mapping(node, ())
    defaults = Defaults()
    if "defaults" in top:
        defaults = Defaults(**read_fields(check, top["defaults"], ("defaults",), DEFAULTS_FIELDS))
        refuse_default_sandbox(check, defaults.extra, ("defaults",))
    functions = {}
    for name, body in check.mapping(top.get("functions"), ("functions",)).items():
        function = _function(check, name, body)
        if function:
            functions[name] = function
    return Parsed(FunctionsConfig(defaults, functions), raise_errors(in_order(check.problems)))


def _function(check: Check, name: str, node: Node) -> Function | None:
    path = ("functions", name)
    try:
        parse_segment(name)
    except FieldError as error:
        check.problems.append(error.at(check.places.key(path), f"functions.{name}"))
    if not isinstance(node, MappingNode):
        check.report(path, "a mapping", describe(node))
        return None
    values = read_fields(check, node, path, FUNCTION_FIELDS)
    refuse_misspelt_sandbox(check, values.get("extra", ()), path)
    if "image" not in values:
        check.missing((*path, "image"), "an image reference")
        return None
    return Function(name, **values)


def structure_routing(node: Node, file: str = ROUTING_FILE) -> Parsed[tuple[Route, ...]]:
    """`routing.yml`; a route without a path is a warning and left out (§10).

    Raises:
        ArtifactError: it breaks §9; has every problem of the file.
    """
    check = Check(Places(node, file))
    routes = []
    for index, item in enumerate(check.sequence(check.mapping(node, ()).get("routes"), ("routes",))):
        route = _route(check, index, item)
        if route:
            routes.append(route)
    return Parsed(tuple(routes), raise_errors(in_order(check.problems)))


def _route(check: Check, index: int, node: Node) -> Route | None:
    path = ("routes", index)
    if not isinstance(node, MappingNode):
        check.report(path, "a mapping", describe(node))
        return None
    values = read_fields(check, node, path, ROUTE_FIELDS)
    if "path" not in values:
        check.missing((*path, "path"), "a path; the route is ignored", Severity.WARNING)
        return None
    if not values["path"].startswith("/") and values["path"] != DEFAULT_ROUTE:
        check.report((*path, "path"), "a path that starts with /", quote(values["path"]), Severity.STRICT)
    if "function" not in values:
        check.missing((*path, "function"), "the name of a function")
        return None
    version = values.setdefault("payload_version", "1.0")
    if version not in PAYLOAD_VERSIONS:
        check.report((*path, "payload_version"), " or ".join(PAYLOAD_VERSIONS), quote(version))
    if version == "2.0" and values.get("api_type") == "rest":
        check.report((*path, "api_type"), "http, as a REST API has payload 1.0 only", "'rest'")
    allowed = values.get("cors")
    if allowed and allowed.allow_credentials and "*" in allowed.allow_origins:
        # API Gateway refuses it, and browsers ignore the answer
        check.report((*path, "cors", "allow_credentials"), "false while every origin is allowed", "true")
    values["method"] = values.get("method", "GET").upper()
    return Route(**values)


def structure_resources(node: Node, file: str = RESOURCES_FILE) -> Parsed[ResourcesConfig]:
    """`resources.yml`; a list this version doesn't know is a warning, as it is merged as a whole (§10).

    Raises:
        ArtifactError: it breaks §9; has every problem of the file.
    """
    check = Check(Places(node, file))
    resources = check.mapping(check.mapping(node, ()).get("resources"), ("resources",))
    lists = {kind: _resources(check, kind, key, resources.get(kind)) for kind, key in RESOURCE_KEYS.items()}
    others = {kind: plain_python(value) for kind, value in resources.items() if kind not in RESOURCE_KEYS}
    for kind in others:
        path, found = ("resources", kind), "a list this version doesn't know; it is merged as a whole"
        check.report(path, f"one of {', '.join(RESOURCE_KEYS)}", found, Severity.WARNING)
    return Parsed(ResourcesConfig(**lists, others=others), raise_errors(in_order(check.problems)))


def _resources(check: Check, kind: str, key: str, node: Node | None) -> tuple[Mapping[str, PlainValue], ...]:
    found = []
    for index, item in enumerate(check.sequence(node, ("resources", kind))):
        path = ("resources", kind, index)
        if not isinstance(item, MappingNode):
            check.report(path, "a mapping", describe(item))
            continue
        name = item.items.get(key)
        if not isinstance(name, Scalar) or not as_text(name).strip():
            check.report((*path, key), "a name", describe(name))
            continue
        value = plain_python(item)
        # a name is a text also when it looks like a number
        found.append({**value, key: as_text(name)})  # type: ignore[dict-item] # a mapping node gives a dict
    return tuple(found)


def structure_image_import(node: Node, file: str = IMAGE_IMPORT_FILE) -> Parsed[ImageImport]:
    """`image-import.json`.

    Raises:
        ArtifactError: it breaks §9; has every problem of the file.
    """
    check = Check(Places(node, file))
    top = check.mapping(node, ())
    images = []
    for index, item in enumerate(check.sequence(top.get("images"), ("images",))):
        path = ("images", index)
        values = read_fields(check, item, path, _IMAGE_FIELDS)
        values.pop("extra", None)
        if "function_name" not in values and not ("image_source" in values and "image_ref" in values):
            check.missing((*path, "function_name"), "a name, or image_source and image_ref")
        images.append(ImageImportEntry(**values))
    empty = Scalar("")
    version = text(check, top.get("version", empty), (), "version") or ""
    target = text(check, top.get("push_target", empty), (), "push_target") or ""
    return Parsed(ImageImport(version, target, tuple(images)), raise_errors(in_order(check.problems)))
