import pytest
from esb_agent.drivers.containerd.references import parse_reference
from esb_agent.errors import BadRequestError
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "name", "host"),
    [
        ("orders", "docker.io/library/orders:latest", "registry-1.docker.io"),
        ("team/orders:2", "docker.io/team/orders:2", "registry-1.docker.io"),
        ("localhost/orders:2", "localhost/orders:2", "localhost"),
        ("127.0.0.1:5010/a/b:x", "127.0.0.1:5010/a/b:x", "127.0.0.1:5010"),
        (f"r.example/a@{DIGEST}", f"r.example/a@{DIGEST}", "r.example"),
        (f"r.example/a:tag@{DIGEST}", f"r.example/a@{DIGEST}", "r.example"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1", "[::1]:5000"),
    ],
)
def test_a_name_is_completed_as_docker_does(text, name, host):
    found = parse_reference(text)
    assert (found.name, found.host) == (name, host)


@pytest.mark.parametrize("text", ["127.0.0.1:5010/a", "localhost:1/a", "127.9.9.9/a", "[::1]:5000/a"])
def test_registries_of_this_host_are_known(text):
    assert parse_reference(text).loopback


@pytest.mark.parametrize("text", ["r.example/a", "10.0.0.1:5000/a", "localhost.example/a", "orders"])
def test_no_other_registry_counts_as_this_host(text):
    assert not parse_reference(text).loopback


@pytest.mark.parametrize(
    "text", ["", "UPPER", "a b", "a:", "r.example/", "a@sha256:12", "r.example/../x", "a/../b"]
)
def test_what_no_image_can_be_called_is_refused(text):
    with pytest.raises(BadRequestError, match="image: expected"):
        parse_reference(text)


@given(
    st.from_regex(
        r"[a-z0-9]{1,8}(\.[a-z]{2,4}(:[1-9][0-9]{0,3})?/[a-z0-9]{1,5})?(:[a-z0-9]{1,5})?", fullmatch=True
    )
)
def test_a_completed_name_stays_as_it_is(text):
    once = parse_reference(text).name
    assert parse_reference(once).name == once
