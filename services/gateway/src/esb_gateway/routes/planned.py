"""The routes and function URLs of a runtime config, made ready for the router."""

from __future__ import annotations

import re
from collections.abc import Iterable

from artifact_contract.config_types import Cors, Function
from artifact_contract.config_types import Route as ConfigRoute

from esb_gateway.routes.cors import cors_rules
from esb_gateway.routes.router import Route, Router, UrlRoute

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def plan_router(routes: Iterable[ConfigRoute], functions: Iterable[Function]) -> Router:
    """Return the router of a generation."""
    return Router(map(_route, routes), {url.function: url for url in map(_url, functions) if url is not None})


def cors_and_url_warnings(routes: Iterable[ConfigRoute], functions: Iterable[Function]) -> list[str]:
    """Say what was asked for and cannot be had."""
    warnings = []
    asked: list[tuple[str, Cors | None]] = []
    for route in routes:
        asked.append((f"route {route.method} {route.path}", route.cors))
        if route.path.startswith("/function-urls/"):
            warnings.append(f"route {route.method} {route.path}: never reached, function URLs are there")
    labels: dict[str, str] = {}
    for function in functions:
        url = function.function_url
        if url is None:
            continue
        asked.append((f"function {function.name}: function_url", url.cors))
        label = function.name.lower()
        if not _LABEL.fullmatch(label):
            warnings.append(f"function {function.name}: its URL has no host name, only /function-urls/")
        elif label in labels:
            warnings.append(f"function {function.name}: has the URL's host name, {labels[label]} has not")
        labels[label] = function.name
    for place, cors in asked:
        if cors is not None and cors.allow_credentials and "*" in cors.allow_origins:
            warnings.append(f"{place}: cors: no credentials, because all origins are allowed")
    return warnings


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
