"""Who may pass routes and views, through a whole gateway."""

import asyncio
import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from artifact_contract.config_types import RouteAuth
from attrs import evolve
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import Credentials, Issuer, Jwt, User
from esb_gateway.auth.gate import Gate
from esb_gateway.auth.tokens import OWN_ISSUER, issue
from esb_gateway.clock import Clock
from esb_gateway.deployment import VIEW_PATHS
from esb_gateway.errors import UnauthorizedError
from hypothesis import given, settings
from hypothesis import strategies as st


class FRONT:
    clock = Clock()
    log = None


OWN = Jwt("the-secret-of-this-boxs-own-tokens-0123456789")
FUNCTIONS_PAIR = ("ESBFUNCTIONS", "functions-secret-key")
SHARED = "a-secret-shared-with-somebody-else-0123456789-0123456789"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def key_set(**keys):
    kinds = {"rsa": jwt.algorithms.RSAAlgorithm, "ec": jwt.algorithms.ECAlgorithm}
    entries = []
    for name, key in keys.items():
        entry = kinds[name.partition("_")[0]].to_jwk(key.public_key(), as_dict=True)
        entries.append({**entry, "kid": name})
    return {"keys": [*entries, {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, {"kty": "x"}, 7]}


def token(key=OWN.secret, algorithm="HS256", kid=None, **claims):
    now = int(time.time())
    body = {"iss": OWN_ISSUER, "sub": "anna", "exp": now + 60, "iat": now} | claims
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, key, algorithm, headers={"kid": kid} if kid else None)


def bearer(*args, **claims):
    return {"authorization": f"Bearer {token(*args, **claims)}"}


def route(auth, path="/a", **more):
    return {"path": path, "function": "f", "auth": auth, **more}


@pytest.fixture
def guarded(gateway, helpers, tmp_path):
    """A gateway with routes that ask, and issuers of every kind."""
    (tmp_path / "keys.json").write_text(json.dumps(key_set(rsa=RSA_KEY, ec=EC_KEY)))
    known = helpers.make_credentials()
    issuers = (
        Issuer("https://file", jwks_file=str(tmp_path / "keys.json")),
        Issuer("https://shared", secret=SHARED),
        Issuer("https://nowhere", jwks_file=str(tmp_path / "none.json")),
    )
    store = CredentialStore(evolve(known, jwt=Jwt(OWN.secret, issuers=issuers)))

    def start(*routes):
        deps = {"credentials": store}
        return gateway({"f": {"image": "x"}}, routes, deps=deps)

    return start


HTTP = {"payload_version": "2.0"}


async def test_an_api_key_opens_a_rest_route_and_is_in_its_event(guarded, agent):
    async with guarded(route({"type": "api_key"})) as box:
        for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"x-api-key": "ü".encode()}):
            refused = await box.client.get("/a", headers=headers)
            assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden"})
            assert refused.headers["x-amzn-errortype"] == "ForbiddenException"
        assert agent.seen == []
        await box.client.get("/a", headers={"x-api-key": "another-api-key"})
    identity = agent.seen[0].event["requestContext"]["identity"]
    assert (identity["apiKey"], identity["apiKeyId"]) == ("another-api-key", "other")


async def test_a_closed_route_opens_for_nobody_and_no_wider_route_takes_its_requests(guarded, agent):
    routes = [route({"type": "closed"}, "/admin"), {"path": "/{proxy+}", "method": "ANY", "function": "f"}]
    async with guarded(*routes) as box:
        for headers in ({}, {"x-api-key": "the-api-key"}, bearer()):
            answer = await box.client.get("/admin", headers=headers)
            assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"})
        assert agent.seen == []
        await box.client.get("/other")
    assert [seen.event["path"] for seen in agent.seen] == ["/other"]


async def test_a_token_of_the_box_opens_an_http_route_and_its_claims_are_in_the_event(guarded, agent):
    async with guarded(route({"type": "jwt"}, **HTTP)) as box:
        missing = await box.client.get("/a")
        assert (missing.status_code, missing.json()) == (401, {"message": "Unauthorized"})
        assert missing.headers["www-authenticate"] == "Bearer"
        expired = await box.client.get("/a", headers=bearer(exp=int(time.time()) - 1))
        assert expired.status_code == 401
        assert (
            'error="invalid_token", error_description="the token has expired"'
            in (expired.headers["www-authenticate"])
        )
        await box.client.get("/a", headers=bearer(scope="a b", n=1))
        await box.client.get("/a", headers={"authorization": token()})
    authorizer = agent.seen[0].event["requestContext"]["authorizer"]
    assert authorizer["jwt"]["claims"]["sub"] == "anna"
    assert authorizer["jwt"]["claims"]["n"] == "1"
    assert len(agent.seen) == 2


