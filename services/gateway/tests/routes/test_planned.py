from artifact_contract.config_types import Cors, Function, FunctionUrl, Route, RouteAuth
from esb_gateway.routes.planned import cors_and_url_warnings, plan_router

ALL = Cors(allow_origins=("*",), allow_credentials=True)
URL = FunctionUrl()


def test_routes_and_urls_are_ready_for_the_router():
    routes = [
        Route("/a", "GET", "f", "2.0", api_type="http", stage="dev", cors=ALL, auth=RouteAuth("none")),
        Route("/b", "GET", "f", api_type="rest", auth=RouteAuth("api_key")),
    ]
    router = plan_router(
        routes, [Function("Fn", "x", function_url=FunctionUrl(cors=ALL)), Function("g", "x")]
    )
    first, second = (router.match("GET", path).route for path in ("/a", "/b"))
    assert (first.stage, first.api_type, first.auth) == ("dev", "http", None), "none asks nobody"
    assert first.cors is router.urls["Fn"].cors is router.urls_by_label["fn"].cors
    assert (second.auth.type, second.cors) == ("api_key", None)
    assert list(router.urls) == ["Fn"]


def test_what_was_asked_for_and_cannot_be_had_is_said():
    routes = [Route("/a", "GET", "f", cors=ALL), Route("/function-urls/{proxy+}", "ANY", "f")]
    functions = [
        Function("my_fn", "x", function_url=URL),
        Function("Twin", "x", function_url=URL),
        Function("twin", "x", function_url=FunctionUrl(cors=ALL)),
        Function("plain", "x"),
    ]
    assert cors_and_url_warnings(routes, functions) == [
        "route ANY /function-urls/{proxy+}: never reached, function URLs are there",
        "function my_fn: its URL has no host name, only /function-urls/",
        "function twin: has the URL's host name, Twin has not",
        "route GET /a: cors: no credentials, because all origins are allowed",
        "function twin: function_url: cors: no credentials, because all origins are allowed",
    ]
