import pytest
from artifact_contract.versions import Verdict, check_api_version


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("1.0", Verdict.SUPPORTED),
        ("1", Verdict.SUPPORTED),
        ("1.1", Verdict.OTHER_MINOR),
        ("1.10", Verdict.OTHER_MINOR),
        ("2.0", Verdict.OTHER_MAJOR),
        ("2", Verdict.OTHER_MAJOR),
        ("0.9", Verdict.OTHER_MAJOR),
        ("9" * 5000, Verdict.OTHER_MAJOR),
        *[
            (text, Verdict.MALFORMED)
            for text in ["", "v1", "1.", ".1", "1.0.0", "01.0", "1.00", "-1", "1 ", "١.٠", "1.0\n"]
        ],
    ],
)
def test_a_version_is_supported_other_or_malformed(text: str, verdict: Verdict) -> None:
    assert check_api_version(text, "1.0") is verdict


def test_a_bare_major_means_minor_0() -> None:
    assert check_api_version("1", "1.2") is Verdict.OTHER_MINOR
    assert check_api_version("1.0", "1") is Verdict.SUPPORTED
