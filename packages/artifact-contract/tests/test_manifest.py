from pathlib import Path

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.errors import ArtifactError, IdError, SchemaError, Severity, VersionError
from artifact_contract.ids import entry_id
from artifact_contract.manifest import dump_manifest, load_manifest, parse_manifest
from artifact_contract.models import (
    Entry,
    Generator,
    ImagePrewarm,
    Manifest,
    RuntimeHooks,
    RuntimeMeta,
    SourceTemplate,
    TemplateRenderer,
)
from artifact_contract.nodes import Node
from hypothesis import given
from hypothesis import strategies as st

MINIMAL = """\
schema_version: 1
project: demo
env: dev
mode: docker
artifacts:
  - id: template-a1b0d3a5
    artifact_root: out
    runtime_config_dir: runtime-config
    source_template:
      path: template.yaml
"""
MINIMAL = MINIMAL.replace("template-a1b0d3a5", entry_id("template.yaml", {}, ""))


def rejected(text: str) -> list[str]:
    with pytest.raises(ArtifactError) as caught:
        parse_manifest(text.encode())
    return [str(problem) for problem in caught.value.problems]


def test_the_least_manifest_there_is() -> None:
    parsed = parse_manifest(MINIMAL.encode())
    assert parsed.warnings == ()
    assert parsed.value.artifacts[0].source_template.path == "template.yaml"
    assert parsed.value.artifacts[0].image_prewarm is None


@pytest.mark.parametrize(
    "line",
    [
        "A: 1",
        "A: 1.0",
        "A: 010",
        "A: yes",
        "A: 0x10",
        "A: '1'",
        "A: 0o14",
        "A: 1e3",
        "A: 2026-01-31",
        "A: 1_000",
        "A: =",
        "A: Off",
    ],
)
def test_a_parameter_is_the_text_that_stands_in_the_file(line: str) -> None:
    text = line.partition(": ")[2].strip("'")
    body = MINIMAL + f"      parameters:\n        {line}\n"
    body = body.replace(entry_id("template.yaml", {}, ""), entry_id("template.yaml", {"A": text}, ""))
    assert parse_manifest(body.encode()).value.artifacts[0].source_template.parameters == {"A": text}


@pytest.mark.parametrize("null", ["~", "null", "", "Null", '""'])
def test_a_null_is_the_empty_text_and_means_not_given(null: str) -> None:
    body = MINIMAL + f"      parameters:\n        A: {null}\n      sha256: {null}\n"
    body += "".join(
        f"    {name}: {null}\n" for name in ["bundle_manifest", "image_prewarm", "required_secret_env"]
    )
    body += f"    content_digest: {null}\n    runtime_meta: {null}\ngenerator: {null}\nmerge_policy: {null}\n"
    body = body.replace(entry_id("template.yaml", {}, ""), entry_id("template.yaml", {"A": ""}, ""))
    parsed = parse_manifest(body.encode())
    entry = parsed.value.artifacts[0]
    assert parsed.warnings == ()
    assert entry.source_template.parameters == {"A": ""}
    assert (entry.bundle_manifest, entry.image_prewarm, entry.required_secret_env) == (None, None, ())
    assert (entry.runtime_meta, parsed.value.generator, parsed.value.merge_policy) == (None, None, None)


def test_everything_wrong_is_said_in_one_run_from_top_to_bottom() -> None:
    text = """\
schema_version: 2
project:
mode: podman
surprise: 1
artifacts:
  - id: template-00000000
    artifact_root: [out]
    runtime_config_dir: ../cfg
    source_template: {path: template.yaml}
    image_prewarm: sometimes
    required_secret_env: [OK, "a b"]
  - id: nonsense
    runtime_config_dir: config
    source_template:
      sha256: 1
      parameters: {A: [1]}
  - just text
"""
    assert [line.removeprefix("artifact.yml:") for line in rejected(text)] == [
        "1:1: env: expected a text, found nothing",
        "1:17: schema_version: expected 1, found '2'",
        "2:1: project: expected a text, found nothing",
        "3:7: mode: expected docker, containerd or process, found 'podman'",
        f"6:9: artifacts[0].id: expected {entry_id('template.yaml', {}, '')}, found template-00000000 "
        "(the id is made from source_template: path, parameters and sha256)",
        "7:20: artifacts[0].artifact_root: expected a path, found a list",
        "8:25: artifacts[0].runtime_config_dir: expected a path inside the artifact root, found '../cfg'",
        "10:20: artifacts[0].image_prewarm: expected all or off, found 'sometimes'",
        "11:31: artifacts[0].required_secret_env[1]: expected a name of letters, digits and _, found 'a b'",
        "12:5: artifacts[1].artifact_root: expected a path, found nothing",
        "12:9: artifacts[1].id: expected <slug>-<8 hex digits>, like template-e2e-92eecc19, found 'nonsense'",
        "15:7: artifacts[1].source_template.path: expected a text, found nothing",
        "16:23: artifacts[1].source_template.parameters.A: expected a text, found a list",
        "17:5: artifacts[2]: expected a mapping, found 'just text'",
    ]


