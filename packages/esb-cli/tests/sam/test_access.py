"""A guard of AWS is one of the box, or the route is closed; none is open that wasn't on AWS."""

import json
import textwrap

import pytest
from artifact_contract.config_types import RouteAuth
from esb_cli.spec_model import RouteSpec

TEMPLATE = """\
Resources:
  Pool: {{Type: AWS::Cognito::UserPool}}
  Client: {{Type: AWS::Cognito::UserPoolClient}}
  Api:
    Type: AWS::Serverless::{kind}
    Properties:
{api}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      Events:
        E: {{Type: {kind}, Properties: {{Path: /a, Method: get, {reference}: !Ref Api{event}}}}}
"""


def rest(api, event=""):
    api = textwrap.indent("StageName: v1\n" + textwrap.dedent(api), " " * 6)
    return TEMPLATE.format(kind="Api", api=api, reference="RestApiId", event=event and f", Auth: {event}")


def http(api, event=""):
    api = textwrap.indent("Name: x\n" + textwrap.dedent(api), " " * 6)
    return TEMPLATE.format(kind="HttpApi", api=api, reference="ApiId", event=event and f", Auth: {event}")


def routes(build, template):
    return build(template).functions[0].routes


def lost(losses, template):
    """The findings but for those of the pool, which isn't supported."""
    return [it for it in losses(template) if "its type isn't supported" not in it]


CLOSED = RouteAuth("closed")
KEY = "Auth: {ApiKeyRequired: true}"


@pytest.mark.parametrize(
    ("api", "event", "auth"),
    [
        ("", "", None),
        ("Auth:", "", None),
        ("", "{ApiKeyRequired: true}", RouteAuth("api_key")),
        (KEY, "", RouteAuth("api_key")),
        (KEY, "{Authorizer: NONE}", RouteAuth("api_key")),
        (KEY, "{ApiKeyRequired: false}", None),
        ("Auth: {DefaultAuthorizer: NONE}", "", None),
    ],
)
def test_a_rest_api_may_ask_for_a_key(build, losses, api, event, auth):
    assert routes(build, rest(api, event)) == (RouteSpec("/a", "GET", stage="v1", auth=auth),)
    assert lost(losses, rest(api, event)) == []


COGNITO = """\
Auth:
  DefaultAuthorizer: Pool
  AddDefaultAuthorizerToCorsPreflight: false
  Authorizers:
    Pool: {UserPoolArn: !GetAtt Pool.Arn, AuthorizationScopes: [read]}
"""


@pytest.mark.parametrize(
    ("event", "auth"),
    [
        ("", RouteAuth("jwt", scopes=("read",))),
        ("{Authorizer: Pool, AuthorizationScopes: [write]}", RouteAuth("jwt", scopes=("write",))),
        ("{Authorizer: NONE}", None),
    ],
)
def test_for_a_user_pool_the_tokens_of_the_box_stand_in(build, losses, event, auth):
    assert routes(build, rest(COGNITO, event)) == (RouteSpec("/a", "GET", stage="v1", auth=auth),)
    assert lost(losses, rest(COGNITO, event)) == [
        "Api: its user pool: a token of the box's own login is asked for instead"
    ]


def test_a_key_beside_a_token_is_a_finding(build, losses):
    template = rest(COGNITO, "{ApiKeyRequired: true}")
    assert routes(build, template)[0].auth == RouteAuth("jwt", scopes=("read",))
    assert "F: event E: its API key: a token alone opens the route" in lost(losses, template)


JWT = """\
Auth:
  DefaultAuthorizer: Own
  Authorizers:
    Own:
      IdentitySource: $request.header.Authorization
      AuthorizationScopes: [read]
      JwtConfiguration: {issuer: "https://issuer/", audience: [a, b]}
    Other: {JwtConfiguration: {issuer: "https://other/", audience: c}, IdentitySource: $request.header.X}
"""


@pytest.mark.parametrize(
    ("event", "auth"),
    [
        ("", RouteAuth("jwt", "https://issuer/", ("a", "b"), ("read",))),
        ("{AuthorizationScopes: [x, y]}", RouteAuth("jwt", "https://issuer/", ("a", "b"), ("x", "y"))),
        ("{AuthorizationScopes: []}", RouteAuth("jwt", "https://issuer/", ("a", "b"), ("read",))),
        ("{Authorizer: Other}", RouteAuth("jwt", "https://other/", ("c",))),
        ("{Authorizer: NONE}", None),
    ],
)
def test_a_jwt_authorizer_keeps_issuer_audience_and_scopes(build, losses, event, auth):
    assert routes(build, http(JWT, event)) == (RouteSpec("/a", "GET", "2.0", auth=auth),)
    assert lost(losses, http(JWT, event)) == [
        "Api: where its token stands: the gateway takes it from the header Authorization"
    ]


