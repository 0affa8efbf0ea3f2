import re

import pytest
from artifact_contract.runtime_identity import IdentityError, RuntimeIdentity, normalise, resolve_identity
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(max_size=120)
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ENGINE_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")


@pytest.mark.parametrize(
    ("environment", "network", "slug"),
    [
        ({"ESB_BRAND_SLUG": "Orders", "PROJECT_NAME": "other", "ENV": "prod"}, "net", "orders"),
        ({"PROJECT_NAME": "orders", "ENV": "prod"}, "net", "orders-prod"),
        ({"PROJECT_NAME": "orders-env", "ENV": "prod"}, "", "orders-prod"),
        ({"PROJECT_NAME": "orders_env", "ENV": "prod"}, "", "orders-prod"),
        ({"PROJECT_NAME": "orders_env"}, "", "orders"),
        ({"PROJECT_NAME": "orders", "ESB_ENV": "stage"}, "", "orders-stage"),
        ({"ENV": "prod"}, "orders-external", "orders"),
        ({"ENV": "prod"}, "orders_env", "orders"),
        ({}, "orders_env-external", "orders"),
        ({"ESB_BRAND_SLUG": "", "PROJECT_NAME": ""}, "shop", "shop"),
        ({"ESB_BRAND_SLUG": "My Shop / EU__west"}, "", "my-shop-eu-west"),
        ({"PROJECT_NAME": "environment", "ENV": "x"}, "", "environment-x"),
    ],
)
def test_the_first_source_that_is_set_gives_the_slug(environment, network, slug):
    assert resolve_identity(environment, network).slug == slug


@pytest.mark.parametrize("environment", [{}, {"ENV": "prod"}, {"ESB_BRAND_SLUG": "", "ESB_ENV": "dev"}])
def test_without_a_source_there_is_no_identity_and_the_message_names_all_three(environment):
    with pytest.raises(IdentityError, match=r"ESB_BRAND_SLUG.*PROJECT_NAME and ENV.*network"):
        resolve_identity(environment)


def test_a_source_that_holds_no_letter_is_refused_not_passed_over():
    with pytest.raises(IdentityError, match=r"ESB_BRAND_SLUG: expected letters or digits, found '__'"):
        resolve_identity({"ESB_BRAND_SLUG": "__", "PROJECT_NAME": "orders"})


def test_every_name_derives_from_the_slug():
    identity = resolve_identity({"PROJECT_NAME": "orders", "ENV": "prod"})
    assert identity.source == "PROJECT_NAME (with ENV)"
    assert (identity.namespace, identity.cni_name) == ("esb-orders-prod", "esb-orders-prod")
    assert identity.bridge == "esb-orders-prod"
    assert (identity.image_prefix, identity.tag_variable) == ("orders-prod", "ORDERS_PROD_TAG")
    assert identity.network == "orders-prod"
    assert identity.worker_name("hello", "w1") == "orders-prod-prod-hello-w1"


def test_the_operators_network_keeps_its_name():
    identity = resolve_identity({"ESB_BRAND_SLUG": "orders"}, "shop_env-external")
    assert (identity.slug, identity.network) == ("orders", "shop_env-external")


def test_the_stage_is_esb_env_else_env_else_dev():
    def stage(**variables):
        return resolve_identity({"ESB_BRAND_SLUG": "a", **variables}).environment

    assert [stage(ESB_ENV="x", ENV="y"), stage(ENV="y"), stage()] == ["x", "y", "dev"]


def test_long_slugs_have_short_bridges_that_differ():
    bridges = {RuntimeIdentity(slug=f"orders-production-{n}", source="").bridge for n in range(100)}
    assert len(bridges) == 100
    assert all(len(bridge) <= 15 and bridge.startswith("esb-orde-") for bridge in bridges)


def test_a_variable_does_not_begin_with_a_digit():
    assert RuntimeIdentity(slug="2nd", source="").tag_variable == "_2ND_TAG"


@given(TEXT)
def test_a_slug_has_one_form_and_normalising_twice_changes_nothing(text):
    slug = normalise(text)
    assert slug == "" or SLUG.fullmatch(slug)
    assert len(slug) <= 32
    assert normalise(slug) == slug


@given(TEXT.filter(normalise))
def test_names_are_what_kernel_and_engines_take(text):
    identity = resolve_identity({"ESB_BRAND_SLUG": text})
    assert SLUG.fullmatch(identity.namespace)
    assert SLUG.fullmatch(identity.bridge)
    assert len(identity.bridge) <= 15
    assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", identity.tag_variable)


@given(TEXT, TEXT)
def test_a_workers_name_is_bounded_and_an_engines(function, worker_id):
    identity = resolve_identity({"ESB_BRAND_SLUG": "orders", "ESB_ENV": "prod"})
    name = identity.worker_name(function, worker_id)
    assert ENGINE_NAME.fullmatch(name)
    assert len(name) <= 76


@given(TEXT, TEXT, TEXT)
def test_workers_with_different_ids_never_share_a_name(function, one, other):
    identity = resolve_identity({"ESB_BRAND_SLUG": "orders"})
    assert (identity.worker_name(function, one) == identity.worker_name(function, other)) == (one == other)
