"""The hooks as a worker starts them: `python -m awslambdaric`, a Runtime API, an endpoint for the SDK."""

import ast
import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import esb_cli
import pytest

HOOKS = Path(esb_cli.__file__).parent / "runtime_base/runtime-hooks/python"
SITECUSTOMIZE = HOOKS / "sitecustomize/site-packages/sitecustomize.py"
TRACE_BRIDGE = HOOKS / "trace-bridge/layer/trace_bridge.py"
ROOT = "1-67891233-abcdef012345678912345678"
TRACE = f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"
OLD_TRACE = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0"


class RuntimeApi:
    """Serves the given invocations to one worker, one after another, then ends the worker's polling."""

    def __init__(self, invocations):
        self.invocations = list(invocations)
        self.answers = []
        self.init_error = None
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not api.invocations:
                    return self.reply(410, b"")
                headers, event = api.invocations.pop(0)
                return self.reply(200, json.dumps(event).encode(), headers)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/init/error"):
                    api.init_error = json.loads(body)
                else:
                    api.answers.append((self.path.rsplit("/", 1)[1], json.loads(body)))
                self.reply(202, b"{}")

            def reply(self, status, body, headers=None):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


class LambdaEndpoint:
    """Answers any Invoke and keeps the headers of each."""

    def __init__(self):
        self.requests = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append(dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True


@pytest.fixture
def serve():
    """Start servers; stop them after the test."""
    running = []

    def start(server):
        thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server.server, thread))
        return f"127.0.0.1:{server.server.server_address[1]}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def opt(tmp_path):
    """Return /opt/esb/python as the base image has it."""
    hooks = tmp_path / "rootfs/opt/esb/python"
    hooks.mkdir(parents=True)
    for file in (SITECUSTOMIZE, TRACE_BRIDGE):
        (hooks / file.name).write_bytes(file.read_bytes())
    return hooks


def invocation(request_id="r-1", event=None, trace=None, context=None):
    headers = {
        "Lambda-Runtime-Aws-Request-Id": request_id,
        "Lambda-Runtime-Deadline-Ms": "32503680000000",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "Content-Type": "application/json",
    }
    if trace is not None:
        headers["Lambda-Runtime-Trace-Id"] = trace
    if context is not None:
        headers["Lambda-Runtime-Client-Context"] = (
            context if isinstance(context, str) else json.dumps(context)
        )
    return headers, event


