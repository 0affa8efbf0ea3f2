# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""The end-to-end gate: `uv run e2e/run_tests.py [--profile NAME]…`; what it does is in docs/e2e.md.

The script block above keeps `uv run` from resolving the workspace: the environment is the checkout's own
.venv, which is brought up to date (no work when it is) and taken here.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run in .venv."""
    home = ROOT / ".venv"
    if Path(sys.prefix) != home:
        done = subprocess.run([str(ROOT / "scripts" / "bootstrap.sh")], check=False)
        if done.returncode:
            return done.returncode
        python = str(home / "bin" / "python")
        environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        os.execve(python, [python, *sys.argv], environ)
    sys.path.append(str(ROOT / "benchmarks"))  # what a box leaves is looked for there too
    from runner.cli import run  # noqa: PLC0415  # needs what only .venv has

    return run(sys.argv[1:], ROOT)


if __name__ == "__main__":
    sys.exit(main())