def test_warnings_found_on_the_way_to_an_error_are_kept() -> None:
    with pytest.raises(SchemaError) as caught:
        parse_manifest((MINIMAL + "surprise: 1\n").replace("docker", "podman").encode())
    assert [str(warning.place) for warning in caught.value.warnings] == ["artifact.yml:11:1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("artifacts: []\n", "artifacts: expected a list of entries, at least one of them, found none"),
        ("artifacts:\n", "artifacts: expected a list of entries, at least one of them, found nothing"),
        ("artifacts: {}\n", "artifacts: expected a list of entries, at least one of them, found a mapping"),
        ("artifacts: x\n", "artifacts: expected a list of entries, at least one of them, found 'x'"),
        ("a: 1\n", "artifacts: expected a list of entries, at least one of them, found nothing"),
        ("project: {a: 1}\n", "project: expected a text, found a mapping"),
        ("generator: 3\n", "generator: expected a mapping, found '3'"),
        ("generator: {name: [a]}\n", "generator.name: expected a text, found a list"),
        ("merge_policy: first\n", "merge_policy: expected last_write_wins_v1, found 'first'"),
    ],
)
def test_a_wrong_field_is_named(text: str, problem: str) -> None:
    assert any(problem in line for line in rejected(text))


def test_ids_that_are_used_twice_are_reported_once_with_the_first_use() -> None:
    entry = MINIMAL.partition("artifacts:\n")[2]
    with pytest.raises(IdError) as caught:
        parse_manifest((MINIMAL + entry).encode())
    [problem] = caught.value.problems
    assert (problem.field, problem.place.line) == ("artifacts[1].id", 11)
    assert problem.found == f"{entry_id('template.yaml', {}, '')}, which artifacts[0] has too"


def test_another_schema_version_is_a_version_error() -> None:
    with pytest.raises(VersionError):
        parse_manifest(MINIMAL.replace("schema_version: 1", "schema_version: 1.0").encode())


def test_unknown_keys_are_warnings_with_their_place_on_every_level() -> None:
    text = MINIMAL + (
        "      one: 1\n    two: 2\n    runtime_meta:\n      three: 3\n      runtime_hooks:\n        four: 4\n"
        "      template_renderer:\n        five: 5\ngenerator:\n  six: 6\nseven: 7\n"
    )
    warnings = parse_manifest(text.encode()).warnings
    assert {(warning.field.rpartition(".")[2], warning.place.line) for warning in warnings} == {
        *[("one", 11), ("two", 12), ("three", 14), ("four", 16), ("five", 18), ("six", 20), ("seven", 21)]
    }
    assert {warning.severity for warning in warnings} == {Severity.STRICT}


def test_parameters_may_have_any_name() -> None:
    text = MINIMAL + "      parameters: {id: a, 1: b, ü: c}\n"
    parameters = {"id": "a", "1": "b", "ü": "c"}
    text = text.replace(entry_id("template.yaml", {}, ""), entry_id("template.yaml", parameters, ""))
    assert parse_manifest(text.encode()).warnings == ()


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        *[
            ("2026-01-31T12:00:00Z", False),
            ("2026-01-31t12:00:00.25+09:00", False),
            ("2026-01-31 12:00:00z", False),
        ],
        *[
            ("2026-01-31", True),
            ("2026-01-31T12:00:00", True),
            ("yesterday", True),
            ("2026-13-01T00:00:00Z", True),
        ],
    ],
)
def test_a_time_that_isnt_rfc_3339_is_a_mere_warning(text: str, odd: bool) -> None:
    warnings = parse_manifest((MINIMAL + f"generated_at: {text}\n").encode()).warnings
    assert [warning.severity for warning in warnings] == [Severity.WARNING] * odd


def test_a_template_digest_that_isnt_one_is_a_strict_warning() -> None:
    text = (MINIMAL + "      sha256: abc\n").replace(
        entry_id("template.yaml", {}, ""), entry_id("template.yaml", {}, "abc")
    )
    [warning] = parse_manifest(text.encode()).warnings
    assert (warning.severity, warning.field) == (Severity.STRICT, "artifacts[0].source_template.sha256")


