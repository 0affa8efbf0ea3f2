"""A function's environment variables: every one of the template has its value, or is named as lost."""

import re

from artifact_contract.nodes import quote

from esb_cli.sam.properties import Properties, is_nothing
from esb_cli.sam.values import Text, Unknown, describe

__all__ = ["environment_of"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_EXPANDED = re.compile(
    r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-[^}]*)?\}"
)  # what the gateway fills in (contract §9)


def environment_of(props: Properties) -> dict[str, str]:
    """The variables with a known value. A NoEcho parameter stands as `${NAME}`."""
    environment = props.child("Environment", environment=True)
    if environment is None:
        return {}
    variables = environment.child("Variables")
    environment.finish("Environment")
    if variables is None:
        return {}
    pairs = ((name, _variable(name, variables)) for name in variables.names())
    return {name: text for name, text in pairs if text is not None}


def _variable(name: str, variables: Properties) -> str | None:
    value = variables.value(name)
    if not _NAME.match(name):
        variables.wrong(name, "letters, digits and _ in the name of a variable", quote(name))
    elif isinstance(value, Unknown):
        if not value.reported:
            variables.lose(f"environment variable {name} isn't set: {value.reason}", variables.at(name))
    elif isinstance(value, Text) and not is_nothing(value):
        _warn_of_expansion(name, value, variables)
        return value.as_string
    elif value is not None:
        found = "nothing" if is_nothing(value) else describe(value)
        variables.wrong(
            name, "text", found, "write '' for an empty value" if found == "nothing" else "", at=value
        )
    return None


def _warn_of_expansion(name: str, value: Text, variables: Properties) -> None:
    parameters = variables.resolution.evaluator.parameters
    for match in _EXPANDED.finditer(value.text):
        if match[1] not in parameters or not parameters[match[1]].secret:
            lost = f"the text {match[0]}, which the gateway replaces by its own {match[1]}"
            variables.lose(f"environment variable {name}: {lost}", variables.at(name))
