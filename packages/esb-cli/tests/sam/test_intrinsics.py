import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PARAMETERS = """\
Parameters:
  Name: {Type: String, Default: blue}
  Zip: {Type: String, Default: 01234}
  Flag: {Type: String, Default: True}
  Count: {Type: Number, Default: 3}
  Names: {Type: CommaDelimitedList, Default: "a, b,c"}
  Numbers: {Type: List<Number>, Default: "1,2"}
Mappings:
  Words: {No: {word: No}}
  Sizes: {dev: {memory: 256}, prod: {memory: 512}}
Conditions:
  Yes: !Equals [a, a]
  No: !Equals [!Ref Name, red]
  Flagged: !Equals [!Ref Flag, True]
  Both: !And [!Condition Yes, !Not [!Condition No]]
  Either: !Or [{Condition: No}, !Equals ["1", 1]]
  Neither: !Or [!Condition No, !Not [!Condition Both]]
"""
STORES = """\
T: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: [], AttributeDefinitions: []}}
Named:
  Type: AWS::Serverless::SimpleTable
  Properties: {TableName: !Sub "t-${Name}"}
B: {Type: AWS::S3::Bucket}
L: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /x}}
Role: {Type: AWS::IAM::Role}
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("!Ref Name", "blue"),
        ("!Ref Zip", "01234"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "000000000000"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref AWS::StackName", "shop-dev"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        (
            "!Select [0, !Split ['/', !Ref AWS::StackId]]",
            "arn:aws:cloudformation:us-east-1:000000000000:stack",
        ),
        ("!Join ['-', !Ref AWS::NotificationARNs]", ""),
        ("!Ref F", "F"),
        ("!Ref T", "shop-dev-T"),
        ("!Ref Named", "t-blue"),
        ("!Ref B", "shop-dev-b"),
        ("!Ref L", "/x"),
        ("!GetAtt F.Arn", "arn:aws:lambda:us-east-1:000000000000:function:F"),
        ("!GetAtt T.Arn", "arn:aws:dynamodb:us-east-1:000000000000:table/shop-dev-T"),
        ("!GetAtt B.Arn", "arn:aws:s3:::shop-dev-b"),
        ("!GetAtt B.DomainName", "shop-dev-b.s3.amazonaws.com"),
        ("!GetAtt B.RegionalDomainName", "shop-dev-b.s3.us-east-1.amazonaws.com"),
        ("!GetAtt B.DualStackDomainName", "shop-dev-b.s3.dualstack.us-east-1.amazonaws.com"),
        ("!GetAtt B.WebsiteURL", "http://shop-dev-b.s3-website-us-east-1.amazonaws.com"),
        ("!GetAtt Role.Arn", "arn:aws:iam::000000000000:role/shop-dev-Role"),
        ("!GetAtt L.Arn", "arn:aws:logs:us-east-1:000000000000:log-group:/x:*"),
        (
            "!Sub 'table/${T}/${B.Arn}/${AWS::Region}/${Name}'",
            "table/shop-dev-T/arn:aws:s3:::shop-dev-b/us-east-1/blue",
        ),
        ("!Sub ['${a}-${Name}', {a: !Ref Count}]", "3-blue"),
        ("!Sub '${Count}${Zip}'", "301234"),
        ("!Join ['', [a, !Ref Name, '1']]", "ablue1"),
        ("!Join ['|', !Ref Names]", "a|b|c"),
        ("!Join ['+', !Ref Numbers]", "1+2"),
        ("!Join [',', [a, !Ref AWS::NoValue, b]]", "a,b"),
        ("!Select [1, !Ref Names]", "b"),
        ("!Select ['1', [a, !Ref Name]]", "blue"),
        ("!Select [2, !Split ['.', 'a.b.c']]", "c"),
        ("!If [Yes, !Ref Name, !Ref Missing]", "blue"),
        ("!If [No, a, !If [Both, b, c]]", "b"),
        ("!If [Either, a, b]", "a"),
        ("!If [Neither, a, b]", "b"),
        ("!FindInMap [Sizes, dev, memory]", "256"),
        ("!FindInMap [Sizes, !Sub 'pr${o}', memory]".replace("${o}", "od"), "512"),
        ("!Base64 abc", base64.b64encode(b"abc").decode()),
        ("!Select [1, !Cidr [10.0.0.0/16, 4, 8]]", "10.0.1.0/24"),
        ("{'Fn::Join': ['', [{Ref: Name}, {'Fn::GetAtt': [B, Arn]}]]}", "bluearn:aws:s3:::shop-dev-b"),
        ("{'Fn::Sub': '${Name}'}", "blue"),
        ("true", "true"),
        ("010", "010"),
        ("True", "true"),
        ("NO", "false"),
        ("'True'", "True"),
        ("yEs", "yEs"),
        ("!Ref Flag", "true"),
        ("!Sub ['${Flag}-${a}', {a: off}]", "true-false"),
        ("!Join ['-', [True, 1, 'yes']]", "true-1-yes"),
        ("!FindInMap [Words, No, word]", "false"),
        ("!If [Flagged, a, b]", "a"),
        ("{'Fn::GetAtt': B.Arn}", "arn:aws:s3:::shop-dev-b"),
        ("1.0", "1.0"),
        ("'${x'", "${x"),
    ],
)
def test_an_expression_has_the_value_that_cloudformation_gives(evaluate, expression, value):
    assert evaluate(expression, head=PARAMETERS, more=STORES) == value


def test_regions_of_other_partitions_give_their_own_arns(evaluate):
    assert evaluate("!GetAtt F.Arn", region="cn-north-1").startswith("arn:aws-cn:lambda:cn-north-1:")
    assert evaluate("!Ref AWS::URLSuffix", region="cn-north-1") == "amazonaws.com.cn"
    assert evaluate("!Ref AWS::Partition", region="us-gov-west-1") == "aws-us-gov"


def test_a_stack_id_never_changes(evaluate):
    assert evaluate("!Ref AWS::StackId") == evaluate("!Ref AWS::StackId")
    assert evaluate("!Ref AWS::StackId") != evaluate("!Ref AWS::StackId", env="prod")


def test_language_extensions_add_defaults_length_and_json(build, with_value):
    def value(expression):
        template = "Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]\n" + with_value(
            expression
        )
        return build(template.encode()).functions[0].environment["X"]

    assert value("!FindInMap [A, b, c, {DefaultValue: d}]") == "d"
    assert value("!Length [a, b]") == "2"
    assert json.loads(value("!ToJsonString {a: [1, '1', true]}")) == {"a": [1, "1", True]}


def test_no_value_removes_a_variable(evaluate):
    assert evaluate("!If [No, a, !Ref AWS::NoValue]", head=PARAMETERS) is None


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("!ImportValue x", "a box has no other stacks to import from (Fn::ImportValue)"),
        ("!Select [0, !GetAZs '']", "a box has no availability zones (Fn::GetAZs)"),
        ("!Transform {Name: AWS::Include}", "macros aren't run (Fn::Transform)"),
        ("{'Fn::New': x}", "Fn::New isn't supported"),
        ("'{{resolve:ssm:/a}}'", "dynamic references ({{resolve:...}}) aren't supported"),
        ("!Sub '{{resolve:ssm:/${AWS::Region}}}'", "dynamic references ({{resolve:...}}) aren't supported"),
        ("!Sub 'https://${Queue}'", "Queue is AWS::SQS::Queue, which has no name on a box"),
        ("!GetAtt Queue.Arn", "Queue.Arn of AWS::SQS::Queue isn't known on a box"),
        ("!GetAtt T.StreamArn", "T.StreamArn of AWS::DynamoDB::Table isn't known on a box"),
        (
            "!Sub 'https://${ServerlessRestApi}'",
            "ServerlessRestApi is something that SAM makes on AWS and a box doesn't have",
        ),
        ("!Ref F.Alias", "F.Alias is something that SAM makes on AWS and a box doesn't have"),
        ("!GetAtt FRole.Arn", "FRole is something that SAM makes on AWS and a box doesn't have"),
    ],
)
def test_a_variable_that_cannot_be_known_is_not_set_and_named(build, with_value, expression, reason):
    more = STORES + "Queue: {Type: AWS::SQS::Queue}\n"
    spec = build(with_value(expression, head=PARAMETERS, more=more))
    found = [it for it in spec.findings if "variable X" in it.lost]
    assert [(it.logical_id, it.lost) for it in found] == [
        ("F", f"environment variable X isn't set: {reason}")
    ]
    assert spec.functions[0].environment == {}
    assert (
        found[0].line
        == 1 + with_value(expression, head=PARAMETERS, more=more).splitlines().index("          X:") + 1
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "!Ref Nmae",
            "Ref: expected a parameter or resource of the template, found Nmae (did you mean Name?)",
        ),
        ("!Ref AWS::Nothing", "expected a pseudo parameter of CloudFormation, found AWS::Nothing"),
        ("!GetAtt Nothing.Arn", "Fn::GetAtt: expected a resource of the template, found Nothing"),
        ("!GetAtt Nothing", "Fn::GetAtt: expected [resource, attribute], found 1 elements"),
        (
            "!GetAtt Gone.Arn",
            "expected a resource that is made, found Gone, which isn't made because the "
            "condition No is false",
        ),
        ("!Sub '${Gone}'", "found Gone, which isn't made because the condition No is false"),
        ("!Sub '${a b}'", "Fn::Sub: expected a name in ${...}, found 'a b'"),
        ("!Sub '${Names}'", "Fn::Sub: expected text, found a list"),
        ("!Sub [a]", "Fn::Sub: expected text, or [text, mapping of variables]"),
        ("!Join [a]", "Fn::Join: expected [delimiter, list], found 1 elements"),
        ("!Join [',', a]", "Fn::Join: expected a list, found something else"),
        ("!Join [',', [[a]]]", "Fn::Join: expected text, found a list"),
        ("!Select [7, [a]]", "Fn::Select: expected an index below 1, found '7'"),
        ("!Split ['', a]", "Fn::Split: expected a delimiter, found an empty text"),
        (
            "!If [Nope, a, b]",
            "Condition: expected a condition of the template (there are: Yes, No, "
            "Flagged, Both, Either, Neither)",
        ),
        ("!If [a, b]", "Fn::If: expected [condition, value, other value], found 2 elements"),
        (
            "!FindInMap [Sizes, test, memory]",
            "Fn::FindInMap: expected keys of the Mappings section, found Sizes / test",
        ),
        ("!Cidr [10.0.0.0/24, 300, 4]", "Fn::Cidr: expected a block, a count up to 256 and bits"),
        ("{Ref: Name, Other: x}", "Ref: expected to stand alone in its mapping, found it beside Other"),
        ("[a]", "Environment.Variables.X: expected text, found a list"),
        ("", "Environment.Variables.X: expected text, found nothing (write '' for an empty value)"),
    ],
)
def test_a_fault_of_the_template_is_an_error_with_its_place(problems, with_value, expression, message):
    more = "Gone: {Type: AWS::S3::Bucket, Condition: No}\n"
    (problem,) = problems(with_value(expression, head=PARAMETERS, more=more))
    assert message in problem
    assert problem.startswith("t.yaml:")


def test_names_that_need_each_other_are_refused_as_a_circle(problems):
    template = """
    Resources:
      A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref B}}
      B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref A}}
    """
    assert any("B.BucketName -> A.BucketName -> B.BucketName" in problem for problem in problems(template))


def test_conditions_that_need_each_other_are_refused_as_a_circle(problems):
    template = """
    Conditions:
      A: !Not [!Condition B]
      B: !Not [!Condition A]
    Resources:
      R: {Type: AWS::S3::Bucket, Condition: A}
    """
    assert any("condition A -> condition B -> condition A" in problem for problem in problems(template))


def test_references_that_double_a_text_again_and_again_are_stopped(problems):
    names = "".join(
        f"  B{n}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: !Sub '${{B{n + 1}}}${{B{n + 1}}}'}}}}\n"
        for n in range(20)
    )
    template = (
        f"Resources:\n{names}  B20: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {'x' * 60}}}}}\n"
    )
    assert any("at most 1048576 characters" in problem for problem in problems(template))


def test_values_that_lead_deeper_and_deeper_are_stopped(problems):
    def bucket(n):
        name = f"!Ref B{n + 1}"
        for _ in range(40):
            name = f"!Join ['', [{name}]]"
        return f"  B{n}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}\n"

    template = "Resources:\n" + "".join(map(bucket, range(60))) + "  B60: {Type: AWS::S3::Bucket}\n"
    assert any("at most 120 values in each other" in problem for problem in problems(template))
    names = "".join(f"  C{n}: !Not [!Condition C{n + 1}]\n" for n in range(400))
    chain = f"Conditions:\n{names}  C400: !Equals [a, a]\nResources: {{B: {{Type: X, Condition: C0}}}}\n"
    assert any("values that need each other, found more" in problem for problem in problems(chain))


_plain = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=30)
_many = settings(max_examples=40, deadline=None)


def quoted(text):
    return json.dumps(text)


@given(parts=st.lists(_plain, min_size=1, max_size=6), delimiter=st.sampled_from([",", "::", "-", " "]))
@_many
def test_split_undoes_join(evaluate, parts, delimiter):
    joined = f"!Join [{quoted(delimiter)}, [{', '.join(map(quoted, parts))}]]"
    again = evaluate(f"!Join [{quoted(delimiter)}, !Split [{quoted(delimiter)}, {joined}]]")
    assert again == delimiter.join(parts)
    clean = [part.replace(delimiter, "_") for part in parts if delimiter[0] not in part]
    if clean:
        joined = f"!Join [{quoted(delimiter)}, [{', '.join(map(quoted, clean))}]]"
        assert evaluate(f"!Select [{len(clean) - 1}, !Split [{quoted(delimiter)}, {joined}]]") == clean[-1]


@given(text=_plain.filter(lambda it: "${" not in it))
@_many
def test_sub_without_variables_changes_nothing(evaluate, text):
    assert evaluate(f"!Sub {quoted(text)}") == text


@given(name=st.text("abcXYZ_019", min_size=1, max_size=10))
@_many
def test_sub_keeps_a_literal(evaluate, name):
    assert evaluate(f"!Sub 'a${{!{name}}}b'") == f"a${{{name}}}b"


@given(items=st.lists(st.none() | _plain, max_size=8))
@_many
def test_no_value_disappears_from_a_list(evaluate, items):
    written = ", ".join("!Ref AWS::NoValue" if item is None else quoted(item) for item in items)
    assert evaluate(f"!Join ['', [{written}]]") == "".join(item for item in items if item is not None)


@given(left=_plain, right=_plain)
@_many
def test_if_picks_by_its_condition(evaluate, left, right):
    head = f"Conditions:\n  Same: !Equals [{quoted(left)}, {quoted(right)}]\n"
    assert evaluate("!If [Same, same, other]", head=head) == ("same" if left == right else "other")
