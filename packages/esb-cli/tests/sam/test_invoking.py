import pytest
from artifact_contract.config_types import AsyncInvoke, FunctionUrl

TEMPLATE = """\
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      %s
  Late:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: index.handler, InlineCode: x, FunctionName: late-one}
"""


def function(build, line):
    return build(TEMPLATE % line).functions[0]


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ("{AuthType: NONE}", FunctionUrl("NONE")),
        ("{AuthType: AWS_IAM, InvokeMode: RESPONSE_STREAM}", FunctionUrl("AWS_IAM", "RESPONSE_STREAM")),
    ],
)
def test_a_function_may_have_a_url(build, config, url):
    spec = build(TEMPLATE % f"FunctionUrlConfig: {config}")
    assert (spec.functions[0].function_url, spec.findings) == (url, ())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{InvokeMode: BUFFERED}", "AuthType: expected AWS_IAM or NONE, found nothing"),
        ("{AuthType: JWT}", "AuthType: expected AWS_IAM or NONE, found 'JWT'"),
        ("{AuthType: !ImportValue x}", "AuthType: expected AWS_IAM or NONE, known when rendering"),
        (
            "{AuthType: NONE, InvokeMode: FAST}",
            "expected BUFFERED or RESPONSE_STREAM, found 'FAST'",
        ),
        ("NONE", "FunctionUrlConfig: expected a mapping, found 'NONE'"),
    ],
)
def test_a_url_that_is_wrong_is_refused(problems, config, message):
    assert any(message in problem for problem in problems(TEMPLATE % f"FunctionUrlConfig: {config}"))


LAMBDA = "DestinationConfig: {OnFailure: {Type: Lambda, Destination: %s}}"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{}", None),
        ("{DestinationConfig: {}}", None),
        ("{MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0}", AsyncInvoke(60, 0)),
        (f"{{{LAMBDA % '!GetAtt Late.Arn'}}}", AsyncInvoke(on_failure="late-one")),
        (
            "{MaximumRetryAttempts: 2, DestinationConfig: {OnFailure: {Destination: "
            "'arn:aws:lambda:us-east-1:123456789012:function:elsewhere:live'}}}",
            AsyncInvoke(None, 2, "elsewhere"),
        ),
    ],
)
def test_events_are_kept_and_given_up_as_the_template_says(build, config, expected):
    spec = build(TEMPLATE % f"EventInvokeConfig: {config}")
    assert (spec.functions[0].async_invoke, spec.findings) == (expected, ())


@pytest.mark.parametrize(
    ("config", "lost"),
    [
        (
            "DestinationConfig: {OnFailure: {Type: SQS, Destination: !ImportValue x}}",
            "its on-failure destination of type SQS: events given up go to the box's dead-letter store",
        ),
        (
            "DestinationConfig: {OnFailure: {Type: SNS}}",
            "its on-failure destination of type SNS: events given up go to the box's dead-letter store",
        ),
        (
            LAMBDA % "!Ref F.Alias",
            "its on-failure destination: events given up go to the box's dead-letter store "
            "(F.Alias is something that SAM makes on AWS and a box doesn't have)",
        ),
        (
            "DestinationConfig: {OnSuccess: {Type: Lambda, Destination: !GetAtt Late.Arn}}",
            "its on-success destination",
        ),
        ("MaximumConcurrency: 3", "the property MaximumConcurrency, which isn't supported"),
    ],
)
def test_what_becomes_of_events_elsewhere_is_a_finding(build, losses, config, lost):
    template = TEMPLATE % f"EventInvokeConfig: {{{config}}}"
    assert build(template).functions[0].async_invoke is None
    assert losses(template) == [f"F: {lost}"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("MaximumEventAgeInSeconds: 59", "expected a whole number from 60 to 21600 seconds, found '59'"),
        ("MaximumRetryAttempts: 3", "expected a whole number from 0 to 2, found '3'"),
        (LAMBDA % "late", "OnFailure.Destination: expected the ARN of a function, found 'late'"),
        (LAMBDA % "a/b", "OnFailure.Destination: expected the ARN of a function, found 'a/b'"),
        ("DestinationConfig: {OnFailure: {Type: Lambda}}", "expected the ARN of a function, found nothing"),
    ],
)
def test_what_is_wrong_with_events_is_refused(problems, config, message):
    assert any(message in problem for problem in problems(TEMPLATE % f"EventInvokeConfig: {{{config}}}"))


def test_a_function_has_its_description_where_it_is_known(build):
    assert function(build, "Description: says hello").description == "says hello"
    assert function(build, "Description: !ImportValue x").description == ""
