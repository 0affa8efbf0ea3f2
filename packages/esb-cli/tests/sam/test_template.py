import pytest
from esb_cli.errors import TemplateError
from esb_cli.sam.load import load_template
from esb_cli.sam.report import Report
from esb_cli.sam.template import read_template

BUCKET = "Resources: {B: {Type: 'AWS::S3::Bucket'}}\n"


def test_a_resource_knows_its_place_and_its_type():
    report = Report("t.yaml")
    root = load_template(b"Resources:\n  B:\n    Type: AWS::S3::Bucket\n    Metadata: {a: b}\n", report)
    resource = read_template(root, report).resources["B"]
    assert (resource.type, resource.line, resource.column) == ("AWS::S3::Bucket", 2, 3)
    assert resource.properties.items == {}
    assert resource.attribute("Metadata") is not None
    assert resource.attribute("Condition") is None


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("A: 1\n", "Resources: expected at least one resource, found none (is this a SAM template?)"),
        ("Resources:\n", "Resources: expected at least one resource, found none"),
        ("Resources: []\n", "t.yaml:2:12: Resources: expected a mapping, found a list"),
        (
            "Resorces: {}\n",
            "t.yaml:2:1: Resorces: expected a section of a template, found another key "
            "(did you mean Resources?)",
        ),
        (
            BUCKET + "x-common: 1\n",
            "x-common: expected a section of a template, found another key (these are: ",
        ),
        ("Resources: {B: x}\n", "Resources.B: expected a mapping with a Type, found 'x'"),
        ("Resources: {B: {Properties: {}}}\n", "Resources.B.Type: expected a resource type, found nothing"),
        ("Resources: {B: {Type: [a]}}\n", "Resources.B.Type: expected a resource type, found a list"),
        (
            "Resources: {B: {Type: X, Properties: a}}\n",
            "Resources.B.Properties: expected a mapping, found 'a'",
        ),
        (BUCKET + "Conditions: []\n", "t.yaml:3:13: Conditions: expected a mapping, found a list"),
        (
            "Resources: {B: {Type: X, Condition: [a]}}\n",
            "Resources.B.Condition: expected the name of a condition",
        ),
        (
            "Resources: {B: {Type: X, Condition: No}}\n",
            "expected a condition of the template (there are: none), found No",
        ),
    ],
)
def test_a_section_that_is_not_what_it_should_be_is_refused(problems, template, message):
    assert any(message in problem for problem in problems(template))


def test_serverless_resources_need_the_transform(build):
    with pytest.raises(TemplateError, match="add the line 'Transform: AWS::Serverless-2016-10-31'"):
        build(b"Resources: {T: {Type: 'AWS::Serverless::SimpleTable'}}\n")
    assert build(b"Resources: {B: {Type: 'AWS::S3::Bucket'}}\n").buckets[0].name == "shop-dev-b"


def test_a_condition_decides_whether_a_resource_exists(build):
    template = """
    Parameters: {Stage: {Type: String, Default: dev}}
    Conditions: {Live: !Equals [!Ref Stage, prod]}
    Resources:
      A: {Type: AWS::S3::Bucket, Condition: Live}
      B: {Type: AWS::S3::Bucket}
    """
    assert [it.logical_id for it in build(template).buckets] == ["B"]
    assert [it.logical_id for it in build(template, parameters={"Stage": "prod"}).buckets] == ["A", "B"]


@pytest.mark.parametrize(
    "names", ["A", "[A, Off]", "F", "FRole", "[ServerlessRestApi, FGetPermissionProd]", "", "[]"]
)
def test_an_order_of_resources_has_no_effect(build, names):
    spec = build(DEPENDENT % names)
    assert ([it.logical_id for it in spec.buckets], spec.findings) == (["A", "B"], ())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("[A, Nope]", "t.yaml:9:20: Resources.B.DependsOn: expected a resource of the template, found Nope"),
        ("!Ref A", "Resources.B.DependsOn: expected the name of a resource, or a list of names"),
    ],
)
def test_an_order_after_nothing_is_refused(problems, names, message):
    assert message in problems(DEPENDENT % names)[0]


DEPENDENT = """
Conditions: {Never: !Equals [a, b]}
Resources:
  A: {Type: AWS::S3::Bucket}
  Off: {Type: AWS::S3::Bucket, Condition: Never}
  B:
    Type: AWS::S3::Bucket
    DependsOn: %s
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      Events: {Get: {Type: Api, Properties: {Path: /, Method: get}}}
"""


def test_macros_loops_rules_and_unknown_attributes_are_findings(losses):
    template = b"""\
Transform: [AWS::Serverless-2016-10-31, MyMacro]
Rules: {}
Resources:
  B:
    Type: AWS::S3::Bucket
    DeletionPolicy: Retain
    Colour: blue
  Fn::ForEach::Loop: [a, [b], {}]
"""
    assert losses(template) == [
        "MyMacro: MyMacro has no effect: it isn't run",
        "Rules: Rules has no effect: it isn't run",
        "B: the attribute Colour, which a resource doesn't have",
        "Fn::ForEach::Loop: Fn::ForEach::Loop has no effect: it isn't run",
    ]


def test_a_resource_of_a_type_that_is_not_supported_is_a_finding_and_a_harmless_one_is_not(build):
    template = """
    Resources:
      Queue: {Type: AWS::SQS::Queue}
      Role: {Type: AWS::IAM::Role}
      Logs: {Type: AWS::Logs::LogGroup}
      May: {Type: AWS::Lambda::Permission}
    """
    (finding,) = build(template).findings
    assert (finding.logical_id, finding.type, finding.file, finding.line) == (
        "Queue",
        "AWS::SQS::Queue",
        "t.yaml",
        4,
    )
    assert finding.lost == "the whole resource: its type isn't supported in this version"
    assert str(finding) == f"t.yaml:4: Queue (AWS::SQS::Queue): {finding.lost}"
