"""The intrinsic functions of CloudFormation that make values, each as its documentation has it.

A function gets its argument unevaluated. It raises `NotKnownError` when an argument isn't known or is wrong.
"""

import base64
import ipaddress
import json
import re

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, plain_python, quote

from esb_cli.sam import logic
from esb_cli.sam.evaluate import Evaluator, Function, NotKnownError
from esb_cli.sam.logic import arguments
from esb_cli.sam.report import Marked
from esb_cli.sam.tags import split_attribute
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value

__all__ = ["FUNCTIONS"]

_VARIABLE = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^{}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9:]+(\.[A-Za-z0-9_.:-]+)?\Z")


def _get_att(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    if isinstance(node, Scalar) and "." in node.text:
        node = split_attribute(node)  # AWS takes "Table.Arn" in the long form as well
    resource, attribute = arguments(ev, node, at, range(2, 3), "[resource, attribute]")
    if not isinstance(resource, Scalar):
        raise ev.stop(at, "Fn::GetAtt", "the name of a resource", "something else")
    return ev.lookup(resource.text, ev.text(ev.value(attribute), at, "Fn::GetAtt"), at)


def _sub(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    pattern: Node = node
    variables: Node = Mapping()
    if isinstance(node, Sequence) and len(node.items) == 2:
        pattern, variables = node.items
    if not isinstance(pattern, Scalar) or not isinstance(variables, Mapping):
        raise ev.stop(at, "Fn::Sub", "text, or [text, mapping of variables]", "something else")
    if "{{resolve:" in pattern.text:
        return ev.value(pattern)
    parts: list[str] = []
    end = 0
    for match in _VARIABLE.finditer(pattern.text):
        parts += [pattern.text[end : match.start()], _variable(ev, match, variables, at)]
        end = match.end()
    return ev.made("".join([*parts, pattern.text[end:]]), at, "Fn::Sub")


def _variable(ev: Evaluator, match: re.Match[str], variables: Mapping, at: Mapping) -> str:
    name = match["name"]
    if match["literal"]:
        return f"${{{name}}}"
    if name in variables.items:
        return ev.text(ev.value(variables.items[name]), at, "Fn::Sub")
    if not _NAME.match(name):
        hint = "write ${!...} for text that stays as it is"
        raise ev.stop(at, "Fn::Sub", "a name in ${...}", quote(name), hint)
    resource, _, attribute = name.partition(".")
    value = ev.lookup(resource, attribute, at) if attribute else ev.reference(name, at)
    return ev.text(value, at, "Fn::Sub")


def _join(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    first, second = arguments(ev, node, at, range(2, 3), "[delimiter, list]")
    delimiter = ev.text(ev.value(first), at, "Fn::Join")
    values = ev.items(ev.value(second), at, "Fn::Join")
    return ev.made(delimiter.join(ev.text(value, at, "Fn::Join") for value in values), at, "Fn::Join")


def _select(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    first, second = arguments(ev, node, at, range(2, 3), "[index, list]")
    index = ev.text(ev.value(first), at, "Fn::Select")
    values = ev.items(ev.value(second), at, "Fn::Select")
    if not re.fullmatch(r"[0-9]{1,9}", index) or int(index) >= len(values):
        raise ev.stop(at, "Fn::Select", f"an index below {len(values)}", quote(index))
    return values[int(index)]


def _split(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    first, second = arguments(ev, node, at, range(2, 3), "[delimiter, text]")
    delimiter = ev.text(ev.value(first), at, "Fn::Split")
    source = ev.text(ev.value(second), at, "Fn::Split")
    if not delimiter:
        raise ev.stop(at, "Fn::Split", "a delimiter", "an empty text")
    return _texts(_open(ev, source, at, "Fn::Split").split(delimiter), at)


def _base64(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    text = _open(ev, ev.text(ev.value(node), at, "Fn::Base64"), at, "Fn::Base64")
    return ev.made(base64.b64encode(text.encode()).decode(), at, "Fn::Base64")


def _open(ev: Evaluator, text: str, at: Mapping, function: str) -> str:
    """The text, unless only the box will know it."""
    if ev.holds_secret(text):
        reason = f"{function} of a secret can't be computed before the box has it"
        raise NotKnownError(Unknown(reason, at.line, at.column))
    return text


def _find_in_map(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    found_arguments = arguments(ev, node, at, range(3, 5), "[map, key, second key]")
    keys = [_key(ev, argument, at) for argument in found_arguments[:3]]
    found: Node | None = ev.template.mappings
    for key in keys:
        found = found.items.get(key) if isinstance(found, Mapping) else None
    options = found_arguments[3] if len(found_arguments) == 4 else None
    if found is None and isinstance(options, Mapping) and ev.template.has_language_extensions:
        found = options.items.get("DefaultValue")
    if found is None:
        raise ev.stop(at, "Fn::FindInMap", "keys of the Mappings section", " / ".join(keys))
    return ev.value(found)


def _key(ev: Evaluator, node: Node, at: Mapping) -> str:
    """Keys keep their text (`No` stays `No`), and so does what has to be equal to one."""
    value = ev.value(node)
    return value.text if isinstance(value, Text) else ev.text(value, at, "Fn::FindInMap")


def _cidr(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    found = arguments(ev, node, at, range(2, 4), "[block, count, bits]")
    block, count, *bits = (ev.text(ev.value(argument), at, "Fn::Cidr") for argument in found)
    try:
        return _texts(_blocks(block, int(count), int(bits[0]) if bits else 8), at)
    except ValueError as error:
        raise ev.stop(at, "Fn::Cidr", "a block, a count up to 256 and bits", str(error)) from error


def _blocks(block: str, count: int, bits: int) -> list[str]:
    network = ipaddress.ip_network(block)
    prefix = network.max_prefixlen - bits
    if not 1 <= count <= 256 or not network.prefixlen <= prefix <= network.max_prefixlen:
        raise ValueError(f"{count} blocks of {bits} bits in {block}")
    if count > 2 ** (prefix - network.prefixlen):
        raise ValueError(f"{count} blocks of {bits} bits in {block}")
    return [str(subnet) for subnet, _ in zip(network.subnets(new_prefix=prefix), range(count), strict=False)]


def _texts(texts: list[str], at: Marked) -> Items:
    return Items(tuple(Text(text, line=at.line, column=at.column) for text in texts), at.line, at.column)


def _length(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    values = ev.items(ev.value(node), at, "Fn::Length")
    return Text(str(len(values)), True, at.line, at.column)


def _to_json(ev: Evaluator, node: Node, at: Mapping) -> Value | None:
    return ev.made(json.dumps(_json(ev.value(node)), separators=(",", ":")), at, "Fn::ToJsonString")


def _json(value: Value | None) -> object:
    match value:
        case Text():
            return plain_python(Scalar(value.text, plain=value.plain))
        case Items():
            return [_json(item) for item in value.items]
        case Fields():
            return {key: _json(item) for key, item in value.items.items()}
        case Unknown():
            raise NotKnownError(value)
        case None:
            return None


def _never_known(reason: str) -> Function:
    return lambda _ev, _node, at: Unknown(reason, at.line, at.column)


FUNCTIONS: dict[str, Function] = {
    **logic.FUNCTIONS,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Base64": _base64,
    "Fn::FindInMap": _find_in_map,
    "Fn::Cidr": _cidr,
    "Fn::Length": _length,
    "Fn::ToJsonString": _to_json,
    "Fn::GetAZs": _never_known("a box has no availability zones (Fn::GetAZs)"),
    "Fn::ImportValue": _never_known("a box has no other stacks to import from (Fn::ImportValue)"),
    "Fn::Transform": _never_known("macros aren't run (Fn::Transform)"),
}
