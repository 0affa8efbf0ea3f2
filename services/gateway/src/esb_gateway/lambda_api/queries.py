"""The operations that only tell: ListFunctions, GetFunction and the parts of what that answers."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right

from esb_gateway.deployment import Deployment
from esb_gateway.errors import ConstraintError, InvalidParameterError, UnknownSettingError
from esb_gateway.front import Front
from esb_gateway.lambda_api import describe
from esb_gateway.lambda_api.function_names import FunctionName
from esb_gateway.lambda_api.invoke import target_of
from esb_gateway.lambda_api.replies import Reply, json_reply
from esb_gateway.lambda_api.request import ApiRequest
from esb_gateway.routes.client import TrustedProxies

PAGE = 50  # AWS: a page has at most so many, whatever MaxItems says
_MOST_ITEMS = 10_000
_MARKER = b"1:"  # a marker of another form, one day, must not be taken for this one


class Queries:
    """Answers from the served generation, which is taken once for each request."""

    def __init__(self, front: Front, trusted: TrustedProxies) -> None:
        self._front = front
        self._trusted = trusted

    async def list_functions(self, request: ApiRequest, _named: FunctionName) -> Reply:
        """Return a page of functions, in the order of their names."""
        version = request.parameter("FunctionVersion")
        if version not in (None, "ALL"):
            raise ConstraintError(
                f"1 validation error detected: Value '{version[:64]}' at 'functionVersion' failed to satisfy "
                "constraint: Member must satisfy enum value set: [ALL]"
            )
        size = min(request.number("MaxItems", 1, _MOST_ITEMS) or PAGE, PAGE)
        marker = request.parameter("Marker")
        deployment = self._front.served.current
        names = sorted(deployment.targets)
        start = bisect_right(names, name_in(marker)) if marker else 0
        page = names[start : start + size]
        qualifier = "$LATEST" if version else None
        found: dict[str, object] = {
            "Functions": [describe.summary(deployment, name, qualifier) for name in page]
        }
        if start + size < len(names):
            found["NextMarker"] = marker_after(page[-1])
        return json_reply(found)

    async def list_versions(self, _request: ApiRequest, named: FunctionName) -> Reply:
        """Return the versions of one function: there is one."""
        only = describe.summary(self._with(named), named.name, "$LATEST")
        return json_reply({"Versions": [only]})

    async def get_function(self, _request: ApiRequest, named: FunctionName) -> Reply:
        """Return configuration, image and concurrency of one function."""
        return json_reply(describe.function(self._with(named), named.name, named.qualifier))

    async def get_function_configuration(self, _request: ApiRequest, named: FunctionName) -> Reply:
        """Return the configuration of one function."""
        return json_reply(describe.configuration(self._with(named), named.name, named.qualifier))

    async def get_function_concurrency(self, _request: ApiRequest, named: FunctionName) -> Reply:
        """Return how many calls of one function may run at once, where that is configured."""
        return json_reply(describe.concurrency(self._with(named), named.name))

    async def get_event_invoke_config(self, _request: ApiRequest, named: FunctionName) -> Reply:
        """Return how events of one function are kept, where that is configured."""
        found = describe.event_invoke(self._with(named), named.name, named.qualifier)
        if found is None:
            raise UnknownSettingError(f"The function {named.name} doesn't have an EventInvokeConfig")
        return json_reply(found)

    async def get_url_config(self, request: ApiRequest, named: FunctionName) -> Reply:
        """Return the URL of one function, as this client can reach it."""
        found = describe.url(self._with(named), named.name, request.origin(self._trusted))
        if found is None:
            raise UnknownSettingError("The resource you requested does not exist.")
        return json_reply(found)

    async def list_url_configs(self, request: ApiRequest, named: FunctionName) -> Reply:
        """Return the URLs of one function: one or none."""
        found = describe.url(self._with(named), named.name, request.origin(self._trusted))
        return json_reply({"FunctionUrlConfigs": [found] if found else []})

    def _with(self, named: FunctionName) -> Deployment:
        """The served deployment, which has this function."""
        deployment = self._front.served.current
        target_of(deployment, named)
        return deployment


def marker_after(name: str) -> str:
    """Return the marker of the page that begins after a name: it holds whatever is deployed meanwhile."""
    return urlsafe_b64encode(_MARKER + name.encode("utf-8")).decode("ascii")


def name_in(marker: str) -> str:
    """Return the name that a marker stands for.

    Raises:
        InvalidParameterError: no marker of ours.
    """
    try:
        name = urlsafe_b64decode(marker)[len(_MARKER) :].decode("utf-8")
    except ValueError as error:
        raise InvalidParameterError("Invalid marker.") from error
    if marker != marker_after(name):  # decoding alone takes a lot that nobody ever gave out
        raise InvalidParameterError("Invalid marker.")
    return name
