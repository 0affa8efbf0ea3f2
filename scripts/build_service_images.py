"""Build the images of the services, and the stand-in for the stores, from this checkout; without a network.

    wheelhouse + Dockerfile + base ─digest▶ tag ─(there already?)▶ build ─▶ push ─▶ KEY=REF lines on stdout

The lines name the variables of the compose files. A tag is a digest of all that went into its image,
so what is there under it already is what would be built.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build_wheelhouse
from build_wheelhouse import ROOT, WHEELHOUSE, WheelhouseError

DEFAULT_BASE = "python:3.11.14-slim-bookworm"
ACCEPTED = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.v2+json",
        "oci.image.index.v1+json",
    )
)
FAILED = 4


@dataclass(frozen=True)
class Image:
    """One image: its name in the registry, what it installs, and the variables that name it.

    One of the `node` takes packages of Debian, too: from its base, or from where that one's apt gets them.
    """

    name: str
    installs: str
    dockerfile: Path
    files: tuple[Path, ...]
    variables: tuple[str, ...]
    node: bool = False


def _service(name: str, *files: str, node: bool = False) -> Image:
    directory = Path("services") / name
    return Image(
        name=f"esb-{name}",
        installs=f"esb-{name}",
        dockerfile=directory / "Dockerfile",
        files=tuple(Path("services") / file for file in files),
        variables=(f"ESB_{name.upper().replace('-', '_')}_IMAGE",),
        node=node,
    )


SERVICES = (
    _service("gateway", "gateway/healthcheck.py"),
    _service("agent", "agent/healthcheck.py"),
    _service("provisioner"),
    _service("runtime-node", "runtime-node/healthcheck.py", "agent/healthcheck.py", node=True),
)
STAND_INS = (
    Image(
        name="esb-moto",
        installs="moto",
        dockerfile=Path("e2e/fixtures/images/moto/Dockerfile"),
        files=(),
        variables=("ESB_S3_IMAGE", "ESB_DYNAMODB_IMAGE"),
    ),
)


# What each compose file does without.
OTHERS = {"docker": "esb-runtime-node", "containerd": "esb-agent"}


class BuildError(Exception):
    """The engine or the registry would not; shown to a person."""


def main() -> int:
    """Build what is missing, print a KEY=REF line for each variable. 0 done, 2 usage, 4 the world failed."""
    options = _options()
    try:
        build_wheelhouse.build(options.python)
        bases = {False: options.base, True: options.node_base or options.base}
        ids = {node: _base_id(base) for node, base in bases.items()}
        images = _of_mode(options.mode) + (() if options.services_only else STAND_INS)
        refs = [f"{options.registry}/{image.name}:{_tag(image, ids[image.node])}" for image in images]
        with ThreadPoolExecutor(max_workers=2) as pool:
            pairs = zip(images, refs, strict=True)
            list(pool.map(lambda pair: _provide(pair[0], pair[1], bases[pair[0].node], options.push), pairs))
    except (BuildError, WheelhouseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    for image, ref in zip(images, refs, strict=True):
        for variable in image.variables:
            print(f"{variable}={ref}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build the images of the services from this checkout.")
    parser.add_argument(
        "--registry", required=True, metavar="HOST[:PORT][/PATH]", help="what references begin with"
    )
    parser.add_argument("--base", default=DEFAULT_BASE, metavar="REF", help=f"{DEFAULT_BASE} by default")
    parser.add_argument(
        "--node-base", metavar="REF", help="a base that has containerd mode's packages; --base by default"
    )
    parser.add_argument(
        "--mode", choices=sorted(OTHERS), default="docker", help="which compose file they are for; docker"
    )
    parser.add_argument("--python", default=build_wheelhouse.PYTHON, help="the Python of that base")
    parser.add_argument("--push", action="store_true", help="push them to the registry, too")
    parser.add_argument("--services-only", action="store_true", help="without the stand-in for the stores")
    return parser.parse_args()


def _of_mode(mode: str) -> tuple[Image, ...]:
    return tuple(image for image in SERVICES if image.name != OTHERS[mode])


def _provide(image: Image, ref: str, base: str, push: bool) -> None:
    if _run("docker", "image", "inspect", "--format", "{{.Id}}", ref) is None:
        print(f"building {ref}", file=sys.stderr)
        _build(image, ref, base)
    else:
        print(f"there already: {ref}", file=sys.stderr)
    if push and not _in_registry(ref):
        print(f"pushing {ref}", file=sys.stderr)
        _must("docker", "push", "--quiet", ref)


def _build(image: Image, ref: str, base: str) -> None:
    network = "default" if image.node else "none"
    _must(
        *("docker", "buildx", "build", "--quiet", "--load", "--network", network, "--provenance", "false"),
        *("--build-arg", f"BASE={base}", "--file", str(image.dockerfile), "--tag", ref, "."),
    )


def _base_id(base: str) -> str:
    """The base's digest; it is pulled when it isn't here."""
    asked = ("docker", "image", "inspect", "--format", "{{.Id}}", base)
    found = _run(*asked)
    if found is None:
        _must("docker", "pull", "--quiet", base)
        found = _must(*asked)
    return found.strip()


def _tag(image: Image, base: str) -> str:
    """A digest of everything that goes into the image."""
    digest = hashlib.sha256(f"{base}\n".encode())
    for file in (image.dockerfile, *image.files):
        digest.update((ROOT / file).read_bytes())
    for wheel in sorted((WHEELHOUSE / image.installs).rglob("*.whl")):
        digest.update(f"{wheel.name}\n".encode())
        digest.update(hashlib.sha256(wheel.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _in_registry(ref: str) -> bool:
    """Whether the registry has it; plain HTTP only on this host's loopback, and any doubt means no."""
    host, _, rest = ref.partition("/")
    repository, _, tag = rest.rpartition(":")
    scheme = "http" if host.startswith(("127.", "localhost")) else "https"
    request = urllib.request.Request(f"{scheme}://{host}/v2/{repository}/manifests/{tag}", method="HEAD")
    request.add_header("Accept", ACCEPTED)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _run(*words: str) -> str | None:
    """What a command prints, or None when it fails."""
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def _must(*words: str) -> str:
    try:
        done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise BuildError(f"{words[0]} is not installed") from None
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise BuildError(f"{' '.join(words)} → {done.returncode}\n{last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
