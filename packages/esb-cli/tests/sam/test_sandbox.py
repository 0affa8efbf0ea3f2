"""What a function's workers are shut in."""

import pytest


@pytest.fixture
def site(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("")
    return tmp_path


TEMPLATE = """
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: a.h, CodeUri: src}
"""


def test_a_functions_metadata_names_its_sandbox(build, site):
    template = TEMPLATE + "    Metadata: {esb: {Sandbox: gvisor}, Other: kept}\n"
    assert build(template, directory=site).functions[0].sandbox == "gvisor"


@pytest.mark.parametrize("metadata", ["", "    Metadata: {Other: 1}\n", "    Metadata: {esb: {}}\n"])
def test_a_function_that_says_nothing_leaves_the_choice_to_the_agent(build, site, metadata):
    assert build(TEMPLATE + metadata, directory=site).functions[0].sandbox == ""


EXPECTED = "runc, gvisor or firecracker"


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (
            "{esb: {Sandbox: jail}}",
            f"t.yaml:7:31: Resources.F.Metadata.esb.Sandbox: expected {EXPECTED}, found 'jail'",
        ),
        (
            "{esb: {Sandbox: gVisor}}",
            f"t.yaml:7:31: Resources.F.Metadata.esb.Sandbox: expected {EXPECTED}, found 'gVisor'",
        ),
        ("{esb: {Sandbox: }}", f"Resources.F.Metadata.esb.Sandbox: expected {EXPECTED}, found nothing"),
        (
            "{esb: {Sandbox: [gvisor]}}",
            f"Resources.F.Metadata.esb.Sandbox: expected {EXPECTED}, found a list",
        ),
        (
            "{esb: {sandbox: gvisor}}",
            "t.yaml:7:22: Resources.F.Metadata.esb.sandbox: expected Sandbox, found an unknown key (write it",
        ),
        (
            "{esb: {SandBox: gvisor}}",
            "Resources.F.Metadata.esb.SandBox: expected Sandbox, found an unknown key (write it Sandbox)",
        ),
        (
            "{esb: {Sandbox: gvisor, Colour: red}}",
            "Resources.F.Metadata.esb.Colour: expected Sandbox, found an unknown key",
        ),
        (
            "{ESB: {Sandbox: gvisor}}",
            "Resources.F.Metadata.ESB: expected esb, found an unknown key (write it esb)",
        ),
        ("{esb: gvisor}", "Resources.F.Metadata.esb: expected a mapping, found"),
        (
            "{esb: , Sandbox: gvisor}",
            "Resources.F.Metadata.esb: expected a mapping with Sandbox, or no such line",
        ),
    ],
)
def test_what_would_shut_a_function_in_less_than_was_meant_is_refused_with_its_place(
    problems, site, metadata, told
):
    found = problems(TEMPLATE + f"    Metadata: {metadata}\n", directory=site)
    assert len(found) == 1
    assert told in found[0]
