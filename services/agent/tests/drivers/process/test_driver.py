"""Real functions in real processes, each with the official runtime client."""

import asyncio
import base64
import importlib.util
import itertools
import json
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from esb_agent.drivers.process import driver, leftovers, watch
from esb_agent.drivers.process import worker as worker_module
from esb_agent.drivers.process.keeper import procfs
from esb_agent.errors import BadRequestError, DriverError, ImageNotFoundError, InitFailedError
from esb_agent.model import WorkerState

ECHO = "def handler(event, context): return event"


def is_directory(path: str) -> bool:
    return Path(path).is_dir()


def names_in(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir()]


def alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and stat.alive


async def state_of(box, worker):
    return await box.driver.find(worker.identity.worker_id)


class TestCalls:
    async def test_a_call_reaches_the_handler_and_its_result_the_caller(self, box, call):
        worker = await box.worker(ECHO)
        answer = await call(worker, {"name": "Łukasz ✓"})
        assert (answer.status, answer.json(), answer.error) == (200, {"name": "Łukasz ✓"}, "")
        assert answer.headers["content-type"] == "application/json"

    async def test_the_handler_sees_what_the_caller_said_of_the_call(self, box, call):
        worker = await box.worker(
            """
            import os
            def handler(event, context):
                return {
                    "id": context.aws_request_id, "arn": context.invoked_function_arn,
                    "left": context.get_remaining_time_in_millis(),
                    "custom": context.client_context.custom, "identity": context.identity.cognito_identity_id,
                    "trace": os.environ["_X_AMZN_TRACE_ID"], "memory": context.memory_limit_in_mb,
                }
            """.replace("\n            ", "\n")
        )
        answer = await call(
            worker,
            {},
            X_Amzn_Requestid="11111111-2222-3333-4444-555555555555",
            X_Esb_Function_Arn="arn:aws:lambda:eu-west-1:000000000000:function:other",
            X_Amzn_Trace_Id="Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            X_Amz_Client_Context=base64.b64encode('{"custom": {"naïve": "✓"}}'.encode()).decode(),
            X_Esb_Cognito_Identity=base64.b64encode(b'{"cognitoIdentityId": "me"}').decode(),
            X_Esb_Deadline_Ms=str(int(time.time() * 1000) + 2000),
        )
        seen = answer.json()
        assert 1000 < seen.pop("left") <= 2000
        assert seen == {
            "id": "11111111-2222-3333-4444-555555555555",
            "arn": "arn:aws:lambda:eu-west-1:000000000000:function:other",
            "custom": {"naïve": "✓"},
            "identity": "me",
            "trace": "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "memory": "256",
        }

    @pytest.mark.parametrize(
        "payload",
        [b"null", b'""', b"[]", b"0", '"\U0001f600 \u2028"'.encode(), b'"' + b"x" * 5_000_000 + b'"'],
    )
    async def test_any_json_goes_through(self, box, call, payload):
        worker = await box.worker(ECHO)
        answer = await call(worker, payload)
        assert json.loads(answer.body) == json.loads(payload)

    async def test_an_empty_event_is_the_runtimes_own_error_and_costs_no_worker(self, box, call):
        worker = await box.worker(ECHO)
        answer = await call(worker, b"")
        assert (answer.status, answer.error, answer.gone) == (200, "Unhandled", "")
        assert "Unable to unmarshal input" in answer.json()["errorMessage"]
        assert (await call(worker, 1)).json() == 1

    async def test_six_megabytes_come_back_and_more_is_a_function_error(self, box, call, until):
        worker = await box.worker("def handler(event, context): return 'x' * event")
        assert len((await call(worker, 6 * 1024 * 1024 - 2)).body) == 6 * 1024 * 1024
        answer = await call(worker, 7 * 1024 * 1024)
        assert (answer.status, answer.error) == (200, "Unhandled")
        assert answer.json()["errorType"] == "Function.ResponseSizeTooLarge"

    async def test_an_exception_is_reported_as_the_runtime_reports_it(self, box, call):
        worker = await box.worker("def handler(event, context): raise KeyError('missing ✓')")
        answer = await call(worker)
        assert (answer.status, answer.error, answer.gone) == (200, "Unhandled", "")
        assert answer.json()["errorType"] == "KeyError"
        assert "missing ✓" in answer.json()["errorMessage"]
        assert answer.json()["stackTrace"]
        assert (await call(worker)).error == "Unhandled"

    async def test_workers_of_one_function_work_at_the_same_time(self, box, call):
        first = await box.worker("import time\ndef handler(event, context): time.sleep(0.5); return event")
        workers = [first, *[await box.more(first.image) for _ in range(2)]]
        started = time.monotonic()
        answers = await asyncio.gather(*(call(worker, i) for i, worker in enumerate(workers)))
        assert [answer.json() for answer in answers] == [0, 1, 2]
        assert time.monotonic() - started < 1.4

    async def test_a_second_call_to_a_busy_worker_is_refused(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(1); return event")
        running = asyncio.create_task(call(worker, 1))
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.BUSY)
        assert (await call(worker, 2)).status == 409
        assert (await running).json() == 1

    async def test_a_caller_that_leaves_costs_nothing(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(0.3); return event")
        _, writer = await asyncio.open_unix_connection(worker.address.removeprefix("unix:"))
        writer.write(
            b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"
        )
        await writer.drain()
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.BUSY)
        writer.close()
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.READY)
        assert (await call(worker, 2)).json() == 2

    async def test_a_worker_whose_gateway_died_in_a_call_serves_the_next_gateway(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(event); return event")
        path = worker.address.removeprefix("unix:")
        # One that hangs without closing, and one that is killed in the middle of a call.
        hanging = [await asyncio.open_unix_connection(path) for _ in range(8)]
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(
            b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nContent-Length: 3\r\n\r\n0.5"
        )
        await writer.drain()
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.BUSY)
        writer.transport.abort()
        (listed,) = await box.driver.list_workers()
        assert (listed.state, listed.address) == (WorkerState.BUSY, worker.address)
        assert (listed.identity, listed.created_unix_ms) == (worker.identity, worker.created_unix_ms)
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.READY)
        assert (await call(worker, 0)).json() == 0
        for _, writer in hanging:
            writer.close()

    async def test_a_call_nobody_waits_for_any_more_ends_at_its_timeout(self, box, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(60)", timeout_ms=500)
        _, writer = await asyncio.open_unix_connection(worker.address.removeprefix("unix:"))
        writer.write(
            b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nContent-Length: 1\r\n\r\n1"
        )
        await writer.drain()
        writer.transport.abort()
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.EXITED)
        assert "timeout" in (await state_of(box, worker)).exit_reason
        await until(lambda: box.driver._tally.ended == {(worker.function, "timeout"): 1})

    async def test_a_handler_of_the_spec_wins_over_the_images_command(self, box, call):
        worker = await box.worker(ECHO + "\ndef other(event, context): return 'other'", handler="app.other")
        assert (await call(worker)).json() == "other"


