"""Gather all that the images of the services are installed from, so that building them needs no network.

dist/wheelhouse/members/         a wheel of every member, built from this checkout
dist/wheelhouse/locked/          the wheels of what they need: versions and digests of requirements.lock
dist/wheelhouse/<image>/         links to those that one image installs, members/ and locked/ again, so that
                                 a build sees no change but its own
dist/wheelhouse/inputs.json      what all of it was made from; nothing is done while that is unchanged

Run it in the environment that `make dev` makes: what needs what is read from what is installed there.

    requirements.lock + installed metadata ─closure▶ pins ─pip download▶ wheels ;  members ─uv build▶ wheels
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
WHEELHOUSE = ROOT / "dist" / "wheelhouse"
# The image's name, and what it installs. Of moto's server only what two stores need: the rest is large.
IMAGES = {
    "esb-gateway": ("esb-gateway",),
    "esb-agent": ("esb-agent",),
    "esb-provisioner": ("esb-provisioner",),
    "esb-runtime-node": ("esb-runtime-node", "esb-agent"),
    "moto": ("moto[dynamodb,s3]", "flask", "flask-cors"),
}
PYTHON = "3.11"
# The newest C library a wheel may ask for: Debian 12's.
NEWEST_GLIBC_MINOR = 36
FAILED = 4


class WheelhouseError(Exception):
    """What could not be brought, and why; shown to a person."""


def main() -> int:
    """Bring dist/wheelhouse up to date. 0 done, 2 usage, 4 something could not be fetched or built."""
    parser = argparse.ArgumentParser(description="Gather the wheels that the images are installed from.")
    parser.add_argument("--python", default=PYTHON, help=f"Python of the base image, {PYTHON} by default")
    parser.add_argument("--machine", default=os.uname().machine, help="x86_64 or aarch64; this machine's")
    options = parser.parse_args()
    try:
        changed = build(options.python, options.machine)
    except WheelhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    print(f"{WHEELHOUSE.relative_to(ROOT)}: {'made' if changed else 'up to date'}", file=sys.stderr)
    return 0


def build(python: str = PYTHON, machine: str = "x86_64") -> bool:
    """Make what is missing in dist/wheelhouse and remove what is no longer wanted; return whether it was.

    One at a time: who comes while another builds waits, and finds it done.

    Raises:
        WheelhouseError: a wheel could not be fetched or built.
    """
    WHEELHOUSE.mkdir(parents=True, exist_ok=True)
    with (WHEELHOUSE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(python, machine)


def _build(python: str, machine: str) -> bool:
    stamp = WHEELHOUSE / "inputs.json"
    before = json.loads(stamp.read_text()) if stamp.exists() else {}
    now = _inputs(python, machine)
    if before == now and _complete():
        return False
    stamp.unlink(missing_ok=True)
    for leftover in WHEELHOUSE.glob("tmp*"):
        shutil.rmtree(leftover)
    closures = {image: closure(image, python) for image in IMAGES}
    if before.get("locked") != now["locked"] or not (WHEELHOUSE / "locked").is_dir():
        _gather_locked(set.union(*(locked for _, locked in closures.values())), python, machine)
    _build_members([name for name, digest in now.items() if name != "locked" and before.get(name) != digest])
    for image, (own, locked) in closures.items():
        _link(image, "members", own)
        _link(image, "locked", locked)
    stamp.write_text(json.dumps(now, indent=1))
    return True


def members() -> dict[str, Path]:
    """Every member's directory by the name of its distribution."""
    found = {}
    for pyproject in sorted(
        [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]
    ):
        name = re.search(r'^name = "([\w.-]+)"', pyproject.read_text(), re.MULTILINE)
        if name:
            found[name[1]] = pyproject.parent
    return found


def closure(image: str, python: str = PYTHON) -> tuple[set[str], set[str]]:
    """The members and the locked distributions that an image holds.

    Raises:
        WheelhouseError: a distribution is not installed here.
    """
    own = set(members())
    environment = _environment(python)
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in IMAGES[image]]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        found.add(name)
        waiting += _requirements(name, wanted.extras, environment)
    return found & own, found - own


def _environment(python: str) -> dict[str, str]:
    """What markers are compared with: this machine, but the image's Python."""
    here = {name: str(value) for name, value in default_environment().items()}
    return {**here, "python_version": python, "python_full_version": f"{python}.0"}


