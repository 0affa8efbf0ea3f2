from urllib.parse import quote

import pytest
from esb_gateway.deployment import Box
from esb_gateway.errors import InvalidParameterError
from esb_gateway.lambda_api.queries import marker_after, name_in
from esb_gateway.routes.client import parse_trusted_proxies
from hypothesis import given, settings
from hypothesis import strategies as st

DIGEST = "a" * 64
FUNCTIONS = {
    "hello": {
        "image": f"box:5000/hello@sha256:{DIGEST}",
        "timeout": 30,
        "memory_size": 256,
        "runtime": "python3.11",
        "handler": "app.handler",
        "architectures": ["arm64"],
        "environment": {"TABLE": "orders", "PASSWORD": "${PASSWORD}"},
        "scaling": {"max_capacity": 4},
        "description": "says hello",
        "function_url": {"auth_type": "AWS_IAM", "cors": {"allow_origins": ["*"], "max_age": 60}},
        "async_invoke": {"max_age": 600, "max_retries": 1, "on_failure": "plain"},
    },
    "plain": {"image": "plain:1"},
}
BOX = Box(variables={"PASSWORD": "hunter2"})
ARN = "arn:aws:lambda:us-east-1:000000000000:function:hello"


@pytest.fixture
def described(gateway):
    """A gateway in whose environment the secret stands."""
    return lambda functions=FUNCTIONS: gateway(functions, box=BOX)


async def test_a_configuration_has_what_the_box_knows_in_awss_fields(described):
    async with described() as box:
        found = (await box.client.get("/2015-03-31/functions/hello/configuration")).json()
    assert found.pop("LastModified")[10] == "T"
    assert found == {
        "FunctionName": "hello",
        "FunctionArn": ARN,
        "Version": "$LATEST",
        "Description": "says hello",
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Timeout": 30,
        "MemorySize": 256,
        "PackageType": "Image",
        "CodeSize": 0,
        "CodeSha256": DIGEST,
        "Architectures": ["arm64"],
        "Environment": {"Variables": {"TABLE": "orders", "PASSWORD": "${PASSWORD}"}},
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }


async def test_a_secret_is_shown_by_its_name_and_never_by_its_value(described):
    async with described() as box:
        for path in ("", "/hello", "/hello/configuration"):
            assert "hunter2" not in (await box.client.get(f"/2015-03-31/functions{path}")).text
        await box.invoke("hello", {})
        (spec,) = box.agent.alive.values()
        assert dict(spec.environment)["PASSWORD"] == "hunter2"


async def test_a_function_has_configuration_image_and_concurrency(described):
    async with described() as box:
        found = (await box.client.get("/2015-03-31/functions/hello")).json()
        assert found["Configuration"]["FunctionArn"] == ARN
        assert found["Code"]["ImageUri"] == found["Code"]["ResolvedImageUri"] == FUNCTIONS["hello"]["image"]
        assert found["Concurrency"] == {"ReservedConcurrentExecutions": 4}
        plain = (await box.client.get("/2015-03-31/functions/plain")).json()
        assert "Concurrency" not in plain
        assert plain["Code"] == {"RepositoryType": "ECR", "ImageUri": "plain:1"}
        assert (plain["Configuration"]["Timeout"], plain["Configuration"]["MemorySize"]) == (3, 128)


async def test_concurrency_is_told_where_it_is_configured(described):
    async with described() as box:
        path = "/2019-09-30/functions/{}/concurrency"
        assert (await box.client.get(path.format("hello"))).json() == {"ReservedConcurrentExecutions": 4}
        assert (await box.client.get(path.format("plain"))).json() == {}


async def test_a_function_url_is_told_as_this_client_can_reach_it(described):
    async with described() as box:
        found = (await box.client.get("/2021-10-31/functions/hello/url")).json()
        assert (await box.client.get("/2021-10-31/functions/hello/urls")).json() == {
            "FunctionUrlConfigs": [found]
        }
        assert found["FunctionUrl"] == "http://box.local:8080/function-urls/hello/"
        assert (found["AuthType"], found["InvokeMode"]) == ("AWS_IAM", "BUFFERED")
        assert (found["Cors"]["AllowOrigins"], found["Cors"]["MaxAge"]) == (["*"], 60)
        none = await box.client.get("/2021-10-31/functions/plain/url")
        assert none.headers["x-amzn-errortype"] == "ResourceNotFoundException"
        assert (await box.client.get("/2021-10-31/functions/plain/urls")).json() == {"FunctionUrlConfigs": []}


async def test_behind_a_trusted_proxy_a_function_url_is_the_proxys(gateway):
    said = {"x-forwarded-proto": "https", "x-forwarded-host": "api.example"}
    found = []
    for networks in ("203.0.113.0/24", "10.0.0.0/8"):
        async with gateway(FUNCTIONS, box=BOX, trusted_proxies=parse_trusted_proxies(networks)) as box:
            answer = await box.client.get("/2021-10-31/functions/hello/url", headers=said)
            found.append(answer.json()["FunctionUrl"])
    assert found == ["https://api.example/function-urls/hello/", "http://box.local:8080/function-urls/hello/"]


