import json

from esb_gateway.errors import PayloadTooLargeError, lambda_error
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATH = "/2015-03-31/functions/f/invocations"


async def test_without_a_signature_nobody_gets_to_the_lambda_api(gateway, agent):
    async with gateway({"f": {"image": "x"}}, sigv4=True) as box:
        missing = await box.invoke("f", {})
        unknown = await box.client.get("/2015-03-31/functions/")
        garbage = await box.invoke("f", {}, Authorization="AWS4-HMAC-SHA256 x")
    assert (missing.status_code, missing.json()) == (403, {"message": "Missing Authentication Token"})
    assert missing.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert missing.headers["x-amzn-requestid"]
    assert unknown.status_code == 403
    assert (garbage.status_code, garbage.headers["x-amzn-errortype"]) == (403, "IncompleteSignatureException")
    assert agent.seen == []


async def test_routes_and_own_paths_need_no_signature(gateway):
    async with gateway({"f": {"image": "x"}}, [{"path": "/a", "function": "f"}], sigv4=True) as box:
        assert (await box.client.get("/health")).status_code == 200
        assert (await box.client.get("/nowhere")).json() == {"message": "Missing Authentication Token"}


async def test_the_body_reaches_the_endpoint_once_and_whole(gateway, agent, signed):
    body = json.dumps({"x": "y" * 200_000}).encode()

    async def parts():
        for start in range(0, len(body), 50_000):
            yield body[start : start + 50_000]

    async with gateway({"f": {"image": "x"}}, sigv4=True) as box:
        whole = await box.client.post(PATH, content=body, headers=signed("POST", PATH, body))
        pieces = await box.client.post(PATH, content=parts(), headers=signed("POST", PATH, body))
        wrong = await box.client.post(PATH, content=body + b" ", headers=signed("POST", PATH, body))
    assert (whole.content, pieces.content) == (body, body)
    assert (wrong.status_code, wrong.headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert [seen.body for seen in agent.seen] == [body, body]


async def test_more_than_six_megabytes_are_refused_before_and_after_they_came(gateway, signed):
    body = b"x" * (6 * 1024 * 1024 + 1)

    async def parts():
        yield body[:-1]
        yield body[-1:]

    async with gateway({"f": {"image": "x"}}, sigv4=True) as box:
        for content in (body, parts()):
            answer = await box.client.post(PATH, content=content, headers=signed("POST", PATH, body))
            assert answer.status_code == lambda_error(PayloadTooLargeError()).status
            told = answer.json()
            assert (set(told), told["Type"]) == ({"Type", "message"}, "User")
            assert told["message"].startswith("Request must be smaller than 6291456 bytes")


async def test_switched_off_everybody_may_call(gateway):
    async with gateway({"f": {"image": "x"}}, sigv4=False) as box:
        assert (await box.invoke("f", {})).status_code == 200


@given(
    st.binary(max_size=300),
    st.dictionaries(
        st.sampled_from(["x-amz-date", "date", "x-amz-security-token", "x-amz-content-sha256", "host"]),
        st.binary(max_size=60),
    ),
    st.text(max_size=60),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_garbage_is_refused_and_never_a_500(gateway, authorization, headers, query):
    async with gateway({"f": {"image": "x"}}, sigv4=True) as box:
        for start in (b"", b"AWS4-HMAC-SHA256 ", b"AWS4-HMAC-SHA256 Credential=ESBOPERATOR/"):
            given_headers = {**headers, "authorization": start + authorization}
            answer = await box.client.post(PATH, params={"X-Amz-Signature": query}, headers=given_headers)
            assert answer.status_code == 403
            assert answer.json()["message"]
        assert box.log.events().count("bug") == 0