def test_a_reader_without_places_is_asked_first_and_the_other_when_there_is_something_to_say() -> None:
    def blind(data: bytes, file: str) -> Node:
        return without_places(read_yaml(data, file))

    assert parse_manifest(MINIMAL.encode(), reader=blind).value == parse_manifest(MINIMAL.encode()).value
    [warning] = parse_manifest((MINIMAL + "surprise: 1\n").encode(), reader=blind).warnings
    assert str(warning.place) == "artifact.yml:11:1"
    with pytest.raises(SchemaError, match=r"artifact\.yml:4:7: mode"):
        parse_manifest(MINIMAL.replace("docker", "podman").encode(), reader=blind)


def without_places(node: Node) -> Node:
    from artifact_contract.nodes import Mapping, Scalar, Sequence

    if isinstance(node, Scalar):
        return Scalar(node.text, node.plain)
    if isinstance(node, Mapping):
        return Mapping({key: without_places(value) for key, value in node.items.items()})
    return Sequence([without_places(item) for item in node.items])


def test_a_manifest_is_loaded_from_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "artifact.yml"
    path.write_text(MINIMAL.replace("root: out", "root: ../out"))
    loaded = load_manifest(path)
    assert loaded.root_of(loaded.manifest.artifacts[0]) == tmp_path / "a" / ".." / "out"
    assert str(loaded.place("artifacts", 0, "artifact_root")) == f"{path}:7:20"
    monkeypatch.chdir(tmp_path)
    relative = load_manifest(Path("a/artifact.yml"))
    assert relative.root_of(relative.manifest.artifacts[0]) == Path("a/../out")


def test_an_absolute_artifact_root_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "artifact.yml"
    path.write_text(MINIMAL.replace("root: out", "root: /srv/out"))
    loaded = load_manifest(path)
    assert loaded.root_of(loaded.manifest.artifacts[0]) == Path("/srv/out")


def test_a_missing_file_and_a_directory_are_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="expected a file, found nothing"):
        load_manifest(tmp_path / "artifact.yml")
    with pytest.raises(SchemaError, match="expected a file, found a directory"):
        load_manifest(tmp_path)
    (tmp_path / "f").write_text("")
    with pytest.raises(SchemaError, match="expected a file, found nothing"):
        load_manifest(tmp_path / "f" / "artifact.yml")


def test_a_manifest_of_50_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "artifact.yml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(SchemaError, match=r"expected at most 8 MiB, found 47\.7 MiB"):
        load_manifest(path)
    with pytest.raises(SchemaError, match="expected at most 8 MiB"):
        parse_manifest(b"#" * (9 << 20))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = TEXTS.filter(str.strip)
PATHS = st.sampled_from(["config", "a/b", "x.y", "ü", "yes", "1.0", "a b"])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    template = SourceTemplate(draw(NAMES), draw(TEXTS), draw(st.dictionaries(TEXTS, TEXTS, max_size=3)))
    hooks = draw(
        st.none()
        | st.builds(RuntimeHooks, TEXTS, TEXTS, TEXTS, TEXTS).filter(lambda each: each != RuntimeHooks())
    )
    renderer = draw(st.none() | st.builds(TemplateRenderer, NAMES, TEXTS, TEXTS))
    return Entry(
        id=template.entry_id,
        artifact_root=draw(PATHS),
        runtime_config_dir=draw(PATHS),
        source_template=template,
        bundle_manifest=draw(st.none() | PATHS),
        image_prewarm=draw(st.none() | st.sampled_from(ImagePrewarm)),
        required_secret_env=draw(st.lists(st.sampled_from(["A", "B_1", "_c"]), max_size=3)),
        runtime_meta=RuntimeMeta(hooks, renderer) if hooks or renderer else None,
        content_digest=draw(TEXTS),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    return Manifest(
        schema_version="1",
        project=draw(NAMES),
        env=draw(NAMES),
        mode=draw(st.sampled_from(["docker", "containerd", "process"])),
        generated_at=draw(TEXTS),
        generator=draw(st.none() | st.builds(Generator, NAMES, TEXTS)),
        merge_policy=draw(st.none() | st.just("last_write_wins_v1")),
        artifacts=draw(st.lists(entries(), min_size=1, max_size=3, unique_by=lambda entry: entry.id)),
    )


@given(manifests())
def test_reading_what_was_written_gives_the_same_manifest(manifest: Manifest) -> None:
    assert parse_manifest(dump_manifest(manifest).encode()).value == manifest


@given(manifests())
def test_writing_is_reproducible(manifest: Manifest) -> None:
    text = dump_manifest(manifest)
    assert dump_manifest(parse_manifest(text.encode()).value) == text
