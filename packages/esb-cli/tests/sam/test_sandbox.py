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


def test_a_sandbox_there_is_not_is_refused_with_its_place(problems, site):
    told = problems(TEMPLATE + "    Metadata: {esb: {Sandbox: jail}}\n", directory=site)
    assert any(
        "Metadata.esb.Sandbox: expected runc, gvisor or firecracker, found jail" in one for one in told
    )
