"""Requests signed by botocore itself, and what happens when anything about them changes."""

import calendar
import datetime
import time
from urllib.parse import urlsplit

import pytest
from attrs import evolve
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import AccessKey, Jwt
from esb_gateway.auth.credentials import Credentials as BoxCredentials
from esb_gateway.auth.errors import (
    AuthError,
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    UnrecognizedClientError,
)
from esb_gateway.auth.sigv4 import EMPTY_HASH, SignedRequest, SigV4, body_hash
from hypothesis import given, settings
from hypothesis import strategies as st

URL = "http://127.0.0.1:8080/2015-03-31/functions/hello/invocations"
BODY = b'{"a": 1}'
CREDENTIALS = BoxCredentials(
    (AccessKey("operator", "ESBOPERATOR", "operator-secret-key"),), (), (), Jwt(""), ()
)


@pytest.fixture
def sigv4(helpers) -> SigV4:
    return SigV4(CredentialStore(helpers.make_credentials()), "us-east-1")


def sign(
    url=URL, body=BODY, method="POST", headers=None, *, key="ESBOPERATOR", secret="operator-secret-key",
    token=None, region="us-east-1", service="lambda", presign=None,
):  # fmt: skip
    """A request as botocore sends it, and the time it was signed."""
    request = AWSRequest(method, url, headers or {}, body)
    credentials = Credentials(key, secret, token)
    auth = (
        SigV4QueryAuth(credentials, service, region, expires=presign)
        if presign
        else SigV4Auth(credentials, service, region)
    )
    auth.add_auth(request)
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    sent = [
        (name.lower().encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in prepared.headers.items()
    ]
    sent.append((b"host", parts.netloc.encode()))
    return SignedRequest(
        method, parts.path, parts.query.encode(), sent, body_hash(body) if body else EMPTY_HASH
    )


def changed(request, **changes):
    fields = {name: getattr(request, name) for name in ("method", "path", "query", "headers", "body_hash")}
    return SignedRequest(**{**fields, **changes})


def with_header(request, name, value):
    kept = [each for each in request.headers if each[0] != name]
    return changed(request, headers=kept if value is None else [*kept, (name, value)])


def header(request, name):
    return next(value for each, value in request.headers if each == name)


def replaced(request, old, new):
    value = header(request, b"authorization")
    assert old in value
    return with_header(request, b"authorization", value.replace(old, new))


@pytest.mark.parametrize(
    "url",
    [
        URL,
        URL + "?Qualifier=%24LATEST",
        URL + "?b=2&a=1&a=0&c",
        "http://box/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Aa/invocations",
        "http://box/a//b/c/d/",
        "http://box/%C3%BC%20~",
        "http://box",
    ],
)
def test_what_botocore_signs_is_accepted(sigv4, url):
    principal = sigv4.verify(sign(url), time.time())
    assert (principal.name, principal.access_key_id) == ("operator", "ESBOPERATOR")


@pytest.mark.parametrize("body", [b"", b"\x00\xff" * 5000])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_methods_and_bodies_are_covered(sigv4, method, body):
    assert sigv4.verify(sign(method=method, body=body), time.time()).name == "operator"


def test_headers_are_signed_with_their_spaces_made_one(sigv4):
    request = sign(
        headers={"X-Amz-Client-Context": "  a   b ", "X-Amz-Meta": "ü", "Content-Type": "text/plain"}
    )
    assert sigv4.verify(request, time.time()).name == "operator"


def test_a_presigned_url_is_accepted_until_it_expires(sigv4):
    request = sign(body=b"", method="GET", presign=600)
    assert b"X-Amz-Signature=" in request.query
    now = time.time()
    assert sigv4.verify(request, now + 590).name == "operator"
    with pytest.raises(InvalidSignatureError, match=r"Signature expired: .* is now earlier than"):
        sigv4.verify(request, now + 602)
    with pytest.raises(InvalidSignatureError, match="does not match"):
        sigv4.verify(changed(request, query=request.query + b"&a=1"), now)
    with pytest.raises(InvalidSignatureError, match="does not match"):
        sigv4.verify(changed(request, body_hash=body_hash(b"x")), now)
    with pytest.raises(InvalidSignatureError, match="does not match"):
        sigv4.verify(changed(request, query=request.query.replace(b"Expires=600", b"Expires=900")), now)


def test_the_date_may_come_in_a_date_header(sigv4):
    now = datetime.datetime.now(datetime.UTC)
    request = sign(headers={"Date": now.strftime("%a, %d %b %Y %H:%M:%S GMT")})
    assert any(name == b"date" for name, _ in request.headers)
    assert sigv4.verify(request, time.time()).name == "operator"


def test_a_request_is_good_for_five_minutes_both_ways(sigv4):
    request = sign()
    stamp = header(request, b"x-amz-date").decode()
    made = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    for now in (made - 300, made, made + 300):
        assert sigv4.verify(request, now).name == "operator"
    with pytest.raises(InvalidSignatureError) as late:
        sigv4.verify(request, made + 301)
    limit, shown = (time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(made + plus)) for plus in (1, 301))
    assert str(late.value) == f"Signature expired: {stamp} is now earlier than {limit} ({shown} - 5 min.)"
    with pytest.raises(
        InvalidSignatureError, match=f"Signature not yet current: {stamp} is still later than"
    ):
        sigv4.verify(request, made - 302)