async def test_a_rest_route_with_a_token_answers_in_its_own_form(guarded, agent):
    async with guarded(route({"type": "jwt"})) as box:
        refused = await box.client.get("/a")
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})
        assert refused.headers["x-amzn-errortype"] == "UnauthorizedException"
        await box.client.get("/a", headers=bearer())
    assert agent.seen[0].event["requestContext"]["authorizer"]["claims"]["sub"] == "anna"


async def test_one_of_the_routes_scopes_is_needed(guarded):
    async with guarded(route({"type": "jwt", "scopes": ["read", "write"]}, **HTTP)) as box:
        for claims in ({}, {"scope": "reads"}, {"scope": 7}, {"scp": [1]}):
            refused = await box.client.get("/a", headers=bearer(**claims))
            assert (refused.status_code, refused.json()) == (403, {"message": "Forbidden"})
            assert refused.headers["www-authenticate"] == (
                'Bearer error="insufficient_scope", scope="read write"'
            )
        for claims in ({"scope": "x write"}, {"scp": ["read"]}, {"scp": "read"}):
            assert (await box.client.get("/a", headers=bearer(**claims))).status_code == 200


async def test_the_audience_is_aud_and_only_without_one_client_id(guarded):
    async with guarded(route({"type": "jwt", "audience": ["web", "app"]}, **HTTP)) as box:
        for claims in (
            {},
            {"aud": "x"},
            {"aud": "x", "client_id": "web"},
            {"aud": []},
            {"client_id": ["web"]},
        ):
            status = (await box.client.get("/a", headers=bearer(**claims))).status_code
            assert status == (200 if claims == {"client_id": ["web"]} else 401)
        for claims in ({"aud": "web"}, {"aud": ["x", "app"]}, {"client_id": "app"}):
            assert (await box.client.get("/a", headers=bearer(**claims))).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://shared"},
        {"iss": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1e300},
        {"nbf": int(time.time()) + 1000},
        {"iat": int(time.time()) + 1000},
        {"nbf": []},
    ],
)
async def test_claims_that_do_not_hold_are_refused(guarded, claims):
    async with guarded(route({"type": "jwt"}, **HTTP)) as box:
        assert (await box.client.get("/a", headers=bearer(**claims))).status_code == 401


async def test_other_issuers_are_verified_by_their_own_keys_only(guarded):
    routes = [
        route({"type": "jwt", "issuer": "https://file"}, **HTTP),
        route({"type": "jwt", "issuer": "https://shared"}, "/b", **HTTP),
        route({"type": "jwt", "issuer": "https://nowhere"}, "/c", **HTTP),
        route({"type": "jwt", "issuer": "https://unknown"}, "/d", **HTTP),
    ]
    file = {"iss": "https://file"}
    shared = {"iss": "https://shared"}
    async with guarded(*routes) as box:

        async def status(path, *args, **claims):
            return (await box.client.get(path, headers=bearer(*args, **claims))).status_code

        assert await status("/a", RSA_KEY, "RS256", "rsa", **file) == 200
        assert await status("/a", RSA_KEY, "PS512", "rsa", **file) == 200
        assert await status("/a", EC_KEY, "ES256", "ec", **file) == 200
        assert await status("/b", SHARED, "HS384", **shared) == 200
        for args in (
            (OTHER_RSA_KEY, "RS256", "rsa"),
            (RSA_KEY, "RS256", "ec"),
            (RSA_KEY, "RS256", "unknown"),
            (RSA_KEY, "RS256", None),
            ("secret" * 8, "HS256", "oct"),
            (OWN.secret, "HS256", "rsa"),
        ):
            assert await status("/a", *args, **file) == 401
        assert await status("/a", RSA_KEY, "RS256", "rsa", iss="https://other") == 401
        assert await status("/b", OWN.secret, "HS256", **shared) == 401
        assert await status("/c", RSA_KEY, "RS256", "rsa", iss="https://nowhere") == 401
        assert await status("/d", RSA_KEY, "RS256", "rsa", iss="https://unknown") == 401
    assert box.log.events().count("keys not read") == 1