def jwt(issuer, audience):
    return (
        "Auth:\n  DefaultAuthorizer: J\n  Authorizers:\n"
        f"    J: {{JwtConfiguration: {{issuer: {issuer}, audience: {audience}}}}}\n"
    )


def test_an_issuer_that_is_not_known_becomes_the_box(build, losses):
    template = http(jwt("!Sub 'https://cognito/${Pool}'", "[!Ref Client]"))
    assert routes(build, template)[0].auth == RouteAuth("jwt")
    (found,) = lost(losses, template)
    assert found.startswith("Api: its issuer: a token of the box's own login is asked for instead (")


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (rest("Auth: {DefaultAuthorizer: AWS_IAM}"), "a box has no IAM"),
        (http("Auth: {EnableIamAuthorizer: true}", "{Authorizer: AWS_IAM}"), "a box has no IAM"),
        (
            rest("Auth: {DefaultAuthorizer: L, Authorizers: {L: {FunctionArn: !GetAtt F.Arn}}}"),
            "a box has no Lambda authorizers",
        ),
        (
            rest("Auth: {ApiKeyRequired: true, DefaultAuthorizer: L, Authorizers: {L: {FunctionArn: x}}}"),
            "a box has no Lambda authorizers",
        ),
        (
            http(
                "Auth: {Authorizers: {L: {FunctionArn: x, AuthorizerPayloadFormatVersion: 2.0}}}",
                "{Authorizer: L}",
            ),
            "a box has no Lambda authorizers",
        ),
        (rest("Policy: {Statement: []}"), "a box has no resource policies"),
        (rest("Auth: {ResourcePolicy: {IpRangeBlacklist: [1.2.3.4]}}"), "a box has no resource policies"),
        (rest("", "{ResourcePolicy: {CustomStatements: []}}"), "a box has no resource policies"),
        (http(jwt("https://i", "[!Ref Client]")), "its audience isn't known (Client is "),
        (http(jwt("https://i", "[]")), "its authorizer names no audience"),
        (
            http(JWT, "{AuthorizationScopes: [!Ref Client]}"),
            "its AuthorizationScopes isn't known (Client is ",
        ),
    ],
)
def test_a_route_whose_guard_a_box_does_not_have_is_closed(build, losses, template, why):
    assert [it.auth for it in routes(build, template)] == [CLOSED]
    said = [it for it in lost(losses, template) if it.startswith("F: ")]
    assert len(said) == 1
    assert said[0].startswith(f"F: event E: the route GET /a is closed to everybody: {why}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            rest("", "{Authorizer: Gone}"),
            "t.yaml:17:100: Resources.F.Properties.Events.E.Properties.Auth.Authorizer: "
            "expected an authorizer of the route's API, found 'Gone'",
        ),
        (
            rest("Auth: {DefaultAuthorizer: Gone}"),
            "t.yaml:9:33: Resources.Api.Properties.Auth.DefaultAuthorizer: "
            "expected one of its Authorizers, found 'Gone'",
        ),
        (rest("Auth: [a]"), "Api.Properties.Auth: expected a mapping, found a list"),
        (rest("Auth: !ImportValue x"), "Auth: expected a mapping, known when rendering"),
        (rest("", "open"), "Auth: expected a mapping, found 'open'"),
        (rest("", "{ApiKeyRequired: maybe}"), "ApiKeyRequired: expected true or false, found 'maybe'"),
        (http(jwt("''", "[a]")), "issuer: expected the URL of an issuer, found ''"),
        (http(jwt("https://i", "{a: b}")), "audience: expected a list of texts, found a mapping"),
    ],
)
def test_a_guard_that_is_wrong_is_refused(problems, template, message):
    assert any(message in problem for problem in problems(template))


@pytest.mark.parametrize(
    ("document", "closed"),
    [
        ("{paths: {/a: {get: {security: [{api_key: []}]}}}}", True),
        ("{components: {securitySchemes: {k: {type: apiKey}}}}", True),
        ("{tags: [{x-amazon-apigateway-policy: {Statement: []}}]}", True),
        ("{paths: {/a: {get: {security: []}}}}", False),
        ("{Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://b/k}}}", False),
    ],
)
def test_guards_in_an_openapi_document_close_its_routes(build, losses, document, closed):
    template = rest(f"DefinitionBody: {document}")
    assert routes(build, template)[0].auth == (CLOSED if closed else None)
    said = "F: event E: the route GET /a is closed to everybody: its API's OpenAPI document names guards"
    assert any(it.startswith(said) for it in lost(losses, template)) == closed
    document = "Api: its OpenAPI document, and its guards: only the events of functions make routes"
    assert document in lost(losses, template)


