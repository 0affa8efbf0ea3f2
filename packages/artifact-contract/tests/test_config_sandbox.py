"""What a function's workers are shut in."""

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.config_sandbox import SANDBOXES, is_misspelt
from artifact_contract.errors import SchemaError
from artifact_contract.runtime_config import structure_functions

EXPECTED = "runc, gvisor or firecracker"


def functions_of(body: str):  # type: ignore[no-untyped-def]
    text = f"functions: {{f: {{image: x{body}}}}}\n"
    return structure_functions(read_yaml(text.encode(), "f"), "f").value.functions


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_function_may_name_its_sandbox(sandbox: str) -> None:
    assert functions_of(f", sandbox: {sandbox}")["f"].sandbox == sandbox


def test_a_function_that_says_nothing_leaves_the_choice_to_the_agent() -> None:
    assert functions_of("")["f"].sandbox == ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("sandbox: none", f"f:1:36: functions.f.sandbox: expected {EXPECTED}, found 'none'"),
        ("sandbox: gVisor", f"functions.f.sandbox: expected {EXPECTED}, found 'gVisor'"),
        ("sandbox: ''", f"functions.f.sandbox: expected {EXPECTED}, or no such line, found nothing"),
        ("sandbox: ", f"functions.f.sandbox: expected {EXPECTED}, or no such line, found nothing"),
        ("sandbox: {gvisor: true}", "functions.f.sandbox: expected a text, found a mapping"),
        (
            "Sandbox: gvisor",
            "functions.f.Sandbox: expected sandbox, found an unknown key (write it sandbox)",
        ),
    ],
)
def test_a_wrong_misspelt_or_unfinished_sandbox_is_an_error(body: str, told: str) -> None:
    with pytest.raises(SchemaError) as caught:
        functions_of(f", {body}")
    assert told in str(caught.value)


def test_a_sandbox_for_all_functions_is_refused_with_where_it_is_said() -> None:
    text = b"defaults: {sandbox: gvisor}\nfunctions: {f: {image: x}}\n"
    with pytest.raises(SchemaError) as caught:
        structure_functions(read_yaml(text, "f"), "f")
    assert str(caught.value).startswith("f:1:21: defaults.sandbox: expected sandbox at a function")
    assert "CONTAINERD_RUNTIME" in str(caught.value)


def test_a_key_in_other_case_or_parted_is_a_misspelt_one_and_another_word_is_not() -> None:
    assert [key for key in ("SANDBOX", "sand-box", "sand_box") if is_misspelt(key, "sandbox")] == [
        "SANDBOX",
        "sand-box",
        "sand_box",
    ]
    assert not [key for key in ("sandbox", "sandboxing", "box", "") if is_misspelt(key, "sandbox")]
