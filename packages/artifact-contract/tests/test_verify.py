from pathlib import Path

import pytest
from artifact_contract.errors import Kind, Problem, Severity
from artifact_contract.models import RuntimeHooks, RuntimeMeta, TemplateRenderer
from artifact_contract.verify import (
    JAVA_AGENT,
    JAVA_WRAPPER,
    SITECUSTOMIZE,
    TEMPLATES,
    runtime_meta_digests,
    verify_content,
    verify_entry,
    verify_paths,
    verify_runtime_meta,
)
from attrs import evolve


def check(artifact, **changes: object) -> list[Problem]:  # type: ignore[no-untyped-def]
    loaded = artifact.load(**changes)
    return verify_entry(loaded, loaded.manifest.artifacts[0])


def facts(problems: list[Problem]) -> list[tuple[str, Severity, Kind]]:
    return [(problem.field, problem.severity, problem.kind) for problem in problems]


def test_a_valid_artifact_has_no_problem(artifact) -> None:  # type: ignore[no-untyped-def]
    assert check(artifact) == []


def test_it_is_as_valid_in_another_directory(artifact, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    artifact.load()
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    tmp_path.rename(moved)
    from artifact_contract.manifest import load_manifest

    loaded = load_manifest(moved / "artifact.yml")
    assert verify_entry(loaded, loaded.manifest.artifacts[0]) == []


def test_a_missing_artifact_root_is_an_error_and_all_that_is_said(artifact) -> None:  # type: ignore[no-untyped-def]
    problems = check(artifact, artifact_root="elsewhere")
    assert facts(problems) == [("artifacts[0].artifact_root", Severity.ERROR, Kind.PATH)]
    assert problems[0].place.line is not None


def test_a_file_as_artifact_root_is_an_error(artifact) -> None:  # type: ignore[no-untyped-def]
    [problem] = check(artifact, artifact_root="out/functions/hello/Dockerfile")
    assert "which is a file" in problem.found


def test_a_link_that_leaves_the_root_is_an_error(artifact) -> None:  # type: ignore[no-untyped-def]
    loaded = artifact.load()
    link = artifact.root / "functions/hello/src/leak.py"
    link.symlink_to("/etc/hostname")
    problems = verify_entry(loaded, loaded.manifest.artifacts[0])
    assert [(problem.place.file, problem.severity) for problem in problems] == [(str(link), Severity.ERROR)]


def test_a_runtime_config_dir_that_isnt_there_is_an_error(artifact) -> None:  # type: ignore[no-untyped-def]
    assert facts(check(artifact, runtime_config_dir="config")) == [
        ("artifacts[0].runtime_config_dir", Severity.ERROR, Kind.PATH)
    ]


@pytest.mark.parametrize("name", ["functions.yml", "routing.yml"])
def test_the_required_files_are_required(artifact, name: str) -> None:  # type: ignore[no-untyped-def]
    (artifact.root / "runtime-config" / name).unlink()
    [problem] = check(artifact)
    assert problem.place.file.endswith(f"runtime-config/{name}")
    assert problem.severity is Severity.ERROR


def test_a_missing_bundle_manifest_is_a_strict_warning(artifact) -> None:  # type: ignore[no-untyped-def]
    assert facts(check(artifact, bundle_manifest="bundle/manifest.json")) == [
        ("artifacts[0].bundle_manifest", Severity.STRICT, Kind.PATH)
    ]


def test_a_changed_file_breaks_the_content_digest(artifact) -> None:  # type: ignore[no-untyped-def]
    loaded = artifact.load()
    artifact.write("functions/hello/src/app.py", "changed")
    [entry] = loaded.manifest.artifacts
    assert verify_paths(loaded, entry) == []
    assert verify_runtime_meta(loaded, entry) == []
    [problem] = verify_content(loaded, entry)
    assert facts([problem]) == [("artifacts[0].content_digest", Severity.STRICT, Kind.DIGEST)]
    assert problem.expected == entry.content_digest


def test_upper_case_digests_are_the_same_digests(artifact) -> None:  # type: ignore[no-untyped-def]
    entry = artifact.entry()
    assert check(artifact, content_digest=entry.content_digest.upper()) == []


def meta(artifact, **changes: object) -> RuntimeMeta:  # type: ignore[no-untyped-def]
    found = artifact.entry().runtime_meta
    hooks = {
        key: value for key, value in changes.items() if key in {"java_agent_digest", "java_wrapper_digest"}
    }
    return RuntimeMeta(evolve(found.runtime_hooks, **hooks), found.template_renderer)


def test_the_four_digests_cover_what_the_layout_says(artifact) -> None:  # type: ignore[no-untyped-def]
    artifact.write(JAVA_AGENT, b"PK agent")
    artifact.write(JAVA_WRAPPER, b"PK wrapper")
    digests = runtime_meta_digests(artifact.root)
    renderer = TemplateRenderer("esb", "1.0", digests.template_digest or "")
    hooks = RuntimeHooks(
        "1.0",
        digests.python_sitecustomize_digest or "",
        digests.java_agent_digest or "",
        digests.java_wrapper_digest or "",
    )
    assert check(artifact, runtime_meta=RuntimeMeta(hooks, renderer)) == []
    for path in (SITECUSTOMIZE, JAVA_AGENT, JAVA_WRAPPER, f"{TEMPLATES}/python/templates/dockerfile.tmpl"):
        before = (artifact.root / path).read_bytes()
        artifact.write(path, b"changed")
        [problem] = check(artifact, runtime_meta=RuntimeMeta(hooks, renderer))
        assert (problem.severity, problem.kind) == (Severity.STRICT, Kind.DIGEST)
        artifact.write(path, before)


def test_what_isnt_declared_isnt_checked(artifact) -> None:  # type: ignore[no-untyped-def]
    artifact.write(SITECUSTOMIZE, "changed")
    assert check(artifact, runtime_meta=None) == []


def test_a_declared_file_that_is_missing_or_a_digest_that_is_none_is_a_strict_warning(artifact) -> None:  # type: ignore[no-untyped-def]
    missing = meta(artifact, java_agent_digest="0" * 64, java_wrapper_digest="nonsense")
    problems = check(artifact, runtime_meta=missing)
    assert facts(problems) == [
        ("artifacts[0].runtime_meta.runtime_hooks.java_agent_digest", Severity.STRICT, Kind.DIGEST),
        ("artifacts[0].runtime_meta.runtime_hooks.java_wrapper_digest", Severity.STRICT, Kind.DIGEST),
    ]
    assert "missing" in problems[0].found
    assert problems[1].expected == "64 hexadecimal digits"


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ("1.0", None),
        ("1", None),
        ("", None),
        ("1.1", Severity.STRICT),
        ("x", Severity.STRICT),
        ("2.0", Severity.ERROR),
    ],
)
def test_versions_are_judged_for_hooks_and_renderer(
    artifact, version: str, severity: Severity | None
) -> None:  # type: ignore[no-untyped-def]
    told = RuntimeMeta(RuntimeHooks(version), TemplateRenderer("esb", version))
    expected = [] if severity is None else [severity] * 2
    assert [problem.severity for problem in check(artifact, runtime_meta=told)] == expected


def test_another_renderer_is_a_mere_warning(artifact) -> None:  # type: ignore[no-untyped-def]
    [problem] = check(artifact, runtime_meta=RuntimeMeta(None, TemplateRenderer("other")))
    assert (problem.severity, problem.kind) == (Severity.WARNING, Kind.SCHEMA)


def test_an_artifact_without_any_runtime_base_has_no_digests(tmp_path: Path) -> None:
    digests = runtime_meta_digests(tmp_path)
    assert (digests.python_sitecustomize_digest, digests.template_digest) == (None, None)
