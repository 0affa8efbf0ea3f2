from __future__ import annotations

import pytest
from artifactctl.registry.origins import is_loopback, may_be_plain, proxy_for

PROXIES = {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "plain:3128"}


@pytest.mark.parametrize(
    "registry", ["localhost", "localhost:5000", "127.0.0.1:1", "127.9.9.9", "[::1]:5000"]
)
def test_loopback_is_known_by_name_and_by_number(registry: str) -> None:
    assert is_loopback(registry)
    assert may_be_plain(registry, frozenset())


@pytest.mark.parametrize("registry", ["reg.io", "localhost.example.com", "128.0.0.1", "reg.io:5000", "[::2]"])
def test_other_hosts_are_spoken_to_in_plain_http_only_when_named(registry: str) -> None:
    assert not may_be_plain(registry, frozenset({"other"}))
    assert may_be_plain(registry, frozenset({registry}))


def test_a_host_named_without_port_is_meant_with_every_port() -> None:
    assert may_be_plain("reg.io:5000", frozenset({"reg.io"}))
    assert not may_be_plain("reg.io:5000", frozenset({"reg.io:6000"}))


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://reg.io/v2/", "", "http://proxy:3128"),
        ("http://reg.io/v2/", "", "http://plain:3128"),
        ("http://127.0.0.1:5000/v2/", "", None),
        ("https://reg.io/v2/", "reg.io", None),
        ("https://a.reg.io/v2/", "reg.io", None),
        ("https://a.reg.io/v2/", ".reg.io", None),
        ("https://a.reg.io/v2/", "*.reg.io", None),
        ("https://areg.io/v2/", "reg.io", "http://proxy:3128"),
        ("https://reg.io:5000/v2/", "x, reg.io:5000", None),
        ("https://reg.io:5000/v2/", "reg.io:6000", "http://proxy:3128"),
        ("https://10.1.2.3/v2/", "10.0.0.0/8", None),
        ("https://11.1.2.3/v2/", "10.0.0.0/8", "http://proxy:3128"),
        ("https://reg.io/v2/", "*", None),
        ("https://REG.io/v2/", "reg.IO", None),
    ],
)
def test_proxies_come_from_the_environment(url: str, no_proxy: str, expected: str | None) -> None:
    assert proxy_for(url, {**PROXIES, "NO_PROXY": no_proxy}) == expected
