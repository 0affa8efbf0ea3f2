"""Computes the intrinsic functions in a template's nodes: the algebra of CloudFormation, with places.

A value that can't be known when rendering becomes an `Unknown` with its reason; a template that AWS would
refuse too (a reference to nothing, a wrong argument) becomes a problem in the report. `AWS::NoValue` is None.
"""

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AnyMapping
from contextlib import contextmanager
from enum import Enum

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence

from esb_cli.sam.parameters import Parameter
from esb_cli.sam.report import Marked, Report
from esb_cli.sam.template import Template
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value

__all__ = ["Evaluator", "Function", "Lookup", "NotKnownError"]

MAX_TEXT = 1024 * 1024  # what one function may make; doubling references would fill the memory
MAX_CHAIN = 30  # names and conditions that need each other
MAX_DEPTH = 120  # values in values, also those that names and conditions lead to: far from Python's own limit


class Secrets(Enum):
    """What a NoEcho parameter gives: its value may not get into an artifact (contract §8)."""

    REFUSED = "it isn't known"
    NAMED = "${NAME}, which the box fills in (contract §9)"
    OPEN = "its value: only for deciding a condition"


Function = Callable[["Evaluator", Node, Mapping], Value | None]
Lookup = Callable[[str, str, Marked], Value | None]  # (logical id, attribute or "", place of the reference)


class NotKnownError(Exception):
    """Ends the evaluation of one intrinsic function; `unknown` is its value."""

    def __init__(self, unknown: Unknown) -> None:
        super().__init__(unknown.reason)
        self.unknown = unknown


