"""How long merging takes, as a whole process: entries × functions, into nothing and onto the result.

python benchmarks/bench_merge.py [--artifactctl PATH] [--sizes 20 100 200] [--functions 50]

Fresh: CONFIG_DIR isn't there. Changed: one function of each entry is another one. Unchanged: the same again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from artifact_contract.manifest import dump_manifest
from artifact_contract.models import Entry, Manifest, SourceTemplate

RUNS = 3
# A function as esb renders it takes some 280 bytes.
FUNCTION = """\
  {name}:
    image: registry:5010/shop-dev-{name}:{tag}
    timeout: 30
    memory_size: 256
    environment:
      TABLE_NAME: {entry}-table
      LOG_LEVEL: "info"
    scaling:
      min_capacity: 0
      max_capacity: 4
    runtime: python3.12
    handler: app.handler
"""
ROUTE = "  - path: /{entry}/{number}\n    method: GET\n    function: {name}\n"


def main() -> None:
    """Print a line for each size: the best of three seconds for each situation, and how much YAML it was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifactctl", type=Path, default=Path(sys.executable).with_name("artifactctl"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100, 200])
    parser.add_argument("--functions", type=int, default=50)
    options = parser.parse_args()
    print("merge, entries × functions  |  MB  | fresh s | changed s | unchanged s")
    for entries in options.sizes:
        with tempfile.TemporaryDirectory(prefix="esb-bench-") as place:
            size, seconds = measure(Path(place), options.artifactctl, entries, options.functions)
        name = f"{entries} × {options.functions}"
        columns = " | ".join(f"{value:{width}.2f}" for value, width in zip(seconds, (7, 9, 11), strict=True))
        print(f"{name:>27} | {size / 1e6:4.1f} | {columns}", flush=True)


def measure(place: Path, artifactctl: Path, entries: int, functions: int) -> tuple[int, list[float]]:
    """How many bytes of YAML there are, and the seconds of the three situations."""
    config = place / "config"
    artifacts = [place / "one", place / "other"]
    size = write_artifact(artifacts[0], entries, functions, "3fa9c1d20b7e")
    write_artifact(artifacts[1], entries, functions, "77e0aa51c3f4")

    def merge(artifact: Path) -> float:
        manifest = artifact / "artifact.yml"
        command: list[str | Path] = [artifactctl, "merge", "--artifact", manifest, "--out", config]
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    fresh = best(lambda _: merge(artifacts[0]), before=lambda: shutil.rmtree(config, ignore_errors=True))
    changed = best(lambda run: merge(artifacts[(run + 1) % 2]))
    unchanged = best(lambda _: merge(artifacts[RUNS % 2]))
    return size, [fresh, changed, unchanged]


def best(run: Callable[[int], float], before: Callable[[], None] = lambda: None) -> float:
    """The shortest of some runs."""
    seconds = []
    for number in range(RUNS):
        before()
        seconds.append(run(number))
    return min(seconds)


def write_artifact(root: Path, entries: int, functions: int, tag: str) -> int:
    """Write an artifact whose first function of each entry has this tag; returns the bytes of its configs."""
    size, made = 0, []
    for index in range(entries):
        name = f"orders-{index:03d}"
        source = SourceTemplate(f"svc/{name}.yaml")
        made.append(
            Entry(
                id=source.entry_id,
                artifact_root=name,
                runtime_config_dir="runtime-config",
                source_template=source,
            )
        )
        size += write_config(root / name / "runtime-config", name, functions, tag)
    manifest = Manifest(schema_version="1", project="shop", env="dev", mode="process", artifacts=made)
    (root / "artifact.yml").write_text(dump_manifest(manifest))
    return size


def write_config(directory: Path, entry: str, functions: int, tag: str) -> int:
    """Write one entry's runtime config; returns its bytes."""
    directory.mkdir(parents=True)
    names = [f"{entry}-function-{number:03d}" for number in range(functions)]
    texts = {
        "functions.yml": "functions:\n"
        + "".join(
            FUNCTION.format(name=name, entry=entry, tag=tag if number == 0 else f"{number:012x}")
            for number, name in enumerate(names)
        ),
        "routing.yml": "routes:\n"
        + "".join(ROUTE.format(entry=entry, number=number, name=name) for number, name in enumerate(names)),
        "resources.yml": f"resources:\n  dynamodb:\n    - TableName: {entry}-table\n",
    }
    for file, text in texts.items():
        (directory / file).write_text(text)
    return sum(map(len, texts.values()))


if __name__ == "__main__":
    main()
