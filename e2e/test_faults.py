"""A minute of the fault run: nothing lost, every accepted event delivered, nothing left behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.gate


def test_a_minute_of_faults_loses_nothing(
    root: Path, tmp_path: Path, run: Callable[..., CompletedProcess[str]]
) -> None:
    figures = tmp_path / "figures.json"
    script = root / "benchmarks" / "fault_run.py"
    done = run(sys.executable, script, "--minutes", 1, "--json", figures, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(figures.read_text())
    assert document["ok"]
    assert document["calls"]["invoke"]["sent"] > 1000
    assert document["events"]["accepted"] == document["events"]["delivered"] > 400
    assert document["faults"] > 8
