"""Run all benchmarks one after another against tools installed from freshly built wheels.

Figures depend on the machine, so it is printed with them. Nothing here asserts a time.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> int:
    """Build, install, measure; return non-zero when a benchmark could not run."""
    print(f"machine: {machine()}", flush=True)
    with tempfile.TemporaryDirectory(prefix="esb-bench-") as place:
        tools = install(Path(place))
        artifactctl = ["--artifactctl", str(tools / "artifactctl")]
        runs = [
            ["bench_startup.py", *artifactctl, "--esb", str(tools / "esb")],
            ["bench_merge.py", *artifactctl],
            ["bench_images.py", *artifactctl],
            ["bench_agent.py"],
            ["bench_gateway.py"],
            ["bench_box.py"],
            ["bench_docker.py"],
            ["bench_containerd.py"],
        ]
        failed = [run[0] for run in runs if not measure(run)]
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measure(run: list[str]) -> bool:
    """Run one script with the workspace's interpreter, its output passed through."""
    print(f"\n── {run[0]}", flush=True)
    return subprocess.run([sys.executable, str(HERE / run[0]), *run[1:]], check=False).returncode == 0


def install(place: Path) -> Path:
    """Install the three distributions from wheels, compiled as pipx leaves them; return the bin directory."""
    local = ROOT / ".tools" / "uv" / "bin" / "uv"
    uv = str(local) if local.exists() else shutil.which("uv") or "uv"
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}

    def call(*words: str | Path) -> None:
        subprocess.run([uv, *words], check=True, env=environ)

    for package in sorted(ROOT.glob("packages/*")):
        call("build", "--quiet", "--wheel", "--out-dir", place / "wheels", package)
    call("venv", "--quiet", "--python", sys.executable, place / "env")
    call(
        *("pip", "install", "--quiet", "--compile-bytecode", "--python", place / "env" / "bin" / "python"),
        *("--find-links", place / "wheels", "--constraints", ROOT / "requirements.lock", "esb-cli"),
        # A wheel of the same version may be in uv's cache from an earlier run.
        *(word for package in ROOT.glob("packages/*") for word in ("--refresh-package", package.name)),
    )
    return place / "env" / "bin"


def machine() -> str:
    """Return one line that says what the figures were measured on."""
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main())
