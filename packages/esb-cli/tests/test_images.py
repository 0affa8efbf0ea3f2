"""Names, tags and Dockerfiles of images."""

import hypothesis.strategies as st
from artifact_contract.digests import file_digest
from esb_cli.images import base_image, dockerfile, function_tag, image_names, registry_prefix
from hypothesis import given

FILES = {"src/a.py": (file_digest(b"a"), False), "src/b.py": (file_digest(b"b"), False)}
HOOKS = [("sitecustomize.py", file_digest(b"hook"))]


def test_an_image_is_named_after_project_environment_and_function():
    assert image_names("My Shop", "dev", ["CreateOrder"]) == {"CreateOrder": "my-shop-dev-createorder"}


def test_functions_whose_names_become_the_same_are_told_apart():
    names = image_names("shop", "dev", ["get-order", "Get_Order", "other"])
    assert names["other"] == "shop-dev-other"
    assert names["get-order"].startswith("shop-dev-get-order-")
    assert len(set(names.values())) == 3


@given(st.lists(st.text(st.sampled_from("abAB-_1"), min_size=1), unique=True, max_size=6))
def test_every_function_has_a_name_of_its_own_that_a_registry_takes(functions):
    names = image_names("p", "e", functions)
    assert len(set(names.values())) == len(functions)
    assert all(name == name.lower() and "--" not in name and name[-1] not in "-_" for name in names.values())


def test_a_registry_stands_before_the_name():
    assert registry_prefix("registry:5010") == registry_prefix("registry:5010/") == "registry:5010/"
    assert registry_prefix("") == ""


def test_a_tag_has_twelve_hex_digits_and_follows_every_input():
    tag = function_tag("FROM x", "x86_64", FILES)
    assert len(tag) == 12
    assert int(tag, 16) >= 0
    others = [
        function_tag("FROM y", "x86_64", FILES),
        function_tag("FROM x", "arm64", FILES),
        function_tag("FROM x", "x86_64", FILES | {"src/a.py": (file_digest(b"A"), False)}),
        function_tag("FROM x", "x86_64", FILES | {"src/a.py": (file_digest(b"a"), True)}),
        function_tag("FROM x", "x86_64", FILES | {"src/c.py": (file_digest(b"c"), False)}),
        function_tag("FROM x", "x86_64", {"src/A.py": FILES["src/a.py"], "src/b.py": FILES["src/b.py"]}),
    ]
    assert len({tag, *others}) == 7
    assert function_tag("FROM x", "x86_64", dict(reversed(FILES.items()))) == tag


def test_the_base_follows_python_architecture_and_hooks():
    base = base_image("3.12", "x86_64", HOOKS)
    assert base.startswith("esb-lambda-base:python3.12-")
    assert len(base.rpartition("-")[2]) == 12
    others = [
        base_image("3.13", "x86_64", HOOKS),
        base_image("3.12", "arm64", HOOKS),
        base_image("3.12", "x86_64", [("sitecustomize.py", file_digest(b"other"))]),
    ]
    assert len({base, *others}) == 4


def test_a_dockerfile_has_a_layer_for_each_copy_and_quotes_what_it_must():
    text = dockerfile(
        "FROM $base\nLABEL $labels\n${copies}CMD $command\n",
        base="b:1",
        labels={"a": 'x "y"', "b": "z"},
        copies=[("one/", "/opt/"), ("two/", "/var/task/")],
        command="app.handler",
    )
    assert text == (
        'FROM b:1\nLABEL a="x \\"y\\"" b="z"\nCOPY one/ /opt/\nCOPY two/ /var/task/\nCMD ["app.handler"]\n'
    )
