"""What `make demo` shows: a box starts, examples/orders is deployed to it and called, everything stops again.

Only commands a person can type as well (they are printed before they run) and plain HTTP calls. The box
starts in the background while the artifact is generated, as neither needs the other.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PROJECT = Path(__file__).resolve().parent.parent / "examples" / "orders"
BIN = Path(sys.executable).parent
WORK = Path(".esb/demo")  # relative to the project, as in the printed commands
STATE, ARTIFACT = WORK / "box", WORK / "artifact"
MANIFEST = ARTIFACT / "artifact.yml"
LAMBDA_API = "/2015-03-31/"
API_KEY = "x-api-key"
READY_SECONDS = 60.0
CALL_SECONDS = 30.0
FILE = bytes(range(256)) * 256  # every byte there is, 64 KiB

_COLORS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_USE_COLOR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


class DemoError(Exception):
    """The demo can't go on; the text says why."""


def paint(text: str, color: str) -> str:
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if _USE_COLOR else text


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say(f"\n{paint(text, 'bold')}")


# --- commands -----------------------------------------------------------------------------------------------


def start(*command: str, background: bool = False) -> subprocess.Popen[str]:
    """Print a command and start it in the project's directory."""
    say(paint("$ ", "dim") + paint(shlex.join(command), "cyan") + (paint(" &", "dim") if background else ""))
    return subprocess.Popen(
        [str(BIN / command[0]), *command[1:]],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], began: float) -> None:
    """Wait for a command and show its result, indented; what it said beside that when it warns or fails."""
    output, notes = process.communicate()
    if process.returncode != 0 or "warning" in notes.lower():
        output += notes
    for line in output.splitlines():
        say(f"  {line.rstrip()}".rstrip())
    say(paint(f"  {time.monotonic() - began:.1f} s", "dim"))
    if process.returncode != 0:
        raise DemoError(f"the command ended with exit code {process.returncode}")


def run(*command: str) -> None:
    """Print a command, run it, show what it said."""
    began = time.monotonic()
    finish(start(*command), began)


# --- calls --------------------------------------------------------------------------------------------------


@dataclass
class Reply:
    """An answer of the gateway."""

    status: int
    headers: Message
    data: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    def json(self) -> Any:
        try:
            return json.loads(self.data)
        except ValueError:
            return None