@pytest.fixture
def run_function(tmp_path, serve, opt):
    """Run a function's code over invocations; return the Runtime API with its answers, stdout and stderr."""

    def run(code, invocations, **environment):
        task = tmp_path / "task"
        task.mkdir()
        (task / "app.py").write_text(code)
        api = RuntimeApi(invocations)
        address = serve(api)
        done = subprocess.run(
            [sys.executable, "-m", "awslambdaric", "app.handler"],
            cwd=task,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(opt),
                "AWS_LAMBDA_RUNTIME_API": address,
                "AWS_LAMBDA_FUNCTION_NAME": "f",
                "AWS_DEFAULT_REGION": "us-east-1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return api, done.stdout, done.stderr

    return run


def context_with_trace(trace=TRACE):
    return {"custom": {"X-Amzn-Trace-Id": trace}}


SHOW_TRACE = "import os\ndef handler(event, context):\n    return os.environ.get('_X_AMZN_TRACE_ID')\n"


def test_the_client_context_gives_the_trace_for_one_invocation_only(run_function):
    api, _, _ = run_function(
        SHOW_TRACE,
        [
            invocation("r-1", context=context_with_trace()),
            invocation("r-2"),
            invocation("r-3", trace=OLD_TRACE),
        ],
    )
    assert api.answers == [("response", TRACE), ("response", None), ("response", OLD_TRACE)]


def test_the_client_context_wins_over_the_trace_of_the_runtime_api(run_function):
    # the emulator invents a trace of its own
    api, _, _ = run_function(SHOW_TRACE, [invocation(trace=OLD_TRACE, context=context_with_trace())])
    assert api.answers == [("response", TRACE)]


def test_the_function_still_sees_its_client_context(run_function):
    code = "def handler(event, context):\n    return context.client_context.custom\n"
    api, _, _ = run_function(code, [invocation(context={"custom": {"X-Amzn-Trace-Id": TRACE, "a": "b"}})])
    assert api.answers == [("response", {"X-Amzn-Trace-Id": TRACE, "a": "b"})]


def test_a_client_context_that_is_no_json_is_reported_as_without_hooks(run_function):
    api, _, _ = run_function(SHOW_TRACE, [invocation(context="X-Amzn-Trace-Id {")])
    assert [kind for kind, _ in api.answers] == ["error"]
    assert api.answers[0][1]["errorType"] == "Runtime.LambdaContextUnmarshalError"


@pytest.mark.parametrize(
    "context",
    [
        context_with_trace("Root=1\0"),
        context_with_trace("Root=1\ud800"),
        context_with_trace("Root=1\nROOT=2"),
        '{"a": ' + "[" * 1_200 + "]" * 1_200 + ', "custom": {"X-Amzn-Trace-Id": "any"}}',
    ],
    ids=["NUL", "half a character", "line break", "deep"],
)
def test_a_trace_that_is_none_does_not_stop_the_worker(run_function, context):
    # whoever may invoke writes the client context
    api, _, stderr = run_function(SHOW_TRACE, [invocation("r-1", context=context), invocation("r-2")])
    assert len(api.answers) == 2, stderr
    assert api.answers[1] == ("response", None)
    assert "Root=1" not in str(api.answers[0])


def test_the_stack_trace_of_a_failing_function_shows_only_its_own_frames(run_function):
    code = "def handler(event, context):\n    raise KeyError('x')\n"
    api, _, _ = run_function(code, [invocation(context=context_with_trace())])
    (kind, error) = api.answers[0]
    assert (kind, error["errorType"]) == ("error", "KeyError")
    assert [line for line in error["stackTrace"] if "app.py" not in line] == []


LOG = (
    "import logging\nlog = logging.getLogger('orders')\nlog.setLevel('INFO')\n"
    "def handler(event, context):\n    log.info('got %s', event, extra={'order': 7})\n    print('plain')\n"
)


def test_log_lines_are_json_with_request_and_trace_id(run_function):
    _, stdout, _ = run_function(
        LOG, [invocation("r-1", 5, context=context_with_trace())], AWS_LAMBDA_LOG_FORMAT="JSON"
    )
    first, second = stdout.splitlines()
    line = json.loads(first)
    assert line.pop("timestamp")
    assert line == {
        "level": "INFO",
        "message": "got 5",
        "logger": "orders",
        "requestId": "r-1",
        "traceId": ROOT,
        "order": 7,
    }
    assert second == "plain"


def test_log_lines_are_text_when_asked_for(run_function):
    _, stdout, _ = run_function(LOG, [invocation("r-1", 5, trace=TRACE)], AWS_LAMBDA_LOG_FORMAT="Text")
    assert stdout.splitlines()[0].split("\t")[2:] == ["r-1", "got 5"]


INVOKE = (
    "import base64, json, boto3\n"
    "client = boto3.client('lambda')\n"
    "def handler(event, context):\n"
    "    if event is not None:\n"
    "        event = {'ClientContext': base64.b64encode(json.dumps(event).encode()).decode()}\n"
    "    return client.invoke(FunctionName='other', Payload=b'{}', **(event or {}))['StatusCode']\n"
)


@pytest.fixture
def sent_contexts(run_function, serve):
    """Return the client contexts that a function's SDK sends for the given invocations."""

    def run(invocations):
        endpoint = LambdaEndpoint()
        api, _, stderr = run_function(
            INVOKE,
            invocations,
            AWS_ENDPOINT_URL_LAMBDA=f"http://{serve(endpoint)}",
            AWS_ACCESS_KEY_ID="x",
            AWS_SECRET_ACCESS_KEY="x",
        )
        assert [answer for _, answer in api.answers] == [200] * len(invocations), (
            api.answers,
            api.init_error,
            stderr,
        )
        texts = [headers.get("X-Amz-Client-Context") for headers in endpoint.requests]
        return [text and json.loads(base64.b64decode(text)) for text in texts]

    return run


def test_an_invoke_by_the_sdk_carries_the_trace_of_its_own_invocation(sent_contexts):
    sent = sent_contexts(
        [
            invocation("r-1", context=context_with_trace()),
            invocation("r-2"),
            invocation("r-3", trace=OLD_TRACE),
        ]
    )
    assert sent == [context_with_trace(), None, context_with_trace(OLD_TRACE)]


def test_an_invoke_keeps_what_its_caller_put_into_the_client_context(sent_contexts):
    mine = {"client": {"app_title": "t"}, "custom": {"a": "b"}}
    traced = {"custom": {"X-Amzn-Trace-Id": OLD_TRACE}}
    large = {"custom": {"a": "x" * 2600}}
    sent = sent_contexts(
        [invocation(event=event, trace=TRACE) for event in (mine, traced, large, ["no object"])]
    )
    assert sent == [
        {"client": {"app_title": "t"}, "custom": {"a": "b", "X-Amzn-Trace-Id": TRACE}},
        traced,
        large,
        ["no object"],
    ]


def test_layers_are_found_although_pythonpath_is_set(run_function, opt):
    layer = opt.parent.parent / "python"
    site_packages = layer / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    site_packages.mkdir(parents=True)
    (layer / "in_layer.py").write_text("HERE = 1")
    (site_packages / "in_site_packages.py").write_text("HERE = 2")
    code = (
        "import in_layer, in_site_packages\n"
        "def handler(event, context):\n    return in_layer.HERE + in_site_packages.HERE\n"
    )
    api, _, _ = run_function(code, [invocation()])
    assert api.answers == [("response", 3)]


def test_a_sitecustomize_of_a_layer_still_runs(run_function, opt):
    layer = opt.parent.parent / "python"
    layer.mkdir()
    (layer / "sitecustomize.py").write_text("import os\nos.environ['SEEN'] = __file__")
    code = "import os\ndef handler(event, context):\n    return os.environ.get('SEEN')\n"
    api, _, _ = run_function(code, [invocation()])
    assert api.answers == [("response", str(layer / "sitecustomize.py"))]


def test_a_broken_bridge_costs_one_line_and_nothing_else(run_function, opt):
    (opt / "trace_bridge.py").write_text("raise RuntimeError('broken')")
    api, _, stderr = run_function("def handler(event, context):\n    return 'fine'\n", [invocation()])
    assert api.answers == [("response", "fine")]
    assert [line for line in stderr.splitlines() if "sitecustomize" in line] == [
        "sitecustomize: arm_trace_bridge: RuntimeError: broken"
    ]


def test_a_runtime_client_of_another_shape_costs_one_line_and_nothing_else(tmp_path, opt):
    package = tmp_path / "lib/awslambdaric"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "bootstrap.py").write_text("def run():\n    return 'fine'\n")
    done = subprocess.run(
        [sys.executable, "-c", "from awslambdaric import bootstrap; print(bootstrap.run())"],
        env={"PYTHONPATH": f"{opt}:{package.parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "fine\n"
    assert done.stderr.startswith("trace_bridge: awslambdaric.bootstrap: AttributeError:")


def test_the_start_imports_neither_the_sdk_nor_anything_outside_the_standard_library(opt):
    code = "import sys; print(*sys.modules)"
    run = [sys.executable, "-S", "-c"]
    bare = subprocess.run([*run, code], capture_output=True, text=True, check=True, env={})
    code = f"import sys; sys.path.insert(0, {str(opt)!r}); import sitecustomize; print(*sys.modules)"
    hooked = subprocess.run([*run, code], capture_output=True, text=True, check=True, env={})
    added = set(hooked.stdout.split()) - set(bare.stdout.split())
    assert {name for name in added if name.split(".")[0] not in sys.stdlib_module_names} == {
        "sitecustomize",
        "trace_bridge",
    }
    assert added & {"json", "base64", "logging", "inspect", "pathlib", "importlib.util"} == set()


@pytest.mark.parametrize("file", [SITECUSTOMIZE, TRACE_BRIDGE], ids=lambda file: file.name)
def test_the_hooks_are_written_in_the_grammar_of_python_3_9(file):
    ast.parse(file.read_text(), feature_version=(3, 9))
