import pytest
from artifact_contract.config_types import Cors
from esb_gateway.routes.cors import add_cors, cors_rules, mock_of, preflight_of
from hypothesis import given
from hypothesis import strategies as st

APP = b"https://app.example.com"
ASKED = {
    b"origin": APP,
    b"access-control-request-method": b"PUT",
    b"access-control-request-headers": b"content-type, x-one",
}


def rules(*origins: str, **more: object) -> object:
    return cors_rules(Cors(allow_origins=origins, **more))


def added(found: object, origin: bytes | None, *given: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    headers = list(given)
    add_cors(found, origin, headers)
    return headers


@pytest.mark.parametrize(
    ("configured", "origin", "allowed"),
    [
        ("*", "https://anything.test", True),
        ("*", "null", True),
        ("https://app.example.com", "https://app.example.com", True),
        ("https://App.Example.com/", "https://app.example.com", True),
        ("https://app.example.com", "http://app.example.com", False),
        ("https://app.example.com", "https://app.example.com.evil.test", False),
        ("https://app.example.com", "https://app.example.com:8443", False),
        ("https://*", "https://anything.test", True),
        ("https://*", "http://anything.test", False),
        ("http://*", "http://localhost:5173", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://*.example.com", "https://evil.test/.example.com", False),
        ("https://*.example.com", "https://x.example.com.evil.test", False),
        ("http://localhost:*", "http://localhost:3000", True),
        ("https://app.example.com", "null", False),
        ("https://*", "https://" + "a" * 500, True),
        ("https://*", "https://" + "a" * 600, False),
        ("https://app.example.com", "", False),
    ],
)
def test_origins_are_exact_or_all_or_have_a_wildcard(configured, origin, allowed):
    assert rules(configured).allows(origin) is allowed


def test_an_allowed_origin_is_said_back_and_caches_are_told_that_it_matters():
    assert added(rules(APP.decode(), "https://b.test"), APP) == [
        (b"access-control-allow-origin", APP),
        (b"vary", b"Origin"),
    ]


def test_all_origins_are_a_star_and_never_come_with_credentials():
    assert added(rules("*", allow_credentials=True), APP) == [(b"access-control-allow-origin", b"*")]


def test_credentials_and_exposed_headers_are_said_where_they_are_configured():
    assert added(rules("https://*", allow_credentials=True, expose_headers=("date", "x-api-id")), APP)[
        2:
    ] == [
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"date,x-api-id"),
    ]


def test_what_the_function_says_about_origins_is_dropped_in_any_case():
    own = ((b"access-control-allow-origin", b"*"), (b"access-control-max-age", b"9"), (b"x-a", b"b"))
    assert added(rules("https://b.test"), APP, *own) == [(b"x-a", b"b")]
    assert added(rules("https://b.test"), None, *own) == [(b"x-a", b"b")]
    assert added(rules("*"), None) == []


def test_a_preflight_is_answered_with_the_configured_values():
    found = rules("*", allow_methods=("GET", "put"), allow_headers=("*",), max_age=300)
    response = preflight_of(found, ASKED)
    assert (response.status, response.body) == (204, b"")
    assert response.headers == [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"GET,PUT"),
        (b"access-control-allow-headers", b"*"),
        (b"access-control-max-age", b"300"),
    ]


def test_a_preflight_from_elsewhere_gets_no_permission():
    response = preflight_of(rules("https://b.test", allow_methods=("*",)), ASKED)
    assert (response.status, response.headers) == (204, [])


def test_with_credentials_a_star_becomes_what_is_asked_for_because_browsers_take_it_for_a_name():
    found = rules(APP.decode(), allow_credentials=True, allow_methods=("*",), allow_headers=("*",))
    assert dict(preflight_of(found, ASKED).headers) == {
        b"access-control-allow-origin": APP,
        b"vary": b"Origin",
        b"access-control-allow-credentials": b"true",
        b"access-control-allow-methods": b"PUT",
        b"access-control-allow-headers": b"content-type, x-one",
    }
    strange = {**ASKED, b"access-control-request-headers": b"a\x0bb"}
    assert dict(preflight_of(found, strange).headers)[b"access-control-allow-headers"] == b"*"


def test_a_rest_apis_options_says_its_one_origin_to_everybody_and_one_of_several_to_whom_it_fits():
    one = mock_of(rules("https://b.test", allow_methods=("GET", "OPTIONS")), {})
    assert (one.status, one.body) == (200, b"{}\n")
    assert dict(one.headers)[b"access-control-allow-origin"] == b"https://b.test"
    assert dict(one.headers)[b"access-control-allow-methods"] == b"GET,OPTIONS"
    several = rules(APP.decode(), "https://b.test")
    assert dict(mock_of(several, ASKED).headers)[b"access-control-allow-origin"] == APP
    assert b"access-control-allow-origin" not in dict(mock_of(several, {}).headers)


def test_equal_rules_are_one_object():
    assert rules("*", allow_methods=("GET",)) is rules("*", allow_methods=("GET",))


lines = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.lists(lines, max_size=3).map(tuple),
    st.lists(lines, max_size=2).map(tuple),
    st.booleans(),
    st.binary(max_size=20).filter(lambda value: not set(value) & {0, 10, 13}),
)
def test_no_configuration_or_request_breaks_a_header(origins, names, credentials, sent):
    found = cors_rules(
        Cors(
            allow_origins=origins,
            allow_methods=names,
            allow_headers=names,
            expose_headers=names,
            allow_credentials=credentials,
        )
    )
    asked = {
        b"origin": sent,
        b"access-control-request-headers": sent,
        b"access-control-request-method": sent,
    }
    for header in [*preflight_of(found, asked).headers, *mock_of(found, asked).headers, *added(found, sent)]:
        assert not set(header[0] + header[1]) & {10, 13}
