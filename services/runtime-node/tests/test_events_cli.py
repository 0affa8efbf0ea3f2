import http.server
import json
import threading
from typing import ClassVar

import pytest
from click.testing import CliRunner
from esb_node.cli import command

LETTERS = [
    {
        "id": f"id-{number}",
        "function": "f",
        "qualifier": None,
        "trace_id": "Root=1",
        "accepted_at": "2026-01-01T00:00:00.000Z",
        "failed_at": "2026-01-01T00:03:00.000Z",
        "attempts": 3,
        "condition": "RetriesExhausted",
    }
    for number in range(3)
]


class StubGateway(http.server.BaseHTTPRequestHandler):
    """Answers as the gateway does, pages of at most two letters; keeps what was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(f"{self.command} {self.path}")
        if self.headers["x-api-key"] != "the-key":
            self.answer(403, {"message": "The key is none of this box's admin keys."})
        elif self.path.startswith("/events/dead-letters?"):
            after = int(self.path.partition("marker=")[2].partition("&")[0])
            marker = "2" if after == 0 else None
            self.answer(200, {"dead_letters": LETTERS[after : after + 2], "next_marker": marker, "total": 3})
        elif self.path == "/events/dead-letters/id-1":
            secret = {"error": "KeyError\x1b[2J", "payload": '{"password":"p"}', "answer": "no json\x07"}
            self.answer(200, LETTERS[1] | secret)
        elif "nobody" in self.path:
            self.answer(404, {"message": "No dead letter nobody."})
        else:
            self.answer(202, {"replayed": 2})

    def do_POST(self):
        self.do_GET()

    def do_DELETE(self):
        self.do_GET()

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def run(tmp_path):
    """Run `esb-node events …` against the stub, with a key."""
    StubGateway.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StubGateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"

    def call(*words: str, key: str = "the-key"):
        words = ("events", *words, "--url", url, "--state", str(tmp_path))
        return CliRunner().invoke(
            command, words, env={"ESB_ADMIN_KEY": key, "http_proxy": "http://127.0.0.1:1"}
        )

    yield call
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_pages_are_listed_in_a_table_without_payloads(run):
    done = run("list")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "id    function  condition         attempts  failed_at",
        "id-0  f         RetriesExhausted  3         2026-01-01T00:03:00.000Z",
        "id-1  f         RetriesExhausted  3         2026-01-01T00:03:00.000Z",
        "id-2  f         RetriesExhausted  3         2026-01-01T00:03:00.000Z",
    ]


def test_a_limit_is_kept_and_the_rest_is_counted(run):
    assert run("list", "--limit", "2").stdout.splitlines()[-1] == "3 in all"
    assert len(json.loads(run("list", "--limit", "2", "--output", "json").stdout)["dead_letters"]) == 2


def test_a_function_is_asked_for_by_name(run):
    run("list", "--function", "a&b")
    assert StubGateway.asked[0].endswith("&function=a%26b")


def test_one_is_shown_with_all_it_has_and_no_terminal_obeys_it(run):
    done = run("show", "id-1")
    assert '"password": "p"' in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert json.loads(run("show", "id-1", "--output", "json").stdout)["payload"] == '{"password":"p"}'


def test_events_are_replayed_by_id_or_all_together(run):
    assert run("replay", "id-0", "id/1").stdout == "replayed 2\n"
    assert run("replay", "--all", "--function", "f").stdout == "replayed 2\n"
    assert StubGateway.asked == [
        "POST /events/dead-letters/id-0/replay",
        "POST /events/dead-letters/id%2F1/replay",
        "POST /events/dead-letters/replay?function=f",
    ]


def test_events_are_deleted(run):
    assert run("delete", "id-0").stdout == "deleted 1\n"
    assert StubGateway.asked == ["DELETE /events/dead-letters/id-0"]


@pytest.mark.parametrize(
    "words",
    [("replay",), ("replay", "--all", "id-1"), ("replay", "id-1", "--function", "f"), ("delete",), ("show",)],
)
def test_what_is_half_said_is_a_usage_error(run, words):
    assert run(*words).exit_code == 2
    assert StubGateway.asked == []


def test_what_the_gateway_refuses_is_told_in_its_words(run):
    done = run("show", "nobody")
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == "error: the gateway refuses: 404: No dead letter nobody.\n"
    assert (
        run("list", key="wrong").stderr
        == "error: the gateway refuses: 403: The key is none of this box's admin keys.\n"
    )


def test_a_gateway_that_is_away_and_a_box_that_never_ran_are_told(tmp_path):
    (tmp_path / "key").write_text("the-key\n")
    words = ["events", "list", "--state", str(tmp_path), "--admin-key-file", str(tmp_path / "key")]
    away = CliRunner().invoke(command, [*words, "--url", "http://127.0.0.1:1"], env={"ESB_ADMIN_KEY": ""})
    assert (away.exit_code, away.stdout) == (4, "")
    assert away.stderr.startswith("error: the gateway at http://127.0.0.1:1 does not answer: ")
    never = CliRunner().invoke(command, words)
    assert (never.exit_code, "no box has run in" in never.stderr) == (4, True)


def test_without_a_key_nothing_is_asked(tmp_path):
    words = ["events", "list", "--state", str(tmp_path), "--url", "http://127.0.0.1:1"]
    done = CliRunner().invoke(command, words, env={"ESB_ADMIN_KEY": ""})
    assert (done.exit_code, done.stderr) == (
        4,
        "error: no admin key for http://127.0.0.1:1:"
        " give --admin-key-file, or ESB_ADMIN_KEY in the environment\n",
    )
