import textwrap
from pathlib import Path

import pytest
from esb_cli.errors import TemplateError
from esb_cli.sam.code import Site
from esb_cli.sam.references import Surroundings
from esb_cli.sam.report import Report
from esb_cli.spec import spec_of

SAM = "Transform: AWS::Serverless-2016-10-31\n"


def _build(
    template, *, directory=Path("/nowhere"), root=None, parameters=None, env="dev", region="us-east-1"
):
    data = template if isinstance(template, bytes) else (SAM + textwrap.dedent(template)).encode()
    surroundings = Surroundings("shop", env, region, "000000000000")
    return spec_of(data, parameters or {}, surroundings, Site(directory, root), Report("t.yaml"))


@pytest.fixture(scope="session")
def build():
    """Builds a spec from a template's text; the line with the transform is put before it."""
    return _build


@pytest.fixture(scope="session")
def problems():
    """The problems of a template that is refused, a text each."""

    def refuse(template, **how):
        with pytest.raises(TemplateError) as refused:
            _build(template, **how)
        return [str(problem) for problem in refused.value.problems]

    return refuse


@pytest.fixture(scope="session")
def losses():
    """The findings of a template: `logical id: what is lost`, by line."""

    def find(template, **how):
        return [f"{it.logical_id}: {it.lost}" for it in _build(template, **how).findings]

    return find


FUNCTION = """\
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: "def handler(e, c): return e"
"""


@pytest.fixture(scope="session")
def with_value():
    """A template whose function F has the variable X; `head` are other sections, `more` other resources."""

    def template(expression, *, head="", more=""):
        value = textwrap.indent(textwrap.dedent(expression).strip("\n"), " " * 12)
        resources = textwrap.indent(textwrap.dedent(more), "  ")
        variables = f"      Environment:\n        Variables:\n          X:\n{value}\n"
        return f"{textwrap.dedent(head)}Resources:\n{FUNCTION}{variables}{resources}"

    return template


@pytest.fixture(scope="session")
def evaluate(with_value):
    """The value that an expression gives in an environment; None when the variable isn't set."""

    def value(expression, *, head="", more="", **how):
        (function,) = [
            it
            for it in _build(with_value(expression, head=head, more=more), **how).functions
            if it.logical_id == "F"
        ]
        return function.environment.get("X")

    return value
