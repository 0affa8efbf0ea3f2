import json
import textwrap

import pytest
from esb_cli.spec_model import RouteSpec, ScheduleSpec


def function(events, name="F", head="Resources:\n"):
    properties = "    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: python3.12\n"
    properties += "      Handler: index.handler\n      InlineCode: x\n      Events:\n"
    return f"{head}  {name}:\n{properties}{textwrap.indent(textwrap.dedent(events), '        ')}"


@pytest.mark.parametrize(
    ("event", "route"),
    [
        ("{Type: Api, Properties: {Path: /, Method: get}}", RouteSpec("/", "GET")),
        ("{Type: Api, Properties: {Path: '/orders/{id}', Method: POST}}", RouteSpec("/orders/{id}", "POST")),
        ("{Type: Api, Properties: {Path: '/{proxy+}', Method: ANY}}", RouteSpec("/{proxy+}", "ANY")),
        ("{Type: Api, Properties: {Path: '/a/{b}/c/{d+}', Method: any}}", RouteSpec("/a/{b}/c/{d+}", "ANY")),
        ("{Type: Api, Properties: {Path: /a/, Method: delete}}", RouteSpec("/a/", "DELETE")),
        (
            "{Type: Api, Properties: {Path: !Sub '/${AWS::StackName}', Method: get}}",
            RouteSpec("/shop-dev", "GET"),
        ),
        ("{Type: HttpApi, Properties: {Path: /x, Method: get}}", RouteSpec("/x", "GET", "2.0")),
        (
            "{Type: HttpApi, Properties: {Path: /x, Method: get, PayloadFormatVersion: '1.0'}}",
            RouteSpec("/x", "GET", "1.0", "http"),
        ),
        ("{Type: HttpApi}", RouteSpec("$default", "ANY", "2.0")),
        ("{Type: HttpApi, Properties: {Path: $default, Method: ANY}}", RouteSpec("$default", "ANY", "2.0")),
    ],
)
def test_an_api_event_is_a_route(build, event, route):
    spec = build(function(f"E: {event}\n"))
    assert spec.functions[0].routes == (route,)
    assert spec.findings == ()


@pytest.mark.parametrize(
    ("event", "schedule"),
    [
        ("{Type: Schedule, Properties: {Schedule: rate(5 minutes)}}", ScheduleSpec("rate(5 minutes)")),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 hour), Enabled: false}}",
            ScheduleSpec("rate(1 hour)", enabled=False),
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), State: DISABLED}}",
            ScheduleSpec("rate(1 day)", enabled=False),
        ),
        (
            "{Type: Schedule, Properties: {Schedule: 'cron(0 12 * * ? *)', Input: '{\"a\": "
            "1}', Name: n, Description: d}}",
            ScheduleSpec("cron(0 12 * * ? *)", '{"a": 1}', name="n"),
        ),
        (
            "{Type: ScheduleV2, Properties: {ScheduleExpression: 'cron(0 8 * * ? *)', Name: early, "
            "State: DISABLED, ScheduleExpressionTimezone: Europe/Berlin}}",
            ScheduleSpec("cron(0 8 * * ? *)", None, False, "Europe/Berlin", "early"),
        ),
        (
            "{Type: ScheduleV2, Properties: {ScheduleExpression: rate(2 days), State: "
            "ENABLED, ScheduleExpressionTimezone: UTC}}",
            ScheduleSpec("rate(2 days)"),
        ),
    ],
)
def test_a_schedule_event_is_a_schedule(build, event, schedule):
    spec = build(function(f"E: {event}\n"))
    assert spec.functions[0].schedules == (schedule,)
    assert spec.findings == ()


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            "{Type: Api, Properties: {Method: get}}",
            "Resources.F.Properties.Events.E.Properties.Path: expected a path that begins "
            "with /, found nothing",
        ),
        ("{Type: Api, Properties: {Path: /a}}", "Method: expected an HTTP method, found nothing"),
        ("{Type: Api}", "Path: expected a path that begins with /, found nothing"),
        (
            "{Type: Api, Properties: {Path: a, Method: get}}",
            "Path: expected a path such as /orders/{id} or /files/{name+}, found 'a'",
        ),
        (
            "{Type: Api, Properties: {Path: '/{a+}/b', Method: get}}",
            "found '/{a+}/b' ({name+} only at the end)",
        ),
        ("{Type: Api, Properties: {Path: '/a{b}', Method: get}}", "found '/a{b}'"),
        ("{Type: Api, Properties: {Path: '//a', Method: get}}", "found '//a'"),
        (
            "{Type: Api, Properties: {Path: /a, Method: fetch}}",
            "Method: expected one of ANY, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, found 'fetch'",
        ),
        (
            "{Type: Api, Properties: {Path: /a, Method: get, RestApiId: [abc]}}",
            "RestApiId: expected a reference to an API, found a list",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), State: ENABLED, Enabled: false}}",
            "State: expected either State or Enabled, found both",
        ),
        ("{Type: Api, Properties: {Path: /a, Method: get, RestApiId: !Ref Nope}}", "found Nope"),
        (
            "{Type: HttpApi, Properties: {Path: /a, Method: get, PayloadFormatVersion: 3.0}}",
            "PayloadFormatVersion: expected 1.0 or 2.0, found '3.0'",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(5 minute)}}",
            "found 'rate(5 minute)' (write days, hours or minutes)",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 hours)}}",
            "found 'rate(1 hours)' (write day, hour or minute)",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(0 minutes)}}",
            "Schedule: expected rate(5 minutes) or cron(0 12 * * ? *), found 'rate(0 minutes)'",
        ),
        ("{Type: Schedule, Properties: {Schedule: '0 12 * * *'}}", "found '0 12 * * *'"),
        ("{Type: Schedule, Properties: {Schedule: cron(0 12 * *)}}", "found 'cron(0 12 * *)'"),
        ("{Type: Schedule, Properties: {}}", "Schedule: expected rate(...) or cron(...), found nothing"),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), Input: '{a: 1}'}}",
            "Input: expected JSON text, found '{a: 1}'",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), Input: {a: 1}}}",
            "Input: expected JSON text, found a mapping",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), State: ON}}",
            "State: expected ENABLED or DISABLED, found 'ON'",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), Enabled: maybe}}",
            "Enabled: expected true or false, found 'maybe'",
        ),
        (
            "{Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), "
            "ScheduleExpressionTimezone: ../etc}}",
            "ScheduleExpressionTimezone: expected the name of a time zone, as Europe/Berlin, found '../etc'",
        ),
        (
            "{Type: Schedule, Properties: {Schedule: rate(1 day), Name: a b}}",
            "Name: expected up to 64 letters, digits, ., - and _, found 'a b'",
        ),
        ("{Properties: {}}", "Events.E.Type: expected the type of an event, found nothing"),
        ("", "Events.E: expected an event, with its Type, found ''"),
        ("[a]", "Events.E: expected an event, with its Type, found a list"),
        ("{Type: Api, Properties: x}", "Events.E.Properties: expected a mapping, found 'x'"),
    ],
)
def test_a_wrong_event_is_refused_with_its_place(problems, event, message):
    assert any(message in problem for problem in problems(function(f"E: {event}\n")))


