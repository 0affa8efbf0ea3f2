"""runtime-config/ as the services will read it."""

from artifact_contract.codec import read_yaml
from artifact_contract.runtime_config import (
    AsyncInvoke,
    Cors,
    Function,
    FunctionUrl,
    Route,
    RouteAuth,
    Scaling,
    ScheduleEvent,
    structure_functions,
    structure_resources,
    structure_routing,
)
from esb_cli.config import config_files
from esb_cli.spec_model import BucketSpec, DeploySpec, LayerSpec, RouteSpec, ScheduleSpec, TableSpec


def test_functions_come_out_as_the_contract_reads_them(function):
    spec = function(
        environment={"ZERO": "010", "YES": "yes", "EMPTY": "", "SECRET": "${TOKEN}", "LINES": "a\nb"},
        timeout=30,
        memory_size=512,
        min_capacity=1,
        max_capacity=4,
        architectures=("arm64",),
        description="yes: it *says* hello\n",
        function_url=FunctionUrl("NONE", "RESPONSE_STREAM", Cors(("*",), ("GET",), max_age=0)),
        async_invoke=AsyncInvoke(60, 0, "late"),
        schedules=(
            ScheduleSpec("rate(5 minutes)", '{"a": 1}'),
            ScheduleSpec("cron(0 12 * * ? *)"),
            ScheduleSpec("rate(1 day)", None, False, "Asia/Tokyo", "010"),
        ),
    )
    files = config_files(DeploySpec(functions=(spec,)), {"hello": "registry:5010/p-e-hello:1"})
    parsed = structure_functions(read_yaml(files["functions.yml"], "functions.yml"))
    assert parsed.warnings == ()
    assert parsed.value.functions == {
        "hello": Function(
            name="hello",
            image="registry:5010/p-e-hello:1",
            timeout=30,
            memory_size=512,
            environment={"ZERO": "010", "YES": "yes", "EMPTY": "", "SECRET": "${TOKEN}", "LINES": "a\nb"},
            scaling=Scaling(1, 4),
            events=(
                ScheduleEvent("rate(5 minutes)", '{"a": 1}'),
                ScheduleEvent("cron(0 12 * * ? *)"),
                ScheduleEvent("rate(1 day)", None, "Asia/Tokyo", False, "010"),
            ),
            runtime="python3.12",
            handler="app.handler",
            architectures=("arm64",),
            description="yes: it *says* hello\n",
            function_url=FunctionUrl("NONE", "RESPONSE_STREAM", Cors(("*",), ("GET",), max_age=0)),
            async_invoke=AsyncInvoke(60, 0, "late"),
        )
    }


def test_what_a_function_does_not_say_is_not_written(function):
    files = config_files(DeploySpec(functions=(function(),)), {"hello": "i:1"})
    assert files["functions.yml"].decode() == (
        "functions:\n"
        "  hello:\n"
        "    image: i:1\n"
        "    runtime: python3.12\n"
        "    handler: app.handler\n"
        "    architectures:\n"
        "      - x86_64\n"
        "    timeout: 3\n"
        "    memory_size: 128\n"
    )


def test_routes_keep_their_order_and_version(function):
    cors = Cors(("https://o",), ("*",), ("*",), ("x-a",), True, 0)
    spec = function(
        routes=(
            RouteSpec("/b", "GET"),
            RouteSpec("/a/{id}", "ANY", "2.0"),
            RouteSpec("$default", "ANY"),
            RouteSpec("/c", "GET", "1.0", "http", "v1", RouteAuth("api_key"), cors),
            RouteSpec("/d", "GET", "2.0", auth=RouteAuth("jwt", "https://i", ("010",), ("a", "b"))),
        )
    )
    files = config_files(DeploySpec(functions=(spec,)), {"hello": "i:1"})
    assert structure_routing(read_yaml(files["routing.yml"], "routing.yml")).value == (
        Route("/b", "GET", "hello"),
        Route("/a/{id}", "ANY", "hello", "2.0"),
        Route("$default", "ANY", "hello"),
        Route("/c", "GET", "hello", "1.0", "http", "v1", RouteAuth("api_key"), cors),
        Route("/d", "GET", "hello", "2.0", auth=RouteAuth("jwt", "https://i", ("010",), ("a", "b"))),
    )


def test_resources_keep_the_shape_cloudformation_gives_them(tmp_path):
    table = {
        "TableName": "t",
        "BillingMode": "PAY_PER_REQUEST",
        "ProvisionedThroughput": {"ReadCapacityUnits": 5},
    }
    bucket = {
        "BucketName": "b",
        "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Prefix": "010"}]},
    }
    spec = DeploySpec(
        tables=(TableSpec("t", table),),
        buckets=(BucketSpec("b", bucket),),
        layers=(LayerSpec("shared", tmp_path),),
    )
    files = config_files(spec, {})
    resources = structure_resources(read_yaml(files["resources.yml"], "resources.yml")).value
    assert (resources.dynamodb, resources.s3, resources.layers) == (
        (table,),
        (bucket,),
        ({"Name": "shared"},),
    )


def test_a_template_without_resources_has_no_file_for_them_but_always_functions_and_routes():
    assert config_files(DeploySpec(), {}) == {
        "functions.yml": b"functions: {}\n",
        "routing.yml": b"routes: []\n",
    }
