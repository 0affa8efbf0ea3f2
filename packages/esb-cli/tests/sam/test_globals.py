import json

import pytest
from artifact_contract.nodes import from_python, plain_python
from esb_cli.sam.globals import merge
from hypothesis import given, settings
from hypothesis import strategies as st

GLOBALS = """
Globals:
  Function:
    Runtime: python3.11
    Handler: index.handler
    Timeout: 5
    Architectures: [arm64]
    Environment: {Variables: {A: global, B: global}}
    Tags: {x: y}
  Api: {TracingEnabled: true}
"""


def test_what_stands_at_the_function_wins_and_variables_are_merged(build):
    template = (
        GLOBALS
        + """
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      InlineCode: x
      Timeout: 9
      Architectures: [x86_64]
      Environment: {Variables: {B: own, C: own}}
  G: {Type: AWS::Serverless::Function, Properties: {InlineCode: x}}
"""
    )
    first, second = build(template).functions
    assert (first.timeout, first.architectures, first.runtime) == (9, ("x86_64",), "python3.11")
    assert first.environment == {"A": "global", "B": "own", "C": "own"}
    assert (second.timeout, second.architectures) == (5, ("arm64",))
    assert second.environment == {"A": "global", "B": "global"}


def test_globals_apply_to_serverless_types_only(problems):
    template = GLOBALS + "Resources: {F: {Type: AWS::Lambda::Function, Properties: {Code: {ZipFile: x}}}}\n"
    assert (
        "Resources.F.Properties.Runtime: expected a runtime such as python3.12, found nothing"
        in problems(template)[0]
    )


@pytest.mark.parametrize(("ignored", "timeout"), [("'*'", 3), ("[Timeout]", 3), ("[Tags]", 5)])
def test_a_resource_may_ignore_globals(build, ignored, timeout):
    template = (
        GLOBALS
        + f"""
Resources:
  F:
    Type: AWS::Serverless::Function
    IgnoreGlobals: {ignored}
    Properties: {{InlineCode: x, Runtime: python3.12, Handler: index.handler}}
"""
    )
    assert build(template).functions[0].timeout == timeout


@pytest.mark.parametrize(
    ("globals_", "message"),
    [
        ("{Functions: {}}", "Globals.Functions: expected one of Api, "),
        (
            "{Function: {Colour: x}}",
            "Globals.Function.Colour: expected a property that SAM takes in Globals.Function",
        ),
        ("{Function: [a]}", "Globals.Function: expected a mapping, found a list"),
        ("[a]", "Globals: expected a mapping, found a list"),
    ],
)
def test_globals_that_sam_does_not_take_are_refused(problems, globals_, message):
    template = f"Globals: {globals_}\nResources: {{T: {{Type: AWS::Serverless::SimpleTable}}}}\n"
    assert message in problems(template)[0]


def test_ignoring_a_global_that_is_not_there_is_refused(problems):
    template = (
        GLOBALS
        + """
Resources:
  F: {Type: AWS::Serverless::Function, IgnoreGlobals: [Layers], Properties: {InlineCode: x}}
"""
    )
    assert (
        "Resources.F.IgnoreGlobals: expected '*', or a list of properties that Globals has"
        in problems(template)[0]
    )


_values = st.recursive(
    st.sampled_from(["a", "b", 1, True]) | st.builds(lambda x: {"Ref": x}, st.sampled_from("PQ")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


@given(shared=_values, own=_values)
@settings(deadline=None)  # the oracle takes half a second to import
def test_globals_merge_as_sam_merges_them(shared, own):
    sam = pytest.importorskip("samtranslator.plugins.globals.globals")
    expected = sam.GlobalProperties({"P": json.loads(json.dumps(shared))}).merge(
        {"P": json.loads(json.dumps(own))}
    )
    assert plain_python(merge(from_python({"P": shared}), from_python({"P": own}))) == expected