def test_unknown_keys_and_session_tokens_are_not_recognised(sigv4):
    for request in (sign(key="AKIAUNKNOWN"), sign(token="some-token")):
        with pytest.raises(
            UnrecognizedClientError, match="The security token included in the request is invalid"
        ):
            sigv4.verify(request, time.time())


def test_a_session_token_counts_when_the_environment_gave_it_with_the_pair():
    class Store:
        current = None

    def verifier(token):
        key = AccessKey("functions", "ESBOPERATOR", "operator-secret-key", token)
        store = Store()
        store.current = type("C", (), {"access_keys": (key,)})()
        return SigV4(store, "us-east-1")

    assert verifier("the-token").verify(sign(token="the-token"), time.time()).name == "functions"
    with pytest.raises(UnrecognizedClientError):
        verifier("the-token").verify(sign(), time.time())


def test_a_wrong_secret_does_not_match_and_aws_words_say_what_should_have_been_signed(sigv4):
    with pytest.raises(InvalidSignatureError) as caught:
        sigv4.verify(sign(secret="guessed"), time.time())
    text = str(caught.value)
    assert text.startswith("The request signature we calculated does not match the signature you provided.")
    assert "'POST\n/2015-03-31/functions/hello/invocations\n" in text
    assert "\nAWS4-HMAC-SHA256\n" in text or "'AWS4-HMAC-SHA256\n" in text
    assert "operator-secret-key" not in text


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"region": "eu-west-1"}, "Credential should be scoped to a valid region, not 'eu-west-1'."),
        ({"service": "s3"}, "Credential should be scoped to correct service: 'lambda'."),
    ],
)
def test_a_signature_of_another_scope_is_refused(sigv4, how, message):
    with pytest.raises(InvalidSignatureError) as caught:
        sigv4.verify(sign(**how), time.time())
    assert message in str(caught.value)


def test_a_scope_of_another_day_or_end_is_refused(sigv4):
    request = sign()
    day = header(request, b"x-amz-date")[:8]
    with pytest.raises(InvalidSignatureError, match="Date in Credential scope does not match YYYYMMDD"):
        sigv4.verify(replaced(request, b"/" + day, b"/20200101"), time.time())
    with pytest.raises(InvalidSignatureError, match="valid terminator: 'aws4_request', not 'aws5"):
        sigv4.verify(replaced(request, b"aws4_request", b"aws5_request"), time.time())
    with pytest.raises(IncompleteSignatureError, match="5 slash-delimited elements"):
        sigv4.verify(replaced(request, b"/lambda/", b"/"), time.time())


