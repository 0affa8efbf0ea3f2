"""What one function puts into an artifact."""

import pytest
from attrs import evolve
from esb_cli.function_files import FunctionFiles
from esb_cli.spec_model import ImageSource, Inline, LayerSpec, RouteSpec, Where


@pytest.fixture
def build(installs):
    """Return a function that builds one function and returns its files, their builder and its tag."""

    def run(spec, prefix="", never_ship=frozenset()):
        functions = FunctionFiles(prefix, installs, never_ship)
        built = functions.build(spec)
        return built, functions

    return run


def dockerfile(built, name="hello"):
    return built.files[f"functions/{name}/Dockerfile"].read().decode()


def test_code_and_a_dockerfile_that_copies_it(build, function):
    built, functions = build(function(files={"app.py": "code", "pkg/x.py": ""}))
    assert sorted(built.files) == [
        "functions/hello/Dockerfile",
        "functions/hello/src/app.py",
        "functions/hello/src/pkg/x.py",
    ]
    from_line, *rest = dockerfile(built).splitlines()
    assert from_line.startswith("FROM esb-lambda-base:python3.12-")
    assert rest == [
        'LABEL io.esb.function="hello" io.esb.runtime="python3.12"',
        "COPY functions/hello/src/ /var/task/",
        "WORKDIR /var/task",
        'CMD ["app.handler"]',
    ]
    assert functions.problems == []


def test_layers_in_their_order_then_requirements_then_code(build, function, tree, installs):
    first = LayerSpec("first", tree({"python/a.py": ""}, "l1"))
    second = LayerSpec("second", tree({"b.py": ""}, "l2"), content_root="python")
    requirements = tree({"requirements.txt": "tiny==1.0"}, "code-hello") / "requirements.txt"
    built, _ = build(function(layers=(first, second), requirements=requirements))
    assert [line for line in dockerfile(built).splitlines() if line.startswith("COPY")] == [
        "COPY functions/hello/layers/first/ /opt/",
        "COPY functions/hello/layers/second/ /opt/",
        "COPY functions/hello/layers/python-requirements/ /var/task/",
        "COPY functions/hello/src/ /var/task/",
    ]
    assert {
        "functions/hello/layers/first/python/a.py",
        "functions/hello/layers/second/python/b.py",
        "functions/hello/layers/python-requirements/installed.py",
    } <= built.files.keys()
    assert installs.asked == [("requirements.txt", "3.12", "x86_64")]


def test_a_layer_built_from_requirements_has_them_beside_its_own_files_which_win(build, function, tree):
    source = tree({"own.py": "", "installed.py": "own", "requirements.txt": "tiny"}, "layer")
    layer = LayerSpec("built", source, content_root="python", requirements=source / "requirements.txt")
    built, _ = build(function(layers=(layer,), architectures=("arm64",)))
    root = "functions/hello/layers/built/python"
    assert {f"{root}/own.py", f"{root}/installed.py"} <= built.files.keys()
    assert built.files[f"{root}/installed.py"].read() == b"own"


def test_a_requirements_file_that_asks_for_nothing_makes_no_layer(build, function, tree, installs):
    requirements = tree({"requirements.txt": "# nothing yet\n"}, "code-hello") / "requirements.txt"
    built, _ = build(function(requirements=requirements))
    assert "python-requirements" not in dockerfile(built)
    assert installs.asked == []


def test_inline_code_becomes_its_file(build, function):
    built, _ = build(function(code=Inline("def handler(e, c): ...", "index.py"), handler="index.handler"))
    assert built.files["functions/hello/src/index.py"].read() == b"def handler(e, c): ..."


