import io
import json
import logging

import pytest
import structlog
from esb_gateway.logs import configure_logging


@pytest.fixture
def stream():
    before = logging.getLogger().handlers[:], logging.getLogger().level
    yield io.TextIOWrapper(io.BytesIO())
    structlog.reset_defaults()
    logging.getLogger().handlers[:], level = before
    logging.getLogger().setLevel(level)


def lines(stream) -> list[dict[str, object]]:
    stream.flush()
    return [json.loads(line) for line in stream.buffer.getvalue().splitlines()]


def test_lines_are_json_with_level_and_time(stream):
    log = configure_logging("info", stream)
    log.info("served", generation="000001")
    logging.getLogger("uvicorn.error").warning("odd: %s", "request")
    logging.getLogger("other").info("not shown")
    first, second = lines(stream)
    assert first.pop("timestamp").endswith("Z")
    assert first == {"event": "served", "generation": "000001", "level": "info"}
    assert (second["event"], second["level"]) == ("odd: request", "warning")


def test_a_traceback_is_one_field(stream):
    log = configure_logging("error", stream)
    log.warning("not shown")
    try:
        int("boom")
    except ValueError:
        log.exception("bug")
    (line,) = lines(stream)
    assert "ValueError: invalid literal" in line["exception"]
