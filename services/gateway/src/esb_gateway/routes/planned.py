"""The routes and function URLs of a runtime config, made ready for the router."""

from __future__ import annotations

from collections.abc import Iterable

from artifact_contract.config_types import Function
from artifact_contract.config_types import Route as ConfigRoute

from esb_gateway.routes.cors import cors_rules
from esb_gateway.routes.router import Route, Router, UrlRoute


def plan_router(routes: Iterable[ConfigRoute], functions: Iterable[Function]) -> Router:
    """Return the router of a generation."""
    return Router(map(_route, routes), {url.function: url for url in map(_url, functions) if url is not None})


def _route(route: ConfigRoute) -> Route:
    return Route(
        path=route.path,
        method=route.method,
        function=route.function,
        payload_version=route.payload_version,
        api_type=route.api_type,
        stage=route.stage,
        auth=None if route.auth is None or route.auth.type == "none" else route.auth,
        cors=None if route.cors is None else cors_rules(route.cors),
    )


def _url(function: Function) -> UrlRoute | None:
    settings = function.function_url
    if settings is None:
        return None
    return UrlRoute(function.name, settings, None if settings.cors is None else cors_rules(settings.cors))
