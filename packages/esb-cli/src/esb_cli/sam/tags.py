"""CloudFormation's YAML tags: each short form becomes its long form here and nowhere else.

`!Ref A` is `{"Ref": "A"}` afterwards, `!GetAtt A.B` is `{"Fn::GetAtt": ["A", "B"]}`.
"""

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence

__all__ = ["keeps_plain", "long_form", "split_attribute"]

_FUNCTIONS = frozenset(
    (
        *(
            "And",
            "Base64",
            "Cidr",
            "Contains",
            "EachMemberEquals",
            "EachMemberIn",
            "Equals",
            "FindInMap",
            "ForEach",
        ),
        *(
            "GetAZs",
            "GetAtt",
            "If",
            "ImportValue",
            "Join",
            "Length",
            "Not",
            "Or",
            "RefAll",
            "Select",
            "Split",
        ),
        *("Sub", "ToJsonString", "Transform", "ValueOf", "ValueOfAll"),
    )
)
_YAML = "tag:yaml.org,2002:"
_PLAIN = frozenset(_YAML + name for name in ("int", "float", "bool", "null"))
_KIND = {f"{_YAML}str": Scalar, f"{_YAML}seq": Sequence, f"{_YAML}map": Mapping} | dict.fromkeys(
    _PLAIN, Scalar
)


def keeps_plain(tag: str | None) -> bool:
    """Whether an unquoted scalar with this tag is still a plain one."""
    return tag is None or tag in _PLAIN


def long_form(tag: str, node: Node) -> Node | None:
    """What a tagged node means; None for a tag that has no meaning in a template, or not on such a node."""
    if tag in _KIND:
        return node if isinstance(node, _KIND[tag]) else None
    name = tag.removeprefix("!")
    if name in {"Ref", "Condition"}:
        return _call(name, node)
    if name == "GetAtt" and isinstance(node, Scalar):
        return _call("Fn::GetAtt", split_attribute(node))
    return _call(f"Fn::{name}", node) if name in _FUNCTIONS else None


def _call(name: str, argument: Node) -> Mapping:
    spot = (argument.line, argument.column)
    return Mapping({name: argument}, line=spot[0], column=spot[1], key_marks={name: spot})


def split_attribute(node: Scalar) -> Sequence:
    """The list that `Resource.Attribute` stands for."""
    parts = node.text.split(".", 1)
    items: list[Node] = [Scalar(part, plain=False, line=node.line, column=node.column) for part in parts]
    return Sequence(items, line=node.line, column=node.column)
