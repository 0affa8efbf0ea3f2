"""How long the short commands take, as whole processes: validate-id of one entry, and esb --help."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from artifact_contract.ids import entry_id

RUNS = 10


def main() -> None:
    """Print best and median seconds of each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifactctl", type=Path, required=True, help="an installed artifactctl")
    parser.add_argument("--esb", type=Path, required=True, help="an installed esb")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        manifest = write_manifest(Path(place))
        print(f"{'command':<28}{'best s':>8}{'median s':>10}   ({RUNS} runs)")
        report("artifactctl validate-id", [options.artifactctl, "validate-id", "--artifact", manifest])
        report("artifactctl --help", [options.artifactctl, "--help"])
        report("esb --help", [options.esb, "--help"])


def write_manifest(place: Path) -> Path:
    """Write a manifest with one entry; validate-id reads nothing else."""
    path = place / "artifact.yml"
    path.write_text(
        'schema_version: "1"\nproject: bench\nenv: dev\nmode: process\nartifacts:\n'
        f"  - id: {entry_id('template.yaml', {}, '')}\n"
        "    artifact_root: template\n    runtime_config_dir: runtime-config\n"
        "    source_template: {path: template.yaml}\n"
    )
    return path


def report(name: str, command: list[str | Path]) -> None:
    """Run a command RUNS times and print its line."""
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - started)
    seconds.sort()
    print(f"{name:<28}{seconds[0]:>8.3f}{seconds[len(seconds) // 2]:>10.3f}")


if __name__ == "__main__":
    main()
