"""The order of the checks: a stage with an error is the last one that runs."""

import pytest
from artifact_contract.errors import (
    ArtifactError,
    DigestError,
    PathError,
    SchemaError,
    SecretError,
    VersionError,
)
from artifact_contract.models import RuntimeHooks, RuntimeMeta
from artifactctl.block_yaml import block_reader
from artifactctl.checks import Secrets, check_artifact

OTHER_MAJOR = RuntimeMeta(RuntimeHooks(api_version="2.0"))
WRONG = {"functions.yml": "functions: []\n"}


def check(builder, tmp_path, *, strict=False, manifest_text=None):
    path = builder.write()
    if manifest_text:
        path.write_text(manifest_text)
    return check_artifact(
        path, tmp_path / "config", strict=strict, secrets=Secrets(None), reader=block_reader()
    )


def everything_wrong(build):
    return build().entry(
        files={**WRONG, "routing.yml": None},
        runtime_meta=OTHER_MAJOR,
        required_secret_env=["A"],
        content_digest="0" * 64,
    )


def test_the_manifest_comes_first(build, tmp_path):
    with pytest.raises(SchemaError, match="mode"):
        check(everything_wrong(build), tmp_path, manifest_text="mode: x\n")


def test_then_paths(build, tmp_path):
    with pytest.raises(PathError, match=r"routing\.yml"):
        check(everything_wrong(build), tmp_path)


def test_then_versions_and_digests(build, tmp_path):
    builder = build().entry(files=WRONG, runtime_meta=OTHER_MAJOR, required_secret_env=["A"])
    with pytest.raises(VersionError, match=r"api_version: expected version 1.0, found '2.0'"):
        check(builder, tmp_path)


def test_then_secrets(build, tmp_path):
    with pytest.raises(SecretError, match="A"):
        check(build().entry(files=WRONG, required_secret_env=["A"]), tmp_path)


def test_then_the_runtime_config(build, tmp_path):
    with pytest.raises(SchemaError, match=r"functions.yml:1:12: functions: expected a mapping, found"):
        check(build().entry(files=WRONG), tmp_path)


def test_warnings_of_all_stages_come_along_and_are_errors_when_strict(build, tmp_path):
    builder = build().entry(
        functions=["api"], content_digest="0" * 64, files={"routing.yml": "routes:\n- function: x\n"}
    )
    fields = [warning.field for warning in check(builder, tmp_path).warnings]
    assert fields == ["artifacts[0].content_digest", "routes[0].path"]
    with pytest.raises(DigestError):
        check(builder, tmp_path, strict=True)


def test_a_rejection_brings_the_warnings_found_before_it(build, tmp_path):
    with pytest.raises(ArtifactError) as caught:
        check(build().entry(files=WRONG, content_digest="0" * 64), tmp_path)
    assert [warning.field for warning in caught.value.warnings] == ["artifacts[0].content_digest"]
