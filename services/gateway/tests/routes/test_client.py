import pytest
from esb_gateway.http_messages import Ends, Request
from esb_gateway.routes.client import Client, TrustedProxies, client_of, parse_trusted_proxies
from hypothesis import given
from hypothesis import strategies as st

TRUSTED = parse_trusted_proxies("10.0.0.0/8, 192.168.1.1 fd00::/8")


def seen(peer: str, *headers: tuple[str, str], trusted: TrustedProxies = TRUSTED) -> Client:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    ends = Ends((peer, 4711), ("127.0.0.1", 8080))
    return client_of(Request("GET", "/", b"", sent, None, ends=ends), trusted)


def test_without_trusted_proxies_the_client_is_who_connected():
    sent = (("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test"))
    plain = Client("203.0.113.7", "203.0.113.7", "http", 8080)
    assert seen("203.0.113.7", *sent, trusted=TrustedProxies()) == plain
    assert seen("203.0.113.7", *sent) == plain, "this peer is not one of them"


def test_an_ipv4_client_of_a_socket_for_both_families_is_told_as_ipv4():
    plain = Client("203.0.113.7", "203.0.113.7", "http", 8080)
    assert seen("::ffff:203.0.113.7", trusted=TrustedProxies()) == plain


@pytest.mark.parametrize(
    ("peer", "chain", "source"),
    [
        ("10.0.0.2", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.7, 10.0.0.9", "198.51.100.7"),
        ("10.0.0.2", "10.9.9.9, 10.0.0.9", "10.9.9.9"),
        ("10.0.0.2", "", "10.0.0.2"),
        ("10.0.0.2", "198.51.100.7, unknown", "10.0.0.2"),
        ("10.0.0.2", "198.51.100.7, unknown, 10.0.0.9", "10.0.0.9"),
        ("10.0.0.2", "198.51.100.7:51234", "198.51.100.7"),
        ("10.0.0.2", "[2001:db8::1]:443", "2001:db8::1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.2", "198.51.100.7", "198.51.100.7"),
        ("192.168.1.2", "198.51.100.7", "192.168.1.2"),
    ],
)
def test_the_chain_is_read_from_the_right_past_trusted_hops(peer, chain, source):
    assert seen(peer, ("x-forwarded-for", chain)).source_ip == source


def test_several_header_lines_are_one_chain():
    assert (
        seen("10.0.0.2", ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")).source_ip
        == "1.1.1.1"
    )


def test_a_trusted_proxy_says_scheme_port_and_host():
    said = seen(
        "10.0.0.2",
        ("x-forwarded-proto", "HTTPS"),
        ("x-forwarded-port", "8443"),
        ("x-forwarded-host", "evil.test, api.example.com"),
    )
    assert (said.scheme, said.port, said.host) == ("https", 8443, "api.example.com")
    assert seen("10.0.0.2", ("x-forwarded-proto", "https")).port == 443
    assert seen("10.0.0.2").port == 8080


@pytest.mark.parametrize(
    "header",
    [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-port", "99999"),
        ("x-forwarded-port", "-1"),
        ("x-forwarded-port", "0"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-host", "a/b"),
        ("x-forwarded-anything", "x"),
    ],
)
def test_nonsense_of_a_trusted_proxy_is_passed_over(header):
    assert seen("10.0.0.2", header) == Client("10.0.0.2", "10.0.0.2", "http", 8080)


def test_what_is_no_network_is_refused():
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        parse_trusted_proxies("10.0.0.1 10.0.0.0/99")
    assert parse_trusted_proxies(" ").networks == ()


@given(
    st.text(st.characters(max_codepoint=255), max_size=30),
    st.text(st.characters(max_codepoint=255), max_size=9),
)
def test_no_forwarded_header_breaks_it(chain, other):
    said = seen(
        "10.0.0.2", ("x-forwarded-for", chain), ("x-forwarded-port", other), ("x-forwarded-host", other)
    )
    assert 0 < said.port < 65536
    assert said.scheme == "http"
