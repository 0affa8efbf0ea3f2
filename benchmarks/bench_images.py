"""How long prepare-images takes as a whole process: 50 small functions on one base.

python benchmarks/bench_images.py [--artifactctl PATH] [--functions 50] [--base REF]

Cold: nothing is there. Unchanged: everything is. One changed: one file of one function, and its tag.

First into an OCI layout. Then, with a Docker engine and a docker-registry program at hand, to a registry of
this run, side by side with the usual way: `docker buildx build --push` for one function after the other. That
one has the base in its engine already, and does every function again: it doesn't know which one changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from artifact_contract.ids import entry_id
from artifact_contract.manifest import dump_manifest
from artifact_contract.models import Entry, Manifest, RuntimeHooks, RuntimeMeta, SourceTemplate
from artifact_contract.tree import digest_tree
from artifact_contract.verify import runtime_meta_digests
from artifactctl.images.registry_target import open_registry
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.errors import RegistryError

RUNS = 3
BASE = "esb-lambda-base:python3.12-0123456789ab"
PUBLIC = "public.ecr.aws/lambda/python:3.12"
HOOKS = "runtime-base/runtime-hooks/python"
BASE_DOCKERFILE = """\
ARG PYTHON_VERSION=3.12
FROM public.ecr.aws/lambda/python:${PYTHON_VERSION}
COPY runtime-hooks/python/sitecustomize/site-packages/ /opt/esb/python/
COPY runtime-hooks/python/trace-bridge/layer/ /opt/esb/python/
ENV PYTHONPATH=/opt/esb/python
"""


def main() -> None:
    """Print the figures of both targets."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artifactctl", type=Path, default=Path(sys.executable).with_name("artifactctl"))
    parser.add_argument("--functions", type=int, default=50)
    parser.add_argument("--base", default="127.0.0.1:5010/lambda-python:3.12", help="an image like AWS's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="esb-bench-") as place:
        bench_layout(Path(place), options.artifactctl, options.functions)
        bench_registry(Path(place), options.artifactctl, options.functions, options.base)


def bench_layout(place: Path, artifactctl: Path, count: int) -> None:
    """Print the best of RUNS seconds for each of the three situations, into a layout."""
    artifact, layout = Bench(place / "artifact", count), place / "layout"
    artifact.write_all("")
    command: list[str | Path] = [artifactctl, "prepare-images", "--artifact", artifact.manifest]
    command += ["--target", f"oci-layout:{layout}", "--strict"]
    print(f"{count} functions on one base, whole process{'best s':>12}   ({RUNS} runs)")
    report("cold", command, f"{count + 1} built", lambda _: shutil.rmtree(layout, ignore_errors=True))
    report("unchanged", command, f"{count + 1} reused", lambda _: None)
    report("one changed", command, "1 built", lambda run: artifact.change(run + 1))


def bench_registry(place: Path, artifactctl: Path, count: int, base: str) -> None:
    """Print direct and the usual way side by side, or what is missing for that."""
    missing = [name for name in ("docker", "docker-registry") if not shutil.which(name)]
    if missing or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        print(f"to a registry: not measured, {missing[0] if missing else 'a running engine'} is missing")
        return
    with run_registry(place) as registry:
        try:
            with open_registry(RegistryConfig()) as target:
                target.copy(base, f"{registry}/lambda-python:3.12")
        except RegistryError as error:
            print(f"to a registry: not measured, {error}")
            return
        direct = measure_direct(place, artifactctl, count, registry)
        usual = measure_usual(place, count, registry)
    print(f"\nto a registry, whole process, seconds{'direct':>12}{'buildx':>9}{'ratio':>8}")
    for name, seconds in direct.items():
        print(f"{name:<36}{seconds:>12.2f}{usual[name]:>9.2f}{usual[name] / seconds:>7.0f}x")
    print(
        f"(direct: median of {RUNS} runs; buildx: one run, one function after the other, base in the engine)"
    )


def measure_direct(place: Path, artifactctl: Path, count: int, registry: str) -> dict[str, float]:
    """Seconds of `prepare-images`: each cold run has code and repositories nobody has seen."""
    environment = {**os.environ, "CONTAINER_REGISTRY": registry}
    # a person's machine keeps compiled modules
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    found: dict[str, list[float]] = {"cold": [], "one changed": [], "unchanged": []}
    for run in range(RUNS):
        artifact = Bench(place / f"direct{run}", count, f"{registry}/direct{run}")
        artifact.write_all(f"direct {run}")
        command: list[str | Path] = [
            artifactctl,
            "prepare-images",
            "--artifact",
            artifact.manifest,
            "--target",
            "registry",
        ]
        command += ["--builder", "direct", "--image-override", f"{PUBLIC}={registry}/lambda-python:3.12"]
        found["cold"].append(timed(command, f" {count + 1} built", environment))
        artifact.change(1)
        found["one changed"].append(timed(command, " 1 built", environment))
        found["unchanged"].append(timed(command, f" {count + 1} reused", environment))
    return {name: median(seconds) for name, seconds in found.items()}


def measure_usual(place: Path, count: int, registry: str) -> dict[str, float]:
    """Seconds of one build and push after the other, with the engine's cache."""
    artifact = Bench(place / "usual", count, f"{registry}/usual")
    artifact.write_all("usual")
    local = f"{registry}/lambda-python:3.12"
    subprocess.run(["docker", "pull", "-q", local], check=True, capture_output=True)
    try:
        found = {"cold": build_all(artifact, local)}
        artifact.change(1)
        found["one changed"] = build_all(artifact, local)
        found["unchanged"] = build_all(artifact, local)
    finally:
        made = subprocess.run(
            ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
            capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        ours = [name for name in made if name.startswith(f"{registry}/")]
        subprocess.run(["docker", "rmi", *ours], check=False, capture_output=True)
    return found


def build_all(artifact: Bench, local: str) -> float:
    """Build and push the base, then each function."""
    started = time.perf_counter()
    hooks = artifact.root / "runtime-base"
    dockerfile = hooks / "runtime-hooks/python/docker/Dockerfile"
    build(artifact.base, dockerfile, hooks, "--build-context", f"{PUBLIC}=docker-image://{local}")
    for number in range(artifact.count):
        build(artifact.image(number), artifact.root / f"functions/f{number}/Dockerfile", artifact.root)
    return time.perf_counter() - started


def build(image: str, dockerfile: Path, context: Path, *more: str) -> None:
    """One `docker buildx build`, then one `docker push`."""
    command = [
        "docker",
        "buildx",
        "build",
        "-q",
        "--load",
        "--provenance=false",
        "-t",
        image,
        "-f",
        dockerfile,
    ]
    subprocess.run([str(word) for word in (*command, *more, context)], check=True, capture_output=True)
    subprocess.run(["docker", "push", "-q", image], check=True, capture_output=True)


@contextmanager
def run_registry(place: Path) -> Iterator[str]:
    """A registry of this run on a free port; ends with it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = place / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {place}/registry}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with (place / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def report(name: str, command: Sequence[str | Path], expected: str, before: Callable[[int], None]) -> None:
    """Run the command RUNS times, each after `before`, and print its line."""
    seconds = []
    for run in range(RUNS):
        before(run)
        seconds.append(timed(command, f" {expected}", dict(os.environ)))
    print(f"{name:<42}{min(seconds):>9.3f}")


def timed(command: Sequence[str | Path], expected: str, environment: dict[str, str]) -> float:
    """Seconds of a command whose last line must have `expected` in it."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode or expected not in done.stdout.splitlines()[-1]:
        raise SystemExit(f"expected {expected}, found\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    return seconds


class Bench:
    """One artifact; its references start with `prefix`, a registry and the beginning of names."""

    def __init__(self, directory: Path, count: int, prefix: str = "") -> None:
        self.directory = directory
        self.count = count
        self.prefix = prefix
        self.root = directory / "svc"
        self.manifest = directory / "artifact.yml"
        self.base = f"{prefix}/{BASE}" if prefix else BASE
        self.version = 0

    def image(self, number: int) -> str:
        """The reference of a function's image; the first one's tag follows its changes."""
        name = f"{self.prefix}/bench-dev-f{number}" if self.prefix else f"bench-dev-f{number}"
        return f"{name}:{0 if number else self.version:012x}"

    def write_all(self, nonce: str) -> None:
        """Write all functions, with code that is new when the nonce is."""
        for number in range(self.count):
            self.write_function(number, nonce)
        write(self.root / HOOKS / "docker/Dockerfile", BASE_DOCKERFILE)
        write(self.root / HOOKS / "sitecustomize/site-packages/sitecustomize.py", f"# hooks {nonce}\n" * 100)
        write(self.root / HOOKS / "trace-bridge/layer/trace_bridge.py", f"# bridge {nonce}\n" * 50)
        self.write_config()

    def change(self, version: int) -> None:
        """Change one file of the first function, and its tag."""
        self.version = version
        write(self.root / "functions/f0/src/app.py", f"def handler(event, context):\n    return {version}\n")
        self.write_config()

    def write_function(self, number: int, nonce: str) -> None:
        """Write a function as a producer does: eight files of code, a layer, a Dockerfile."""
        function = self.root / f"functions/f{number}"
        for path in ("src/app.py", *(f"src/lib/module{index}.py" for index in range(7))):
            code = f"# {path} of {number} {nonce}\n" + "def handler(event, context):\n    return event\n" * 20
            write(function / path, code)
        write(function / "layers/common/python/common.py", f"COMMON = 1  # {nonce}\n" * 50)
        write(
            function / "Dockerfile",
            f'FROM {self.base}\nLABEL function="f{number}"\n'
            f"COPY functions/f{number}/layers/common/ /opt/\nCOPY functions/f{number}/src/ /var/task/\n"
            'WORKDIR /var/task\nCMD ["app.handler"]\n',
        )

    def write_config(self) -> None:
        """Write the runtime config, and a manifest with right digests."""
        lines = [
            f"  f{number}:\n    image: {self.image(number)}\n    timeout: 30\n"
            for number in range(self.count)
        ]
        write(self.root / "runtime-config/functions.yml", "functions:\n" + "".join(lines))
        write(self.root / "runtime-config/routing.yml", "routes: []\n")
        digest = runtime_meta_digests(self.root).python_sitecustomize_digest
        entry = Entry(
            id=entry_id("template.yaml", {}, ""),
            artifact_root="svc",
            runtime_config_dir="runtime-config",
            source_template=SourceTemplate(path="template.yaml"),
            runtime_meta=RuntimeMeta(
                RuntimeHooks(api_version="1.0", python_sitecustomize_digest=digest or "")
            ),
            content_digest=digest_tree(self.root),
        )
        mode = "docker" if self.prefix else "process"
        write(
            self.manifest,
            dump_manifest(
                Manifest(schema_version="1", project="bench", env="dev", mode=mode, artifacts=[entry])
            ),
        )


def write(path: Path, text: str) -> None:
    """Write a file and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    main()
