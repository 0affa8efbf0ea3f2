"""The published JSON Schema says of the manifest's fields what the models say."""

import json
from importlib.resources import files
from typing import Any

import attrs
import jsonschema
import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.errors import ArtifactError
from artifact_contract.ids import entry_id
from artifact_contract.manifest import parse_manifest, schema_text
from artifact_contract.models import (
    Entry,
    Generator,
    ImagePrewarm,
    Manifest,
    MergePolicy,
    Mode,
    RuntimeHooks,
    RuntimeMeta,
    SchemaVersion,
    SourceTemplate,
    TemplateRenderer,
)
from artifact_contract.nodes import Mapping, Node, Scalar, as_text, plain_python

SCHEMA: dict[str, Any] = json.loads(schema_text())
ENTRY = SCHEMA["$defs"]["entry"]
META = ENTRY["properties"]["runtime_meta"]["oneOf"][1]
OBJECTS = [
    (Manifest, SCHEMA),
    (Entry, ENTRY),
    (SourceTemplate, ENTRY["properties"]["source_template"]),
    (Generator, SCHEMA["properties"]["generator"]["oneOf"][1]),
    (RuntimeMeta, META),
    (RuntimeHooks, META["properties"]["runtime_hooks"]["oneOf"][1]),
    (TemplateRenderer, META["properties"]["template_renderer"]["oneOf"][1]),
]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert files("artifact_contract").joinpath("schemas/artifact.schema.json").is_file()


@pytest.mark.parametrize(("model", "schema"), OBJECTS, ids=lambda value: getattr(value, "__name__", ""))
def test_it_has_the_fields_of_the_model_and_requires_the_same(model: Any, schema: dict[str, Any]) -> None:
    fields = attrs.fields(model)
    assert set(schema["properties"]) == {each.name for each in fields}
    assert set(schema.get("required", [])) == {each.name for each in fields if each.default is attrs.NOTHING}


@pytest.mark.parametrize(
    ("choices", "schema"),
    [
        (Mode, SCHEMA["properties"]["mode"]),
        (SchemaVersion, SCHEMA["properties"]["schema_version"]),
        (MergePolicy, SCHEMA["properties"]["merge_policy"]),
        (ImagePrewarm, ENTRY["properties"]["image_prewarm"]),
    ],
)
def test_it_has_the_choices_of_the_model(choices: Any, schema: dict[str, Any]) -> None:
    texts = {value for value in schema["enum"] if isinstance(value, str) and value}
    assert texts == {choice.value for choice in choices}


def as_an_editor_sees_it(text: str) -> object:
    return plain_python(read_yaml(text.encode(), "f"))


def as_the_contract_reads_it(node: Node) -> object:
    if isinstance(node, Scalar):
        return as_text(node)
    if isinstance(node, Mapping):
        return {key: as_the_contract_reads_it(value) for key, value in node.items.items()}
    return [as_the_contract_reads_it(item) for item in node.items]


def manifest(*, top: str = "", entry: str = "", template: str = "path: t.yaml", **changes: str) -> str:
    fields = {"schema_version": "1", "project": "demo", "env": "dev", "mode": "docker", **changes}
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    identity = entry_id("t.yaml", {}, "")
    return (
        f"{head}{top}artifacts:\n  - id: {identity}\n    artifact_root: out\n    runtime_config_dir: config\n"
        f"    source_template: {{{template}}}\n{entry}"
    )


VALID = [
    manifest(),
    manifest(schema_version='"1"', project="1", env="yes", mode='"process"'),
    manifest(top="generator: ~\nmerge_policy: last_write_wins_v1\ngenerated_at: 1\nunknown: [1]\n"),
    manifest(entry="    image_prewarm: off\n    bundle_manifest: ~\n    required_secret_env: [A, b_1]\n"),
    manifest(entry="    runtime_meta: {runtime_hooks: {api_version: 1.0}, template_renderer: {}}\n"),
    manifest(template="path: t.yaml, parameters: ~, sha256: ''"),
]
INVALID = [
    *[manifest(schema_version="2"), manifest(project="' '"), manifest(mode="podman"), manifest(env="~")],
    *[
        manifest(top="merge_policy: x\n"),
        manifest(top="generator: x\n"),
        manifest(top="generator: {name: [a]}\n"),
    ],
    *[
        manifest(entry=f"    bundle_manifest: {path}\n")
        for path in ["/a", "..", "../a", ".", "./", "C:/x", "'a\\b'"]
    ],
    *[
        manifest(entry=f"    {line}\n")
        for line in ["image_prewarm: x", "required_secret_env: [a b]", "runtime_meta: x"]
    ],
    *[
        manifest(template="sha256: x"),
        manifest(template="path: ~"),
        manifest(template="path: a, parameters: {A: [1]}"),
    ],
    "schema_version: 1\nproject: a\nenv: b\nmode: docker\nartifacts: []\n",
    "schema_version: 1\nproject: a\nenv: b\nmode: docker\nartifacts: [{id: x}]\n",
]


@pytest.mark.parametrize("text", VALID)
def test_what_the_reader_accepts_the_schema_accepts(text: str) -> None:
    parse_manifest(text.encode())
    jsonschema.validate(as_an_editor_sees_it(text), SCHEMA)
    jsonschema.validate(as_the_contract_reads_it(read_yaml(text.encode(), "f")), SCHEMA)


@pytest.mark.parametrize("text", INVALID)
def test_what_the_schema_refuses_the_reader_refuses(text: str) -> None:
    with pytest.raises(ArtifactError):
        parse_manifest(text.encode())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(as_an_editor_sees_it(text), SCHEMA)