def test_globals_guard_the_routes_of_the_implicit_api(build):
    template = """\
Globals: {Api: {Auth: {ApiKeyRequired: true}}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      Events: {E: {Type: Api, Properties: {Path: /a, Method: get}}}
"""
    assert build(template).functions[0].routes == (RouteSpec("/a", "GET", auth=RouteAuth("api_key")),)


ORACLE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      Cors: "'*'"
      Auth:
        ApiKeyRequired: true
        DefaultAuthorizer: P
        Authorizers: {P: {UserPoolArn: arn:x, AuthorizationScopes: [read]}}
  Http:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: J
        Authorizers:
          J:
            IdentitySource: $request.header.Authorization
            AuthorizationScopes: [read]
            JwtConfiguration: {issuer: "https://i", audience: [a]}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      Role: arn:aws:iam::123456789012:role/r
      Events:
        A: {Type: Api, Properties: {Path: /a, Method: get, RestApiId: !Ref Api}}
        B: {Type: Api, Properties: {Path: /b, Method: post, RestApiId: !Ref Api, Auth: {Authorizer: NONE}}}
        C:
          Type: Api
          Properties:
            Path: /b
            Method: put
            RestApiId: !Ref Api
            Auth: {Authorizer: P, ApiKeyRequired: false, AuthorizationScopes: [w]}
        D:
          Type: Api
          Properties:
            Path: /d
            Method: any
            RestApiId: !Ref Api
            Auth: {Authorizer: NONE, ApiKeyRequired: false}
        E: {Type: HttpApi, Properties: {Path: /e, Method: get, ApiId: !Ref Http}}
        G: {Type: HttpApi, Properties: {Path: /g, Method: get, ApiId: !Ref Http, Auth: {Authorizer: NONE}}}
        H:
          Type: HttpApi
          Properties: {Path: /h, Method: get, ApiId: !Ref Http, Auth: {AuthorizationScopes: [w]}}
        I:
          Type: HttpApi
          Properties: {Path: /h, Method: put, ApiId: !Ref Http, Auth: {AuthorizationScopes: []}}
        J: {Type: HttpApi, Properties: {Path: /h, Method: options, ApiId: !Ref Http}}
        L:
          Type: HttpApi
          Properties: {Path: /g, Method: options, ApiId: !Ref Http, Auth: {AuthorizationScopes: [w]}}
        M:
          Type: HttpApi
          Properties: {Path: /e, Method: options, ApiId: !Ref Http, Auth: {Authorizer: J}}
        K:
          Type: Api
          Properties:
            Path: /d
            Method: get
            RestApiId: !Ref Api
            Auth: {Authorizer: P, ApiKeyRequired: false, AuthorizationScopes: []}
"""


def test_guards_and_methods_of_preflights_are_those_that_sam_makes(build, monkeypatch):
    pytest.importorskip("samtranslator")
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = Translator({}, Parser()).translate(yaml_parse(ORACLE), {})["Resources"]
    bodies = [json.loads(json.dumps(made[name]["Properties"]["Body"])) for name in ("Api", "Http")]
    guards, preflights = {}, {}
    for path, methods in [item for body in bodies for item in body["paths"].items()]:
        for method, said in methods.items():
            if method == "options" and "responses" in said["x-amazon-apigateway-integration"]:
                answer = said["x-amazon-apigateway-integration"]["responses"]["default"]
                name = "method.response.header.Access-Control-Allow-Methods"
                preflights[path] = tuple(answer["responseParameters"][name].strip("'").split(","))
                continue
            schemes = {key: scopes for it in said.get("security", ()) for key, scopes in it.items()}
            named = {key: scopes for key, scopes in schemes.items() if key in {"P", "J"}}
            key = "ANY" if method.startswith("x-") else method.upper()
            guards[path, key] = next(iter(named.values()), "key" if "api_key" in schemes else None)
    routes = build(ORACLE.encode()).functions[0].routes
    assert {
        (it.path, it.method): it.auth and (list(it.auth.scopes) if it.auth.type == "jwt" else "key")
        for it in routes
    } == guards
    assert {it.path: it.cors.allow_methods for it in routes if it.cors} == preflights
