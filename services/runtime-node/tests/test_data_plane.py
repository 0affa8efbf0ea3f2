"""The embedded data plane answers as stores do; whatever else moto can do is out of functions' reach."""

import io

import pytest

pytest.importorskip("moto")

from esb_node.data_plane import READY_PATH, make_app

JSON_1_0 = "application/x-amz-json-1.0"


@pytest.fixture(scope="module")
def app():
    made, _ = make_app()
    return made


def ask(app, method, path, *, service="", target="", body=b"", kind=JSON_1_0):
    """One request: the status, the answer's body."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "s3",
        "SERVER_PORT": "80",
        "HTTP_HOST": "s3",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": kind,
    }
    if service:
        scope = f"Credential=x/20300101/us-east-1/{service}/aws4_request"
        environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"
    if target:
        environ["HTTP_X_AMZ_TARGET"] = target
    seen = []
    answer = b"".join(app(environ, lambda status, headers, _=None: seen.append(status)))
    return int(seen[0].split()[0]), answer


def test_tables_and_buckets_are_served(app):
    assert ask(app, "GET", "/", service="s3")[0] == 200
    listed = ask(app, "POST", "/", service="dynamodb", target="DynamoDB_20120810.ListTables", body=b"{}")
    assert listed == (200, b'{"TableNames": []}')


def test_it_says_that_it_is_up(app):
    assert ask(app, "GET", READY_PATH)[0] == 200


@pytest.mark.parametrize("service", ["lambda", "sns", "sqs", "events", "ec2", "batch", "iam", "firehose"])
def test_no_other_service_answers(app, service):
    form = "application/x-www-form-urlencoded"
    asked = ask(app, "POST", "/", service=service, body=b"Action=CreateTopic&Name=x", kind=form)
    assert asked[0] == 501


@pytest.mark.parametrize(
    "path", ["reset", "recorder/start-recording", "recorder/replay-recording", "config", "data.json", ""]
)
def test_none_of_its_own_pages_can_be_used(app, path):
    assert ask(app, "POST", f"/moto-api/{path}")[0] == 501


@pytest.mark.parametrize(
    "path", ["/sns_us-east-1/", "/latest/meta-data/iam/", "/us-east-1_x/.well-known/jwks.json"]
)
def test_a_path_leads_to_no_other_service_either(app, path):
    assert ask(app, "GET", path)[0] == 501
