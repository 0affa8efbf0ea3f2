import os
import re
from collections import Counter
from pathlib import Path

import pytest
from esb_cli.errors import TemplateError
from esb_cli.sam.code import Site
from esb_cli.sam.references import Surroundings
from esb_cli.sam.report import Report
from esb_cli.sam.support import HARMLESS_TYPES, RULES
from esb_cli.spec import build_spec, spec_of
from esb_cli.spec_model import LocalDir
from hypothesis import given, settings
from hypothesis import strategies as st

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: src
      Environment: {Variables: {R: !Ref AWS::Region}}
"""


def build(path, **how):
    return build_spec(path, project="shop", env="dev", parameters={}, **how)


def test_a_template_file_becomes_a_spec_with_code_beside_it(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    spec = build(tmp_path / "template.yaml", region="eu-west-1")
    assert spec.functions[0].code == LocalDir(tmp_path / "src")
    assert spec.functions[0].environment == {"R": "eu-west-1"}
    assert spec.functions[0].where.file == str(tmp_path / "template.yaml")


def test_messages_name_the_template_as_it_was_given(tmp_path):
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    with pytest.raises(TemplateError, match=r"\Ainfra/template\.yaml:8:"):
        build(tmp_path / "template.yaml", display="infra/template.yaml")


def test_the_same_template_gives_the_same_spec(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    assert build(tmp_path / "template.yaml") == build(tmp_path / "template.yaml")


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_template_that_is_not_there_or_a_directory_is_refused(tmp_path, name):
    with pytest.raises(TemplateError, match=r"expected a template, found (No such file|Is a directory)"):
        build(tmp_path / name)


def test_a_template_of_two_hundred_functions_is_interpreted():
    function = (
        "  F{n}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.12\n"
        "      Handler: index.handler\n      InlineCode: x\n      Environment:\n        Variables:\n"
        "          A: !Sub '${{AWS::Region}}-{n}'\n      Events:\n        E:\n          Type: Api\n"
        "          Properties:\n            Path: /f{n}\n            Method: get\n"
    )
    text = "Transform: AWS::Serverless-2016-10-31\nResources:\n" + "".join(
        function.format(n=n) for n in range(200)
    )
    spec = spec_of(
        text.encode(), {}, Surroundings("p", "e", "r", "0"), Site(Path("/nowhere")), Report("t.yaml")
    )
    assert len(spec.functions) == 200
    assert spec.functions[7].environment == {"A": "r-7"}


_scraps = st.sampled_from(
    [
        *(
            "Runtime: python3.12",
            "Handler: a.b",
            "InlineCode: x",
            "CodeUri: .",
            "Layers: [x, !Ref F]",
            "Events: {E: {Type: Api}}",
        ),
        *(
            "Environment: {Variables: {A: !Ref F, B: !GetAtt F.Arn}}",
            "Timeout: !Ref P",
            "Timeout: [a]",
            "Events: !If [C, a, b]",
        ),
        *(
            "FunctionName: !Sub '${F}'",
            "Environment: !Ref AWS::NoValue",
            "Architectures: {a: b}",
            "Handler: {a: b}",
        ),
        *(
            "Environment: {Variables: [a]}",
            "ProvisionedConcurrencyConfig: x",
            "InlineCode: !Base64 {a: b}",
            "CodeUri: {a: b}",
        ),
        *(
            "Fn::Transform: {Name: x}",
            "Events: {E: {Type: Schedule, Properties: !Ref P}}",
            "Layers: !Split [',', !Ref P]",
        ),
        *(
            "FunctionUrlConfig: {AuthType: NONE, Cors: [x]}",
            "FunctionUrlConfig: !Ref P",
            "EventInvokeConfig: {DestinationConfig: {OnFailure: [a]}}",
            "EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: [a], Destination: {a: b}}}}",
            "Description: [x]",
        ),
        *(
            "Events: {E: {Type: Api, Properties: {Path: /, Method: get, Auth: [x]}}}",
            "Events: {E: {Type: HttpApi, Properties: {Path: /, Method: get, Auth: {Authorizer: [x]}}}}",
            "Events: {E: {Type: Api, Properties: {Path: [x], Method: get, Auth: {AuthorizationScopes: x}}}}",
            "Events: {E: {Type: ScheduleV2, Properties: {ScheduleExpressionTimezone: [x], Name: {a: b}}}}",
        ),
        *(
            "Events: {E: {Type: [x]}}",
            "LoggingConfig: [x]",
            "PackageType: !Ref AWS::NoValue",
            "Runtime: !FindInMap [a, b, c]",
        ),
    ]
)


@given(st.lists(_scraps, max_size=8, unique_by=lambda it: it.split(":")[0]), st.sampled_from(["F", "G"]))
@settings(max_examples=150, deadline=None)
def test_any_mixture_of_properties_is_interpreted_or_refused_and_never_crashes(scraps, name):
    lines = "".join(f"      {line}\n" for line in scraps)
    text = (
        "Transform: AWS::Serverless-2016-10-31\nParameters: {P: {Type: String, Default: x}}\n"
        "Conditions: {C: !Equals [!Ref P, x]}\nResources:\n"
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n{lines}"
    )
    report = Report("t.yaml")
    try:
        places = [
            it.line
            for it in spec_of(
                text.encode(), {}, Surroundings("p", "e", "r", "0"), Site(Path("/nowhere")), report
            ).findings
        ]
    except TemplateError as error:
        places = [problem.place.line for problem in error.problems]
    assert all(places)


def test_nothing_is_both_harmless_and_lost():
    both = {name: rules.harmless & set(rules.lost) for name, rules in RULES.items()}
    assert {name: names for name, names in both.items() if names} == {}


SUPPORT = Path(__file__).parents[3] / "docs" / "sam-support.md"


@pytest.mark.skipif(not SUPPORT.exists(), reason="the documents are not beside the package")
def test_the_document_names_every_harmless_and_every_lost_thing():
    text = SUPPORT.read_text()
    names = {*HARMLESS_TYPES, *(name for rules in RULES.values() for name in (*rules.harmless, *rules.lost))}
    assert sorted(name for name in names if f"`{name}`" not in text) == []


@pytest.mark.skipif(not SUPPORT.exists(), reason="the documents are not beside the package")
def test_the_document_names_only_tests_that_are_there():
    here = Path(__file__).parent
    tests = {
        (path.name, name)
        for path in here.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", SUPPORT.read_text())
    assert named
    assert sorted(set(named) - tests) == []


CORPUS = os.environ.get("ESB_CORPUS_DIR", "")


@pytest.mark.skipif(not CORPUS, reason="ESB_CORPUS_DIR names no directory of templates")
def test_every_template_of_a_corpus_is_interpreted_or_refused_with_places(tmp_path, capsys):
    counts: Counter[str] = Counter()
    refused = []
    for number, path in enumerate(
        sorted(it for it in Path(CORPUS).rglob("*") if it.suffix in {".yaml", ".yml", ".json"})
    ):
        site = tmp_path / str(number)
        site.mkdir()
        (site / path.name).write_bytes(path.read_bytes())
        problems, spec = _as_far_as_it_goes(site / path.name)
        counts["templates"] += 1
        counts["rendered"] += spec is not None
        refused += [f"{path.relative_to(CORPUS)}: {problem}" for problem in problems]
        if spec is not None:
            assert all(finding.line > 0 and finding.logical_id for finding in spec.findings)
            counts["without a finding"] += not spec.findings
            counts["functions"] += len(spec.functions)
            counts["functions left out"] += sum("the function is left out" in it.lost for it in spec.findings)
            counts["variables"] += sum(len(it.environment) for it in spec.functions)
            counts["variables not set"] += sum("isn't set" in it.lost for it in spec.findings)
            counts["findings"] += len(spec.findings)
    with capsys.disabled():
        print("\n" + ", ".join(f"{name}: {count}" for name, count in counts.items()), *refused, sep="\n  ")  # noqa: T201 - figures for a person
    assert counts["rendered"] > 0


def _as_far_as_it_goes(path):
    """Templates of a corpus come without their code and values: both are made up where they are asked for."""
    parameters = {}
    for _ in range(3):
        try:
            return [], build_spec(path, project="shop", env="dev", parameters=parameters, display="t")
        except TemplateError as error:
            problems = error.problems
            for problem in problems:
                assert problem.place.line is not None
                if "--parameter" in problem.hint:
                    parameters[problem.field.removeprefix("Parameters.")] = "12345"
                elif "which does not exist" in problem.found:
                    made = (path.parent / problem.found.split("'")[1]).resolve()
                    if made.is_relative_to(path.parents[1]):
                        made.mkdir(parents=True, exist_ok=True)
    return problems, None
