"""The engine's framing and times."""

import json
import struct

from esb_agent.drivers.docker.answers import filters, parse_version, split_frames, text, to_found, unix_ms
from hypothesis import given
from hypothesis import strategies as st

frames = st.lists(st.tuples(st.sampled_from([(1, "stdout"), (2, "stderr")]), st.binary(max_size=50)))


@given(frames, st.integers(1, 20))
def test_frames_are_whole_however_they_arrive(written, size):
    data = b"".join(struct.pack(">BxxxL", number, len(text)) + text for (number, _), text in written)
    found, rest = [], b""
    for start in range(0, len(data), size):
        more, rest = split_frames(rest + data[start : start + size])
        found += more
    assert (found, rest) == ([(name, text) for (_, name), text in written], b"")


def test_times_are_read_to_the_millisecond():
    assert unix_ms("1970-01-01T00:00:01.234567Z") == 1234
    assert unix_ms("1970-01-01T00:00:01.5Z") == 1500
    assert unix_ms("1970-01-01T00:00:01Z") == 1000
    assert unix_ms("0001-01-01T00:00:00Z") == unix_ms("") == 0


def test_versions_compare_as_numbers():
    assert parse_version("1.9") < parse_version("1.41")
    assert text(parse_version("1.45")) == "v1.45"


def test_filters_are_the_engines_json():
    assert json.loads(filters({"a": "b"}, type=["container"])) == {"label": ["a=b"], "type": ["container"]}


def test_a_container_is_read_with_what_it_lacks():
    inspected = {"Id": "c1", "Config": {"Labels": None}, "State": {"Status": "created"}}
    found = to_found(inspected)
    assert (found.container_id, found.labels, found.address, found.alive) == ("c1", {}, "", False)
    running = {
        "Id": "c1",
        "Config": {"Labels": {"a": "b"}},
        "State": {"Status": "running", "StartedAt": "1970-01-01T00:00:02Z", "OOMKilled": True, "ExitCode": 0},
        "NetworkSettings": {"Networks": {"other": {"IPAddress": ""}, "esb": {"IPAddress": "10.0.0.2"}}},
    }
    found = to_found(running)
    assert (found.address, found.started_unix_ms, found.oom_killed, found.alive) == (
        "10.0.0.2",
        2000,
        True,
        True,
    )
