"""Which route answers a request.

Segment by segment, from the left: a static segment wins over `{param}`, that over `{proxy+}`; at the same
path a method of its own wins over ANY; what matches nothing goes to `$default`, if there is one. A path whose
best match lacks the method falls back to the next best that has it (as HTTP APIs do; the routes of several
templates meet here, and one's `GET /pets` must not hide another's `ANY /{proxy+}`).

Paths are matched as they were sent: cut at the slashes first, then each segment percent-decoded, so `%2F`
stays inside its segment. `{param}` needs a segment that is not empty, `{proxy+}` at least one of them. REST
routes (payload 1.0) also take one trailing slash; HTTP API routes (2.0) don't.

    /orders/{id}   GET /orders/a%2Fb   ->  id = "a/b"
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from attrs import define, field, frozen

ANY = "ANY"
DEFAULT = "$default"
REST = "1.0"


@frozen
class Route:
    """A line of routing.yml, checked by the contract."""

    path: str
    method: str
    function: str
    payload_version: str = REST

    @property
    def key(self) -> str:
        """`GET /orders/{id}`, or `$default`."""
        return DEFAULT if self.path == DEFAULT else f"{self.method} {self.path}"


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
class _Node:
    static: dict[str, _Node] = field(factory=dict)
    parameter: _Node | None = None
    leaves: dict[str, _Leaf] = field(factory=dict)
    greedy: dict[str, _Leaf] = field(factory=dict)


class Router:
    """All routes of a generation, never changed; of two routes of the same shape the later one wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._default: _Leaf | None = None
        self._exact: dict[str, dict[str, Match]] = {}
        self.shadowed: list[tuple[Route, Route]] = []
        self.routes = tuple(routes)
        # What an unknown path is told depends on the kind of API; with both kinds, or none, REST's answer is
        # given.
        self.only_http_api = bool(self.routes) and all(route.payload_version != REST for route in self.routes)
        for route in self.routes:
            self._add(route)

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
        if match is None and len(segments) > 1 and segments[-1] == "":
            match = self._search(method, segments[:-1])
            if match is not None and match.route.payload_version != REST:
                match = None
        if match is None and self._default is not None:
            return Match(self._default.route, {})
        return match

    def _add(self, route: Route) -> None:
        if route.path == DEFAULT:
            self._default = _Leaf(route, ())
            return
        node, names, leaves = self._root, [], None
        for segment in _template(route.path):
            if segment.startswith("{") and segment.endswith("+}"):
                names.append(segment[1:-2])
                leaves = node.greedy
                break
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.static.setdefault(segment, _Node())
        leaves = node.leaves if leaves is None else leaves
        before = leaves.get(route.method)
        if before is not None:
            self.shadowed.append((before.route, route))
        leaves[route.method] = _Leaf(route, tuple(names))
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
