"""`validate_id`."""

import pytest
from artifact_contract.errors import ArtifactError, IdError
from artifactctl.entry_ids import ValidateIdRequest, validate_id


def test_the_ids_come_in_list_order(build):
    path = build().entry("b.yaml").entry("sub/a.yaml").write()
    result = validate_id(ValidateIdRequest(artifact=path))
    assert [(entry.id.rpartition("-")[0], entry.ref) for entry in result.entries] == [
        ("b", "b.yaml"),
        ("a", "sub/a.yaml"),
    ]


def test_a_wrong_id_shows_both(build):
    path = build().entry("a.yaml").write()
    path.write_text(path.read_text().replace("path: a.yaml", "path: b.yaml"))
    with pytest.raises(
        IdError, match=r"artifact.yml:6:9: artifacts\[0\].id: expected b-[0-9a-f]{8}, found a-[0-9a-f]{8}"
    ):
        validate_id(ValidateIdRequest(artifact=path))


def test_no_other_file_is_looked_at(build):
    builder = build().entry("a.yaml")
    path = builder.write()
    (builder.root / "a.yaml" / "runtime-config" / "functions.yml").unlink()
    assert validate_id(ValidateIdRequest(artifact=path)).warnings == ()


def test_strict_makes_errors_of_warnings(build):
    path = build().entry("a.yaml").write()
    path.write_text(path.read_text() + "colour: red\n")
    assert "colour" in str(validate_id(ValidateIdRequest(artifact=path)).warnings[0])
    with pytest.raises(ArtifactError, match="colour"):
        validate_id(ValidateIdRequest(artifact=path, strict=True))
