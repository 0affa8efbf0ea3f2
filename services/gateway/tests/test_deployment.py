import json
from pathlib import Path

import pytest
from artifact_contract.errors import ArtifactError
from artifact_contract.loader import load_runtime_config
from esb_gateway.deployment import Box, Plan, plan_deployment
from esb_gateway.workers.worker import PoolLimits


@pytest.fixture
def plan(tmp_path: Path, helpers):
    def build(functions: object, routes: object = (), box: Box | None = None) -> Plan:
        helpers.write_config(tmp_path, functions, routes)
        return plan_deployment(load_runtime_config(tmp_path), box or Box())

    return build


def test_a_function_is_planned_with_defaults_filled_in(plan):
    box = Box(worker_environment={"AWS_REGION": "r", "SHARED": "box"}, limits=PoolLimits(queue=7))
    made = plan(
        {
            "defaults": {"environment": {"SHARED": "default", "A": "1"}, "scaling": {"idle_timeout": 60}},
            "functions": {
                "f": {
                    "image": "f:1",
                    "timeout": 30,
                    "memory_size": 512,
                    "handler": "app.handler",
                    "runtime": "python3.12",
                    "environment": {"A": "2", "B": "${HOME_DIR:-/tmp}"},
                    "scaling": {"min_capacity": 1, "max_capacity": 4},
                }
            },
        },
        box=box,
    ).functions["f"]
    assert made.timeout == 30.0
    assert (made.spec.timeout_ms, made.spec.memory_mb, made.spec.image) == (30_000, 512, "f:1")
    assert (made.spec.handler, made.spec.runtime) == ("app.handler", "python3.12")
    # The box gives, the defaults win over it, the function over both.
    assert dict(made.spec.environment) == {"AWS_REGION": "r", "SHARED": "default", "A": "2", "B": "/tmp"}
    assert made.limits == PoolLimits(
        min=1, max=4, idle_timeout=60, acquire_timeout=10, queue=7, reserved=True
    )


def test_a_functions_sandbox_is_part_of_what_its_workers_are_made_from(plan):
    made = plan({"functions": {"f": {"image": "f:1", "sandbox": "gvisor"}, "g": {"image": "f:1"}}}).functions
    assert (made["f"].spec.sandbox, made["g"].spec.sandbox) == ("gvisor", "")


def test_what_nobody_says_is_as_on_aws(plan):
    made = plan({"functions": {"f": {"image": "f:1"}}}).functions["f"]
    assert (made.spec.timeout_ms, made.spec.memory_mb, made.limits) == (3000, 128, PoolLimits())


def test_a_minimum_raises_the_maximum_only_where_nobody_set_one(plan):
    made = plan({"functions": {"f": {"image": "x", "scaling": {"min_capacity": 20}}}})
    assert (made.functions["f"].limits.min, made.functions["f"].limits.max) == (20, 20)
    made = plan(
        {
            "defaults": {"scaling": {"max_capacity": 2}},
            "functions": {"f": {"image": "x", "scaling": {"min_capacity": 3}}},
        }
    )
    assert made.functions["f"].limits.max == 2
    assert made.warnings == ("function f: min_capacity 3 is above max_capacity 2, which wins",)


def test_reserved_concurrency_of_none_switches_a_function_off(plan):
    made = plan({"functions": {"f": {"image": "x", "scaling": {"max_capacity": 0}}}})
    assert made.functions["f"].limits.max == 0


def test_variables_come_from_the_gateways_environment(plan):
    functions = {"functions": {"f": {"image": "x", "environment": {"URL": "http://${BOX}/x"}}}}
    assert dict(plan(functions, box=Box(variables={"BOX": "b"})).functions["f"].spec.environment) == {
        "URL": "http://b/x"
    }
    with pytest.raises(ArtifactError, match=r"functions\.f\.environment\.URL.*BOX"):
        plan(functions)


def test_routes_nobody_reaches_are_named(plan):
    made = plan(
        {"functions": {"f": {"image": "x"}}},
        [
            {"path": "/health", "function": "f"},
            {"path": "/metrics", "method": "any", "function": "f"},
            {"path": "/2015-03-31/functions", "function": "f"},
            {"path": "/a/{x}", "function": "f"},
            {"path": "/a/{y}", "function": "f"},
        ],
    )
    assert made.warnings == (
        "route GET /health: never reached, the path is the gateway's own",
        "route ANY /metrics: never reached, the path is the gateway's own",
        "route GET /2015-03-31/functions: never reached, the path is the gateway's own",
        "route GET /a/{x}: never reached, GET /a/{y} takes the same requests",
    )


def test_a_schedule_that_cannot_be_read_is_left_out_with_a_warning(plan):
    made = plan(
        {
            "functions": {
                "f": {
                    "image": "x",
                    "events": [
                        {"schedule": {"rate": "rate(5 minutes)", "input": json.dumps({"a": 1})}},
                        {"schedule": {"rate": "cron(61 * * * ? *)"}},
                    ],
                }
            }
        }
    )
    assert [(s.function, s.expression, s.input) for s in made.schedules] == [
        ("f", "rate(5 minutes)", '{"a": 1}')
    ]
    assert made.warnings == ("function f: schedule left out: cron: minutes: expected 0 to 59, found '61'",)


def test_equal_specifications_have_equal_fingerprints_and_different_ones_different(plan):
    one = plan({"functions": {"f": {"image": "x", "environment": {"A": "1", "B": "2"}}}}).functions["f"].spec
    same = plan({"functions": {"f": {"image": "x", "environment": {"B": "2", "A": "1"}}}}).functions["f"].spec
    other = plan({"functions": {"f": {"image": "x", "environment": {"A": "1"}}}}).functions["f"].spec
    assert one == same
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


def test_schedules_have_their_zone_and_name_and_can_be_switched_off(plan):
    events = [
        {"schedule": {"rate": "cron(0 9 * * ? *)", "timezone": "Asia/Tokyo", "name": "morning"}},
        {"schedule": {"rate": "rate(1 minute)", "enabled": False}},
        {"schedule": {"rate": "rate(1 minute)", "timezone": "Mars/Olympus"}},
    ]
    planned = plan({"functions": {"f": {"image": "x", "events": events}}})
    (schedule,) = planned.schedules
    assert (schedule.name, schedule.timezone) == ("morning", "Asia/Tokyo")
    assert schedule.times.next_after(0.0) == 86400.0
    assert any("timezone: expected an IANA name" in warning for warning in planned.warnings)
