"""`esb-node events` against a real box whose functions fail until somebody mends them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from faults.real_box import RealBox

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.11
    CodeUri: src/
    Handler: app.work
    EventInvokeConfig: {MaximumRetryAttempts: 0}
Resources:
  Orders: {Type: AWS::Serverless::Function, Properties: {FunctionName: orders}}
  Mails: {Type: AWS::Serverless::Function, Properties: {FunctionName: mails}}
"""
SOURCE = """
from pathlib import Path


def work(event, context):
    if not Path(event["mended"]).exists():
        raise ValueError("not yet \\x1b[2J")
    with open(event["done"], "a") as file:
        file.write(context.aws_request_id + "\\n")
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[RealBox]:
    running = RealBox(tmp_path)
    running.generate(TEMPLATE, {"src/app.py": SOURCE})
    with running.serving():
        yield running


class Events:
    """What a person types, and what the box answers."""

    def __init__(self, box: RealBox) -> None:
        self.box = box

    def __call__(self, *words: str, fails_with: int = 0) -> str:
        done = self.box.command("esb-node", "events", *words, "--state", self.box.state, check=False)
        assert done.returncode == fails_with, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails_with else done.stdout

    def ids(self, *words: str) -> list[str]:
        found = json.loads(self("list", "--output", "json", *words))["dead_letters"]
        return [letter["id"] for letter in found]


def send(client: Any, function: str, payload: dict[str, str]) -> str:
    sent = client.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(payload))
    assert sent["StatusCode"] == 202
    return str(sent["ResponseMetadata"]["RequestId"])


def test_events_given_up_are_listed_shown_replayed_and_deleted(
    box: RealBox, tmp_path: Path, lambda_client: Callable[[RealBox], AbstractContextManager[Any]]
) -> None:
    events, done, mended = Events(box), tmp_path / "done", tmp_path / "mended"
    assert events("list") == "no dead letters\n"
    payload: dict[str, Any] = {"mended": str(mended), "done": str(done)}
    with lambda_client(box) as client:
        orders = [send(client, "orders", payload) for _ in range(2)]
        mail = send(client, "mails", payload)
    box.until(lambda: len(events.ids()) == 3, "they are given up", 20)

    assert set(events.ids("--function", "orders")) == set(orders)
    head, line, more = events("list", "--limit", "1").splitlines()
    assert head.split() == ["id", "function", "condition", "attempts", "failed_at"]
    assert line.split()[2:4] == ["RetriesExhausted", "1"]
    assert more == "3 in all"
    shown = events("show", mail)
    assert '"errorType": "ValueError"' in shown
    assert str(mended) in shown
    assert "\x1b" not in shown
    assert json.loads(json.loads(events("show", mail, "--output", "json"))["payload"]) == payload

    assert events("delete", mail) == "deleted 1\n"
    for words in (("show", mail), ("delete", mail), ("replay", mail)):
        assert events(*words, fails_with=4) == f"error: the gateway refuses: 404: No dead letter {mail}.\n"

    assert events("replay", orders[0]) == "replayed 1\n"  # still broken: it comes back
    box.until(lambda: sorted(events.ids()) == sorted(orders), "it is given up again", 20)
    mended.touch()
    assert events("replay", "--all", "--function", "mails") == "replayed 0\n"
    assert events("replay", "--all") == "replayed 2\n"
    box.until(lambda: done.exists() and len(done.read_text().split()) == 2, "they are delivered", 20)
    assert sorted(done.read_text().split()) == sorted(orders)  # under their old request ids
    assert events("list") == "no dead letters\n"

    wrong = tmp_path / "key"
    assert "key" in events("list", "--admin-key-file", str(wrong), fails_with=4)  # there is no such file
    wrong.write_text("not-the-key\n")
    assert "the gateway refuses: 40" in events("list", "--admin-key-file", str(wrong), fails_with=4)
