"""What a Python function finds around it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from scenario.box import Box
from scenario.client import until


def failed(lambdas: Any, function: str, **event: object) -> dict[str, Any]:
    answer = lambdas.invoke(FunctionName=function, Payload=json.dumps(event))
    said: dict[str, Any] = json.load(answer["Payload"])
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, "Unhandled"), said
    return said


def test_environment(invoke: Any) -> None:
    names = [
        "PLAIN",
        "UNICODE",
        "NUMBER",
        "ARN",
        "AWS_REGION",
        "AWS_LAMBDA_FUNCTION_NAME",
        "LAMBDA_TASK_ROOT",
    ]
    found = invoke("python", do="environment", names=names)
    assert found.pop("LAMBDA_TASK_ROOT")
    assert found == {
        "PLAIN": "plain text",
        "UNICODE": "grün ✓",
        "NUMBER": "10",
        "ARN": "arn:aws:lambda:us-east-1:000000000000:function:python-text-log",
        "AWS_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "python",
    }


def test_the_hosts_own_settings_do_not_reach_a_function(invoke: Any) -> None:
    names = ["ESB_E2E_MARK", "ESB_GATEWAY_IDLE_TIMEOUT", "ESB_CONFIG_DIR"]
    assert invoke("python", do="environment", names=names) == dict.fromkeys(names)


def test_layers(invoke: Any) -> None:
    found = invoke("python", do="layers")
    assert (found["greeting"], json.loads(found["file"])) == ("hello e2e", {"rows": 3})


def test_the_hooks_start_with_the_function_and_load_nothing_heavy(invoke: Any) -> None:
    assert "boto3" not in invoke("python", do="around")["at_start"]
    assert "sitecustomize" in invoke("python", do="around")["at_start"]


def test_context(invoke: Any) -> None:
    found = invoke("python", do="around")
    assert (found["function"], found["version"], int(found["memory"])) == ("python", "$LATEST", 256)
    assert found["arn"].endswith(":function:python")
    assert found["handler"] == "package.app.handler"
    assert 0 < found["remaining"] <= 10_000
    assert found["cwd"].endswith("/var/task")


def test_scratch_space_is_kept_within_a_worker(invoke: Any) -> None:
    text = uuid.uuid4().hex
    assert invoke("python", do="scratch", text=text)["after"] == text


@pytest.mark.needs("read-only-code")
def test_what_is_not_scratch_space_cannot_be_written(invoke: Any) -> None:
    for path in ("/var/task/mine", "/opt/mine", "/etc/mine"):
        found = invoke("python", do="elsewhere", path=path)
        assert found["error"] in ("OSError", "PermissionError"), (path, found)


def test_a_handler_that_raises(lambdas: Any) -> None:
    said = failed(lambdas, "python", do="fail", message="no ✓")
    assert (said["errorType"], said["errorMessage"]) == ("RefusedError", "no ✓")
    assert "fail" in "".join(said["stackTrace"])


def test_a_handler_that_leaves(lambdas: Any, invoke: Any) -> None:
    assert failed(lambdas, "python", do="leave")["errorType"]
    assert invoke("python", do="around")["function"] == "python"


def test_an_answer_that_is_no_json(lambdas: Any) -> None:
    assert failed(lambdas, "python", do="unserialisable")["errorType"] == "Runtime.MarshalError"


def test_an_answer_of_megabytes(invoke: Any) -> None:
    assert len(invoke("python", do="large", bytes=5_000_000)) == 5_000_000


def test_a_handler_that_is_not_there(lambdas: Any) -> None:
    assert failed(lambdas, "no-handler")["errorType"] == "Runtime.HandlerNotFound"


def test_a_module_that_cannot_be_imported(lambdas: Any) -> None:
    said = failed(lambdas, "no-import")
    assert said["errorType"] == "Runtime.ImportModuleError"
    assert "nothing_of_that_name" in said["errorMessage"]


def test_logs_are_json_with_the_request(box: Box, lambdas: Any) -> None:
    mark = uuid.uuid4().hex
    answer = lambdas.invoke(FunctionName="python", Payload=json.dumps({"do": "log", "mark": mark}))
    identity = answer["ResponseMetadata"]["RequestId"]
    log = until(lambda: complete(box.engine.log("python"), mark), "all three lines are logged")
    assert f"hidden {mark}" not in log
    (line,) = [line for line in log.splitlines() if f"logged {mark}" in line]
    record = json.loads(line[line.index("{") :])
    assert (record["level"], record["message"]) == ("WARNING", f"logged {mark}")
    assert record["requestId"] == identity


def test_logs_are_text_where_a_function_says_so(box: Box, invoke: Any) -> None:
    mark = uuid.uuid4().hex
    invoke("python-text-log", do="log", mark=mark)
    log = until(lambda: complete(box.engine.log("python-text-log"), mark), "all three lines are logged")
    (line,) = [line for line in log.splitlines() if f"logged {mark}" in line]
    assert "[WARNING]" in line


def complete(log: str, mark: str) -> str:
    wanted = (f"printed {mark}", f"complained {mark}", f"logged {mark}")
    return log if all(text in log for text in wanted) else ""
