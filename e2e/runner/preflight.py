"""Why a deferred profile can't run on this host, as `esb-node doctor` sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_SECONDS = 60
_DOCTOR = Path(sys.prefix) / "bin" / "esb-node"


def host_lacks(mode: str, command: Path = _DOCTOR) -> list[str]:
    """What the mode needs and the host doesn't have, each with its remedy; nothing when all is there."""
    words = (command, "doctor", "--mode", mode, "--output", "json")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
        checks = json.loads(done.stdout)["checks"]
        return [
            f"{one['name']}: {one['found']}; {one['remedy']}"
            for one in checks
            if one["needed"] and not one["passed"]
        ]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        return [f"esb-node doctor --mode {mode} says nothing that can be read: {error!r}"]
