import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.config_sections import function_of
from artifact_contract.errors import ArtifactError, Severity
from artifact_contract.runtime_config import (
    AsyncInvoke,
    Cors,
    Function,
    FunctionUrl,
    Route,
    RouteAuth,
    ScheduleEvent,
    structure_functions,
    structure_routing,
)


def function(body: str) -> Function:
    text = f"functions: {{f: {{image: x, {body}}}}}\n"
    return structure_functions(read_yaml(text.encode(), "f"), "f").value.functions["f"]


def route(body: str) -> Route:
    text = f"routes: [{{path: /a, function: f, {body}}}]\n"
    return structure_routing(read_yaml(text.encode(), "r"), "r").value[0]


def problems_of(call, text: str) -> list[str]:  # type: ignore[no-untyped-def]
    with pytest.raises(ArtifactError) as caught:
        call(text)
    return [f"{problem.field}: {problem.expected} | {problem.found}" for problem in caught.value.problems]


def test_a_function_has_a_url_events_and_a_description() -> None:
    assert function(
        "description: says hello, "
        "function_url: {auth_type: AWS_IAM, invoke_mode: RESPONSE_STREAM, cors: {allow_methods: [get]}}, "
        "async_invoke: {max_age: 21600, max_retries: 0, on_failure: late}, "
        "events: [{schedule: {rate: cron(0 8 * * ? *), timezone: America/Argentina/Buenos_Aires, "
        "enabled: false, name: early}}]"
    ) == Function(
        "f",
        "x",
        events=(ScheduleEvent("cron(0 8 * * ? *)", None, "America/Argentina/Buenos_Aires", False, "early"),),
        function_url=FunctionUrl("AWS_IAM", "RESPONSE_STREAM", Cors(allow_methods=("GET",))),
        async_invoke=AsyncInvoke(21600, 0, "late"),
        description="says hello",
    )


def test_sections_that_are_empty_or_null_are_the_defaults_or_nothing() -> None:
    assert function("function_url: ~, async_invoke: , description: , events: ~") == Function("f", "x")
    assert function("function_url: {}").function_url == FunctionUrl("NONE", "BUFFERED", None)
    assert function("function_url: {cors: {}}").function_url == FunctionUrl(cors=Cors())
    assert function("async_invoke: {max_age: ~, new: 1}").async_invoke == AsyncInvoke()
    assert function("events: [{schedule: {rate: rate(1 day), enabled: ~, timezone: , new: 1}}]").events == (
        ScheduleEvent("rate(1 day)"),
    )


def test_a_route_has_its_kind_of_api_its_stage_its_guard_and_its_cors() -> None:
    assert route(
        "payload_version: 1.0, api_type: http, stage: $default, "
        "auth: {type: jwt, issuer: 'https://i/', audience: [a, 010], scopes: [read]}, "
        "cors: {allow_origins: ['https://o'], allow_methods: [get, '*'], allow_headers: [X-A], "
        "expose_headers: [X-B], allow_credentials: 'true', max_age: 600}"
    ) == Route(
        "/a",
        "GET",
        "f",
        api_type="http",
        stage="$default",
        auth=RouteAuth("jwt", "https://i/", ("a", "010"), ("read",)),
        cors=Cors(("https://o",), ("GET", "*"), ("X-A",), ("X-B",), True, 600),
    )


@pytest.mark.parametrize(("body", "kind"), [("stage: ", "rest"), ("payload_version: 2.0", "http")])
def test_the_kind_of_api_follows_from_the_payload(body: str, kind: str) -> None:
    found = route(body)
    assert (found.api_type, found.stage, found.auth, found.cors) == (kind, "", None, None)


@pytest.mark.parametrize("kind", ["none", "api_key", "jwt", "closed"])
def test_a_guard_needs_no_more_than_its_type(kind: str) -> None:
    assert route(f"auth: {{type: {kind}}}").auth == RouteAuth(kind)


def test_a_guard_that_is_unfinished_or_misspelt_never_opens_a_route() -> None:
    assert problems_of(route, "auth: ") == ["routes[0].auth: a mapping with a type | nothing"]
    assert problems_of(route, "auth: none") == ["routes[0].auth: a mapping with a type | 'none'"]
    assert problems_of(route, "auth: {}") == ["routes[0].auth.type: none, api_key, jwt or closed | nothing"]
    assert problems_of(route, "auth: {type: JWT}") == [
        "routes[0].auth.type: none, api_key, jwt or closed | 'JWT'",
    ]
    assert problems_of(route, "auth: {type: jwt, audiences: [a]}") == [
        "routes[0].auth.audiences: one of type, issuer, audience, scopes | an unknown key"
    ]
    assert problems_of(route, "auth: {type: jwt, scopes: read}") == ["routes[0].auth.scopes: a list | 'read'"]
    assert problems_of(route, "auth: {type: api_key, scopes: [a]}") == [
        "routes[0].auth.scopes: nothing, as only jwt has it | a list"
    ]
    for key in ("issuer", "audience", "scopes"):  # nothing asked for opens more than what was meant
        assert problems_of(route, f"auth: {{type: jwt, {key}: }}") == [
            f"routes[0].auth.{key}: a value, or no such line | nothing"
        ]
    assert problems_of(route, "auth: {type: }") == [
        "routes[0].auth.type: a value, or no such line | nothing",
    ]
    assert problems_of(function, "function_url: {auth_type: }") == [
        "functions.f.function_url.auth_type: a value, or no such line | nothing"
    ]
    assert problems_of(function, "function_url: {auth: AWS_IAM}") == [
        "functions.f.function_url.auth: one of auth_type, invoke_mode, cors | an unknown key"
    ]


