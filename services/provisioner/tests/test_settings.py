import pytest
from esb_provisioner.errors import EndpointError
from esb_provisioner.settings import account, endpoint


def test_the_endpoint_of_a_service_wins_over_the_common_one():
    variables = {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://s3"}
    assert endpoint(variables, "s3") == "http://s3"
    assert endpoint(variables, "dynamodb") == "http://all"


def test_without_an_endpoint_nothing_leaves_for_the_public_cloud():
    with pytest.raises(EndpointError, match="AWS_ENDPOINT_URL_DYNAMODB"):
        endpoint({"AWS_ENDPOINT_URL": ""}, "dynamodb")


def test_the_secret_key_is_not_shown():
    shown = repr(
        account({"AWS_ACCESS_KEY_ID": "AKIDX", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "eu-west-1"})
    )
    assert "AKIDX" in shown
    assert "eu-west-1" in shown
    assert "hush" not in shown


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:5000", "http://", "ftp://x", "http://a b"])
def test_an_endpoint_that_is_no_url_is_named_with_its_variable(url):
    with pytest.raises(EndpointError, match="AWS_ENDPOINT_URL_S3: expected a URL"):
        endpoint({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": url}, "s3")
