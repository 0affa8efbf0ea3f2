import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from esb_gateway.auth.credentials import Issuer
from esb_gateway.auth.jwks import (
    FRESH_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    KeySets,
    fetch_url,
    parse_key_set,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = rsa.generate_private_key(65537, 2048).public_key()
ISSUER = Issuer("https://a", jwks_url="https://a/keys")


def entry(kid="k", **more):
    return {**jwt.algorithms.RSAAlgorithm.to_jwk(KEY, as_dict=True), "kid": kid, **more}


def document(*entries):
    return json.dumps({"keys": entries}).encode()


class Site:
    """A key set at a URL, and how often it was asked for."""

    def __init__(self) -> None:
        self.data, self.asked, self.down = document(entry()), 0, False

    def fetch(self, url: str) -> bytes:
        self.asked += 1
        if self.down:
            raise ConnectionRefusedError(url)
        return self.data


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def key_sets(site, log, fake_time) -> KeySets:
    return KeySets(fake_time.now, log, site.fetch)


def test_a_key_goes_with_its_algorithms_and_nothing_else():
    algorithms = jwt.algorithms
    curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    made = [
        {
            **algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(curve).public_key(), as_dict=True),
            "kid": name,
        }
        for name, curve in curves.items()
    ]
    edwards = ed25519.Ed25519PrivateKey.generate().public_key()
    made.append({**algorithms.OKPAlgorithm.to_jwk(edwards, as_dict=True), "kid": "ed"})
    made += [entry("rsa"), entry("fixed", alg="PS256"), entry("enc", use="enc"), entry("odd", alg="HS256")]
    made += [
        {"kty": "oct", "k": "AAAA", "kid": "oct"},
        entry(None),
        {"kid": "none"},
        {"kty": [], "kid": "x"},
        7,
    ]
    made.append({"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"})
    found = parse_key_set(document(*made))
    assert {name: key.algorithms for name, key in found.items()} == {
        "p256": ("ES256",),
        "p384": ("ES384",),
        "p521": ("ES512",),
        "ed": ("EdDSA",),
        "rsa": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        "fixed": ("PS256",),
    }


@given(st.recursive(st.none() | st.booleans() | st.text() | st.integers(0, 9), st.lists))
def test_what_is_no_key_set_is_a_value_error_or_empty(value):
    for data in (json.dumps(value).encode(), b"{", b""):
        with pytest.raises(ValueError, match=r"."):
            parse_key_set(data)
    assert parse_key_set(json.dumps({"keys": [value, {"kid": "a", "kty": value}]}).encode()) == {}


async def test_keys_are_asked_for_once_and_again_after_two_hours(key_sets, site, fake_time):
    found = await asyncio.gather(*(key_sets.key(ISSUER, "k") for _ in range(5)))
    assert all(found)
    assert site.asked == 1
    fake_time.value += FRESH_SECONDS + 1
    site.data = document(entry("new"))
    assert await key_sets.key(ISSUER, "k") is None
    assert (await key_sets.key(ISSUER, "new")).algorithms
    assert site.asked == 2


async def test_an_unknown_key_makes_the_url_be_asked_again_once_a_minute(key_sets, site, fake_time):
    for _ in range(3):
        assert await key_sets.key(ISSUER, "new") is None
    assert site.asked == 1
    site.data = document(entry(), entry("new"))
    fake_time.value += RETRY_SECONDS + 1
    assert await key_sets.key(ISSUER, "new")
    assert await key_sets.key(ISSUER, "k")
    assert site.asked == 2


async def test_while_the_url_is_away_the_keys_known_before_stay_for_a_day(key_sets, site, fake_time, log):
    assert await key_sets.key(ISSUER, "k")
    site.down = True
    fake_time.value += FRESH_SECONDS + 1
    assert await key_sets.key(ISSUER, "k")
    assert log.events() == ["keys not read"]
    fake_time.value += STALE_SECONDS
    assert await key_sets.key(ISSUER, "k") is None
    site.down, site.data = False, b"<html>"
    fake_time.value += RETRY_SECONDS + 1
    assert await key_sets.key(ISSUER, "k") is None
    site.data = document(entry())
    fake_time.value += RETRY_SECONDS + 1
    assert await key_sets.key(ISSUER, "k")


async def test_a_file_is_looked_at_again_after_a_minute(log, fake_time, tmp_path):
    path = tmp_path / "keys.json"
    path.write_bytes(document(entry("old")))
    issuer, key_sets = Issuer("a", jwks_file=str(path)), KeySets(fake_time.now, log)
    assert await key_sets.key(issuer, "old")
    path.write_bytes(document(entry("new")))
    fake_time.value += RETRY_SECONDS + 1
    assert await key_sets.key(issuer, "old") is None
    assert await key_sets.key(issuer, "new")


def test_a_url_is_read_with_a_limit():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            size = 2_000_000 if self.path == "/long" else 2
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.write(b"x" * size)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert fetch_url(url) == b"xx"
            with pytest.raises(ValueError, match="more than a megabyte"):
                fetch_url(f"{url}/long")
        finally:
            server.shutdown()
            thread.join()
    with pytest.raises(ValueError, match="no http URL"):
        fetch_url("file:///etc/passwd")
    with pytest.raises(OSError, match="refused"):
        fetch_url(url)