def test_an_image_gets_the_hooks_and_what_the_template_replaces(build, function):
    image = ImageSource("host/greeter:1", ("app.run",), ("/entry", "--on"), "/work")
    built, functions = build(evolve(function(), code=image, runtime="", handler=""), "registry:5010/")
    assert list(built.files) == ["functions/hello/Dockerfile"]
    assert dockerfile(built).splitlines() == [
        "FROM host/greeter:1",
        'LABEL io.esb.function="hello"',
        "COPY runtime-base/runtime-hooks/python/sitecustomize/site-packages/ /opt/esb/python/",
        "COPY runtime-base/runtime-hooks/python/trace-bridge/layer/ /opt/esb/python/",
        'ENV PYTHONPATH="/opt/esb/python${PYTHONPATH:+:$PYTHONPATH}" AWS_LAMBDA_LOG_FORMAT=JSON',
        "WORKDIR /work",
        'ENTRYPOINT ["/entry", "--on"]',
        'CMD ["app.run"]',
    ]
    other, _ = build(evolve(function(), code=evolve(image, uri="host/greeter:2")))
    assert built.tag != other.tag
    assert functions.problems == []


def test_a_registry_stands_in_the_dockerfile_and_not_in_the_tag(build, function):
    spec = function()
    plain, _ = build(spec)
    prefixed, _ = build(spec, prefix="registry:5010/")
    assert dockerfile(prefixed).startswith("FROM registry:5010/esb-lambda-base:python3.12-")
    assert plain.tag == prefixed.tag


def test_a_change_of_code_changes_the_tag_and_nothing_else_does(build, function, tree):
    before, _ = build(function(files={"app.py": "1"}))
    again, _ = build(function(files={"app.py": "1"}, environment={"A": "B"}, timeout=9, where=Where("x", 9)))
    assert again.tag == before.tag
    changed, _ = build(function(files={"app.py": "2"}))
    assert changed.tag != before.tag


def test_the_dockerfile_needs_no_network(build, function):
    built, _ = build(function())
    assert not any(word in dockerfile(built) for word in ("syntax=", "RUN", "ADD", "http"))


def test_what_never_ships_is_left_out(build, function, tree):
    spec = function(files={"app.py": "", "artifact/x": "", "esb.toml": ""})
    paths = frozenset(str((spec.code.path / name).resolve()) for name in ("artifact", "esb.toml"))
    built, _ = build(spec, never_ship=paths)
    assert sorted(built.files) == ["functions/hello/Dockerfile", "functions/hello/src/app.py"]


def test_a_file_of_secrets_is_named_once_though_functions_share_it(function, installs):
    functions = FunctionFiles("", installs, frozenset())
    spec = function(files={"app.py": "", ".env": "TOKEN=1"})
    for _ in range(2):
        functions.build(spec)
    assert list(functions.warnings) == [
        "template.yaml:3: Hello.CodeUri: .env stays behind, as it may hold secrets"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"runtime": "cobol74"}, "Hello.Runtime: expected a Python runtime, found 'cobol74'"),
        ({"name": "../up"}, "Hello: expected a function name of letters, digits, '-' and '_', found '../up'"),
        (
            {"name": "two words"},
            "Hello: expected a function name of letters, digits, '-' and '_', found 'two words'",
        ),
        ({"files": {".git/config": ""}}, "Hello.CodeUri: expected a directory with files, found none in"),
        (
            {"routes": (RouteSpec("", "GET"),)},
            "Hello.Events: expected a path for each route, found a route without one",
        ),
    ],
)
def test_what_cannot_ship_is_a_problem_at_its_place(build, function, change, said):
    files = {key: change.pop(key) for key in list(change) if key == "files"}
    _, functions = build(evolve(function(**files), **change))
    (problem,) = functions.problems
    assert str(problem).startswith(f"template.yaml:3:1: {said}")


def test_a_link_that_leaves_the_code_is_a_problem(build, function):
    spec = function()
    (spec.code.path / "etc").symlink_to("/etc")
    _, functions = build(spec)
    assert "leaves the directory, to /etc" in str(functions.problems[0])


def test_two_layers_with_one_name_are_a_problem_and_one_twice_is_not(build, function, tree):
    one = LayerSpec("same", tree({"a": ""}, "l1"))
    other = LayerSpec("same", tree({"b": ""}, "l2"))
    assert build(function(layers=(one, one)))[1].problems == []
    assert "layers with different names" in str(build(function(layers=(one, other)))[1].problems[0])


def test_a_layer_may_not_take_the_name_of_the_requirements(build, function, tree):
    layer = LayerSpec("python-requirements", tree({"a": ""}, "l1"))
    assert "a layer name" in str(build(function(layers=(layer,)))[1].problems[0])