def _requirements(name: str, extras: set[str], environment: Mapping[str, str]) -> Iterable[Requirement]:
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        raise WheelhouseError(f"{name} is not installed in {sys.prefix}; hint: make dev") from None
    for requirement in map(Requirement, texts):
        contexts = [{**environment, "extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, contexts)):
            yield requirement


def _inputs(python: str, machine: str) -> dict[str, str]:
    digest = hashlib.sha256(f"{python} {machine}\n".encode())
    lock = [ROOT / "requirements.lock", Path(__file__).resolve()]
    pyprojects = [directory / "pyproject.toml" for directory in members().values()]
    for file in [*lock, *pyprojects]:
        digest.update(file.read_bytes())
    return {"locked": digest.hexdigest(), **{name: _tree(path) for name, path in members().items()}}


def _tree(directory: Path) -> str:
    digest = hashlib.sha256()
    files = [directory / "pyproject.toml", directory / "README.md", *(directory / "src").rglob("*")]
    for file in sorted(files):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(directory)}\n{file.stat().st_size}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _complete() -> bool:
    """Whether nothing was taken away since."""
    return set(members()) <= set(wheels(WHEELHOUSE / "members")) and all(
        wheels(WHEELHOUSE / image / "locked") for image in IMAGES
    )


def _link(image: str, kind: str, names: set[str]) -> None:
    """Make an image's directory hold those wheels, and leave what is right as it is."""
    target = WHEELHOUSE / image / kind
    target.mkdir(parents=True, exist_ok=True)
    there = wheels(WHEELHOUSE / kind)
    wanted = {there[name].name: there[name] for name in names}
    for wheel in target.glob("*.whl"):
        if wheel.name not in wanted or not wheel.samefile(wanted[wheel.name]):
            wheel.unlink()
    for name, wheel in wanted.items():
        if not (target / name).exists():
            (target / name).hardlink_to(wheel)


def wheels(directory: Path) -> dict[str, Path]:
    """The wheels of a directory by the names of their distributions."""
    return {parse_wheel_filename(path.name)[0]: path for path in directory.glob("*.whl")}


def _gather_locked(names: set[str], python: str, machine: str) -> None:
    pins = _pins(_environment(python))
    if missing := sorted(names - set(pins)):
        raise WheelhouseError(f"not in requirements.lock: {', '.join(missing)}; hint: make lock dev")
    _download([pins[name] for name in sorted(names)], python, machine)


def _pins(environment: Mapping[str, str]) -> dict[str, str]:
    """The pin, with its digests, of each distribution that requirements.lock has for this Python."""
    found: dict[str, str] = {}
    for entry in re.split(r"(?<!\\)\n", (ROOT / "requirements.lock").read_text()):
        text, *digests = re.split(r"\s*\\\n\s*", entry)
        if "==" in text:
            pin = Requirement(text)
            if pin.marker is None or pin.marker.evaluate({**environment, "extra": ""}):
                found[canonicalize_name(pin.name)] = " ".join([f"{pin.name}{pin.specifier}", *digests])
    return found


def _download(entries: list[str], python: str, machine: str) -> None:
    """Let pip fetch wheels for the image's platform and compare digests; it looks first at what is here."""
    target = WHEELHOUSE / "locked"
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(NEWEST_GLIBC_MINOR, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"linux_{machine}"]
    with tempfile.TemporaryDirectory(dir=WHEELHOUSE) as new:
        requirements = Path(new) / "requirements.txt"
        requirements.write_text("".join(f"{entry}\n" for entry in entries))
        command = [
            *(*_pip(), "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"),
            *("--python-version", python, "--implementation", "cp", "--dest", new),
            *(word for platform in platforms for word in ("--platform", platform)),
            *("--requirement", str(requirements)),
        ]
        here = [*command, "--no-index", "--find-links", str(target)] if target.is_dir() else ["false"]
        if subprocess.run(here, check=False, capture_output=True).returncode != 0:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                told = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
                raise WheelhouseError("\n".join(["pip could not fetch the locked wheels:", *told]))
        requirements.unlink()
        shutil.rmtree(target, ignore_errors=True)
        Path(new).chmod(0o755)
        Path(new).rename(target)
        Path(new).mkdir()  # For the context manager to remove.


def _pip() -> list[str]:
    for python in (sys.executable, "python3"):
        if (
            shutil.which(python)
            and subprocess.run(
                [python, "-m", "pip", "--version"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return [python, "-m", "pip", "--disable-pip-version-check"]
    return [_uv(), "tool", "run", "pip", "--disable-pip-version-check"]


def _build_members(names: list[str]) -> None:
    target = WHEELHOUSE / "members"
    target.mkdir(parents=True, exist_ok=True)
    there, directories = wheels(target), members()
    for name in set(there) - set(directories):
        there[name].unlink()
    wanted = [name for name in directories if name in names or name not in there]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda name: _build_member(directories[name], there.get(name), target), wanted))


def _build_member(directory: Path, before: Path | None, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=WHEELHOUSE) as new:
        done = subprocess.run(
            [_uv(), "build", "--quiet", "--wheel", "--out-dir", new, str(directory)],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
        )
        if done.returncode != 0:
            raise WheelhouseError(f"{directory.relative_to(ROOT)}: no wheel:\n{done.stderr.strip()}")
        if before:
            before.unlink()
        for wheel in Path(new).glob("*.whl"):
            wheel.rename(target / wheel.name)


def _uv() -> str:
    local = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(local) if local.exists() else shutil.which("uv")
    if not found:
        raise WheelhouseError("uv is missing; hint: make dev")
    return found


if __name__ == "__main__":
    sys.exit(main())