@pytest.mark.parametrize(
    ("event", "lost"),
    [
        ("{Type: SQS, Properties: {Queue: x}}", "event E: SQS events aren't supported in this version"),
        (
            "{Type: S3, Properties: {Bucket: !Ref AWS::Region}}",
            "event E: S3 events aren't supported in this version",
        ),
        (
            "{Type: Api, Properties: {Path: /, Method: get, RequestModel: {Model: x}}}",
            "event E: the check of its requests",
        ),
        (
            "{Type: HttpApi, Properties: {Path: /, Method: get, TimeoutInMillis: 9}}",
            "event E: its own time limit",
        ),
        (
            "{Type: HttpApi, Properties: {Path: /, Method: get, Pth: x}}",
            "event E: the property Pth, which isn't supported",
        ),
        ("{Type: Schedule, Properties: {Schedule: rate(1 day), RetryPolicy: {}}}", "event E: its retries"),
        (
            "{Type: ScheduleV2, Properties: {ScheduleExpression: 'at(2030-01-01T00:00:00)'}}",
            "event E: a schedule that runs once isn't supported in this version",
        ),
        (
            "{Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), EndDate: "
            "'2030-01-01T00:00:00Z'}}",
            "event E: the schedule is left out: EndDate isn't supported in this version",
        ),
        (
            "{Type: Api, Properties: {Path: /, Method: get}, Other: x}",
            "event E: the property Other, which isn't supported",
        ),
    ],
)
def test_what_an_event_loses_is_a_finding(losses, event, lost):
    assert losses(function(f"E: {event}\n")) == [f"F: {lost}"]


def test_an_event_that_says_it_is_open_loses_nothing(losses):
    assert (
        losses(function("E: {Type: Api, Properties: {Path: /, Method: get, Auth: {Authorizer: NONE}}}\n"))
        == []
    )


API = """\
Resources:
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: v1, Name: x, EndpointConfiguration: REGIONAL%s}}
  Http: {Type: AWS::Serverless::HttpApi}
"""


def test_an_explicit_api_takes_routes_like_the_implicit_one(build):
    events = "A: {Type: Api, Properties: {Path: /a, Method: get, RestApiId: !Ref Api}}\n"
    events += "B: {Type: HttpApi, Properties: {Path: /b, Method: get, ApiId: !Ref Http}}\n"
    spec = build(function(events, head=API % ""))
    assert spec.functions[0].routes == (
        RouteSpec("/a", "GET", stage="v1"),
        RouteSpec("/b", "GET", "2.0"),
    )
    assert spec.findings == ()


def test_an_api_may_be_named_by_its_bare_logical_id(build):
    event = "A: {Type: Api, Properties: {Path: /a, Method: get, RestApiId: Api}}\n"
    spec = build(function(event, head=API % ""))
    assert (spec.functions[0].routes, spec.findings) == ((RouteSpec("/a", "GET", stage="v1"),), ())