class TestEnvironment:
    CODE = (
        "import os, sys\n"
        "def handler(event, context): return [dict(os.environ), os.getcwd(), sys.path, sys.argv]"
    )

    async def seen(self, box, call, **kwargs):
        worker = await box.worker(self.CODE, **kwargs)
        return (await call(worker)).json()

    async def test_nothing_of_the_agents_environment_is_seen(self, box, call, monkeypatch):
        environment, *_ = await self.seen(box, call)
        assert not [
            name for name in environment if name.startswith(("ESB_", "PYTEST")) and name != "ESB_WORKER_DIR"
        ]
        assert environment["PATH"] == "/usr/local/bin:/usr/bin:/bin"

    async def test_lambdas_documented_variables_are_there(self, box, call):
        environment, cwd, path, argv = await self.seen(box, call, runtime="python3.11", name="documented")
        root = cwd.removesuffix("/var/task")
        assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "documented"
        assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
        assert environment["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
        assert environment["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.11"
        assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/documented"
        assert environment["_HANDLER"] == "app.handler"
        assert environment["LAMBDA_TASK_ROOT"] == cwd
        assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
        assert is_directory(environment["TMPDIR"])
        assert path[0] == cwd
        assert argv[1:] == ["app.handler"]
        assert root in environment["LAMBDA_RUNTIME_DIR"]

    async def test_the_functions_environment_wins_over_the_images_but_not_over_the_platforms(self, box, call):
        environment, *_ = await self.seen(
            box,
            call,
            config={"Env": ["A=image", "B=image", "AWS_REGION=eu-north-1"]},
            environment={"B": "function", "_HANDLER": "wrong", "AWS_LAMBDA_RUNTIME_API": "wrong:1"},
        )
        assert (environment["A"], environment["B"]) == ("image", "function")
        assert environment["AWS_DEFAULT_REGION"] == "eu-north-1"
        assert environment["_HANDLER"] == "app.handler"
        assert environment["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")

    async def test_paths_of_the_image_are_found_below_its_root(self, box, call):
        files = {
            "opt/python/layered.py": "NAME = 'layer'",
            "opt/esb/python/sitecustomize.py": "import builtins\nbuiltins.hooked = 'hook'",
            "opt/python/lib/python3.11/site-packages/packaged.py": "NAME = 'package'",
        }
        worker = await box.worker(
            "import layered, packaged, builtins\n"
            "def handler(event, context): return [layered.NAME, packaged.NAME, builtins.hooked]",
            files=files,
            config={"Env": ["PYTHONPATH=/opt/esb/python"]},
        )
        assert (await call(worker)).json() == ["layer", "package", "hook"]

    async def test_a_module_of_the_image_wins_over_the_hosts(self, box, call):
        hosts = Path(importlib.util.find_spec("simplejson").origin).parent
        files = {f"var/task/simplejson/{path.name}": path.read_text() for path in hosts.glob("*.py")}
        worker = await box.worker(
            "import simplejson\ndef handler(event, context): return simplejson.__file__", files=files
        )
        assert "/rootfs/" in (await call(worker)).json()

    async def test_an_environment_of_a_hundred_kilobytes_is_passed_and_a_huge_one_refused(self, box, call):
        worker = await box.worker(
            "import os\ndef handler(event, context): return len(os.environ['BIG'])",
            environment={"BIG": "x" * 100_000},
        )
        assert (await call(worker)).json() == 100_000
        with pytest.raises(BadRequestError, match="at most"):
            await box.worker(ECHO, environment={"BIG": "x" * 1_000_000})
        assert len(await box.driver.list_workers()) == 1


class TestForks:
    """Only where a fork of the keeper could differ from a new interpreter."""

    CODE = (
        "import os, sys\n"
        "def handler(event, context):\n"
        "    links = {fd: os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
        "             if os.path.exists(f'/proc/self/fd/{fd}') or int(fd) < 3}\n"
        "    return [open('/proc/self/cmdline').read(), sorted(sys.modules), links]\n"
    )

    async def test_forks_are_made_where_asked_and_see_nothing_of_the_agent(self, box, call, start_mode):
        command, modules, files = (await call(await box.worker(self.CODE))).json()
        assert ("esb_agent" in command) == (start_mode == "fork")
        assert not [name for name in modules if name.startswith("esb_agent")]
        assert files["0"] == "/dev/null"
        assert files["1"].startswith("pipe:")
        assert not [link for fd, link in files.items() if int(fd) > 2 and link.startswith("pipe:")]

    async def test_what_only_a_new_interpreter_reads_gets_one(self, box, call):
        worker = await box.worker(self.CODE, environment={"PYTHONHASHSEED": "1"})
        assert "esb_agent" not in (await call(worker)).json()[0]

    async def test_random_numbers_differ_between_workers(self, box, call):
        code = "import random, uuid\ndef handler(event, context): return [random.random(), str(uuid.uuid4())]"
        first = await box.worker(code)
        second = await box.more(first.image)
        one, other = (await call(first)).json(), (await call(second)).json()
        assert one[0] != other[0]
        assert one[1] != other[1]

    async def test_signals_are_as_an_interpreter_has_them(self, box, call):
        worker = await box.worker(
            "import os, signal\n"
            "def handler(event, context):\n"
            "    reader, writer = os.pipe()\n"
            "    os.close(reader)\n"
            "    try: os.write(writer, b'x')\n"
            "    except BrokenPipeError: return [str(signal.getsignal(n)) for n in (1, 2, 13, 15, 17)]"
        )
        hangup, interrupt, pipe, terminate, child = (await call(worker)).json()
        assert "default_int_handler" in interrupt
        assert (hangup, pipe, terminate, child) == tuple(
            str(handler) for handler in (signal.SIG_DFL, signal.SIG_IGN, signal.SIG_DFL, signal.SIG_DFL)
        )

    async def test_exit_handlers_run_and_a_background_thread_does_not_keep_it(self, box, call, until):
        worker = await box.worker(
            "import atexit, sys, threading\n"
            "atexit.register(lambda: print('bye'))\n"
            "def handler(event, context): sys.exit(5)"
        )
        answer = await call(worker)
        assert "exit status 5" in answer.json()["errorMessage"]
        assert "bye" in [line["line"] for line in box.log(worker)]


class TestKeeperLoss:
    async def test_losing_the_keeper_costs_the_workers_and_no_more(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(event); return event")
        running = asyncio.create_task(call(worker, 60))
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.BUSY)
        pid = box.pid(worker)
        os.kill(box.driver._keeper.pid, signal.SIGKILL)
        answer = await running
        assert (answer.error, answer.gone) == ("Unhandled", "exit")
        await until(lambda: not alive(pid))
        await until(lambda: box.driver._interpreter)
        assert (await state_of(box, worker)).state is WorkerState.EXITED
        assert (await call(await box.more(worker.image), 0)).json() == 0

    async def test_a_recovery_that_fails_is_tried_again(self, box, until, monkeypatch):
        failures = [OSError(24, "Too many open files")]
        end_leftovers = leftovers.end_leftovers

        def failing_once(workers):
            if failures:
                raise failures.pop()
            return end_leftovers(workers)

        monkeypatch.setattr(leftovers, "end_leftovers", failing_once)
        monkeypatch.setattr(driver, "RECOVER_SECONDS", 0.01)
        os.kill(box.driver._keeper.pid, signal.SIGKILL)
        await until(lambda: not failures and box.driver._interpreter)


class TestWatch:
    async def test_a_look_that_fails_does_not_end_the_watch(self, box, call, monkeypatch, until):
        failures = [OSError(24, "Too many open files")]
        check = watch.check_memory

        def failing_once(workers, orphans):
            if failures:
                raise failures.pop()
            return check(workers, orphans)

        monkeypatch.setattr(watch, "check_memory", failing_once)
        worker = await box.worker(
            "import time\ndef handler(event, context):\n    x = bytearray(300 * 1024 * 1024); time.sleep(30)",
            memory_mb=128,
        )
        assert (await call(worker)).gone == "oom"
        assert not failures

    async def test_a_worker_that_finds_no_descriptors_leaves_none_open(self, box, monkeypatch):
        pipe2, made = os.pipe2, []

        def one_only(flags):
            if made:
                raise OSError(24, "Too many open files")
            made.extend(pipe2(flags))
            return tuple(made)

        monkeypatch.setattr(os, "pipe2", one_only)
        with pytest.raises(DriverError, match="Too many open files"):
            await box.worker(ECHO)
        for fd in made:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)


class TestInitialisation:
    @pytest.mark.parametrize(
        ("code", "spec", "kind", "text"),
        [
            ("import nothing_like_this", {}, "Runtime.ImportModuleError", "nothing_like_this"),
            ("def handler(event, context) return", {}, "Runtime.UserCodeSyntaxError", "Syntax error"),
            ("x = 1", {}, "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
            ("x = 1", {"handler": "nodot"}, "Runtime.MalformedHandlerName", "nodot"),
            ("raise ValueError('boom ✓')", {}, "ValueError", "boom ✓"),
            ("import sys; sys.exit(3)", {}, "Runtime.ExitError", "exit status 3"),
            ("import os; os.kill(os.getpid(), 9)", {}, "Runtime.ExitError", "signal: killed"),
        ],
    )
    async def test_what_went_wrong_is_told(self, box, code, spec, kind, text):
        with pytest.raises(InitFailedError) as caught:
            await box.worker(code, **spec)
        error = json.loads(str(caught.value))
        assert error["errorType"] == kind
        assert text in error["errorMessage"]
        assert await box.driver.list_workers() == ()

    @pytest.mark.parametrize("start_mode", ["exec"])
    async def test_a_worker_that_never_asks_for_a_call_is_given_up(self, box):
        object.__setattr__(box.driver._config, "init_seconds", 0.5)
        with pytest.raises(InitFailedError) as caught:
            await box.worker("import time; time.sleep(60)")
        assert json.loads(str(caught.value))["errorMessage"] == "Init timed out after 0.50 seconds"
        assert procfs.children(box.driver._keeper.pid) == []

    async def test_an_unknown_image_is_named(self, box):
        with pytest.raises(ImageNotFoundError, match="demo-dev-none:1: not in the image layout"):
            await box.more("demo-dev-none:1")

    async def test_a_runtime_that_is_no_python_is_refused(self, box):
        with pytest.raises(BadRequestError, match="java21: mode process runs Python functions only"):
            await box.worker(ECHO, runtime="java21")

    async def test_giving_up_waiting_leaves_nothing(self, box, until):
        box.layout.function("slow:1", "import time; time.sleep(60)")
        task = asyncio.create_task(box.more("slow:1"))
        await until(lambda: procfs.children(box.driver._keeper.pid))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not procfs.children(box.driver._keeper.pid))
        assert await box.driver.list_workers() == ()
        assert names_in(box.state / "workers") == []

    async def test_destroying_a_worker_that_starts_ends_the_wait(self, box, until):
        box.layout.function("slow:1", "import time; time.sleep(60)")
        task = asyncio.create_task(box.more("slow:1", worker_id="slow"))
        await until(lambda: procfs.children(box.driver._keeper.pid))
        assert await box.driver.destroy("slow")
        with pytest.raises(DriverError, match="slow was ended during its start: destroyed"):
            await task  # not the function's fault: it is not told as an error of its initialisation


class TestEndings:
    async def test_a_timeout_is_told_as_lambda_tells_it_and_kills_the_worker(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(60)", timeout_ms=300)
        pid = box.pid(worker)
        answer = await call(worker, X_Amzn_Requestid="abc-1")
        assert (answer.status, answer.error, answer.gone) == (200, "Unhandled", "timeout")
        assert answer.json()["errorType"] == "Sandbox.Timedout"
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z abc-1 Task timed out after 0.30 seconds",
            answer.json()["errorMessage"],
        )
        await until(lambda: not alive(pid))
        exited = await state_of(box, worker)
        assert (exited.state, exited.exit_reason) == (
            WorkerState.EXITED,
            "timeout: no answer within 0.30 seconds",
        )
        late = await call(worker)
        assert (late.status, late.gone) == (410, "timeout")

    async def test_an_earlier_deadline_of_the_caller_counts(self, box, call):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(60)")
        answer = await call(worker, X_Esb_Deadline_Ms=str(int(time.time() * 1000) + 300))
        assert answer.gone == "timeout"

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("import sys; sys.exit(7)", "Error: Runtime exited with error: exit status 7"),
            ("import sys; sys.exit()", "Error: Runtime exited without providing a reason"),
            ("import os; os._exit(8)", "Error: Runtime exited with error: exit status 8"),
            ("import os; os.kill(os.getpid(), 9)", "Error: Runtime exited with error: signal: killed"),
            (
                "import os; os.kill(os.getpid(), 11)",
                "Error: Runtime exited with error: signal: segmentation fault",
            ),
            ("import os; os.abort()", "Error: Runtime exited with error: signal: aborted"),
        ],
    )
    async def test_the_call_in_flight_is_told_how_its_worker_ended(self, box, call, code, message, until):
        worker = await box.worker(f"def handler(event, context):\n    {code}")
        answer = await call(worker, X_Amzn_Requestid="abc-2")
        assert (answer.status, answer.error, answer.gone) == (200, "Unhandled", "exit")
        assert answer.json() == {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: abc-2 {message}",
        }
        assert (await state_of(box, worker)).state is WorkerState.EXITED
        assert (await call(worker)).status == 410

    async def test_a_worker_killed_while_idle_is_seen(self, box, call, until):
        worker = await box.worker(ECHO)
        os.kill(box.pid(worker), signal.SIGKILL)
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.EXITED)
        assert (await state_of(box, worker)).exit_reason == "signal: killed"
        answer = await call(worker)
        assert (answer.status, answer.gone) == (410, "exit")

    async def test_memory_over_the_limit_ends_the_worker(self, box, call):
        worker = await box.worker(
            "import time\ndef handler(event, context):\n    x = bytearray(300 * 1024 * 1024); time.sleep(30)",
            memory_mb=128,
        )
        answer = await call(worker, X_Amzn_Requestid="abc-3")
        assert (answer.error, answer.gone) == ("Unhandled", "oom")
        assert answer.json() == {
            "errorType": "Runtime.OutOfMemory",
            "errorMessage": "RequestId: abc-3 Error: Runtime exited with error: signal: killed",
        }
        assert (await state_of(box, worker)).exit_reason == "out of memory: more than 128 MB"

    async def test_memory_of_children_counts(self, box, call):
        worker = await box.worker(
            "import subprocess, sys\n"
            "def handler(event, context): subprocess.run([sys.executable, '-c', "
            "'x = bytearray(300 * 1024 * 1024); import time; time.sleep(30)'])",
            memory_mb=128,
        )
        assert (await call(worker)).gone == "oom"

    async def test_one_absurd_allocation_is_a_memory_error(self, box, call):
        worker = await box.worker(
            "def handler(event, context): return len(bytearray(64 * 1024**3))", memory_mb=128
        )
        assert (await call(worker)).json()["errorType"] == "MemoryError"

    async def test_children_that_survive_their_function_are_killed(self, box, call, until):
        worker = await box.worker(
            "import os, subprocess\n"
            "def handler(event, context):\n"
            "    plain = subprocess.Popen(['sleep', '1000'])\n"
            "    session = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
            "    daemon = subprocess.run(['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!'],\n"
            "                            stdout=subprocess.PIPE).stdout\n"
            "    return [plain.pid, session.pid, int(daemon)]"
        )
        pids = (await call(worker)).json()
        assert all(alive(pid) for pid in pids)
        await box.driver.destroy(worker.identity.worker_id)
        await until(lambda: not any(alive(pid) for pid in pids))

    async def test_forks_that_detach_themselves_are_killed(self, box, call, until):
        worker = await box.worker(
            "import os, time\n"
            "def handler(event, context):\n"
            "    reader, writer = os.pipe()\n"
            "    if os.fork() == 0:\n"
            "        os.setsid()\n"
            "        if os.fork() == 0:\n"
            "            os.write(writer, str(os.getpid()).encode())\n"
            "            time.sleep(1000)\n"
            "        os._exit(0)\n"
            "    os.wait()\n"
            "    return int(os.read(reader, 99))"
        )
        daemon = (await call(worker)).json()
        assert (await box.driver.metrics(worker.identity.worker_id)).processes == 2
        await box.driver.destroy(worker.identity.worker_id)
        await until(lambda: not alive(daemon))

    async def test_children_that_survive_a_crash_are_killed(self, box, call, until):
        worker = await box.worker(
            "import os, subprocess\n"
            "def handler(event, context):\n"
            "    child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
            "    open(event, 'w').write(str(child.pid))\n"
            "    os._exit(1)"
        )
        note = box.state / "note"
        assert (await call(worker, str(note))).gone == "exit"
        await until(lambda: not alive(int(note.read_text())))

    async def test_a_child_that_is_about_to_become_another_program_is_killed_too(self, box, call, until):
        # Between two programs a process has no environment to know it by.
        worker = await box.worker(
            "import os, subprocess, sys, time\n"
            "def handler(event, context):\n"
            "    late = 'import os, sys, time; open(sys.argv[2], \"w\").close(); time.sleep(0.02);'\\\n"
            '        \'os.execve("/bin/sleep", ["sleep", "1000"], {"ESB_WORKER_DIR": sys.argv[1]})\'\n'
            "    ready = event + '.ready'\n"
            "    command = ['env', '-i', sys.executable, '-c', late, os.environ['ESB_WORKER_DIR'], ready]\n"
            "    child = subprocess.Popen(command, start_new_session=True)\n"
            "    while not os.path.exists(ready): time.sleep(0.001)\n"
            "    open(event, 'w').write(str(child.pid))\n"
            "    os._exit(1)"
        )
        note = box.state / "note"
        assert (await call(worker, str(note))).gone == "exit"
        await until(lambda: not alive(int(note.read_text())))

    async def test_destroying_a_busy_worker_answers_its_call(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(60)")
        running = asyncio.create_task(call(worker))
        await until(lambda: box.driver._workers[worker.identity.worker_id].state is WorkerState.BUSY)
        await box.driver.destroy(worker.identity.worker_id)
        answer = await running
        assert (answer.status, answer.error, answer.gone) == (200, "Unhandled", "exit")

    async def test_clients_of_a_destroyed_worker_are_let_go(self, box):
        worker = await box.worker(ECHO)
        reader, writer = await asyncio.open_unix_connection(worker.address.removeprefix("unix:"))
        await box.driver.destroy(worker.identity.worker_id)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    async def test_nothing_is_left_of_a_destroyed_worker(self, box, call):
        worker = await box.worker(ECHO)
        pid = box.pid(worker)
        await box.driver.destroy(worker.identity.worker_id)
        assert not alive(pid)
        assert names_in(box.state / "s") == []
        assert names_in(box.state / "workers") == []


class TestPause:
    async def test_a_paused_worker_stands_still_with_its_children_and_goes_on(self, box, call):
        worker = await box.worker(
            "import subprocess\ndef handler(event, context): return subprocess.Popen(['sleep', '1000']).pid"
        )
        child = (await call(worker)).json()
        paused = await box.driver.pause(worker.identity.worker_id)
        assert paused.state is WorkerState.PAUSED
        for _ in range(200):
            if {procfs.read_stat(pid).state for pid in (box.pid(worker), child)} == {"T"}:
                break
            await asyncio.sleep(0.01)
        assert {procfs.read_stat(pid).state for pid in (box.pid(worker), child)} == {"T"}
        assert (await call(worker)).status == 409
        assert (await box.driver.resume(worker.identity.worker_id)).state is WorkerState.READY
        assert isinstance((await call(worker)).json(), int)

    async def test_a_paused_worker_can_be_destroyed(self, box):
        worker = await box.worker(ECHO)
        pid = box.pid(worker)
        await box.driver.pause(worker.identity.worker_id)
        await box.driver.destroy(worker.identity.worker_id)
        assert not alive(pid)


class TestOutput:
    async def test_lines_are_logged_with_worker_stream_and_call(self, box, call, until):
        worker = await box.worker(
            "import sys, logging\n"
            "print('at start')\n"
            "def handler(event, context):\n"
            "    print('ünicode ✓'); print('to stderr', file=sys.stderr); print('no newline', end='')\n"
            "    sys.stdout.buffer.write(b'\\xff\\n') if hasattr(sys.stdout, 'buffer') else None\n"
        )
        await call(worker, X_Amzn_Requestid="abc-4")
        await until(lambda: any(line["line"].startswith("REPORT") for line in box.log(worker)), 1)
        lines = box.log(worker)
        assert {line["worker"] for line in lines} == {worker.identity.worker_id}
        seen = {(line["stream"], line["request_id"], line["line"]) for line in lines}
        assert ("stdout", "", "at start") in seen
        assert ("stdout", "abc-4", "ünicode ✓") in seen
        assert ("stderr", "abc-4", "to stderr") in seen
        assert any(line["line"].startswith("no newline") for line in lines)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) for line in lines)

    async def test_last_words_are_logged(self, box, call):
        worker = await box.worker("import os\ndef handler(event, context): print('last words'); os._exit(1)")
        await call(worker, X_Amzn_Requestid="abc-5")
        assert ("abc-5", "last words") in [(line["request_id"], line["line"]) for line in box.log(worker)]

    async def test_the_end_of_a_calls_log_comes_with_its_answer(self, box, call):
        worker = await box.worker(
            "import sys\nprint('at start')\n"
            "def handler(event, context):\n"
            "    print('out of', event)\n    print('err', file=sys.stderr)\n"
            "    if event == 3: raise ValueError('no')\n"
        )
        assert "x-esb-log-result" not in (await call(worker, 1)).headers
        for event in (2, 3):
            answer = await call(worker, event, X_Esb_Log_Type="Tail", X_Amzn_Requestid=f"id-{event}")
            tail = base64.b64decode(answer.headers["x-esb-log-result"]).decode().splitlines()
            assert tail[0] == f"START RequestId: id-{event} Version: $LATEST"
            assert {"err", f"out of {event}"} <= set(tail)
            assert any("ValueError" in line for line in tail) == (event == 3)
            assert tail[-2] == f"END RequestId: id-{event}"
            assert re.match(rf"REPORT RequestId: id-{event}\tDuration: \d+\.\d\d ms\tBilled", tail[-1])
            assert "Init Duration" not in tail[-1]

    @pytest.mark.parametrize(
        ("code", "said", "status"),
        [
            ("import time; time.sleep(9)", "Task timed out after 0.50 seconds", "Status: timeout"),
            ("import os; os._exit(3)", "exit status 3", "Error Type: Runtime.ExitError"),
        ],
    )
    async def test_the_log_of_a_call_that_ended_its_worker_is_complete(self, box, call, code, said, status):
        worker = await box.worker(f"def handler(event, context): print('before'); {code}", timeout_ms=500)
        answer = await call(worker, X_Esb_Log_Type="Tail", X_Amzn_Requestid="id-1")
        tail = base64.b64decode(answer.headers["x-esb-log-result"]).decode()
        start, printed, ended, *_, end, report = tail.splitlines()
        assert (start, printed) == ("START RequestId: id-1 Version: $LATEST", "before")
        assert said in ended
        assert end == "END RequestId: id-1"
        assert "Init Duration: " in report
        assert report.endswith(f"{status}\t")
        assert [entry["line"] for entry in box.log(worker)] == tail.splitlines()

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            ("import nothing_like_this", "Status: error\tError Type: Runtime.ImportModuleError"),
            ("import os; print('last words'); os._exit(3)", "Status: error\tError Type: Runtime.ExitError"),
            ("import time; time.sleep(9)", "Status: timeout"),
        ],
    )
    async def test_a_start_that_fails_is_reported_in_the_log(self, box, code, status):
        object.__setattr__(box.driver._config, "init_seconds", 3.0)
        with pytest.raises(InitFailedError):
            await box.worker(code, name="bad")
        lines = [json.loads(line) for line in (box.state / "logs/bad.log").read_text().splitlines()]
        report = lines[-1]["line"]
        assert re.match(r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\t", report)
        assert report.endswith(f"{status}\t")
        assert [entry["line"] for entry in lines].count(report) == 1

    async def test_the_start_of_a_long_silent_call_is_logged_while_it_runs(self, box, call, until):
        worker = await box.worker("import time\ndef handler(event, context): time.sleep(1.5)")
        running = asyncio.create_task(call(worker, X_Amzn_Requestid="id-1"))
        await until(lambda: "START RequestId: id-1 Version: $LATEST" in [e["line"] for e in box.log(worker)])
        assert not running.done()
        await running

    async def test_a_flood_neither_stops_the_agent_nor_fills_the_disk(self, box, call):
        box.driver._logs._max_bytes = 256 * 1024
        worker = await box.worker(
            "def handler(event, context):\n    for i in range(200_000): print('x' * 50)\n    return 'done'",
            timeout_ms=60000,
        )
        other = await box.worker(ECHO)
        running = asyncio.create_task(call(worker))
        while not running.done():
            assert (await asyncio.wait_for(call(other, 1), 5)).json() == 1
        assert (await running).json() == "done"
        size = sum(path.stat().st_size for path in (box.state / "logs").glob(f"{worker.function}.log*"))
        assert size < 5 * 256 * 1024


class TestMeasures:
    async def test_a_first_call_that_ends_its_worker_reports_the_memory_it_used(self, box, call):
        worker = await box.worker("import os\ndef handler(event, context): os._exit(1)")
        answer = await call(worker, 1, **{"X-Esb-Log-Type": "Tail"})
        tail = base64.b64decode(answer.headers["x-esb-log-result"]).decode()
        assert int(re.search(r"Max Memory Used: (\d+) MB", tail)[1]) > 0

    async def test_a_wall_clock_set_back_changes_no_durations(self, box, call, monkeypatch):
        passed = itertools.count()
        backwards = SimpleNamespace(time=lambda: 1e9 - 3600 * next(passed), monotonic=time.monotonic)
        monkeypatch.setattr(worker_module, "time", backwards)
        worker = await box.worker(ECHO)
        assert 0 < worker.init_ms < 10_000
        answer = await call(worker, 1, **{"X-Esb-Log-Type": "Tail"})
        tail = base64.b64decode(answer.headers["x-esb-log-result"]).decode()
        assert 0 < float(re.search(r"Init Duration: (\S+) ms", tail)[1]) < 10_000
        assert (await box.driver.metrics(worker.identity.worker_id)).uptime_seconds >= 0

    async def test_memory_time_and_calls_are_counted(self, box, call):
        worker = await box.worker(
            "def handler(event, context):\n    if event: raise ValueError\n    sum(range(10**6))"
        )
        await call(worker, 0)
        await call(worker, 1)
        metrics = await box.driver.metrics(worker.identity.worker_id)
        assert 2 * 1024**2 < metrics.rss_bytes <= metrics.rss_peak_bytes < 256 * 1024**2
        assert metrics.cpu_seconds > 0
        assert metrics.uptime_seconds > 0
        assert (metrics.invocations, metrics.errors, metrics.processes) == (2, 1, 1)

    async def test_how_long_the_start_took_is_known(self, box):
        worker = await box.worker("import time; time.sleep(0.2)\n" + ECHO)
        assert 200 <= worker.init_ms < 10_000


class TestStopping:
    async def test_an_idle_worker_takes_no_call_while_others_finish_theirs(self, box, call, until):
        object.__setattr__(box.driver._config, "drain_seconds", 10.0)
        busy = await box.worker("import time\ndef handler(event, context): time.sleep(0.5); return event")
        idle = await box.worker(ECHO)
        running = asyncio.create_task(call(busy, 1))
        await until(lambda: box.driver._workers[busy.identity.worker_id].state is WorkerState.BUSY)
        closing = asyncio.create_task(box.driver.close())
        await asyncio.sleep(0)
        # Or its socket is gone already: the call was as surely not taken.
        with suppress(OSError):
            assert (await call(idle, 2)).status == 410
        assert (await running).json() == 1
        await closing

    async def test_closing_twice_leaves_the_next_agent_alone(self, box):
        await box.driver.close()
        (box.state / "s").mkdir()
        await box.driver.close()
        assert (box.state / "s").is_dir()