def test_host_and_every_amz_header_must_be_signed(sigv4):
    added = with_header(sign(), b"x-amz-invocation-type", b"Event")
    with pytest.raises(InvalidSignatureError, match="'x-amz-invocation-type' must be a 'SignedHeader'"):
        sigv4.verify(added, time.time())
    with pytest.raises(InvalidSignatureError, match="'Host' or ':authority' must be a 'SignedHeader'"):
        sigv4.verify(replaced(sign(), b"=host;", b"="), time.time())
    with pytest.raises(InvalidSignatureError, match="does not match"):
        sigv4.verify(replaced(sign(), b"=host;", b"=accept;host;"), time.time())


def test_the_body_must_be_the_one_the_hash_header_says(sigv4):
    for said in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", body_hash(b"other")):
        request = sign(headers={"X-Amz-Content-SHA256": said})
        with pytest.raises(InvalidSignatureError, match="does not match"):
            sigv4.verify(request, time.time())
    request = sign(headers={"X-Amz-Content-SHA256": body_hash(BODY)})
    assert sigv4.verify(request, time.time()).name == "operator"
    with pytest.raises(InvalidSignatureError, match="does not match"):
        sigv4.verify(changed(request, body_hash=body_hash(b"other")), time.time())


@pytest.mark.parametrize("value", [b"Bearer abc", b"Basic YTpi", b"", b" ", b"\xff"])
def test_no_signature_is_a_missing_token(sigv4, value):
    with pytest.raises(MissingAuthenticationTokenError, match="Missing Authentication Token"):
        sigv4.verify(with_header(sign(), b"authorization", value), time.time())
    with pytest.raises(MissingAuthenticationTokenError):
        sigv4.verify(with_header(sign(), b"authorization", None), time.time())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e", "requires 'Signature' parameter. Authorization header"),
        (b"AWS4-HMAC-SHA256 Credential", "'Credential' not a valid key=value pair (missing equal-sign)"),
        (b"AWS4-HMAC-SHA256", "not a valid key=value pair"),
        (b"AWS4-ECDSA-P256-SHA256 Credential=a", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."),
        (b"AWS AKIA:abc=", "Unsupported AWS 'algorithm': 'AWS'."),
    ],
)
def test_incomplete_signatures_are_told_what_they_lack(sigv4, value, message):
    with pytest.raises(IncompleteSignatureError) as caught:
        sigv4.verify(with_header(sign(), b"authorization", value), time.time())
    assert message in str(caught.value)


def test_a_date_that_is_missing_or_none_is_incomplete(sigv4):
    with pytest.raises(
        IncompleteSignatureError, match="existence of either a 'X-Amz-Date' or a 'Date' header"
    ):
        sigv4.verify(with_header(sign(), b"x-amz-date", None), time.time())
    day = header(sign(), b"x-amz-date")[:8]
    for date in (day + b"T250000Z", day, day + b"\xff"):
        with pytest.raises(AuthError):
            sigv4.verify(with_header(sign(), b"x-amz-date", date), time.time())


def test_incomplete_presigned_urls_are_told_what_they_lack(sigv4):
    request = sign(body=b"", method="GET", presign=600)
    parts = request.query.split(b"&")
    for name in (b"X-Amz-Credential", b"X-Amz-Date", b"X-Amz-SignedHeaders", b"X-Amz-Signature"):
        query = b"&".join(part for part in parts if not part.startswith(name + b"="))
        with pytest.raises(IncompleteSignatureError, match=f"must include '{name.decode()}'"):
            sigv4.verify(changed(request, query=query), time.time())
    for expires in (b"x", b"0", b"700000", b"9" * 50, b""):
        query = request.query.replace(b"Expires=600", b"Expires=" + expires)
        with pytest.raises(IncompleteSignatureError, match="X-Amz-Expires"):
            sigv4.verify(changed(request, query=query), time.time())
    with pytest.raises(IncompleteSignatureError, match="there twice"):
        sigv4.verify(changed(request, query=request.query + b"&X-Amz-Date=1"), time.time())


