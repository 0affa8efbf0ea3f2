"""Resolves a template: chooses parameters, decides conditions, drops what they exclude, merges Globals.

Values are computed when they are asked for, so that a property without effect on a box can't fail.
"""

from collections.abc import Mapping as AnyMapping

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, describe
from attrs import frozen

from esb_cli.sam.evaluate import Evaluator
from esb_cli.sam.globals import check_globals, with_globals
from esb_cli.sam.intrinsics import FUNCTIONS
from esb_cli.sam.parameters import choose_parameters
from esb_cli.sam.references import References, Surroundings
from esb_cli.sam.report import Owner, Report
from esb_cli.sam.template import Resource, Template
from esb_cli.sam.values import Value

__all__ = ["Resolution", "resolve"]


@frozen
class Resolution:
    """A template whose resources are those that exist, and the values of everything in them."""

    template: Template
    resources: tuple[Resource, ...]
    references: References
    evaluator: Evaluator
    report: Report

    def value(self, node: Node) -> Value | None:
        """The value of a node; None for `AWS::NoValue`."""
        return self.evaluator.value(node)


def resolve(
    template: Template, given: AnyMapping[str, str], surroundings: Surroundings, report: Report
) -> Resolution:
    """The template with these parameter values; faults go to the report."""
    for name, spot in template.unusual.items():
        report.finding(Owner(name, "template"), spot, f"{name} has no effect: it isn't run")
    check_globals(template, report)
    parameters = choose_parameters(template, given, report)
    evaluator = Evaluator(template, parameters, report, FUNCTIONS)
    merged = {name: with_globals(it, template, report) for name, it in template.resources.items()}
    excluded: dict[str, str] = {}
    references = References(evaluator, surroundings, merged, excluded)
    evaluator.lookup = references.lookup
    excluded |= _excluded(merged, evaluator)
    present = tuple(it for name, it in merged.items() if name not in excluded)
    for resource in present:
        _check_dependencies(resource, references, report)
    return Resolution(template, present, references, evaluator, report)


def _check_dependencies(resource: Resource, references: References, report: Report) -> None:
    """An order has no effect on a box, but a name of nothing is refused as AWS does."""
    node = resource.attribute("DependsOn")
    where = f"Resources.{resource.logical_id}.DependsOn"
    for item in node.items if isinstance(node, Sequence) else [node]:
        if isinstance(item, Mapping):
            report.problem(item, where, "the name of a resource, or a list of names", describe(item))
        elif isinstance(item, Scalar) and not references.is_made_by_sam(item.text):
            report.problem(item, where, "a resource of the template", item.text)


def _excluded(resources: AnyMapping[str, Resource], evaluator: Evaluator) -> dict[str, str]:
    """The resources whose condition is false, with its name."""
    found = {}
    for logical_id, resource in resources.items():
        node = resource.attribute("Condition")
        if node is None:
            continue
        if not isinstance(node, Scalar):
            where = f"Resources.{logical_id}.Condition"
            evaluator.wrong(node, where, "the name of a condition", describe(node))
            continue
        holds = evaluator.condition(node.text, node)
        if not isinstance(holds, bool):
            if not holds.reported:
                evaluator.wrong(node, f"Conditions.{node.text}", "a condition known here", holds.reason)
        elif not holds:
            found[logical_id] = node.text
    return found
