"""The condition functions of CloudFormation: Equals, Not, And, Or, and If, which uses a condition."""

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence

from esb_cli.sam.evaluate import Evaluator, Function, NotKnownError
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value

__all__ = ["FUNCTIONS", "arguments"]


def arguments(ev: Evaluator, node: Node, at: Mapping, counts: range, form: str) -> list[Node]:
    """The unevaluated arguments of a function that takes a list of them.

    Raises:
        NotKnownError: It is no list, or not of a permitted length, which is reported.
    """
    if isinstance(node, Sequence) and len(node.items) in counts:
        return node.items
    found = f"{len(node.items)} elements" if isinstance(node, Sequence) else "no list"
    raise ev.stop(at, next(iter(at.items)), form, found)


def _comparable(value: Value | None) -> object:
    """A value without places; texts are equal by their text, however they were written."""
    match value:
        case Text():
            return value.text
        case Items():
            return [_comparable(item) for item in value.items]
        case Fields():
            return {key: _comparable(item) for key, item in value.items.items()}
        case Unknown():
            raise NotKnownError(value)
        case None:
            return None


def _if(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    name, yes, no = arguments(ev, node, at, range(3, 4), "[condition, value, other value]")
    if isinstance(name, Mapping) and list(name.items) == ["Condition"]:
        name = name.items["Condition"]
    if not isinstance(name, Scalar):
        raise ev.stop(at, "Fn::If", "the name of a condition", "something else")
    holds = ev.condition(name.text, name)
    if isinstance(holds, Unknown):
        return holds
    return ev.value(yes if holds else no)


def _equals(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    first, second = arguments(ev, node, at, range(2, 3), "[value, value]")
    return _truth(_comparable(ev.value(first)) == _comparable(ev.value(second)), at)


def _not(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    (condition,) = arguments(ev, node, at, range(1, 2), "[condition]")
    return _truth(not _holds(ev, condition), at)


def _and(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    conditions = arguments(ev, node, at, range(1, 11), "1 to 10 conditions")
    truths = [_holds(ev, condition) for condition in conditions]  # all, so that every fault is found
    return _truth(all(truths), at)


def _or(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    conditions = arguments(ev, node, at, range(1, 11), "1 to 10 conditions")
    truths = [_holds(ev, condition) for condition in conditions]  # all, so that every fault is found
    return _truth(any(truths), at)


def _holds(ev: Evaluator, node: Node) -> bool:
    holds = ev.truth(node)
    if isinstance(holds, Unknown):
        raise NotKnownError(holds)
    return holds


def _truth(holds: bool, at: Mapping) -> Text:
    return Text("true" if holds else "false", True, at.line, at.column)


FUNCTIONS: dict[str, Function] = {
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::Not": _not,
    "Fn::And": _and,
    "Fn::Or": _or,
}
