from urllib.parse import quote

import pytest
from artifact_contract.config_types import Cors
from esb_gateway.routes.cors import cors_rules
from esb_gateway.routes.router import Route, Router, Surroundings
from hypothesis import given
from hypothesis import strategies as st


def router(*keys: str, version: str = "1.0", **more: object) -> Router:
    routes = []
    for key in keys:
        method, _, path = key.partition(" ")
        routes.append(
            Route(
                path or method,
                method if path else "ANY",
                f"fn {key}",
                version,
                "rest" if version == "1.0" else "http",
                **more,
            )
        )
    return Router(routes)


def found(table: Router, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = table.match(method, path)
    return None if match is None else (match.route.key, match.parameters)


DOCUMENTED = router(
    "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default", version="2.0"
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/", "$default", {}),
    ],
)
def test_precedence_is_as_api_gateway_documents_it(method, path, key, parameters):
    assert found(DOCUMENTED, method, path) == (key, parameters)


def test_a_method_of_its_own_wins_over_any_at_the_same_path():
    table = router("ANY /a", "GET /a")
    assert found(table, "GET", "/a") == ("GET /a", {})
    assert found(table, "PUT", "/a") == ("ANY /a", {})


def test_the_search_goes_back_when_a_static_way_ends_nowhere():
    table = router("GET /a/b/c", "GET /{x}/b/d", "GET /a/{rest+}")
    assert found(table, "GET", "/a/b/d") == ("GET /a/{rest+}", {"rest": "b/d"})
    assert found(table, "GET", "/z/b/d") == ("GET /{x}/b/d", {"x": "z"})


def test_parameters_are_decoded_after_the_path_was_cut_into_segments():
    table = router("GET /orders/{id}/items/{item}")
    assert found(table, "GET", "/orders/a%2Fb/items/%C3%A9%20x") == (
        "GET /orders/{id}/items/{item}",
        {"id": "a/b", "item": "é x"},
    )


def test_static_segments_match_in_any_encoding():
    table = router("GET /caffè/menu")
    assert found(table, "GET", "/caff%C3%A8/menu")
    assert router("GET /caff%C3%A8/menu").match("GET", "/caff%C3%A8/menu")


def test_a_parameter_needs_a_segment_that_is_not_empty():
    table = router("GET /a/{id}", "GET /b/{proxy+}")
    assert found(table, "GET", "/a/") is None
    assert found(table, "GET", "/a//") is None
    assert found(table, "GET", "/b/") is None
    assert found(table, "GET", "/b//x") == ("GET /b/{proxy+}", {"proxy": "/x"})


def test_rest_routes_take_a_trailing_slash_and_http_api_routes_do_not():
    assert found(router("GET /a"), "GET", "/a/") == ("GET /a", {})
    assert found(router("GET /a", version="2.0"), "GET", "/a/") is None
    assert found(router("GET /a/{proxy+}"), "GET", "/a/b/") == ("GET /a/{proxy+}", {"proxy": "b/"})


def test_a_slash_at_the_end_leads_no_rest_request_past_its_route():
    table = router("ANY /{proxy+}", "GET /admin", "GET /users/{id}", "GET /b/")
    for path in ("/admin", "/users/{id}", "/b/"):
        assert found(table, "GET", f"{path.rstrip('/')}/")[0] == f"GET {path}"
    assert found(table, "GET", "/other/") == ("ANY /{proxy+}", {"proxy": "other/"})
    http = router("ANY /{proxy+}", "GET /admin", version="2.0")
    assert found(http, "GET", "/admin/") == ("ANY /{proxy+}", {"proxy": "admin/"})


def test_parameters_of_different_names_can_stand_at_one_place():
    table = router("GET /a/{x}/one", "GET /a/{y}/two")
    assert found(table, "GET", "/a/1/one") == ("GET /a/{x}/one", {"x": "1"})
    assert found(table, "GET", "/a/1/two") == ("GET /a/{y}/two", {"y": "1"})


def test_the_later_of_two_routes_of_one_shape_wins_and_the_other_is_named():
    table = router("GET /a/{x}", "GET /a/{y}")
    assert found(table, "GET", "/a/1") == ("GET /a/{y}", {"y": "1"})
    assert [(a.path, b.path) for a, b in table.shadowed] == [("/a/{x}", "/a/{y}")]