@pytest.mark.parametrize(
    ("api", "found"),
    [
        ("abc", "'abc'"),
        ("!Ref Http", "'Http'"),
        ("!ImportValue x", "a box has no other stacks to import from"),
    ],
)
def test_a_route_of_an_api_that_is_elsewhere_is_a_finding(losses, api, found):
    event = f"A: {{Type: Api, Properties: {{Path: /a, Method: get, RestApiId: {api}}}}}\n"
    (lost,) = losses(function(event, head=API % ""))
    expected = "F: event A: its route: its API is no AWS::Serverless::Api of the template, but "
    assert lost.startswith(expected + found)


@pytest.mark.parametrize(
    ("more", "lost"),
    [
        (
            ", DefinitionBody: {paths: {}}",
            "its OpenAPI document, and its guards: only the events of functions make routes",
        ),
        (
            ", Auth: {UsagePlan: {CreateUsagePlan: PER_API}}",
            "its usage plan, with its throttling and quotas",
        ),
        (", Policy: {}", "its resource policy: its routes are closed"),
        (", Domain: {DomainName: x}", "its domain name"),
        (", Colour: x", "the property Colour, which isn't supported"),
    ],
)
def test_what_an_api_loses_is_a_finding_of_the_api(losses, more, lost):
    assert losses(API % more) == [f"Api: {lost}"]


def test_globals_of_an_api_count_for_the_implicit_one_when_an_event_uses_it(losses):
    head = "Globals:\n  Api: {Variables: {A: b}}\n  HttpApi: {StageVariables: {A: b}}\nResources:\n"
    assert losses(function("E: {Type: Schedule, Properties: {Schedule: rate(1 day)}}\n", head=head)) == []
    assert losses(function("E: {Type: Api, Properties: {Path: /, Method: get}}\n", head=head)) == [
        "ServerlessRestApi: its stage variables"
    ]


def test_a_stage_has_a_name_of_the_right_form_or_is_a_finding(build, problems, losses):
    api = "Resources:\n  Http: {Type: AWS::Serverless::HttpApi, Properties: {StageName: %s}}\n"
    event = "A: {Type: HttpApi, Properties: {Path: /a, Method: get, ApiId: !Ref Http}}\n"
    for name, stage in (("$default", ""), ("beta", "beta"), ("!Sub '${AWS::StackName}'", "shop-dev")):
        (route,) = build(function(event, head=api % name)).functions[0].routes
        assert route.stage == stage
    assert "StageName: expected a name of letters, digits, - and _, found 'a/b'" in problems(api % "a/b")[0]
    (lost,) = losses(api % "!ImportValue x")
    assert lost == "Http: its stage name: a box has no other stacks to import from (Fn::ImportValue)"


def test_two_schedules_of_a_function_have_different_names(problems):
    events = "A: {Type: Schedule, Properties: {Schedule: rate(1 day), Name: n}}\n"
    (problem,) = problems(function(events + events.replace("A:", "B:")))
    assert "Name: expected a name that no other schedule of the function has, found 'n'" in problem


def test_a_route_twice_in_one_api_is_an_error_and_in_two_apis_a_finding(problems, build):
    event = "{Type: Api, Properties: {Path: /a, Method: %s}}\n"
    twice = function("E: " + event % "get") + function("E: " + event % "GET", name="G", head="")
    assert "Path: expected a route once in an API, found GET /a, which F has" in problems(twice)[0]
    other = function(
        "A: {Type: Api, Properties: {Path: '/{a}/x/{b+}', Method: get}}\n"
        "B: {Type: Api, Properties: {Path: '/{c}/x/{d+}', Method: get}}\n"
    )
    assert "found GET /{c}/x/{d+}, which F has" in problems(other)[0]
    two = function("A: " + event % "get" + "B: {Type: HttpApi, Properties: {Path: /a, Method: get}}\n")
    spec = build(two)
    assert spec.functions[0].routes == (RouteSpec("/a", "GET"),)
    assert [it.lost for it in spec.findings] == [
        "event B: the route GET /a, which F has in the API ServerlessRestApi"
    ]


ORACLE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: v1}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      Role: arn:aws:iam::123456789012:role/r
      Events:
        A: {Type: Api, Properties: {Path: /a, Method: get}}
        B: {Type: Api, Properties: {Path: '/a/{id}', Method: POST}}
        C: {Type: Api, Properties: {Path: '/c/{proxy+}', Method: ANY}}
        D: {Type: Api, Properties: {Path: /d, Method: put, RestApiId: !Ref Api}}
        E: {Type: HttpApi, Properties: {Path: /e, Method: patch}}
        G: {Type: HttpApi}
"""


def test_routes_are_those_that_sam_makes(build, monkeypatch):
    pytest.importorskip("samtranslator")
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = Translator({}, Parser()).translate(yaml_parse(ORACLE), {})["Resources"]
    expected = {
        (path, method.upper().replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY"))
        for resource in made.values()
        if resource["Type"] in {"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"}
        for path, methods in resource["Properties"]["Body"]["paths"].items()
        for method in json.loads(json.dumps(methods))
    }
    (function_,) = build(ORACLE.encode()).functions
    assert {(route.path, route.method) for route in function_.routes} == expected
