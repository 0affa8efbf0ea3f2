"""Write the pages of docs/ that are made from what the tools really do."""

from __future__ import annotations

import tempfile
from pathlib import Path

import bad_input

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Run every wrong input and write docs/bad-input.md."""
    with tempfile.TemporaryDirectory(prefix="esb-docs-") as place:
        base = Path(place) / "base"
        bad_input.make_base(base)
        results = [
            (case, bad_input.run_case(case, base, Path(place) / f"case-{number}"))
            for number, case in enumerate(bad_input.CASES)
        ]
    (ROOT / "docs" / "bad-input.md").write_text(bad_input.page(results))


if __name__ == "__main__":
    main()