def forged(header, claims, signature=b""):
    def part(value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return ".".join(part(each) for each in (header, claims, signature))


async def test_neither_no_algorithm_nor_a_public_key_as_secret_gets_through(guarded):
    claims = {"iss": "https://file", "sub": "x", "exp": int(time.time()) + 60}
    confused = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    unsigned = forged(confused, claims).rpartition(".")[0]
    mac = hmac.digest(PUBLIC_PEM, unsigned.encode(), hashlib.sha256)
    tokens = [forged({"alg": name, "kid": "rsa"}, claims) for name in ("none", "None", "NONE", "")]
    tokens.append(f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")
    own = {**claims, "iss": OWN_ISSUER}
    tokens += [forged({"alg": "none"}, own), forged({"alg": "none"}, own) + "x"]
    routes = [route({"type": "jwt", "issuer": "https://file"}, **HTTP), route({"type": "jwt"}, "/b", **HTTP)]
    async with guarded(*routes) as box:
        for each in tokens:
            for path in ("/a", "/b"):
                refused = await box.client.get(path, headers={"authorization": f"Bearer {each}"})
                assert refused.status_code == 401


@given(st.binary(max_size=120), st.sampled_from([b"", b"Bearer ", b"bearer\t"]))
@settings(max_examples=60, deadline=None)
def test_garbage_in_authorization_is_a_401(garbage, prefix):
    gate = Gate(CredentialStore(Credentials((), (), (), OWN, ())), FRONT, region="us-east-1", sigv4=True)

    async def ask():
        with pytest.raises(UnauthorizedError):
            await gate.route(RouteAuth("jwt"), {b"authorization": prefix + garbage})

    asyncio.run(ask())


@pytest.mark.parametrize("path", ["/events/dead-letters", *VIEW_PATHS])
async def test_views_open_for_an_admin_key_or_an_operators_signature_and_nothing_else(gateway, signed, path):
    async with gateway() as box:
        for headers in ({"x-api-key": "the-admin-key"}, signed("GET", path)):
            assert (await box.client.get(path, headers=headers)).status_code == 200
        _, access = issue(OWN, User("admin"), "default", time.time())
        for headers, code in (
            ({}, "MissingAuthenticationTokenException"),
            ({"x-api-key": ""}, "AccessDeniedException"),
            ({"x-api-key": "the-api-key"}, "AccessDeniedException"),
            ({"x-api-key": "the-api-key", **signed("GET", path)}, "AccessDeniedException"),
            ({"authorization": f"Bearer {access}"}, "MissingAuthenticationTokenException"),
            ({"authorization": "Basic YTpi"}, "MissingAuthenticationTokenException"),
            ({"authorization": "AWS4-HMAC-SHA256 x"}, "IncompleteSignatureException"),
            (signed("GET", path, b"body"), "InvalidSignatureException"),
            (signed("GET", path, key=FUNCTIONS_PAIR), "AccessDeniedException"),
        ):
            refused = await box.client.get(path, headers=headers)
            assert (refused.status_code, code in str((refused.headers, refused.text))) == (403, True)


@pytest.mark.parametrize(
    ("auth", "name", "good", "forged"),
    [
        ({"type": "jwt"}, "authorization", lambda: f"Bearer {token()}", "Bearer e30.e30."),
        ({"type": "api_key"}, "x-api-key", lambda: "the-api-key", "somebody-else's"),
    ],
)
async def test_credentials_twice_are_refused_whichever_is_good(guarded, agent, auth, name, good, forged):
    good = good()  # a token made here has not expired
    async with guarded(route(auth, **HTTP), route({"type": "none"}, "/open", **HTTP)) as box:
        for headers in ([(name, forged), (name, good)], [(name, good), (name, forged)]):
            assert (await box.client.get("/a", headers=headers)).status_code == 403
            assert (await box.client.get("/open", headers=headers)).status_code == 200
        assert (await box.client.get("/a", headers={name: good})).status_code == 200
    assert len(agent.seen) == 3


async def test_an_admin_key_opens_no_route_and_no_log_in(gateway, agent):
    key = {"x-api-key": "the-admin-key"}
    async with gateway({"f": {"image": "x"}}, [route({"type": "api_key"})]) as box:
        assert (await box.client.get("/a", headers=key)).status_code == 403
        login = {"AuthParameters": {"USERNAME": "admin", "PASSWORD": "the-password"}}
        assert (await box.client.post("/user/auth/v1", json=login, headers=key)).status_code == 401
    assert agent.seen == []


async def test_a_function_url_of_aws_iam_wants_a_signature(gateway, agent, signed):
    function = {"image": "x", "function_url": {"auth_type": "AWS_IAM"}}
    path = "/function-urls/f/x"
    async with gateway({"f": function}) as box:
        refused = await box.client.get(path)
        assert (refused.status_code, refused.json()) == (403, {"Message": "Forbidden"})
        assert refused.headers["x-amzn-errortype"] == "AccessDeniedException"
        wrong = await box.client.post(path, content=b"b", headers=signed("POST", path, b"a"))
        assert (wrong.status_code, wrong.json()) == (403, {"Message": "Forbidden"})
        assert (
            await box.client.post(path, content=b"a", headers=signed("POST", path, b"a"))
        ).status_code == 200
    assert agent.seen[0].event["requestContext"]["authorizer"]["iam"]["accessKey"] == "ESBOPERATOR"
