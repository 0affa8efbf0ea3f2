import pytest
from artifact_contract.config_types import Cors

TEMPLATE = """\
Resources:
  Rest: {Type: AWS::Serverless::Api, Properties: {StageName: v1, %s}}
  Http: {Type: AWS::Serverless::HttpApi, Properties: {Name: x, %s}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: x
      FunctionUrlConfig: {AuthType: NONE, %s}
      Events:
        A: {Type: Api, Properties: {Path: '/a/{x}', Method: post, RestApiId: !Ref Rest}}
        B: {Type: Api, Properties: {Path: '/a/{y}', Method: delete, RestApiId: !Ref Rest}}
        C: {Type: Api, Properties: {Path: /c, Method: any, RestApiId: !Ref Rest}}
        D: {Type: HttpApi, Properties: {Path: /d, Method: get, ApiId: !Ref Http}}
"""


def template(rest="", http="", url=""):
    return TEMPLATE % (
        rest and f"Cors: {rest}",
        http and f"CorsConfiguration: {http}",
        url and f"Cors: {url}",
    )


def cors_of(build, **how):
    (function,) = build(template(**how)).functions
    return [route.cors for route in function.routes], function.function_url.cors


REST = "{AllowOrigin: \"'https://o'\", AllowMethods: \"'get, POST'\", AllowHeaders: \"'X-A,X-B'\", %s}"


@pytest.mark.parametrize(
    ("cors", "expected"),
    [
        (
            REST % "MaxAge: \"'600'\", AllowCredentials: true",
            Cors(("https://o",), ("GET", "POST"), ("X-A", "X-B"), (), True, 600),
        ),
        (REST % "MaxAge: 5", Cors(("https://o",), ("GET", "POST"), ("X-A", "X-B"), max_age=5)),
        ("{AllowMethods: \"'*'\"}", Cors(("*",), ("*",))),
        ("{AllowMethods: GET, AllowOrigin: https://o}", Cors(("https://o",), ("GET",))),
    ],
)
def test_a_rest_api_has_cors_in_two_sorts_of_quotes_or_without(build, cors, expected):
    routes, _ = cors_of(build, rest=cors)
    assert routes == [expected, expected, expected, None]


def test_an_origin_alone_allows_the_methods_of_each_path(build):
    every = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
    own = Cors(("*",), ("DELETE", "OPTIONS", "POST"))
    assert cors_of(build, rest="\"'*'\"") == ([own, own, Cors(("*",), every), None], None)


FULL = (
    "{AllowOrigins: [https://o], AllowMethods: [GET], AllowHeaders: [X-A], ExposeHeaders: [X-B], "
    "AllowCredentials: true, MaxAge: 600}"
)


def test_an_http_api_and_a_function_url_have_lists(build):
    full = Cors(("https://o",), ("GET",), ("X-A",), ("X-B",), True, 600)
    assert cors_of(build, http=FULL, url=FULL) == ([None, None, None, full], full)
    assert cors_of(build, http="true")[0][3] == cors_of(build, http="yes")[0][3] == Cors(("*",))
    assert cors_of(build, http="{AllowOrigins: [https://o], AllowCredentials: yes}")[0][3].allow_credentials
    assert cors_of(build, http="false")[0][3] is None
    assert cors_of(build, http="{AllowOrigins: ['*'], MaxAge: -1}")[0][3] == Cors(("*",), max_age=0)
    every = "{AllowOrigins: ['*'], AllowCredentials: true}"
    assert cors_of(build, url=every)[1] == Cors(("*",), allow_credentials=True)


def test_nothing_is_no_cors(build):
    assert cors_of(build, rest="~", http="{}", url="{}") == ([None] * 4, None)
    assert cors_of(build, http="{AllowOrigins: null}", url="{AllowOrigins: [~]}") == ([None] * 4, None)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"rest": "[a]"}, "Cors: expected an origin, or a mapping, found a list"),
        ({"rest": "true"}, "Cors: expected an origin, or a mapping, found 'true'"),
        ({"rest": "\"'a b'\""}, "Cors: expected a word without blanks, found 'a b'"),
        (
            {"rest": "{AllowCredentials: true}"},
            "AllowCredentials: expected false while every origin is allowed",
        ),
        (
            {"http": "{AllowOrigins: ['*'], AllowCredentials: true}"},
            "AllowCredentials: expected false while every origin is allowed, found true",
        ),
        ({"rest": "{MaxAge: soon}"}, "MaxAge: expected a number of seconds, found 'soon'"),
        ({"rest": "{AllowCredentials: [a]}"}, "AllowCredentials: expected true or false, found a list"),
        ({"http": "yes please"}, "CorsConfiguration: expected true, or a mapping, found 'yes please'"),
        ({"http": "{AllowOrigins: [[a]]}"}, "AllowOrigins: expected text, or a list of texts, found a list"),
        ({"url": "https://o"}, "FunctionUrlConfig.Cors: expected a mapping, found 'https://o'"),
    ],
)
def test_cors_of_another_shape_is_refused(problems, how, message):
    assert any(message in problem for problem in problems(template(**how)))


def test_what_is_not_known_is_not_allowed_and_a_finding(build, losses):
    unknown = "{AllowOrigin: !ImportValue x, AllowMethods: \"'GET'\"}"
    assert cors_of(build, rest=unknown)[0][0] is None
    (lost,) = losses(template(rest=unknown))
    assert lost.startswith("Rest: the answers to CORS preflight requests: a box has no other stacks")
    headers = "{AllowOrigins: ['*'], AllowHeaders: !ImportValue x}"
    assert cors_of(build, http=headers)[0][3] == Cors(("*",))
    (lost,) = losses(template(http=headers))
    assert lost.startswith("Http: its CORS AllowHeaders: a box has no other stacks")


def test_a_word_that_cors_does_not_have_is_a_finding(losses):
    assert losses(template(http="{AllowOrigins: ['*'], Allow: x}")) == [
        "Http: the property Allow, which isn't supported"
    ]