class Evaluator:
    """Evaluates nodes of one template.

    `functions` has the intrinsic functions by name; `lookup` answers for what isn't a parameter: pseudo
    parameters and resources.
    """

    def __init__(
        self,
        template: Template,
        parameters: AnyMapping[str, Parameter],
        report: Report,
        functions: AnyMapping[str, Function],
    ) -> None:
        self.template = template
        self.parameters = parameters
        self.report = report
        self.lookup: Lookup = lambda name, _attribute, at: self.wrong(at, "Ref", "a known name", name)
        self.secrets_used: dict[str, None] = {}
        self._functions = functions
        self._secrets = Secrets.REFUSED
        self._conditions: dict[str, bool | Unknown] = {}
        self._entered: list[str] = []
        self._depth = 0

    def for_environment(self, node: Node) -> Value | None:
        """The value of a node for an environment, the one place where a secret may be named."""
        with self._with(Secrets.NAMED):
            return self.value(node)

    def value(self, node: Node) -> Value | None:
        """The value of a node; None for `AWS::NoValue`."""
        if isinstance(node, Scalar):
            return _known(node.text, node, plain=node.plain)
        if self._depth >= MAX_DEPTH:
            return self.wrong(node, "", f"at most {MAX_DEPTH} values in each other", "more")
        self._depth += 1
        try:
            return self._composite(node)
        finally:
            self._depth -= 1

    def _composite(self, node: Mapping | Sequence) -> Value | None:
        if isinstance(node, Sequence):
            values = (self.value(item) for item in node.items)
            return Items(tuple(value for value in values if value is not None), node.line, node.column)
        name = next(iter(node.items), "")
        if name == "Ref" or name in self._functions:
            return self._call(name, node)
        if len(node.items) == 1 and name.startswith("Fn::"):
            return Unknown(f"{name} isn't supported", node.line, node.column)
        pairs = ((key, self._entry(key, item)) for key, item in node.items.items())
        fields = {key: value for key, value in pairs if value is not None}
        return Fields(fields, node.line, node.column, node.key_marks)

    def _entry(self, key: str, item: Node) -> Value | None:
        if key.startswith("Fn::"):
            return Unknown(f"{key} isn't supported", item.line, item.column)
        return self.value(item)

    def _call(self, name: str, node: Mapping) -> Value | None:
        if len(node.items) > 1:
            others = ", ".join(key for key in node.items if key != name)
            return self.wrong(node, name, "to stand alone in its mapping", f"it beside {others}")
        argument = node.items[name]
        if name != "Ref":
            try:
                return self._functions[name](self, argument, node)
            except NotKnownError as stopped:
                return stopped.unknown
        if isinstance(argument, Scalar):
            return self.reference(argument.text, node)
        return self.wrong(node, "Ref", "a name", "something else")

    def reference(self, name: str, at: Marked) -> Value | None:
        """What `Ref` gives for a name."""
        parameter = self.parameters.get(name)
        if parameter is None:
            return self.lookup(name, "", at)
        if parameter.secret and self._secrets is Secrets.NAMED:
            self.secrets_used[name] = None
            return Text(f"${{{name}}}", line=at.line, column=at.column)
        if parameter.secret and self._secrets is Secrets.REFUSED:
            reason = f"{name}, which is NoEcho and may stand in environments only"
            return Unknown(reason, at.line, at.column)
        if parameter.value is None:
            return Unknown(f"{name} is NoEcho and has no value here", at.line, at.column)
        texts = tuple(_known(text, at, plain=parameter.is_plain) for text in parameter.texts)
        return Items(texts, at.line, at.column) if parameter.is_list else texts[0]

    def text(self, value: Value | None, at: Marked, function: str) -> str:
        """The text of a value that a function needs.

        Raises:
            NotKnownError: It isn't known, or no text; the latter is reported.
        """
        if isinstance(value, Text):
            return value.as_string
        if isinstance(value, Unknown):
            raise NotKnownError(value)
        found = "AWS::NoValue" if value is None else "a list" if isinstance(value, Items) else "a mapping"
        raise self.stop(at, function, "text", found)

    def items(self, value: Value | None, at: Marked, function: str) -> tuple[Value, ...]:
        """The items of a list that a function needs.

        Raises:
            NotKnownError: It isn't known, or no list; the latter is reported.
        """
        if isinstance(value, Items):
            return value.items
        if isinstance(value, Unknown):
            raise NotKnownError(value)
        raise self.stop(at, function, "a list", "AWS::NoValue" if value is None else "something else")

    def holds_secret(self, text: str) -> bool:
        """Whether the text names a secret that the box fills in: only joining keeps the meaning of it."""
        return any(f"${{{name}}}" in text for name in self.secrets_used)

    def made(self, text: str, at: Marked, function: str) -> Text:
        """A text that a function made.

        Raises:
            NotKnownError: It is too long, which is reported.
        """
        if len(text) > MAX_TEXT:
            raise self.stop(at, function, f"at most {MAX_TEXT} characters", f"{len(text)}")
        return Text(text, line=at.line, column=at.column)

    def wrong(self, at: Marked, field: str, expected: str, found: str, hint: str = "") -> Unknown:
        """Report a fault of the template; the unknown value in its place."""
        self.report.problem(at, field, expected, found, hint)
        return Unknown(f"expected {expected}, found {found}", at.line, at.column, reported=True)

    def stop(self, at: Marked, field: str, expected: str, found: str, hint: str = "") -> NotKnownError:
        """Report a fault of the template; what a function raises then."""
        return NotKnownError(self.wrong(at, field, expected, found, hint))

    def condition(self, name: str, at: Marked) -> bool | Unknown:
        """Whether the condition of this name holds."""
        node = self.template.conditions.items.get(name)
        if node is None:
            known = ", ".join(self.template.conditions.items) or "none"
            return self.wrong(at, "Condition", f"a condition of the template (there are: {known})", name)
        if name not in self._conditions:
            with self.entering(f"condition {name}", at) as refused, self._with(Secrets.OPEN):
                self._conditions[name] = refused or self.truth(node)
        return self._conditions[name]

    def truth(self, node: Node) -> bool | Unknown:
        """Whether a node of the Conditions section holds: a function, or the name of another condition."""
        if isinstance(node, Mapping) and list(node.items) == ["Condition"]:
            name = node.items["Condition"]
            if isinstance(name, Scalar):
                return self.condition(name.text, name)
        value = self.value(node)
        if isinstance(value, Unknown):
            return value
        if isinstance(value, Text) and value.text.lower() in {"true", "false"}:
            return value.text.lower() == "true"
        return self.wrong(node, "Conditions", "a condition such as Fn::Equals", "something else")

    @contextmanager
    def entering(self, what: str, at: Marked) -> Iterator[Unknown | None]:
        """Guards against names and conditions that need themselves: gives the fault instead of going on."""
        if what in self._entered:
            circle = " -> ".join([*self._entered[self._entered.index(what) :], what])
            yield self.wrong(at, what, "a value that doesn't need itself", circle)
        elif len(self._entered) >= MAX_CHAIN:
            yield self.wrong(at, what, f"at most {MAX_CHAIN} values that need each other", "more")
        else:
            self._entered.append(what)
            try:
                with self._with(Secrets.REFUSED):
                    yield None
            finally:
                self._entered.pop()

    @contextmanager
    def _with(self, secrets: Secrets) -> Iterator[None]:
        before, self._secrets = self._secrets, secrets
        try:
            yield
        finally:
            self._secrets = before


def _known(text: str, at: Marked, *, plain: bool) -> Text | Unknown:
    if "{{resolve:" in text:
        return Unknown("dynamic references ({{resolve:...}}) aren't supported", at.line, at.column)
    return Text(text, plain, at.line, at.column)
