"""Which route answers a request.

Segment by segment, from the left: a static segment wins over `{param}`, that over `{proxy+}`; at the same
path a method of its own wins over ANY; what matches nothing goes to `$default`, if there is one. A path whose
best match lacks the method falls back to the next best that has it (as HTTP APIs do; the routes of several
templates meet here, and one's `GET /pets` must not hide another's `ANY /{proxy+}`). What matches nothing at
all is answered as the kind of API does whose routes are nearest.

REST routes with cross-origin rules bring an OPTIONS method to their path, as a mock integration would stand
there, unless it has one of its own.

Paths are matched as they were sent: cut at the slashes first, then each segment percent-decoded, so `%2F`
stays inside its segment. `{param}` needs a segment that is not empty, `{proxy+}` at least one of them. REST
routes also take one trailing slash, before any `{proxy+}` does: what guards `/admin` guards `/admin/` too.
HTTP API routes don't.

    /orders/{id}   GET /orders/a%2Fb   ->  id = "a/b"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from artifact_contract.config_types import FunctionUrl, RouteAuth
from attrs import define, field, frozen

from esb_gateway.routes.cors import ALL_METHODS, CorsRules, with_methods

ANY = "ANY"
DEFAULT = "$default"
FORMAT_1 = "1.0"
REST_API, HTTP_API = "rest", "http"
_OPTIONS = "OPTIONS"


@frozen(cache_hash=True)
class Route:
    """A line of routing.yml, checked by the contract; `stage` is empty where the gateway's setting holds.

    `preflight` marks the OPTIONS method that REST routes with cross-origin rules bring; it has no function.
    """

    path: str
    method: str
    function: str
    payload_version: str = FORMAT_1
    api_type: str = REST_API
    stage: str = ""
    auth: RouteAuth | None = None
    cors: CorsRules | None = None
    preflight: bool = False

    @property
    def key(self) -> str:
        """`GET /orders/{id}`, or `$default`."""
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"


@frozen
class UrlRoute:
    """A function URL: which function, under which settings."""

    function: str
    settings: FunctionUrl
    cors: CorsRules | None = None


@frozen
class Surroundings:
    """The API an unknown path belongs to, by the routes nearest to it."""

    rest: bool
    cors: CorsRules | None


@frozen
class Match:
    """A route and what its parameters took, decoded."""

    route: Route
    parameters: dict[str, str]


@frozen
class _Leaf:
    route: Route
    names: tuple[str, ...]


@define
class _Kinds:
    """Which kinds of API some routes are of, and the cross-origin rules of the HTTP APIs among them."""

    types: set[str] = field(factory=set)
    rules: dict[int, CorsRules] = field(factory=dict)

    def note(self, route: Route) -> None:
        self.types.add(route.api_type)
        if route.cors is not None and route.api_type == HTTP_API:
            self.rules[id(route.cors)] = route.cors

    def summary(self) -> Surroundings:
        """HTTP API only where all are; its rules only where all say the same."""
        rest = self.types != {HTTP_API}
        return Surroundings(
            rest, next(iter(self.rules.values())) if len(self.rules) == 1 and not rest else None
        )


@define
class _Node:
    static: dict[str, _Node] = field(factory=dict)
    parameter: _Node | None = None
    leaves: dict[str, _Leaf] = field(factory=dict)
    greedy: dict[str, _Leaf] = field(factory=dict)
    beneath: _Kinds = field(factory=_Kinds)


class Router:
    """All routes of a generation, never changed; of two routes of the same shape the later one wins."""

    def __init__(self, routes: Iterable[Route], urls: Mapping[str, UrlRoute] | None = None) -> None:
        self._root = _Node()
        self._default: _Leaf | None = None
        self._exact: dict[str, dict[str, Match]] = {}
        self.shadowed: list[tuple[Route, Route]] = []
        self.routes = tuple(routes)
        self.urls: Mapping[str, UrlRoute] = urls or {}
        self.urls_by_label = {name.lower(): url for name, url in self.urls.items()}
        for route in self.routes:
            self._add(route)
        for route in self.routes:
            if route.cors is not None and route.api_type == REST_API:
                self._add_preflight(route, route.cors)

    def match(self, method: str, raw_path: str) -> Match | None:
        """Return the route for a request.

        Args:
            method: as sent, upper case.
            raw_path: percent-encoded, without the query, with its leading slash.
        """
        exact = self._exact.get(raw_path)
        if exact is not None:
            found = exact.get(method) or exact.get(ANY)
            if found is not None:
                return found
        segments = _segments(raw_path)
        match = self._search(method, segments)
        wide = match is None or match.route.path.endswith("+}")
        if wide and len(segments) > 1 and segments[-1] == "":
            cut = self._search(method, segments[:-1])
            same = cut is not None and match is not None and cut.route == match.route
            if cut is not None and not same and cut.route.api_type == REST_API:
                match = cut
        if match is None and self._default is not None:
            return Match(self._default.route, {})
        return match

    def nearest(self, raw_path: str) -> Surroundings:
        """Return what an unknown path is answered like: HTTP API only where all routes around are of one."""
        node = self._root
        segments = _segments(raw_path)
        for segment in segments:
            below = node.static.get(segment) or (node.parameter if segment else None)
            if below is None:
                return node.beneath.summary()
            node = below
        if not node.leaves:
            return node.beneath.summary()
        own = _Kinds()
        for leaf in node.leaves.values():
            own.note(leaf.route)
        return own.summary()

    def _add(self, route: Route) -> None:
        if route.path == DEFAULT:
            self._default = _Leaf(route, ())
            self._root.beneath.note(route)
            return
        leaves, names = self._place(route.path, route)
        before = leaves.get(route.method)
        if before is not None:
            self.shadowed.append((before.route, route))
        self._put(leaves, route, names)

    def _add_preflight(self, route: Route, rules: CorsRules) -> None:
        if route.path == DEFAULT:
            return
        leaves, names = self._place(route.path, None)
        known = leaves.get(_OPTIONS)
        if known is not None and not known.route.preflight:
            return
        methods = ALL_METHODS if ANY in leaves else tuple(sorted({*leaves, _OPTIONS}))
        mock = Route(
            route.path,
            _OPTIONS,
            "",
            stage=route.stage,
            cors=with_methods(rules, methods),
            preflight=True,
        )
        self._put(leaves, mock, names)

    def _place(self, path: str, route: Route | None) -> tuple[dict[str, _Leaf], tuple[str, ...]]:
        """The leaves of a path, and its parameters' names; `route` is noted at the nodes on the way."""
        node, names = self._root, []
        if route is not None:
            node.beneath.note(route)
        for segment in _template(path):
            if segment.startswith("{") and segment.endswith("+}"):
                names.append(segment[1:-2])
                return node.greedy, tuple(names)
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.static.setdefault(segment, _Node())
            if route is not None:
                node.beneath.note(route)
        return node.leaves, tuple(names)

    def _put(self, leaves: dict[str, _Leaf], route: Route, names: tuple[str, ...]) -> None:
        leaves[route.method] = _Leaf(route, names)
        if not names:
            self._exact.setdefault(route.path, {})[route.method] = Match(route, {})

    def _search(self, method: str, segments: list[str]) -> Match | None:
        values: list[str] = []
        leaf = _find(self._root, method, segments, 0, values)
        return None if leaf is None else Match(leaf.route, dict(zip(leaf.names, values, strict=True)))


def _find(node: _Node, method: str, segments: list[str], at: int, values: list[str]) -> _Leaf | None:
    """Depth first, the most specific way first; `values` are those of the parameters on the way."""
    if at == len(segments):
        return node.leaves.get(method) or node.leaves.get(ANY)
    segment = segments[at]
    child = node.static.get(segment)
    if child is not None:
        leaf = _find(child, method, segments, at + 1, values)
        if leaf is not None:
            return leaf
    if node.parameter is not None and segment:
        values.append(segment)
        leaf = _find(node.parameter, method, segments, at + 1, values)
        if leaf is not None:
            return leaf
        values.pop()
    if node.greedy and any(segments[at:]):
        leaf = node.greedy.get(method) or node.greedy.get(ANY)
        if leaf is not None:
            values.append("/".join(segments[at:]))
        return leaf
    return None


def _segments(raw_path: str) -> list[str]:
    parts = raw_path[1:].split("/")
    if "%" in raw_path:
        parts = [unquote(part) if "%" in part else part for part in parts]
    return parts


def _template(path: str) -> list[str]:
    return [unquote(part) if "%" in part else part for part in path.removeprefix("/").split("/")]
