import time

import pytest
from artifact_contract.codec import dump_yaml, read_json, read_yaml
from artifact_contract.errors import ArtifactError, PathError, SchemaError, Severity
from artifact_contract.nodes import from_python
from artifact_contract.runtime_config import (
    Defaults,
    Function,
    ImageImport,
    ImageImportEntry,
    Route,
    Scaling,
    ScheduleEvent,
    structure_functions,
    structure_image_import,
    structure_resources,
    structure_routing,
    with_defaults,
)


def functions(text: str):  # type: ignore[no-untyped-def]
    return structure_functions(read_yaml(text.encode(), "f"), "f")


def routing(text: str):  # type: ignore[no-untyped-def]
    return structure_routing(read_yaml(text.encode(), "r"), "r")


def problems_of(call, text: str) -> list[str]:  # type: ignore[no-untyped-def]
    with pytest.raises(ArtifactError) as caught:
        call(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_function_has_what_the_contract_names() -> None:
    parsed = functions("""\
functions:
  hello:
    image: registry:5010/demo-dev-hello:abc
    timeout: 30
    memory_size: "256"
    environment: {A: 010, B: yes, C: , D: "1.0", E: 0x10}
    scaling: {min_capacity: 0, max_capacity: 5, idle_timeout: 0.5, acquire_timeout: 1e1}
    events:
      - schedule: {rate: rate(1 minute), input: '{"a": 1}'}
      - schedule: {rate: cron(0 12 * * ? *)}
    runtime: python3.12
    handler: app.handler
    architectures: [arm64]
""")
    assert parsed.warnings == ()
    assert parsed.value.functions["hello"] == Function(
        "hello",
        "registry:5010/demo-dev-hello:abc",
        timeout=30,
        memory_size=256,
        environment={"A": "010", "B": "yes", "C": "", "D": "1.0", "E": "0x10"},
        scaling=Scaling(0, 5, 0.5, 10.0),
        events=(ScheduleEvent("rate(1 minute)", '{"a": 1}'), ScheduleEvent("cron(0 12 * * ? *)")),
        runtime="python3.12",
        handler="app.handler",
        architectures=("arm64",),
    )


def test_nulls_are_what_isnt_given() -> None:
    names = [
        "timeout",
        "memory_size",
        "environment",
        "scaling",
        "events",
        "runtime",
        "handler",
        "architectures",
    ]
    parsed = functions("functions:\n  f:\n    image: x\n" + "".join(f"    {name}: ~\n" for name in names))
    assert parsed.value.functions["f"] == Function("f", "x", scaling=Scaling())
    assert functions("functions:\ndefaults:\n").value.functions == {}


def test_keys_the_contract_doesnt_name_are_kept_without_complaint() -> None:
    parsed = functions(
        "other: 1\ndefaults: {tracing: [a]}\nfunctions: {f: {image: x, log_level: 010, deep: {a: '1'}}}\n"
    )
    assert parsed.warnings == ()
    assert parsed.value.functions["f"].extra == {"log_level": 10, "deep": {"a": "1"}}
    assert parsed.value.defaults.extra == {"tracing": ["a"]}


def test_everything_wrong_in_a_file_is_said_in_one_run() -> None:
    text = """\
functions:
  a:
    timeout: soon
    memory_size: 0
    environment: {A: [1], B: {}}
    scaling: {min_capacity: -1, idle_timeout: .inf}
    events: [{schedule: {input: x}}, text]
    architectures: arm64
  b: text
  a/b: {image: x}
  c: {image: ""}
defaults: []
"""
    assert problems_of(functions, text) == [
        "f:3:5: functions.a.image: expected an image reference, found nothing",
        "f:3:14: functions.a.timeout: expected a whole number from 0, found 'soon'",
        "f:4:18: functions.a.memory_size: expected a whole number from 1, found 0",
        "f:5:22: functions.a.environment.A: expected a text, found a list",
        "f:5:30: functions.a.environment.B: expected a text, found a mapping",
        "f:6:29: functions.a.scaling.min_capacity: expected a whole number from 0, found '-1'",
        "f:6:47: functions.a.scaling.idle_timeout: expected a number of seconds from 0, found '.inf'",
        "f:7:25: functions.a.events[0].schedule.rate: expected a rate(...) or cron(...) expression, "
        "found nothing",
        "f:7:38: functions.a.events[1]: expected a mapping, found 'text'",
        "f:8:20: functions.a.architectures: expected a list, found 'arm64'",
        "f:9:6: functions.b: expected a mapping, found 'text'",
        "f:10:3: functions.a/b: expected a name that is one path segment, found 'a/b'",
        "f:11:14: functions.c.image: expected an image reference, found nothing",
        "f:12:11: defaults: expected a mapping, found a list",
    ]


def test_a_function_name_that_is_no_segment_is_a_path_error() -> None:
    with pytest.raises(PathError):
        functions("functions: {..: {image: x}}\n")


@pytest.mark.parametrize("name", ["A=B", '""', '"a\\0"'])
def test_no_environment_variable_is_called_this(name: str) -> None:
    assert len(problems_of(functions, f"functions: {{f: {{image: x, environment: {{{name}: y}}}}}}\n")) == 1


def test_an_environment_value_has_no_nul() -> None:
    [problem] = problems_of(functions, 'functions: {f: {image: x, environment: {A: "a\\0b"}}}\n')
    assert "found a NUL character" in problem


@pytest.mark.parametrize(
    ("text", "value"), [("30", 30), ("30.0", 30), ("3e1", 30), ('"30"', 30), ("0o36", 30), ("0x1e", 30)]
)
def test_a_whole_number_may_be_written_in_any_way_that_is_one(text: str, value: int) -> None:
    assert (
        functions(f"functions: {{f: {{image: x, timeout: {text}}}}}\n").value.functions["f"].timeout == value
    )


@pytest.mark.parametrize(
    "text", ["1.5", "-1", ".inf", ".nan", "yes", "true", "1_000", "1e400", '"0x1e"', "[1]", "9" * 400]
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert len(problems_of(functions, f"functions: {{f: {{image: x, timeout: {text}}}}}\n")) == 1


def test_more_least_than_most_workers_is_a_strict_warning() -> None:
    [warning] = functions(
        "functions: {f: {image: x, scaling: {min_capacity: 3, max_capacity: 2}}}\n"
    ).warnings
    assert (warning.severity, warning.field) == (Severity.STRICT, "functions.f.scaling.min_capacity")


def test_an_event_of_another_sort_is_a_strict_warning_and_left_out() -> None:
    parsed = functions(
        "functions: {f: {image: x, events: [{sqs: {queue: q}}, {schedule: {rate: rate(1 day)}}]}}\n"
    )
    assert parsed.value.functions["f"].events == (ScheduleEvent("rate(1 day)"),)
    assert [warning.severity for warning in parsed.warnings] == [Severity.STRICT]


def test_defaults_fill_in_where_a_function_is_silent() -> None:
    parsed = functions("""\
defaults:
  {environment: {A: "1", B: "2"}, scaling: {max_capacity: 3, idle_timeout: 60}, timeout: 9, t: on, handler: h}
functions: {f: {image: x, environment: {B: own}, scaling: {max_capacity: 0}, memory_size: 64}}
""").value
    filled = with_defaults(parsed.functions["f"], parsed.defaults)
    assert filled.environment == {"A": "1", "B": "own"}
    assert filled.scaling == Scaling(None, 0, 60.0, None)
    assert (filled.timeout, filled.memory_size, filled.handler, filled.extra) == (9, 64, "h", {"t": "on"})
    assert with_defaults(Function("g", "x"), Defaults()).scaling == Scaling()


def test_a_route_has_a_method_and_a_payload_version_by_default() -> None:
    parsed = routing("""\
routes:
  - {path: /a, function: f}
  - {path: "/{proxy+}", method: post, function: f, payload_version: 2.0, usage_plan: {name: gold}}
""")
    assert parsed.value == (
        Route("/a", "GET", "f", "1.0"),
        Route("/{proxy+}", "POST", "f", "2.0", extra={"usage_plan": {"name": "gold"}}),
    )


@pytest.mark.parametrize("path", ["", "path:", 'path: ""', "path: ~"])
def test_a_route_without_a_path_is_a_warning_and_left_out(path: str) -> None:
    parsed = routing(f"routes:\n  - function: f\n    {path}\n  - path: /b\n    function: f\n")
    assert [route.path for route in parsed.value] == ["/b"]
    assert [(warning.severity, warning.field) for warning in parsed.warnings] == [
        (Severity.WARNING, "routes[0].path")
    ]


def test_what_is_wrong_with_routes_is_said_together() -> None:
    assert problems_of(
        routing, "routes:\n  - path: /a\n  - text\n  - {path: /b, function: f, payload_version: 3}\n"
    ) == [
        "r:2:5: routes[0].function: expected the name of a function, found nothing",
        "r:3:5: routes[1]: expected a mapping, found 'text'",
        "r:4:46: routes[2].payload_version: expected 1.0 or 2.0, found '3'",
    ]
    assert problems_of(routing, "routes: {a: b}\n") == ["r:1:9: routes: expected a list, found a mapping"]


def test_a_path_without_its_slash_is_a_strict_warning() -> None:
    [warning] = routing("routes: [{path: a, function: f}]\n").warnings
    assert warning.severity is Severity.STRICT


def test_resources_have_the_shape_cloudformation_gives_them() -> None:
    text = """\
resources:
  dynamodb:
    - TableName: 010
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      ProvisionedThroughput: {ReadCapacityUnits: 5}
  s3: [{BucketName: b}]
  layers: ~
  queues: [{QueueName: q}]
"""
    read = structure_resources(read_yaml(text.encode(), "r"), "r")
    assert [(warning.field, warning.severity) for warning in read.warnings] == [
        ("resources.queues", Severity.WARNING)
    ]
    parsed = read.value
    assert parsed.dynamodb == (
        {
            "TableName": "010",
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": 5},
        },
    )
    assert (parsed.s3, parsed.layers) == (({"BucketName": "b"},), ())
    assert parsed.others == {"queues": [{"QueueName": "q"}]}


def test_a_resource_without_its_name_is_refused() -> None:
    text = "resources: {dynamodb: [{}, {TableName: }, text], s3: [{BucketName: [a]}], layers: x}\n"
    with pytest.raises(SchemaError) as caught:
        structure_resources(read_yaml(text.encode(), "r"), "r")
    assert [problem.field for problem in caught.value.problems] == [
        *["resources.dynamodb[0].TableName", "resources.dynamodb[1].TableName", "resources.dynamodb[2]"],
        *["resources.s3[0].BucketName", "resources.layers"],
    ]


def test_image_imports_are_merged_by_name_or_else_by_both_references() -> None:
    images = '[{"function_name": "f"}, {"image_source": "a", "image_ref": "b"}]'
    text = f'{{"version": 1, "push_target": "r:5010", "images": {images}}}'
    parsed = structure_image_import(read_json(text.encode(), "i"), "i").value
    assert parsed == ImageImport("1", "r:5010", (ImageImportEntry("f"), ImageImportEntry("", "a", "b")))
    assert [image.key for image in parsed.images] == ["f", "a|b"]


def test_an_image_import_has_a_key() -> None:
    with pytest.raises(SchemaError, match=r"images\[0\]\.function_name"):
        structure_image_import(read_json(b'{"images": [{"image_source": "a"}]}', "i"), "i")


def test_an_empty_file_of_a_mapping_is_an_empty_config() -> None:
    assert structure_functions(from_python({})).value.functions == {}
    assert structure_routing(from_python({})).value == ()
    assert structure_resources(from_python({})).value.dynamodb == ()
    assert structure_image_import(from_python({})).value == ImageImport()


def test_ten_thousand_functions_take_a_moment() -> None:
    body = {"image": "r:5010/x:1", "timeout": 30, "memory_size": 256, "environment": {"A": "1", "B": "2"}}
    root = from_python(
        {"functions": {f"fn-{n}": {**body, "scaling": {"max_capacity": 5}} for n in range(10_000)}}
    )
    started = time.process_time()
    structure_functions(root)
    dump_yaml(root)
    assert time.process_time() - started < 5  # ten times what it takes: this only guards against a square
