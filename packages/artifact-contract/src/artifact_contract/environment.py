"""`${NAME}` and `${NAME:-default}` in environment values (contract §9).

These two forms are all there is: `$NAME`, `$$`, `${1X}` and an unclosed `${` stand for themselves, what
was put in is not looked at again. As in a shell, `:-` also replaces an empty value; a default can't hold
a `}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import evolve

from artifact_contract.config_files import FUNCTIONS_FILE
from artifact_contract.config_types import Function, FunctionsConfig
from artifact_contract.errors import Place, Problem, SchemaError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def expand_environment(
    env: Mapping[str, str], variables: Mapping[str, str], where: str = FUNCTIONS_FILE, function: str = ""
) -> dict[str, str]:
    """The environment with its references replaced; `where` is the file, `function` whose environment it is.

    Raises:
        SchemaError: names without value and default; says file, function and variable for each.
    """
    problems: list[Problem] = []
    prefix = f"functions.{function}." if function else ""
    expanded = {}
    for key, value in env.items():
        if "${" not in value:
            expanded[key] = value
            continue
        missing = [name for name, default in _references(value) if default is None and name not in variables]
        for name in missing:
            expected = f"a value for ${{{name}}}"
            problems.append(
                Problem(Place(where), f"{prefix}environment.{key}", expected, "none and no default")
            )
        expanded[key] = _REFERENCE.sub(lambda match: _value(match, variables), value)
    if problems:
        raise SchemaError(problems)
    return expanded


def _references(value: str) -> list[tuple[str, str | None]]:
    return [(match[1], match[2]) for match in _REFERENCE.finditer(value)]


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    value, default = variables.get(match[1], ""), match[2]
    return default if default is not None and not value else value


def expand_functions(
    config: FunctionsConfig, variables: Mapping[str, str], file: str = FUNCTIONS_FILE
) -> FunctionsConfig:
    """The config with every environment expanded, the defaults' too.

    Raises:
        SchemaError: names without value and default, of all functions together.
    """
    problems: list[Problem] = []
    defaults = config.defaults
    try:
        expanded = expand_environment(defaults.environment, variables, file)
        defaults = evolve(defaults, environment=expanded)
    except SchemaError as error:
        problems += [evolve(problem, field=f"defaults.{problem.field}") for problem in error.problems]
    functions: dict[str, Function] = {}
    for name, function in config.functions.items():
        try:
            expanded = expand_environment(function.environment, variables, file, name)
        except SchemaError as error:
            problems += error.problems
        else:
            functions[name] = evolve(function, environment=expanded)
    if problems:
        raise SchemaError(problems)
    return FunctionsConfig(defaults, functions)
