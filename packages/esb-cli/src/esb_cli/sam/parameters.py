"""Chooses and checks the values of a template's parameters, as CloudFormation does before anything else.

A value keeps the text it was given or that stands in the template: `010` stays `010`.
"""

import re
from collections.abc import Mapping as AnyMapping
from decimal import Decimal
from difflib import get_close_matches

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, as_text, describe, quote
from attrs import frozen

from esb_cli.sam.compose import Spot
from esb_cli.sam.report import Owner, Report
from esb_cli.sam.template import Template
from esb_cli.sam.values import Text, is_boolean

__all__ = ["Parameter", "choose_parameters"]

_KEYS = (
    *("Type", "Default", "NoEcho", "AllowedValues", "AllowedPattern", "MaxLength", "MinLength", "MaxValue"),
    *("MinValue", "Description", "ConstraintDescription"),
)
_STORE = "AWS::SSM::Parameter::Value<"
_TYPE = re.compile(
    r"(String|Number|CommaDelimitedList|List<Number>|List<AWS::[\w:]+>|AWS::[\w:]+(<[\w:<>]+>)?)\Z"
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{1,40})?\Z")


@frozen
class Parameter:
    """A parameter and its value, None when it has none; `secret`: the value may not stand in an artifact."""

    name: str
    type: str
    value: str | None
    secret: bool = False
    plain_boolean: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a reference gives a list."""
        inner = self.type.removeprefix(_STORE)
        return inner.startswith(("List<", "CommaDelimitedList"))

    @property
    def is_number(self) -> bool:
        """Whether a reference gives a number, or numbers."""
        return self.type in {"Number", "List<Number>"}

    @property
    def is_plain(self) -> bool:
        """Whether a reference gives what stands without quotes: a number, or a default such as `True`."""
        return self.is_number or self.plain_boolean

    @property
    def texts(self) -> tuple[str, ...]:
        """The value's elements: one unless it is a list."""
        if not self.is_list:
            return (self.value or "",)
        return tuple(part.strip() for part in self.value.split(",")) if self.value else ()


def choose_parameters(
    template: Template, given: AnyMapping[str, str], report: Report
) -> dict[str, Parameter]:
    """The template's parameters with the values given, or their defaults; all faults go to the report."""
    _refuse_unknown(template.parameters, given, report)
    chosen = {}
    for name, node in template.parameters.items.items():
        if isinstance(node, Mapping):
            chosen[name] = _choose(name, node, given.get(name), report)
        else:
            report.problem(node, f"Parameters.{name}", "a mapping with a Type", describe(node))
            chosen[name] = Parameter(name, "String", given.get(name, ""))
    return chosen


def _refuse_unknown(section: Mapping, given: AnyMapping[str, str], report: Report) -> None:
    names = list(section.items)
    known = (
        f"one of the template's parameters ({', '.join(names)})"
        if names
        else "no parameter: the template has none"
    )
    for name in given:
        if name not in section.items:
            close = get_close_matches(name, names, n=1)
            spot = Spot(section.line or 1, section.column or 1)
            hint = f"did you mean {close[0]}?" if close else ""
            report.problem(spot, f"--parameter {name}", known, quote(name), hint)


def _choose(name: str, node: Mapping, given: str | None, report: Report) -> Parameter:
    where = f"Parameters.{name}"
    for key in node.items:
        if key not in _KEYS:
            report.problem(
                Spot(*node.key_marks[key]), f"{where}.{key}", f"one of {', '.join(_KEYS)}", "an unknown key"
            )
    kind = node.items.get("Type")
    if not isinstance(kind, Scalar) or not _TYPE.match(kind.text):
        report.problem(
            kind or node, f"{where}.Type", "a parameter type such as String or Number", describe(kind)
        )
        return Parameter(name, "String", given or "")
    secret = _flag(node.items.get("NoEcho"))
    default = _default(node, where, report)
    from_store = kind.text.startswith(_STORE)  # the default is then a name in AWS's parameter store, no value
    value = given if given is not None or from_store else default
    parameter = Parameter(
        name,
        kind.text,
        value,
        secret=secret and (given is not None or value is None),
        plain_boolean=given is None and _is_plain_boolean(node.items.get("Default")),
    )
    if value is not None:
        _Check(node, where, parameter, report).run()
    elif not secret:
        reason = "only a name in AWS's parameter store" if from_store else "none"
        report.problem(node, where, "a value", reason, f"give it with --parameter {name}=VALUE")
    return parameter


def _flag(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.text.lower() == "true"


def _is_plain_boolean(node: Node | None) -> bool:
    return isinstance(node, Scalar) and is_boolean(Text(node.text, node.plain))


def _default(node: Mapping, where: str, report: Report) -> str | None:
    default = node.items.get("Default")
    if default is None:
        return None
    if isinstance(default, Scalar):
        return as_text(default)
    report.problem(default, f"{where}.Default", "text", describe(default))
    return ""


@frozen
class _Check:
    """The constraints of one parameter against its value."""

    node: Mapping
    where: str
    parameter: Parameter
    report: Report

    def run(self) -> None:
        shown = self.parameter
        for text in shown.texts:
            if shown.is_number and _number(text) is None:
                self._wrong("Type", "a number", text)
            self._allowed_values(text)
            self._pattern(text)
            self._bounds(text)

    def _wrong(self, key: str, expected: str, text: str) -> None:
        at = self.node.items.get(key, self.node)
        why = self.node.items.get("ConstraintDescription")
        hint = why.text if isinstance(why, Scalar) else ""
        self.report.problem(at, self.where, expected, self._shown(text), hint)

    def _shown(self, text: str) -> str:
        return "a secret value" if self.parameter.secret else quote(text)

    def _allowed_values(self, text: str) -> None:
        allowed = self.node.items.get("AllowedValues")
        if isinstance(allowed, Sequence):
            texts = [item.text for item in allowed.items if isinstance(item, Scalar)]
            if text not in texts:
                self._wrong("AllowedValues", f"one of {', '.join(texts)}", text)
        elif allowed is not None:
            self.report.problem(allowed, f"{self.where}.AllowedValues", "a list", describe(allowed))

    def _pattern(self, text: str) -> None:
        pattern = self.node.items.get("AllowedPattern")
        if not isinstance(pattern, Scalar):
            return
        try:
            fits = re.fullmatch(pattern.text, text)
        except re.error as error:
            # CloudFormation's patterns are Java's, which knows a little more
            lost = f"the pattern {pattern.text} isn't checked: {error}"
            self.report.finding(Owner(self.parameter.name, "Parameter"), pattern, lost)
        else:
            if fits is None:
                self._wrong("AllowedPattern", f"a value that {pattern.text} describes", text)

    def _bounds(self, text: str) -> None:
        length, number = Decimal(len(text)), _number(text)
        for key, size, unit in (
            ("MinLength", length, " characters"),
            ("MaxLength", length, " characters"),
            ("MinValue", number, ""),
            ("MaxValue", number, ""),
        ):
            limit = self._limit(key)
            if limit is None or size is None:
                continue
            if size < limit if key.startswith("Min") else size > limit:
                word = "at least" if key.startswith("Min") else "at most"
                self._wrong(key, f"{word} {limit}{unit}", text)

    def _limit(self, key: str) -> Decimal | None:
        node = self.node.items.get(key)
        if node is None:
            return None
        limit = _number(node.text) if isinstance(node, Scalar) else None
        if limit is None:
            self.report.problem(node, f"{self.where}.{key}", "a number", describe(node))
        return limit


def _number(text: str) -> Decimal | None:
    return Decimal(text.strip()) if _NUMBER.match(text.strip()) else None