def test_an_unknown_method_or_path_matches_nothing():
    table = router("GET /a", "POST /")
    assert found(table, "PUT", "/a") is None
    assert found(table, "GET", "/b") is None
    assert found(table, "POST", "/") == ("POST /", {})
    assert found(Router(()), "GET", "/") is None


segments = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(segments, segments)
def test_what_a_parameter_takes_is_what_was_encoded(first, second):
    table = router("GET /x/{a}/{b}")
    path = f"/x/{quote(first, safe='')}/{quote(second, safe='')}"
    assert found(table, "GET", path) == ("GET /x/{a}/{b}", {"a": first, "b": second})


templates = st.lists(st.sampled_from(["a", "b", "{p}", "{q}"]), min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from([parts, [*parts, "{proxy+}"]])
)
paths = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5)


def _weight(template: str, path: list[str]) -> tuple[int, ...] | None:
    """The rule, written again: rank of a template for a path, smaller is more specific; None: no match."""
    parts, weight = template[1:].split("/"), []
    for at, part in enumerate(parts):
        if part.endswith("+}"):
            return (*weight, 2) if len(path) > at else None
        if at >= len(path) or (not part.startswith("{") and part != path[at]):
            return None
        weight.append(1 if part.startswith("{") else 0)
    return tuple(weight) if len(parts) == len(path) else None


@given(st.lists(templates, min_size=1, max_size=6), paths)
def test_the_most_specific_template_wins_whatever_the_order(drawn, path):
    shapes = {}
    for parts in drawn:
        names = [
            f"{{p{i}{'+' if '+' in part else ''}}}" if "{" in part else part for i, part in enumerate(parts)
        ]
        shapes["/" + "/".join(names)] = None
    table = router(*(f"GET {template}" for template in shapes))
    ranked = sorted((weight, t) for t in shapes if (weight := _weight(t, path)) is not None)
    match = table.match("GET", "/" + "/".join(path))
    assert (match.route.path if match else None) == (ranked[0][1] if ranked else None)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_path_breaks_the_router(text):
    DOCUMENTED.match("GET", "/" + text)


RULES = cors_rules(Cors(allow_origins=("*",)))


def test_an_unknown_path_belongs_to_the_kind_of_api_whose_routes_are_nearest():
    table = Router(
        [
            Route("/rest/a", "GET", "f", "1.0", "rest"),
            Route("/http/a", "GET", "f", "2.0", "http", cors=RULES),
            Route("/http/{id}/x", "GET", "f", "1.0", "http", cors=RULES),
            Route("/mixed/a", "GET", "f", "1.0", "rest"),
            Route("/mixed/a", "POST", "f", "2.0", "http"),
        ]
    )
    assert table.nearest("/rest/b").rest
    assert not table.nearest("/http/b").rest
    assert table.nearest("/http/b").cors is RULES
    assert not table.nearest("/http/a").rest
    assert not table.nearest("/http/7/y").rest
    assert table.nearest("/mixed/b").rest
    assert table.nearest("/mixed/a").rest
    assert table.nearest("/").rest
    assert table.nearest("/nothing").cors is None
    assert Router([]).nearest("/").rest


def test_where_all_routes_are_http_api_ones_an_unknown_path_is_theirs():
    table = router("GET /a", "POST /b/{c}", version="2.0", cors=RULES)
    assert table.nearest("/x/y") == Surroundings(rest=False, cors=RULES)
    other = cors_rules(Cors(allow_origins=("https://a.test",)))
    two = Router([*table.routes, Route("/c", "GET", "f", "2.0", "http", cors=other)])
    assert two.nearest("/x").cors is None, "whose rules hold there is not known"


def test_rest_routes_with_rules_bring_an_options_method():
    table = router("GET /a", "POST /a", "ANY /b/{proxy+}", cors=RULES)
    match = table.match("OPTIONS", "/a")
    assert (match.route.preflight, match.route.cors.methods) == (True, ("GET", "OPTIONS", "POST"))
    greedy = table.match("OPTIONS", "/b/x")
    assert (greedy.route.preflight, len(greedy.route.cors.methods), greedy.parameters) == (
        True,
        7,
        {"proxy": "x"},
    )
    assert table.match("OPTIONS", "/a/").route.preflight


def test_an_options_method_of_its_own_stays():
    table = router("GET /a", "OPTIONS /a", cors=RULES)
    assert not table.match("OPTIONS", "/a").route.preflight
    assert router("GET /a", version="2.0", cors=RULES).match("OPTIONS", "/a") is None
