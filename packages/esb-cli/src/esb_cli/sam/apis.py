"""The APIs of a template: which address takes which routes, and what of an API the box won't have.

A box has one address, so routes of several APIs share it; the API itself leaves only findings.
"""

import re

from artifact_contract.nodes import Mapping
from attrs import define, field

from esb_cli.sam.globals import global_properties
from esb_cli.sam.properties import Properties, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.template import Resource
from esb_cli.spec_model import RouteSpec

__all__ = ["API_TYPES", "IMPLICIT", "RouteBook", "report_apis"]

API_TYPES = ("AWS::Serverless::Api", "AWS::Serverless::HttpApi")
IMPLICIT = {"ServerlessRestApi": "AWS::Serverless::Api", "ServerlessHttpApi": "AWS::Serverless::HttpApi"}


_PARAMETER = re.compile(r"\{[^}+]*(?=\+?\})")  # its name doesn't decide which requests a route takes


@define
class RouteBook:
    """The routes given out so far, with the API of each, and the APIs that events use."""

    taken: dict[tuple[str, str], tuple[str, str]] = field(factory=dict)
    apis: dict[str, None] = field(factory=dict)

    def claim(self, route: RouteSpec, api: str, event: Properties) -> bool:
        """Take a route for the event's function; False when another has it, which is reported."""
        self.apis.setdefault(api)
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


def report_apis(resolution: Resolution, book: RouteBook) -> None:
    """Report what the APIs of the template ask for and a box doesn't do."""
    explicit = [it for it in resolution.resources if it.type in API_TYPES]
    names = {resource.logical_id for resource in explicit}
    implicit = [
        _implicit(name, type_, resolution)
        for name, type_ in IMPLICIT.items()
        if name in book.apis and name not in names
    ]
    for resource in [*explicit, *implicit]:
        of_resource(resource, resolution).finish(resource.type)


def _implicit(name: str, type_: str, resolution: Resolution) -> Resource:
    """The API that SAM makes for events that name none: it has the Globals and nothing else."""
    shared = global_properties(resolution.template, type_)
    return Resource(name, type_, shared, Mapping(), shared.line or 1, shared.column or 1)
