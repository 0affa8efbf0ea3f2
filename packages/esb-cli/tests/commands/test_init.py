"""`esb init`."""

import pytest
from click.testing import CliRunner
from esb_cli.cli import esb


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(esb, args, prog_name="esb")


def test_a_new_project_generates_at_once(run, tmp_path):
    result = run("init", "My Shop!")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        f"My Shop!/{name}" for name in ("esb.toml", "template.yaml", "hello/app.py", ".gitignore")
    ]
    assert 'name = "My-Shop-"' in (tmp_path / "My Shop!/esb.toml").read_text()


def test_what_it_writes_is_a_valid_project(run, tmp_path, monkeypatch):
    run("init")
    result = run("artifact", "generate", "--strict")
    assert (result.exit_code, result.stdout) == (0, "artifact/artifact.yml\n"), result.stderr
    assert "warning" not in result.stderr


def test_where_there_is_a_template_only_the_project_file_is_added(run, tree, tmp_path):
    tree({"template.yml": "mine", ".gitignore": "mine"})
    assert run("init", "--name", "shop").stdout == "esb.toml\n"
    assert (tmp_path / "template.yml").read_text() == "mine"


@pytest.mark.parametrize("existing", ["esb.toml", "hello/app.py"])
def test_nothing_that_exists_is_overwritten(run, tree, tmp_path, existing):
    tree({existing: "mine"})
    before = sorted(tmp_path.rglob("*"))
    result = run("init")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {existing}: exists already, nothing was written\n"
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / existing).read_text() == "mine"


def test_a_name_that_does_not_fit_is_refused(run, tmp_path):
    result = run("init", "--name", "a b")
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert "--name: expected letters" in result.stderr
