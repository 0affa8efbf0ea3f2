"""Lines on their way to a real HTTP server, which may be slow, away or refusing."""

import json
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from esb_agent import log_shipping
from esb_agent.drivers.log_files import LogFiles
from esb_agent.errors import ConfigError
from esb_agent.log_shipping import LogShipper, named, parse_endpoint
from esb_agent.tally import Tally


class Store:
    """Takes POSTs; answers with the next of `statuses`, then 200. Unset, `hold` keeps answers back."""

    def __init__(self, port=0):
        self.requests, self.statuses, self.hold = [], [], threading.Event()
        self.hold.set()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                store.hold.wait(10)
                status = store.statuses.pop(0) if store.statuses else 200
                store.requests.append((status, self.path, dict(self.headers), body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def lines(self):
        return [
            json.loads(line)
            for status, *_, body in self.requests
            if status == 200
            for line in body.splitlines()
        ]

    def close(self):
        self.hold.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def store():
    made = Store()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(log_shipping, "GATHER_SECONDS", 0.02)
    monkeypatch.setattr(log_shipping, "FIRST_BACKOFF_SECONDS", 0.02)


@pytest.fixture
def tally():
    return Tally()


@pytest.fixture
def ship(tally):
    made = []

    def start(url, limit=1024 * 1024):
        made.append(LogShipper(parse_endpoint(url), limit, tally))
        made[-1].start()
        return made[-1]

    yield start
    for shipper in made:
        shipper.close()


def line(number, **more):
    return json.dumps({"time": "2025-01-31T12:00:00.000Z", "line": f"line {number}", **more}).encode() + b"\n"


async def test_lines_arrive_with_their_function_and_the_store_is_told_what_is_what(store, ship, tally, until):
    ship(store.url).offer("hello", line(1) + line(2))
    await until(lambda: tally.logs_shipped == 2)
    assert [(entry["function"], entry["line"]) for entry in store.lines()] == [
        ("hello", "line 1"),
        ("hello", "line 2"),
    ]
    ((_, path, headers, _),) = store.requests
    assert urlsplit(path).path == "/insert/jsonline"
    assert parse_qs(urlsplit(path).query) == {
        "_stream_fields": ["function,stream"],
        "_time_field": ["time"],
        "_msg_field": ["line"],
    }
    assert headers["Content-Type"] == "application/stream+json"
    assert "Authorization" not in headers


async def test_what_functions_print_is_shipped_as_it_is_written(store, ship, tmp_path, until):
    files = LogFiles(tmp_path, 1_000_000, 1, ship(store.url).offer)
    files.of("hello").write(line(1))
    await until(store.lines)
    assert (tmp_path / "hello.log").read_bytes() == line(1)
    files.close()


async def test_credentials_are_sent_and_not_shown(store, ship, tally, until):
    url = store.url.replace("//", "//me:p%40ss@") + "/prefix/"
    ship(url).offer("f", line(1))
    await until(lambda: tally.logs_shipped)
    ((_, path, headers, _),) = store.requests
    assert path.startswith("/prefix/insert/jsonline?")
    assert headers["Authorization"] == "Basic " + b64encode(b"me:p@ss").decode()
    assert "p@ss" not in repr(parse_endpoint(url))


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_store_in_trouble_gets_the_same_lines_again(store, ship, tally, until, status):
    store.statuses = [status, status]
    ship(store.url).offer("f", line(1))
    await until(lambda: tally.logs_shipped == 1)
    assert [answered for answered, *_ in store.requests] == [status, status, 200]
    assert tally.logs_dropped == 0


async def test_lines_it_refuses_are_dropped_and_later_ones_sent(store, ship, tally, until):
    store.statuses = [400]
    shipper = ship(store.url)
    shipper.offer("f", line(1) + line(2))
    await until(lambda: tally.logs_dropped == 2)
    shipper.offer("f", line(3))
    await until(lambda: tally.logs_shipped == 1)
    assert [entry["line"] for entry in store.lines()] == ["line 3"]


async def test_a_store_that_hangs_costs_lines_and_no_time(store, ship, tally, until):
    store.hold.clear()
    shipper = ship(store.url, limit=100_000)
    slowest = 0.0
    for number in range(10_000):
        begun = time.perf_counter()
        shipper.offer("f", line(number))
        slowest = max(slowest, time.perf_counter() - begun)
    # A thread switch of the interpreter is 5 ms; the store hangs for ten seconds.
    assert slowest < 1.0
    assert shipper._bytes <= 100_000
    dropped = tally.logs_dropped
    assert dropped > 5_000
    store.hold.set()
    await until(lambda: tally.logs_shipped + dropped == 10_000)
    # The newest are the ones kept.
    assert store.lines()[-1]["line"] == "line 9999"


async def test_a_store_that_is_away_is_waited_for(ship, tally, until):
    first = Store()
    first.close()
    shipper = ship(first.url)
    shipper.offer("f", line(1))
    await until(lambda: shipper._down)
    second = Store(first.server.server_port)
    await until(lambda: tally.logs_shipped == 1)
    assert tally.logs_dropped == 0
    second.close()


async def test_much_goes_in_batches_and_the_end_sends_the_rest(store, tally):
    shipper = LogShipper(parse_endpoint(store.url), 64 * 1024 * 1024, tally)
    chunk = b"".join(line(number, more="x" * 100) for number in range(1000))
    for _ in range(30):
        shipper.offer("f", chunk)
    shipper.start()
    shipper.close()
    assert (tally.logs_shipped, tally.logs_dropped) == (30_000, 0)
    assert len(store.requests) > 2
    assert max(len(body) for *_, body in store.requests) < 1.3 * 1024 * 1024


async def test_what_cannot_be_sent_at_the_end_is_counted_and_the_end_is_not_held_up(ship, tally, monkeypatch):
    monkeypatch.setattr(log_shipping, "LEAVE_SECONDS", 0.3)
    gone = Store()
    gone.close()
    shipper = ship(gone.url)
    for number in range(3):
        shipper.offer("f", line(number))
    begun = time.monotonic()
    shipper.close()
    assert time.monotonic() - begun < 5
    assert (tally.logs_shipped, tally.logs_dropped) == (0, 3)


@pytest.mark.parametrize("url", ["http://store..box", "http://" + "a" * 64 + ".box", "http://store/\u0142"])
async def test_an_address_that_cannot_be_asked_is_told_and_tried_again(ship, tally, until, capsys, url):
    shipper = ship(url, limit=1000)
    shipper.offer("f", line(1))
    await until(lambda: shipper._down)
    assert shipper._thread.is_alive()
    assert "function logs cannot be shipped" in capsys.readouterr().out


def test_every_line_gets_the_functions_name():
    text = named('f"1', line(1) + line(2, odd='\n{"a": 1}'))
    assert [json.loads(one)["function"] for one in text.splitlines()] == ['f"1', 'f"1']
    assert json.loads(text.splitlines()[1])["odd"] == '\n{"a": 1}'


@pytest.mark.parametrize(
    "url", ["logs:9428", "ftp://logs", "http://", "http://h:x", "http://h/?a=b", "http://u:secret@h:x"]
)
def test_a_url_that_is_none_is_refused_without_being_shown(url):
    with pytest.raises(ConfigError, match="ESB_LOG_SHIP_URL: expected http") as caught:
        parse_endpoint(url)
    assert "secret" not in str(caught.value)


def test_the_full_path_may_be_given():
    assert parse_endpoint("https://logs:9428/insert/jsonline").path == "/insert/jsonline"
