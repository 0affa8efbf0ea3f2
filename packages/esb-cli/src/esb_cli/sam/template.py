"""The sections of a template, each checked to be of the right kind; nothing in it is evaluated yet."""

from difflib import get_close_matches

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, describe, is_null
from attrs import field, frozen

from esb_cli.sam.compose import Spot
from esb_cli.sam.report import Owner, Report

__all__ = ["SAM_TRANSFORM", "Resource", "Template", "read_template"]

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"
LANGUAGE_EXTENSIONS = "AWS::LanguageExtensions"

_SECTIONS = (
    *("AWSTemplateFormatVersion", "Transform", "Description", "Metadata", "Parameters", "Rules", "Mappings"),
    *("Conditions", "Globals", "Resources", "Outputs", "Hooks"),
)
_ATTRIBUTES = (
    *("Type", "Properties", "Condition", "Connectors", "CreationPolicy", "DeletionPolicy", "DependsOn"),
    *("Description", "IgnoreGlobals", "Metadata", "UpdatePolicy", "UpdateReplacePolicy", "Version"),
)


@frozen
class Resource:
    """One resource as it stands in the template, Globals merged in once it is resolved.

    `attributes` is the whole resource: `Type`, `Properties`, `Metadata`, `Condition`, ...
    """

    logical_id: str
    type: str
    properties: Mapping
    attributes: Mapping
    line: int
    column: int

    def attribute(self, name: str) -> Node | None:
        """An attribute beside `Properties`, such as `Metadata`; None when it is absent or null."""
        node = self.attributes.items.get(name)
        return None if node is None or is_null(node) else node


@frozen
class Template:
    """A template by its sections; an absent section is empty."""

    resources: dict[str, Resource]
    parameters: Mapping
    mappings: Mapping
    conditions: Mapping
    globals_: Mapping
    transforms: tuple[Scalar, ...] = ()
    unusual: dict[str, Spot] = field(factory=dict)  # sections and macros that are read past, with their place

    @property
    def has_language_extensions(self) -> bool:
        """Whether `AWS::LanguageExtensions` is among the transforms."""
        return any(transform.text == LANGUAGE_EXTENSIONS for transform in self.transforms)


def read_template(root: Mapping, report: Report) -> Template:
    """The template that a file's root mapping holds; what is wrong goes to the report."""
    _refuse_sections(root, report)
    unusual: dict[str, Spot] = {}
    unusual |= {name: _key_spot(root, name) for name in ("Rules", "Hooks") if name in root.items}
    transforms = _transforms(root.items.get("Transform"), report)
    unusual |= {
        it.text: Spot(it.line, it.column)
        for it in transforms
        if it.text not in {SAM_TRANSFORM, LANGUAGE_EXTENSIONS}
    }
    resources, loops = _resources(root, report)
    template = Template(
        resources=resources,
        parameters=_section(root, "Parameters", report),
        mappings=_section(root, "Mappings", report),
        conditions=_section(root, "Conditions", report),
        globals_=_section(root, "Globals", report),
        transforms=transforms,
        unusual=unusual | loops,
    )
    _check_transform(template, report)
    return template


def _refuse_sections(root: Mapping, report: Report) -> None:
    for name in root.items:
        close = get_close_matches(name, _SECTIONS, n=1)
        if name not in _SECTIONS and (close or "Resources" in root.items):  # else it's no template at all
            hint = f"did you mean {close[0]}?" if close else f"these are: {', '.join(_SECTIONS)}"
            report.problem(_key_spot(root, name), name, "a section of a template", "another key", hint)


def _check_transform(template: Template, report: Report) -> None:
    serverless = [it for it in template.resources.values() if it.type.startswith("AWS::Serverless::")]
    if serverless and all(it.text != SAM_TRANSFORM for it in template.transforms):
        found = f"none, but {serverless[0].logical_id} is {serverless[0].type}"
        hint = f"add the line 'Transform: {SAM_TRANSFORM}'"
        report.problem(Spot(1, 1), "Transform", SAM_TRANSFORM, found, hint)


def _transforms(node: Node | None, report: Report) -> tuple[Scalar, ...]:
    if node is None or is_null(node):
        return ()
    found: list[Scalar] = []
    for item in node.items if isinstance(node, Sequence) else [node]:
        name = item.items.get("Name") if isinstance(item, Mapping) else item
        if isinstance(name, Scalar):
            found.append(name)
        else:
            report.problem(item, "Transform", "the name of a transform", describe(item))
    return tuple(found)


def _section(root: Mapping, name: str, report: Report) -> Mapping:
    node = root.items.get(name)
    if isinstance(node, Mapping):
        return node
    if node is not None and not is_null(node):
        report.problem(node, name, "a mapping", describe(node))
    return Mapping()


def _resources(root: Mapping, report: Report) -> tuple[dict[str, Resource], dict[str, Spot]]:
    section = _section(root, "Resources", report)
    if "Resources" not in root.items or not section.items:
        spot = _key_spot(root, "Resources")
        report.problem(spot, "Resources", "at least one resource", "none", "is this a SAM template?")
    found: dict[str, Resource] = {}
    loops: dict[str, Spot] = {}
    for logical_id, node in section.items.items():
        if logical_id.startswith("Fn::"):
            loops[logical_id] = _key_spot(section, logical_id)
        elif (resource := _resource(logical_id, node, _key_spot(section, logical_id), report)) is not None:
            found[logical_id] = resource
    return found, loops


def _resource(logical_id: str, node: Node, spot: Spot, report: Report) -> Resource | None:
    where = f"Resources.{logical_id}"
    if not isinstance(node, Mapping):
        report.problem(node, where, "a mapping with a Type", describe(node))
        return None
    kind = node.items.get("Type")
    if not isinstance(kind, Scalar) or is_null(kind):
        report.problem(kind or spot, f"{where}.Type", "a resource type", describe(kind))
        return None
    for name in node.items:
        if name not in _ATTRIBUTES:
            lost = f"the attribute {name}, which a resource doesn't have"
            report.finding(Owner(logical_id, kind.text), _key_spot(node, name), lost)
    properties = node.items.get("Properties")
    if properties is None or is_null(properties):
        properties = Mapping(line=spot.line, column=spot.column)
    if not isinstance(properties, Mapping):
        report.problem(properties, f"{where}.Properties", "a mapping", describe(properties))
        return None
    return Resource(logical_id, kind.text, properties, node, spot.line, spot.column)


def _key_spot(mapping: Mapping, key: str) -> Spot:
    return Spot(*mapping.key_marks.get(key, (mapping.line or 1, mapping.column or 1)))