def test_a_new_key_counts_at_once_and_an_old_one_no_more(helpers):
    store = CredentialStore(helpers.make_credentials())
    sigv4 = SigV4(store, "us-east-1")
    assert sigv4.verify(sign(), time.time()).name == "operator"
    kept = store.current
    store.current = evolve(kept, access_keys=kept.access_keys[1:])
    with pytest.raises(UnrecognizedClientError):
        sigv4.verify(sign(), time.time())


SENT = sign(URL + "?Qualifier=1", headers={"X-Amz-Invocation-Type": "Event"})
SENT_AT = time.time()
SIGNED = {b"authorization", b"host", b"x-amz-date", b"x-amz-invocation-type"}


def _mutate(data, value: bytes) -> bytes:
    """Another value: a byte changed, taken out or put in."""
    place = data.draw(st.integers(0, max(len(value) - 1, 0)))
    kind = data.draw(st.sampled_from(["change", "remove", "insert"]))
    byte = bytes([data.draw(st.integers(0, 255))])
    if kind == "insert":
        return value[:place] + byte + value[place:]
    return value[:place] + (byte if kind == "change" else b"") + value[place + 1 :]


@pytest.mark.parametrize("byte", [b"\x85", b"\xa0"])
def test_what_is_white_space_in_texts_only_is_none_around_an_authorization(byte):
    sigv4 = SigV4(CredentialStore(CREDENTIALS), "us-east-1")
    with pytest.raises(AuthError):
        sigv4.verify(
            with_header(SENT, b"authorization", byte + dict(SENT.headers)[b"authorization"]), SENT_AT
        )


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_any_change_of_a_signed_request_is_refused(data):
    sigv4 = SigV4(CredentialStore(CREDENTIALS), "us-east-1")
    what = data.draw(st.sampled_from(["method", "path", "query", "body", "header"]))
    if what == "header":
        signed = [each for each in SENT.headers if each[0] in SIGNED]
        name, value = data.draw(st.sampled_from(signed))
        other = _mutate(data, value)
        request = with_header(SENT, name, other)
        same = b" ".join(other.split()) == b" ".join(value.split())
        if name == b"authorization":
            # white space around its commas, and what comes of Credential's order, mean nothing
            same = sorted(p.strip() for p in other.split(b",")) == sorted(
                p.strip() for p in value.split(b",")
            )
    elif what == "body":
        other = _mutate(data, BODY)
        request, same = changed(SENT, body_hash=body_hash(other)), other == BODY
    elif what == "query":
        other = _mutate(data, SENT.query)
        meaning = [part for part in other.split(b"&") if part]
        request = changed(SENT, query=other)
        same = meaning in ([SENT.query], [b"Qualifier=1"])
    else:
        value = getattr(SENT, what)
        other = _mutate(data, value.encode("latin-1")).decode("latin-1")
        request = changed(SENT, **{what: other})
        same = _without_empty(other) == _without_empty(value) if what == "path" else other == value
    if same:
        sigv4.verify(request, SENT_AT)
    else:
        with pytest.raises(AuthError):
            sigv4.verify(request, SENT_AT)


def _without_empty(path: str) -> tuple[list[str], bool]:
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return kept, path.endswith("/")


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=40))
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_and_breaks_nothing(authorization, query, date):
    sigv4 = SigV4(CredentialStore(CREDENTIALS), "us-east-1")
    for headers in (
        [(b"authorization", b"AWS4-HMAC-SHA256 " + authorization), (b"x-amz-date", date)],
        [(b"authorization", authorization), (b"date", date)],
        [(b"host", b"a")],
    ):
        request = SignedRequest("POST", "/a", b"X-Amz-Signature=1&" + query, headers)
        with pytest.raises(AuthError):
            sigv4.verify(request, SENT_AT)