def test_what_is_wrong_with_a_route_is_said_together() -> None:
    assert problems_of(
        route,
        "payload_version: 2.0, api_type: rest, stage: a/b, "
        "cors: {allow_origins: ['a, b', \"c\\r\\nd\"], max_age: -1, allow_credentials: yes}",
    ) == [
        "routes[0].api_type: http, as a REST API has payload 1.0 only | 'rest'",
        "routes[0].stage: up to 128 letters, digits, dashes and underscores, or $default | 'a/b'",
        "routes[0].cors.allow_origins[0]: a word without blanks and commas | 'a, b'",
        "routes[0].cors.allow_origins[1]: a word without blanks and commas | 'c\\r\\nd'",
        "routes[0].cors.max_age: a whole number from 0 | '-1'",
        "routes[0].cors.allow_credentials: true or false | 'yes'",
    ]
    assert problems_of(route, "api_type: websocket, cors: [a]") == [
        "routes[0].api_type: rest or http | 'websocket'",
        "routes[0].cors: a mapping | a list",
    ]


def test_every_origin_with_credentials_is_refused_for_a_route() -> None:
    assert problems_of(route, "cors: {allow_origins: ['*'], allow_credentials: true}") == [
        "routes[0].cors.allow_credentials: false while every origin is allowed | true"
    ]


def test_what_is_wrong_with_a_function_is_said_together() -> None:
    arn = "arn:aws:sqs:eu-central-1:123456789012:queue"
    assert problems_of(
        function,
        "function_url: {auth_type: none, invoke_mode: STREAM}, "
        f"async_invoke: {{max_age: 59, max_retries: 3, on_failure: '{arn}'}}, description: [a], "
        "events: [{schedule: {rate: r, timezone: ../etc/passwd, enabled: maybe, name: a b}}]",
    ) == [
        "functions.f.function_url.auth_type: NONE or AWS_IAM | 'none'",
        "functions.f.function_url.invoke_mode: BUFFERED or RESPONSE_STREAM | 'STREAM'",
        "functions.f.async_invoke.max_age: a whole number from 60 to 21600 | 59",
        "functions.f.async_invoke.max_retries: a whole number from 0 to 2 | 3",
        f"functions.f.async_invoke.on_failure: a function's name or a Lambda ARN | '{arn}'",
        "functions.f.description: a text | a list",
        "functions.f.events[0].schedule.timezone: "
        "the name of a time zone, as Europe/Berlin | '../etc/passwd'",
        "functions.f.events[0].schedule.enabled: true or false | 'maybe'",
        "functions.f.events[0].schedule.name: up to 64 letters, digits, dots, dashes and underscores | 'a b'",
    ]
    assert problems_of(function, "function_url: NONE, async_invoke: 5") == [
        "functions.f.function_url: a mapping | 'NONE'",
        "functions.f.async_invoke: a mapping | '5'",
    ]


def test_two_schedules_of_a_function_have_different_names() -> None:
    schedule = "{schedule: {rate: rate(1 day), name: n}}"
    assert problems_of(function, f"events: [{schedule}, {schedule}]") == [
        "functions.f.events[1].schedule.name: a name that no other schedule of the function has | 'n'"
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Etc/GMT+12", "America/Port-au-Prince", "EST5EDT"])
def test_a_time_zone_of_the_right_form_is_taken_as_it_is(zone: str) -> None:
    assert function(f"events: [{{schedule: {{rate: r, timezone: {zone}}}}}]").events[0].timezone == zone


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("late", "late"),
        ("arn:aws:lambda:eu-central-1:123456789012:function:late", "late"),
        ("arn:aws-cn:lambda:cn-north-1:123456789012:function:late:$LATEST", "late"),
        ("arn:aws:lambda:eu-central-1:123456789012:function:", None),
        ("arn:aws:sns:eu-central-1:123456789012:topic", None),
        ("a/b", None),
    ],
)
def test_a_function_is_meant_by_name_or_arn(reference: str, name: str | None) -> None:
    assert function_of(reference) == name


def test_problems_have_their_place() -> None:
    text = "routes:\n  - path: /a\n    function: f\n    auth:\n      type: oauth\n"
    with pytest.raises(ArtifactError) as caught:
        structure_routing(read_yaml(text.encode(), "r"), "r")
    [problem] = caught.value.problems
    assert (str(problem.place), problem.severity) == ("r:5:13", Severity.ERROR)
