"""Merges the Globals section into the resources it is for, before anything is evaluated, as SAM does.

Mappings are merged key by key, lists are joined (the global items first); for anything else, and for values
of different kinds, what stands at the resource wins. An intrinsic function counts as one value.
"""

from collections.abc import Iterable

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, describe, is_null
from attrs import evolve

from esb_cli.sam.compose import Spot
from esb_cli.sam.report import Report
from esb_cli.sam.template import Resource, Template

__all__ = ["check_globals", "global_properties", "merge", "with_globals"]

_PREFIX = "AWS::Serverless::"
# SAM's own list; what it doesn't take there it doesn't apply either, so it would be lost without a word
_ALLOWED = {
    "Function": frozenset(
        (
            *("Handler", "Runtime", "CodeUri", "DeadLetterQueue", "Description", "MemorySize", "Timeout"),
            *(
                "VpcConfig",
                "Environment",
                "Tags",
                "PropagateTags",
                "Tracing",
                "KmsKeyArn",
                "AutoPublishAlias",
            ),
            *("AutoPublishAliasAllProperties", "Layers", "DeploymentPreference", "RolePath"),
            *("PermissionsBoundary", "ReservedConcurrentExecutions", "ProvisionedConcurrencyConfig"),
            *("AssumeRolePolicyDocument", "EventInvokeConfig", "FileSystemConfigs", "CodeSigningConfigArn"),
            *(
                "Architectures",
                "SnapStart",
                "EphemeralStorage",
                "FunctionUrlConfig",
                "RuntimeManagementConfig",
            ),
            *("LoggingConfig", "RecursiveLoop", "SourceKMSKeyArn", "TenancyConfig", "DurableConfig"),
            *("CapacityProviderConfig", "FunctionScalingConfig", "PublishToLatestPublished"),
            "VersionDeletionPolicy",
        )
    ),
    "Api": frozenset(
        (
            *("Auth", "Name", "DefinitionUri", "CacheClusterEnabled", "CacheClusterSize", "MergeDefinitions"),
            *("Variables", "EndpointConfiguration", "MethodSettings", "BinaryMediaTypes"),
            *("MinimumCompressionSize", "Cors", "GatewayResponses", "AccessLogSetting", "CanarySetting"),
            *(
                "TracingEnabled",
                "OpenApiVersion",
                "Domain",
                "AlwaysDeploy",
                "PropagateTags",
                "SecurityPolicy",
            ),
            "EndpointAccessMode",
        )
    ),
    "HttpApi": frozenset(
        (
            *("Auth", "AccessLogSettings", "StageVariables", "Tags", "CorsConfiguration"),
            *("DefaultRouteSettings", "Domain", "RouteSettings", "FailOnWarnings", "PropagateTags"),
        )
    ),
    "SimpleTable": frozenset({"SSESpecification"}),
    "LayerVersion": frozenset({"PublishLambdaVersion"}),
}
_OTHERS = ("CapacityProvider", "MicroVMImage", "NetworkConnector", "StateMachine", "WebSocketApi")
_REPLACED = ("Architectures",)  # the one list where the resource's own stands alone


def check_globals(template: Template, report: Report) -> None:
    """Report sections and properties of Globals that SAM doesn't take."""
    for section, node in template.globals_.items.items():
        where = f"Globals.{section}"
        if section not in _ALLOWED:
            if section not in _OTHERS:
                spot = _spot(template.globals_, section)
                report.problem(spot, where, f"one of {', '.join(sorted((*_ALLOWED, *_OTHERS)))}", section)
        elif isinstance(node, Mapping):
            for name in _unknown(node, _ALLOWED[section]):
                expected = f"a property that SAM takes in Globals.{section}"
                report.problem(_spot(node, name), f"{where}.{name}", expected, "another one")
        elif not is_null(node):
            report.problem(node, where, "a mapping", describe(node))


def _unknown(node: Mapping, allowed: frozenset[str]) -> Iterable[str]:
    return (name for name in node.items if name not in allowed)


def _spot(node: Mapping, key: str) -> Spot:
    return Spot(*node.key_marks[key])


def global_properties(template: Template, type_: str) -> Mapping:
    """The Globals for a resource type; empty when there are none."""
    node = template.globals_.items.get(type_.removeprefix(_PREFIX)) if type_.startswith(_PREFIX) else None
    return node if isinstance(node, Mapping) else Mapping()


def with_globals(resource: Resource, template: Template, report: Report) -> Resource:
    """The resource with the Globals for its type, those it ignores (`IgnoreGlobals`) left out."""
    shared = global_properties(template, resource.type)
    if not shared.items:
        return resource
    ignored = _ignored(resource, shared, report)
    items = {name: node for name, node in shared.items.items() if name not in ignored}
    shared = Mapping(items, shared.line, shared.column, shared.key_marks)
    return evolve(resource, properties=_merge_mappings(shared, resource.properties, _REPLACED))


def _ignored(resource: Resource, shared: Mapping, report: Report) -> frozenset[str]:
    node = resource.attribute("IgnoreGlobals")
    if node is None:
        return frozenset()
    if isinstance(node, Scalar) and node.text == "*":
        return frozenset(shared.items)
    names = (
        [item.text for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else []
    )
    if (
        not isinstance(node, Sequence)
        or len(names) < len(node.items)
        or not shared.items.keys() >= set(names)
    ):
        where = f"Resources.{resource.logical_id}.IgnoreGlobals"
        report.problem(node, where, "'*', or a list of properties that Globals has", describe(node))
    return frozenset(names)


def merge(shared: Node, own: Node) -> Node:
    """One value of Globals with the value at the resource."""
    if isinstance(shared, Sequence) and isinstance(own, Sequence):
        return Sequence([*shared.items, *own.items], own.line, own.column)
    if isinstance(shared, Mapping) and isinstance(own, Mapping) and not (_is_call(shared) or _is_call(own)):
        return _merge_mappings(shared, own)
    return own


def _merge_mappings(shared: Mapping, own: Mapping, replaced: tuple[str, ...] = ()) -> Mapping:
    items = dict(shared.items)
    for name, node in own.items.items():
        items[name] = merge(items[name], node) if name in items and name not in replaced else node
    return Mapping(items, own.line, own.column, {**shared.key_marks, **own.key_marks})


def _is_call(node: Mapping) -> bool:
    name = next(iter(node.items), "")
    return len(node.items) == 1 and (name in {"Ref", "Condition"} or name.startswith("Fn::"))
