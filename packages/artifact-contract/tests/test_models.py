import pytest
from artifact_contract.errors import FieldError, Kind
from artifact_contract.ids import EntryId
from artifact_contract.models import Entry, Manifest, MergePolicy, Mode, SourceTemplate

TEMPLATE = SourceTemplate("svc/template.yaml", parameters={"Stage": "dev"})


def entry(**changes: object) -> Entry:
    fields: dict[str, object] = {
        "id": TEMPLATE.entry_id,
        "artifact_root": "out",
        "runtime_config_dir": "config",
    }
    return Entry(**{**fields, "source_template": TEMPLATE, **changes})  # type: ignore[arg-type]


def manifest(**changes: object) -> Manifest:
    fields: dict[str, object] = {"schema_version": "1", "project": "p", "env": "e", "mode": "docker"}
    return Manifest(**{**fields, "artifacts": [entry()], **changes})  # type: ignore[arg-type]


def test_texts_become_the_types_that_carry_their_rule() -> None:
    made = manifest(merge_policy="last_write_wins_v1", artifacts=[entry(runtime_config_dir="./a//b")])
    assert made.mode is Mode.DOCKER
    assert made.merge_policy is MergePolicy.LAST_WRITE_WINS_V1
    assert made.artifacts[0].runtime_config_dir == "a/b"
    assert made.artifacts[0].source_template.ref == "svc/template.yaml"


@pytest.mark.parametrize(
    "changes",
    [
        *[
            {"project": " "},
            {"env": ""},
            {"mode": "kubernetes"},
            {"schema_version": "2"},
            {"merge_policy": "first"},
        ],
        {"artifacts": []},
    ],
)
def test_no_manifest_is_invalid(changes: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        manifest(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        *[
            {"runtime_config_dir": "../x"},
            {"bundle_manifest": "/x"},
            {"image_prewarm": "some"},
            {"artifact_root": ""},
        ],
        *[{"required_secret_env": ["A B"]}, {"id": "template"}],
    ],
)
def test_no_entry_is_invalid(changes: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        entry(**changes)


def test_an_unknown_mode_lists_the_known_ones() -> None:
    with pytest.raises(FieldError, match="expected docker, containerd or process, found 'podman'"):
        manifest(mode="podman")


def test_an_entry_has_the_id_of_its_template() -> None:
    with pytest.raises(FieldError) as caught:
        entry(id=EntryId("template-00000000"))
    assert caught.value.kind is Kind.ID
    assert (caught.value.expected, caught.value.found) == (TEMPLATE.entry_id, "template-00000000")


def test_ids_are_unique() -> None:
    with pytest.raises(FieldError, match=r"artifacts\[0\] has too"):
        manifest(artifacts=[entry(), entry(artifact_root="other")])


def test_parameters_cant_be_changed_afterwards() -> None:
    parameters = {"A": "1"}
    template = SourceTemplate("t.yaml", parameters=parameters)
    parameters["A"] = "2"
    assert template.parameters["A"] == "1"