@dataclass
class Caller:
    """Calls the gateway, shows calls and answers, remembers what was not as expected."""

    url: str
    calls: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        type_: str = "application/json",
        headers: Mapping[str, str] | None = None,
        status: int,
    ) -> Reply:
        """One call; the status it must have is checked. What is secret in `headers` is not shown."""
        shown = f"{len(body)} bytes" if body and type_ != "application/json" else (body or b"").decode()
        say(f"\n{paint('>', 'dim')} {paint(f'{method} {path}', 'bold')}  {shown}".rstrip())
        for name, value in (headers or {}).items():
            say(f"  {name}: {'…' if name == API_KEY else value}")
        began = time.monotonic()
        reply = self.send(method, path, body, type_, headers)
        took = time.monotonic() - began
        self.calls, self.seconds = self.calls + 1, self.seconds + took
        color = "green" if reply.status < 400 else "yellow"
        reason = http.client.responses.get(reply.status, "")
        say(f"{paint('<', 'dim')} {paint(f'{reply.status} {reason}', color)}  {took * 1000:.0f} ms")
        show_body(reply)
        if reply.status != status:
            self.expect(f"the status is {status}", False)
        return reply

    def expect(self, what: str, is_so: bool) -> None:
        """Say whether something is as it must be."""
        say(f"  {paint('✓', 'green') if is_so else paint('✗', 'red')} {what}")
        if not is_so:
            self.failures.append(what)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        type_: str = "",
        given: Mapping[str, str] | None = None,
    ) -> Reply:
        """One call, not shown."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=CALL_SECONDS)
        try:
            headers = {**({"Content-Type": type_} if body is not None else {}), **(given or {})}
            if path.startswith(LAMBDA_API):
                headers = signed(method, self.url + path, body, headers)
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"{method} {path}: no answer from the gateway: {error}") from error
        finally:
            connection.close()


def signed(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as an AWS SDK sends them to the Lambda API, with the operator's key pair of this box."""
    values = credentials()
    request = AWSRequest(method, url, data=body, headers=dict(headers))
    pair = Credentials(values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(pair, "lambda", values["AWS_REGION"]).add_auth(request)
    return dict(request.headers.items())


@cache
def credentials() -> dict[str, str]:
    """What `eval "$(esb-node credentials --export)"` would set."""
    command = [str(BIN / "esb-node"), "credentials", "--state", str(STATE), "--export"]
    exported = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    lines = (shlex.split(line)[1] for line in exported.splitlines())
    return dict(line.split("=", 1) for line in lines)


def show_body(reply: Reply) -> None:
    """A JSON body in lines, another one by its size."""
    value = reply.json()
    if value is not None:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    else:
        text = f"({reply.content_type}, {len(reply.data)} bytes)" if reply.data else ""
    for line in text.splitlines():
        say(f"  {line}")


def json_body(value: object) -> bytes:
    return json.dumps(value).encode()


# --- the story ----------------------------------------------------------------------------------------------


def deploy() -> None:
    """From template to a box that serves it."""
    heading("A box, and meanwhile an artifact from template.yaml")
    began = time.monotonic()
    box = start("esb-node", "up", "--state", str(STATE), "--detach", background=True)
    try:
        run("esb", "artifact", "generate", "--output", str(ARTIFACT))
        run("artifactctl", "validate-id", "--artifact", str(MANIFEST))
        images = f"oci-layout:{STATE / 'images'}"
        run("artifactctl", "prepare-images", "--artifact", str(MANIFEST), "--target", images)
        run("artifactctl", "apply", "--artifact", str(MANIFEST), "--out", str(STATE / "config"))
    except BaseException:
        box.terminate()
        box.communicate()
        raise
    say(paint("  … and the box:", "dim"))
    finish(box, began)


def wait_until_served() -> str:
    """Wait until gateway and provisioner are at the applied generation; the gateway's URL."""
    generation = (PROJECT / STATE / "config" / "current").readlink().name
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        state = json.loads((PROJECT / STATE / "box.json").read_text())
        url, run_ = state["urls"]["gateway"], state["provisioner"]
        if run_["generation"] == generation and run_["state"] != "running":
            if run_["state"] != "done":
                raise DemoError(f"provisioning: {run_['trouble']}")
            if health(url).get("generation") == generation:
                counts = ", ".join(f"{count} {name}" for name, count in run_["counts"].items())
                say(f"  generation {generation} is served at {url}; tables and buckets: {counts}")
                return str(url)
        time.sleep(0.03)
    raise DemoError(f"generation {generation} is not served after {READY_SECONDS:g} s, see esb-node logs")


def health(url: str) -> dict[str, Any]:
    """What the gateway says of itself; nothing when it does not answer."""
    with suppress(DemoError):
        found = Caller(url).send("GET", "/health").json()
        return found if isinstance(found, dict) else {}
    return {}


def call_everything(caller: Caller) -> None:
    """Every route of the example, each answer checked against those before it."""
    heading("Orders: created through API Gateway events, priced by a function that this function invokes")
    items = [{"article": "coffee", "pieces": 10}, {"article": "cup", "pieces": 2}]
    body = json_body({"customer": "anna", "items": items})
    order = caller.call("POST", "/orders", body=body, status=201).json() or {}
    anna = str(order.get("id"))
    caller.expect("10 coffees at 10 % discount and 2 cups make 129.10", order.get("total_cents") == 12910)

    body = json_body({"customer": "bert", "items": [{"article": "tea"}], "keep_days": 0})
    bert = str((caller.call("POST", "/orders", body=body, status=201).json() or {}).get("id"))
    caller.expect("the id is a new one, and greater: ids sort by time", bert > anna)

    body = json_body({"customer": "carl", "items": [{"article": "beer"}]})
    refused = caller.call("POST", "/orders", body=body, status=400).json() or {}
    caller.expect("what is wrong is said", "article: one of coffee" in str(refused.get("error")))

    caller.expect("both orders are listed, newest first", listed(caller, "/orders") == [bert, anna])
    path = f"/orders?customer={quote('anna')}"
    caller.expect("one order is hers, says the table's index", listed(caller, path) == [anna])
    shown = caller.call("GET", f"/orders/{anna}", status=200).json()
    caller.expect("the order is shown as it was created", shown == order)

    heading("A file into a bucket, byte for byte")
    path = f"/orders/{anna}/attachment"
    caller.call("PUT", path, body=FILE, type_="image/x-demo", status=200)
    got = caller.call("GET", path, status=200)
    caller.expect(
        f"all {len(FILE)} bytes and their type come back",
        (got.data, got.content_type) == (FILE, "image/x-demo"),
    )

    heading("The clean-up: its schedule is rate(1 hour), so here is the call it makes, made now")
    caller.expect("the gateway keeps the schedule", health(caller.url).get("schedules") == 1)
    path = f"{LAMBDA_API}functions/CleanupFunction/invocations"
    body, tail = json_body({"reason": "demo"}), {"X-Amz-Log-Type": "Tail"}
    reply = caller.call("POST", path, body=body, headers=tail, status=200)
    log = b64decode(reply.headers.get("X-Amz-Log-Result", "")).decode()
    for line in log.splitlines():
        say(f"  {paint('log', 'dim')} {line.replace(chr(9), '  ').rstrip()}")
    removed = reply.json() or {}
    caller.expect("it removed the order that was to be kept for 0 days", removed.get("removed") == [bert])
    caller.expect("its log came with the answer", "REPORT RequestId: " in log)
    caller.call("GET", f"/orders/{bert}", status=404)
    event = {"X-Amz-Invocation-Type": "Event"}
    caller.call("POST", path, body=json_body({"reason": "event"}), headers=event, status=202)
    caller.expect("the event, on disk before it was accepted, is delivered", logged("clean-up (event)"))
    run("esb-node", "logs", "--state", str(STATE), "--function", "CleanupFunction", "--lines", "4")

    heading("The end of an order, for those who have the key")
    caller.call("DELETE", f"/orders/{anna}", status=403)
    caller.call("DELETE", f"/orders/{anna}", headers={API_KEY: credentials()["ESB_API_KEY"]}, status=204)
    caller.call("GET", f"/orders/{anna}/attachment", status=404)
    caller.expect("nothing is left", listed(caller, "/orders") == [])


def logged(text: str) -> bool:
    """Whether the clean-up prints this, soon."""
    log = PROJECT / STATE / "agent" / "logs" / "CleanupFunction.log"
    deadline = time.monotonic() + CALL_SECONDS
    while time.monotonic() < deadline:
        if log.exists() and text in log.read_text():
            return True
        time.sleep(0.02)
    return False


def listed(caller: Caller, path: str) -> list[str]:
    answer = caller.call("GET", path, status=200).json()
    return [order["id"] for order in answer["orders"]] if isinstance(answer, dict) else []


def clear_last_run() -> None:
    """Remove what an earlier demo left; a box that still runs there is somebody's and stays."""
    if not (PROJECT / WORK).exists():
        return
    command = [str(BIN / "esb-node"), "status", "--state", str(STATE), "--output", "json"]
    status = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    if json.loads(status.stdout)["state"] != "stopped":
        raise DemoError(f"another demo runs; stop it with: (cd {PROJECT} && esb-node down --state {STATE})")
    shutil.rmtree(PROJECT / WORK)


def stop() -> None:
    """Stop the box, undisturbed by another Ctrl-C or by a reader of the output that left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    down = ("esb-node", "down", "--state", str(STATE))
    try:
        heading("The end")
        run(*down)
    except BrokenPipeError:
        subprocess.run([str(BIN / down[0]), *down[1:]], cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
        raise


def interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def tell_story() -> Caller:
    """Everything from the first command to the last; the box is stopped whatever happens."""
    say(paint("$ ", "dim") + paint(f"cd {os.path.relpath(PROJECT)}", "cyan"))
    try:
        deploy()
        caller = Caller(wait_until_served())
        credentials()  # now, so that the first call signed is not the one that waits for them
        call_everything(caller)
    finally:
        stop()
    return caller


def main(tell: Callable[[], Caller] = tell_story) -> int:
    signal.signal(signal.SIGTERM, interrupted)
    began = time.monotonic()
    try:
        clear_last_run()
        caller = tell()
    except KeyboardInterrupt:
        say("\ninterrupted; the box is stopped")
        return 130
    except BrokenPipeError:
        # what is still in the buffer has no reader either; without this the interpreter complains at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (DemoError, subprocess.CalledProcessError) as error:
        print(f"\n{paint('error:', 'red')} {error}", file=sys.stderr)
        return 4
    took = f"{caller.calls} calls in {caller.seconds:.1f} s, everything in {time.monotonic() - began:.1f} s"
    if caller.failures:
        say(
            paint(f"\n✗ {len(caller.failures)} not as expected: {'; '.join(caller.failures)}", "red")
            + f" ({took})"
        )
        return 1
    say(paint("\n✓ every answer as expected", "green") + f": {took}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
