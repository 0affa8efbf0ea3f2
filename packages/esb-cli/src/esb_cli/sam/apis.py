"""The APIs of a template: which address takes which routes, and what holds for all routes of an API.

A box has one address, so routes of several APIs share it; what an API says of stage, access and CORS goes
to each of its routes, and the rest leaves only findings.
"""

import re

from artifact_contract.config_sections import STAGE_NAME
from artifact_contract.config_types import Cors
from artifact_contract.nodes import Mapping, quote
from attrs import define, evolve, field, frozen

from esb_cli.sam.access import ApiAccess, read_access
from esb_cli.sam.cors import http_cors, rest_cors
from esb_cli.sam.globals import global_properties
from esb_cli.sam.properties import Properties, is_nothing, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Text, Unknown, describe
from esb_cli.spec_model import RouteSpec

__all__ = ["API_TYPES", "IMPLICIT", "Api", "RouteBook", "report_apis"]

_HTTP_API = "AWS::Serverless::HttpApi"
API_TYPES = ("AWS::Serverless::Api", _HTTP_API)
IMPLICIT = {"ServerlessRestApi": "AWS::Serverless::Api", "ServerlessHttpApi": _HTTP_API}

_PARAMETER = re.compile(r"\{[^}+]*(?=\+?\})")  # its name doesn't decide which requests a route takes
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


@frozen
class Api:
    """What an API says about its routes; an empty stage is the one that SAM or the gateway gives it."""

    props: Properties
    stage: str
    access: ApiAccess
    cors: Cors | None


@define
class RouteBook:
    """The routes given out so far, with the API of each, and the APIs read so far."""

    resolution: Resolution
    taken: dict[tuple[str, str], tuple[str, str]] = field(factory=dict)
    apis: dict[str, Api] = field(factory=dict)

    def api(self, name: str) -> Api:
        """An API of the template, or an implicit one."""
        if name not in self.apis:
            resource = self.resolution.references.resources.get(name)
            self.apis[name] = _api(resource or _implicit(name, self.resolution), self.resolution)
        return self.apis[name]

    def claim(self, route: RouteSpec, api: str, event: Properties) -> bool:
        """Take a route for the event's function; False when another has it, which is reported."""
        key = (_PARAMETER.sub("{", route.path), route.method)
        if key not in self.taken:
            self.taken[key] = (api, event.owner.logical_id)
            return True
        other_api, other = self.taken[key]
        if other_api == api:
            event.wrong("Path", "a route once in an API", f"{route.method} {route.path}, which {other} has")
        else:
            event.lose(f"the route {route.method} {route.path}, which {other} has in the API {other_api}")
        return False

    def with_methods(self, route: RouteSpec) -> RouteSpec:
        """The route, once all are known: a REST API that names no methods allows those of the path."""
        if route.cors is None or route.cors.allow_methods or route.api_type != "rest":
            return route
        path = _PARAMETER.sub("{", route.path)
        api = self.taken[path, route.method][0]
        own = {method for method in ("ANY", *_METHODS) if self.taken.get((path, method), ("",))[0] == api}
        methods = _METHODS if "ANY" in own else tuple(sorted(own | {"OPTIONS"}))
        return evolve(route, cors=evolve(route.cors, allow_methods=methods))


def _api(resource: Resource, resolution: Resolution) -> Api:
    props = of_resource(resource, resolution)
    http = resource.type == _HTTP_API
    return Api(
        props,
        _stage(props, http=http),
        read_access(props, http=http),
        http_cors(props) if http else rest_cors(props),
    )


def _stage(api: Properties, *, http: bool) -> str:
    value = api.value("StageName")
    if isinstance(value, Unknown):
        if not value.reported:
            api.lose(f"its stage name: {value.reason}", value)
    elif isinstance(value, Text) and not is_nothing(value) and STAGE_NAME.fullmatch(value.text):
        return "" if http and value.text == "$default" else value.text
    elif value is not None:
        found = quote(value.text) if isinstance(value, Text) else describe(value)
        api.wrong("StageName", "a name of letters, digits, - and _", found, at=value)
    return ""


def report_apis(resolution: Resolution, book: RouteBook) -> None:
    """Report what the APIs of the template, and the implicit ones in use, ask for and a box doesn't do."""
    for resource in resolution.resources:
        if resource.type in API_TYPES:
            book.api(resource.logical_id)
    for api in book.apis.values():
        api.props.finish(api.props.owner.type)


def _implicit(name: str, resolution: Resolution) -> Resource:
    """The API that SAM makes for events that name none: it has the Globals and nothing else."""
    type_ = IMPLICIT[name]
    shared = global_properties(resolution.template, type_)
    return Resource(name, type_, shared, Mapping(), shared.line or 1, shared.column or 1)
