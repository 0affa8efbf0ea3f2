"""Where the stores are and as whom to call them: the standard AWS variables, read once.

The public cloud is never a default. A box's stores have an endpoint of their own; without one, a call
would go to an account on the internet, so that is refused by name of the variable that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, frozen

from esb_provisioner.errors import EndpointError

DEFAULT_REGION = "us-east-1"
_URL = re.compile(r"https?://[^/\s?#]+(/\S*)?", re.IGNORECASE)


@frozen
class Account:
    """Region and keys of the calls; no keys means boto3 looks for them in its usual places."""

    region: str = DEFAULT_REGION
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


def account(variables: Mapping[str, str]) -> Account:
    """Region and keys from AWS_REGION, AWS_DEFAULT_REGION and the AWS_* key variables."""
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return Account(region, *(variables.get(name) or None for name in names))


def endpoint(variables: Mapping[str, str], service: str) -> str:
    """The URL of a service ("dynamodb", "s3"): its own variable, else the common one.

    Raises:
        EndpointError: neither is set, or what is set is no URL.
    """
    own, common = f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"
    name = own if variables.get(own) else common
    url = variables.get(name)
    if not url:
        raise EndpointError(f"neither {own} nor {common} is set: the call would leave for the public cloud")
    if not _URL.fullmatch(url):
        raise EndpointError(f"{name}: expected a URL like http://127.0.0.1:5000, found {url!r}")
    return url
