"""esb.toml: which project, and its defaults."""

import pytest
from artifact_contract.models import Mode
from esb_cli.errors import UsageError
from esb_cli.project import find_project, parse_name, parse_project


def test_the_nearest_project_upwards_is_found(tree, tmp_path):
    tree(
        {
            "esb.toml": '[project]\nname = "outer"\n',
            "in/esb.toml": '[project]\nname = "inner"\n',
            "in/a/b/x": "",
        }
    )
    assert find_project(tmp_path / "in/a/b").name == "inner"
    assert find_project(tmp_path / "in/a/b").root == tmp_path / "in"
    assert find_project(tmp_path).name == "outer"


def test_where_there_is_no_project_it_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"no project here: .*esb\.toml.*esb init"):
        find_project(tmp_path)


def test_a_file_gives_names_and_defaults(tmp_path):
    defaults = 'env = "prod"\nmode = "docker"\ntemplate = ["a.yaml", "b.yaml"]\n'
    project = parse_project(f'[project]\nname = "shop"\n[defaults]\n{defaults}'.encode(), tmp_path)
    assert (project.name, project.env, project.mode) == ("shop", "prod", Mode.DOCKER)
    assert project.templates == (tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert project.warnings == ()


def test_only_a_name_is_needed(tree, tmp_path):
    tree({"template.yml": ""})
    project = parse_project(b'[project]\nname = "shop"\n', tmp_path)
    assert (project.env, project.mode) == ("dev", Mode.PROCESS)
    assert project.templates == (tmp_path / "template.yml",)
    tree({"template.yaml": ""})
    assert parse_project(b'[project]\nname = "shop"\n', tmp_path).templates == (tmp_path / "template.yaml",)


def test_without_a_template_there_is_none(tmp_path):
    assert parse_project(b'[project]\nname = "shop"\n', tmp_path).templates == ()


def test_unknown_keys_are_named(tmp_path):
    text = b'colour = "red"\n[project]\nname = "shop"\nowner = "me"\n[default]\nenv = "dev"\n'
    assert parse_project(text, tmp_path).warnings == (
        "esb.toml: colour: unknown, has no effect",
        "esb.toml: project.owner: unknown, has no effect",
        "esb.toml: default.env: unknown, has no effect",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "project.name: expected a name, it is missing"),
        (b"project = 3", "project.name: expected a name, it is missing"),
        (b'[project]\nname = "a b"', "project.name: expected letters, digits, '.', '_' and '-', found 'a b'"),
        (b"[project]\nname = 3.5", "project.name: expected a name, found 3.5"),
        (b'[project]\nname = "x"\n[defaults]\nenv = ""', "defaults.env: expected letters"),
        (
            b'[project]\nname = "x"\n[defaults]\nmode = "lambda"',
            "expected one of docker, containerd, process",
        ),
        (
            b'[project]\nname = "x"\n[defaults]\ntemplate = [1]',
            "defaults.template: expected a path or a list of paths",
        ),
        (b"[project\n", "expected TOML"),
        (b"\xff", "expected TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(tmp_path, text, said):
    with pytest.raises(UsageError) as caught:
        parse_project(text, tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'esb.toml'}: ")
    assert said in str(caught.value)


def test_everything_wrong_comes_together(tmp_path):
    with pytest.raises(UsageError) as caught:
        parse_project(b'[defaults]\nmode = "x"\nenv = "a b"\n', tmp_path)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a\n", "ä"])
def test_a_name_has_to_fit_into_image_references(name):
    with pytest.raises(ValueError, match="expected letters"):
        parse_name(name)