async def test_how_events_are_kept_is_told_where_it_is_configured(described):
    async with described() as box:
        found = (await box.client.get("/2019-09-25/functions/hello/event-invoke-config")).json()
        assert found.pop("LastModified") > 1_500_000_000
        assert found == {
            "FunctionArn": f"{ARN}:$LATEST",
            "MaximumRetryAttempts": 1,
            "MaximumEventAgeInSeconds": 600,
            "DestinationConfig": {"OnFailure": {"Destination": ARN.replace("hello", "plain")}},
        }
        none = await box.client.get("/2019-09-25/functions/plain/event-invoke-config")
        assert none.headers["x-amzn-errortype"] == "ResourceNotFoundException"


async def test_the_versions_of_a_function_are_the_one_there_is(described):
    async with described() as box:
        found = (await box.client.get("/2015-03-31/functions/hello/versions")).json()["Versions"]
    assert [(one["Version"], one["FunctionArn"]) for one in found] == [("$LATEST", f"{ARN}:$LATEST")]


@pytest.mark.parametrize(
    ("segment", "query", "arn"),
    [
        ("hello", "", ARN),
        ("hello:live", "", f"{ARN}:live"),
        ("hello", "?Qualifier=%24LATEST", f"{ARN}:$LATEST"),
        (quote("arn:aws:lambda:eu-west-1:123456789012:function:hello", safe=""), "", ARN),
    ],
)
async def test_the_arn_has_the_qualifier_that_was_asked_for(described, segment, query, arn):
    async with described() as box:
        found = (await box.client.get(f"/2015-03-31/functions/{segment}/configuration{query}")).json()
    assert found["FunctionArn"] == arn


async def test_an_unknown_function_is_not_found_by_any_operation(described):
    async with described() as box:
        for path in (
            "2015-03-31/functions/x",
            "2015-03-31/functions/x/configuration",
            "2015-03-31/functions/x/versions",
            "2019-09-25/functions/x/event-invoke-config",
            "2019-09-30/functions/x/concurrency",
            "2021-10-31/functions/x/url",
            "2021-10-31/functions/x/urls",
        ):
            response = await box.client.get(f"/{path}")
            assert response.status_code == 404
            assert response.headers["x-amzn-errortype"] == "ResourceNotFoundException"


async def names_in_pages(client, size: int) -> list[list[str]]:
    pages, marker = [], None
    while True:
        query = {"MaxItems": size} | ({"Marker": marker} if marker else {})
        found = (await client.get("/2015-03-31/functions/", params=query)).json()
        pages.append([function["FunctionName"] for function in found["Functions"]])
        marker = found.get("NextMarker")
        if marker is None:
            return pages


@pytest.mark.parametrize(("count", "size", "pages"), [(0, 50, 1), (7, 3, 3), (6, 3, 2), (60, 10_000, 2)])
async def test_pages_together_are_all_functions(gateway, count, size, pages):
    names = [f"f{number:03d}" for number in range(count)]
    async with gateway({name: {"image": "x"} for name in reversed(names)}) as box:
        found = await names_in_pages(box.client, size)
    assert len(found) == pages
    assert [name for page in found for name in page] == names


async def test_a_marker_holds_when_its_function_is_gone(gateway, helpers):
    async with gateway({name: {"image": "x"} for name in "abd"}) as box:
        first = (await box.client.get("/2015-03-31/functions?MaxItems=2")).json()
        helpers.write_config(box.config_dir, {"functions": {name: {"image": "x"} for name in "acd"}})
        await helpers.eventually(lambda: box.log.events().count("generation served") == 2)
        rest = (await box.client.get("/2015-03-31/functions", params={"Marker": first["NextMarker"]})).json()
    assert [one["FunctionName"] for one in rest["Functions"]] == ["c", "d"]


async def test_all_versions_are_the_one_there_is(described):
    async with described() as box:
        found = (await box.client.get("/2015-03-31/functions/?FunctionVersion=ALL")).json()["Functions"]
    assert [one["FunctionArn"].rpartition(":")[2] for one in found] == ["$LATEST", "$LATEST"]
    assert "State" not in found[0]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("MaxItems=0", "ValidationException"),
        ("MaxItems=10001", "ValidationException"),
        ("MaxItems=x", "ValidationException"),
        ("MaxItems=%C2%B2", "ValidationException"),
        ("FunctionVersion=1", "ValidationException"),
        ("Marker=abc", "InvalidParameterValueException"),
        ("Marker=%C3%A9", "InvalidParameterValueException"),
        ("Marker=MTpo!ZWxsbw%3D%3D", "InvalidParameterValueException"),
        ("Marker=MjpoZWxsbw%3D%3D", "InvalidParameterValueException"),
        ("&".join(["a=b"] * 100), "InvalidRequestContentException"),
    ],
)
async def test_wrong_parameters_are_refused(described, query, code):
    async with described() as box:
        response = await box.client.get(f"/2015-03-31/functions/?{query}")
    assert (response.status_code, response.headers["x-amzn-errortype"]) == (400, code)


@given(st.text(max_size=60))
@settings(deadline=None)
def test_a_marker_is_read_as_it_was_written(name):
    assert name_in(marker_after(name)) == name


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_a_marker_or_refused(text):
    try:
        name_in(text)
    except InvalidParameterError:
        return
    assert marker_after(name_in(text)) == text
