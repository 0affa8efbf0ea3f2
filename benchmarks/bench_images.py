"""How long prepare-images takes as a whole process: 50 small functions on one base, into an OCI layout.

python benchmarks/bench_images.py [--artifactctl PATH] [--functions 50]

Cold: nothing is there. Unchanged: everything is. One changed: one file of one function, and its tag.
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

from artifact_contract.ids import entry_id
from artifact_contract.manifest import dump_manifest
from artifact_contract.models import Entry, Manifest, RuntimeHooks, RuntimeMeta, SourceTemplate
from artifact_contract.tree import digest_tree
from artifact_contract.verify import runtime_meta_digests

RUNS = 3
BASE = "esb-lambda-base:python3.12-0123456789ab"
HOOKS = "runtime-base/runtime-hooks/python"
BASE_DOCKERFILE = """\
ARG PYTHON_VERSION=3.12
FROM public.ecr.aws/lambda/python:${PYTHON_VERSION}
COPY runtime-hooks/python/sitecustomize/site-packages/ /opt/esb/python/
COPY runtime-hooks/python/trace-bridge/layer/ /opt/esb/python/
ENV PYTHONPATH=/opt/esb/python
"""


def main() -> None:
    """Print the best of three seconds for each of the three situations."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifactctl", type=Path, default=Path(sys.executable).with_name("artifactctl"))
    parser.add_argument("--functions", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="esb-bench-") as place:
        artifact, layout = Path(place) / "artifact", Path(place) / "layout"
        for number in range(options.functions):
            write_function(artifact / "svc", number)
        write_base(artifact / "svc")
        write_config(artifact, options.functions, changed=0)
        command = [options.artifactctl, "prepare-images", "--artifact", artifact / "artifact.yml"]
        command += ["--target", f"oci-layout:{layout}", "--strict"]

        def change(run: int) -> None:
            write(
                artifact / "svc/functions/f0/src/app.py", f"def handler(event, context):\n    return {run}\n"
            )
            write_config(artifact, options.functions, changed=run + 1)

        count = options.functions
        print(f"{count} functions on one base, whole process{'best s':>12}   ({RUNS} runs)")
        report("cold", command, f"{count + 1} built", lambda _: shutil.rmtree(layout, ignore_errors=True))
        report("unchanged", command, f"{count + 1} reused", lambda _: None)
        report("one changed", command, "1 built", change)


def report(name: str, command: list[str | Path], expected: str, before: Callable[[int], None]) -> None:
    """Run the command RUNS times, each after `before`, and print its line."""
    seconds = []
    for run in range(RUNS):
        before(run)
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - started)
        if f" {expected}" not in done.stdout.splitlines()[-1]:
            raise SystemExit(f"{name}: expected {expected}, found {done.stdout.splitlines()[-1]}")
    print(f"{name:<42}{min(seconds):>9.3f}")


def write_function(root: Path, number: int) -> None:
    """Write a function as a producer does: eight files of code, a layer, a Dockerfile."""
    function = root / f"functions/f{number}"
    for path in ("src/app.py", *(f"src/lib/module{index}.py" for index in range(7))):
        write(
            function / path,
            f"# {path} of {number}\n" + "def handler(event, context):\n    return event\n" * 20,
        )
    write(function / "layers/common/python/common.py", "COMMON = 1\n" * 50)
    write(
        function / "Dockerfile",
        f'FROM {BASE}\nLABEL function="f{number}"\nCOPY functions/f{number}/layers/common/ /opt/\n'
        f'COPY functions/f{number}/src/ /var/task/\nWORKDIR /var/task\nCMD ["app.handler"]\n',
    )


def write_base(root: Path) -> None:
    """Write what the base image is built from."""
    write(root / HOOKS / "docker/Dockerfile", BASE_DOCKERFILE)
    write(root / HOOKS / "sitecustomize/site-packages/sitecustomize.py", "# hooks\n" * 100)
    write(root / HOOKS / "trace-bridge/layer/trace_bridge.py", "# bridge\n" * 50)


def write_config(artifact: Path, functions: int, *, changed: int) -> None:
    """Write the runtime config, and a manifest with right digests; `changed` is part of the first tag."""
    root = artifact / "svc"
    lines = [
        f"  f{number}:\n    image: bench-dev-f{number}:{0 if number else changed:012x}\n    timeout: 30\n"
        for number in range(functions)
    ]
    write(root / "runtime-config/functions.yml", "functions:\n" + "".join(lines))
    write(root / "runtime-config/routing.yml", "routes: []\n")
    template = SourceTemplate(path="template.yaml")
    digest = runtime_meta_digests(root).python_sitecustomize_digest
    entry = Entry(
        id=entry_id("template.yaml", {}, ""),
        artifact_root="svc",
        runtime_config_dir="runtime-config",
        source_template=template,
        runtime_meta=RuntimeMeta(RuntimeHooks(api_version="1.0", python_sitecustomize_digest=digest or "")),
        content_digest=digest_tree(root),
    )
    manifest = Manifest(schema_version="1", project="bench", env="dev", mode="process", artifacts=[entry])
    write(artifact / "artifact.yml", dump_manifest(manifest))


def write(path: Path, text: str) -> None:
    """Write a file and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
