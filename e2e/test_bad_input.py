"""Every wrong input gets its message and exit code, changes nothing applied, and stands in the docs."""

from __future__ import annotations

from pathlib import Path

import bad_input
import pytest


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bad-input") / "base"
    bad_input.make_base(place)
    return place


def test_there_are_at_least_forty_wrong_inputs_and_no_two_are_the_same() -> None:
    told = [(case.group, case.what) for case in bad_input.CASES]
    assert len(told) == len(set(told)) >= 40


@pytest.mark.parametrize("case", bad_input.CASES, ids=lambda case: f"{case.group}: {case.what}")
def test_wrong_input_gets_a_message_and_the_promised_exit_code(
    case: bad_input.Case, base: Path, tmp_path: Path, root: Path
) -> None:
    outcome = bad_input.run_case(case, base, tmp_path / "here")
    shown = bad_input.message(outcome)
    assert outcome.code == case.code, shown
    assert shown
    assert "Traceback" not in shown
    # the result of preparing images names each image, the failed ones too; nothing else has a result
    assert outcome.stdout == "" or (case.group == "Images" and " failed" in outcome.stdout)
    assert "s3cr3t" not in shown
    assert bad_input.state(tmp_path / "here" / "config") == bad_input.state(base / "config")
    leftovers = [path for name in (".tmp-*", ".write-*", ".esb-tmp-*") for path in tmp_path.rglob(name)]
    assert leftovers == []
    documented = (root / "docs" / "bad-input.md").read_text()
    row = bad_input.page([(case, outcome)]).splitlines()[-1]
    assert row in documented.splitlines(), "the message changed: run `make docs` and read the difference"
