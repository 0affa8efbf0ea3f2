import calendar
import hashlib
import time

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import AccessKey, Jwt
from esb_gateway.auth.credentials import Credentials as BoxCredentials
from esb_gateway.auth.errors import AuthError
from esb_gateway.auth.sigv4 import SignedRequest, SigV4
from esb_gateway.http_messages import Ends, Request
from hypothesis import given, settings
from hypothesis import strategies as st

PATH = "/2015-03-31/functions/hello/invocations"
BODY = b'{"a": 1}'


class Client:
    """Signs with the operator's key, and a verifier that has seen one of its requests."""

    def __init__(self, credentials) -> None:
        self.store = CredentialStore(credentials)
        self.key = credentials.access_keys[0]
        self.sigv4 = SigV4(self.store, "us-east-1")
        self.headers = self.signed()
        self.now = self.time_of(self.headers)
        self.general(self.request(self.headers), BODY)

    def signed(self, **more: str) -> dict[bytes, bytes]:
        request = AWSRequest("POST", f"http://box{PATH}", data=BODY, headers={"Host": "box", **more})
        SigV4Auth(
            Credentials(self.key.access_key_id, self.key.secret_access_key), "lambda", "us-east-1"
        ).add_auth(request)
        return {name.lower().encode(): value.encode() for name, value in request.headers.items()}

    def time_of(self, headers) -> float:
        return calendar.timegm(time.strptime(headers[b"x-amz-date"].decode(), "%Y%m%dT%H%M%SZ"))

    def request(self, headers, *, method="POST", path=PATH, query=b"", more=()) -> Request:
        return Request(method, path, query, [*headers.items(), *more], None, ends=Ends())

    def quick(self, request: Request, body: bytes, now: float | None = None) -> bool:
        return self.sigv4.knows(request, body, self.now if now is None else now)

    def general(self, request: Request, body: bytes, now: float | None = None) -> object:
        hashed = hashlib.sha256(body).hexdigest()
        signed = SignedRequest(request.method, request.raw_path, request.query, request.headers, hashed)
        return self.sigv4.verify(signed, self.now if now is None else now)


@pytest.fixture
def client(helpers) -> Client:
    return Client(helpers.make_credentials())


def test_a_form_is_known_after_it_was_verified_once_and_not_before(client, helpers):
    request = client.request(client.headers)
    assert client.quick(request, BODY)
    fresh = SigV4(client.store, "us-east-1")
    assert not fresh.knows(request, BODY, client.now)


def test_what_differs_from_what_was_signed_is_not_known(client):
    headers = client.headers
    signature = headers[b"authorization"]
    assert not client.quick(client.request(headers), BODY + b" ")
    assert not client.quick(client.request(headers, path=PATH + "x"), BODY)
    assert not client.quick(client.request(headers, method="PUT"), BODY)
    assert not client.quick(client.request(headers, query=b"Qualifier=1"), BODY)
    for name, value in (
        (b"host", b"other"),
        (b"authorization", signature[:-1] + (b"0" if signature[-1:] != b"0" else b"1")),
        (b"authorization", b""),
        (b"x-amz-date", b"20240101T000000Z"),
        (b"x-amz-date", b"99999999T999999Z"),
        (b"x-amz-security-token", b"t"),
        (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
        (b"x-amz-client-context", b"e30="),
    ):
        assert not client.quick(client.request(headers | {name: value}), BODY), name
    assert not client.quick(client.request(headers, more=[(b"host", b"box")]), BODY)
    assert not client.quick(client.request({k: v for k, v in headers.items() if k != b"x-amz-date"}), BODY)


@pytest.mark.parametrize(("seconds", "known"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_a_known_form_has_no_more_time_than_any(client, seconds, known):
    assert client.quick(client.request(client.headers), BODY, client.now + seconds) is known


def test_keys_that_change_make_everything_unknown(client, helpers):
    client.store.current = helpers.make_credentials()
    assert not client.quick(client.request(client.headers), BODY)
    assert client.general(client.request(client.headers), BODY)
    assert client.quick(client.request(client.headers), BODY)


@pytest.fixture(scope="module")
def lasting() -> Client:
    key = AccessKey("operator", "ESBOPERATOR", "operator-secret-key")
    return Client(BoxCredentials((key,), (), (), Jwt("x" * 40), ()))


NAMES = [b"host", b"x-amz-date", b"authorization", b"x-amz-content-sha256", b"x-amz-security-token", b"a"]


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=20)), max_size=2),
    st.sampled_from([PATH, PATH + "/", "//" + PATH, PATH + "/.", PATH + "/%2e", "/a"]),
    st.sampled_from(["POST", "GET"]),
    st.sampled_from([b"", b"a=b"]),
    st.sampled_from([BODY, b"", b"x"]),
    st.floats(-400, 400),
)
@settings(max_examples=200, deadline=None)
def test_what_the_quick_way_takes_the_general_way_takes(lasting, more, path, method, query, body, later):
    request = lasting.request(lasting.headers, method=method, path=path, query=query, more=more)
    if lasting.quick(request, body, lasting.now + later):
        lasting.general(request, body, lasting.now + later)
    try:
        lasting.general(request, body, lasting.now + later)
    except AuthError:
        assert not lasting.quick(request, body, lasting.now + later)
