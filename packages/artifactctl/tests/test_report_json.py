"""The JSON shapes that `docs/artifact-operations.md` documents: each key and its sort."""

import json
from pathlib import Path

import pytest
from artifactctl import cli
from click.testing import CliRunner

DOCS = Path(__file__).parents[3] / "docs" / "artifact-operations.md"
PROBLEM = {"file": str, "line": int, "column": int, "field": str, "expected": str, "found": str, "hint": str}
SLOTS = {"functions": [str]}
ENTRY = {"id": str, "ref": str, "added": SLOTS, "replaced": dict, "removed": dict, "kept": dict}
ENTRY["differing"] = dict
CHANGES = {
    **{"config_dir": str, "project": str, "env": str, "changed": bool, "generation": int},
    **{
        "previous_generation": type(None),
        "adopted_generation": type(None),
        "relinked": [str],
        "entries": [ENTRY],
    },
    "warnings": [{**PROBLEM, "severity": str}],
}
GENERATION = {
    **{"number": int, "applied_at": str, "project": str, "env": str, "adopted": bool, "tool": str},
    "entries": [{"id": str, "ref": str}],
}
SHAPES = {
    "plan": CHANGES,
    "apply": {**CHANGES, "removed_generations": list},
    "history": {"config_dir": str, "current": int, "generations": [GENERATION], "warnings": list},
    "status": {
        "config_dir": str,
        "current": GENERATION,
        "generations": [int],
        "drift": [{"file": str, "fact": str}],
    },
    "rollback": {
        **{"config_dir": str, "changed": bool, "generation": int, "previous_generation": int},
        **{"set_aside": [str], "warnings": list},
    },
    "validate-id": {"artifact": str, "entries": [{"id": str, "ref": str}], "warnings": list},
}


def check(value, shape, where="result"):
    if isinstance(shape, dict):
        assert set(value) == set(shape), where
        for key, inner in shape.items():
            check(value[key], inner, f"{where}.{key}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for item in value:
            check(item, shape[0], where)
    else:
        assert isinstance(value, shape), where


@pytest.fixture
def answers(box, build):
    """What each command says, in an order in which all of it has something to say."""
    one = build().entry(functions=["a"], files={"routing.yml": "routes:\n- function: a\n"}).write()

    def run(command, *arguments):
        where = ["--out", str(box.dir)] if command != "validate-id" else []
        done = CliRunner().invoke(cli.cli, [command, *where, *map(str, arguments), "--output", "json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    found = {"validate-id": run("validate-id", "--artifact", one), "plan": run("plan", "--artifact", one)}
    found["apply"] = run("apply", "--artifact", one)
    box.apply(build().entry(functions=["a", "b"]))
    (box.dir / "functions.yml").unlink()
    (box.dir / "functions.yml").write_text("functions: {}\n")
    return {
        **found,
        "history": run("history"),
        "status": run("status"),
        "rollback": run("rollback"),
    }


@pytest.mark.parametrize("command", SHAPES)
def test_the_shape_is_the_documented_one(answers, command):
    check(answers[command], SHAPES[command])
    assert answers["status"]["drift"]
    assert answers["rollback"]["set_aside"]


def keys(shape):
    if isinstance(shape, dict):
        for key, inner in shape.items():
            yield key
            yield from keys(inner)
    elif isinstance(shape, list):
        yield from keys(shape[0])


@pytest.mark.skipif(not DOCS.exists(), reason="a member by itself has no shared documentation")
@pytest.mark.parametrize("command", SHAPES)
def test_every_key_is_in_the_operators_guide(command):
    guide = DOCS.read_text()
    for key in keys(SHAPES[command]):
        assert f'"{key}"' in guide, key
