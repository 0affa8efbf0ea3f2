"""Build the images of the services, and the stand-in for the stores, from this checkout; without a network.

    wheelhouse + Dockerfile + base ─digest▶ (there already?) ─▶ build ─▶ tag, push ─▶ KEY=VALUE on stdout

Images are called after the box, REGISTRY/{image prefix}-gateway (docs/runtime-identity-contract.md). Each has
a digest of all that went into it as a tag, so what is there under it already is what would be built; and the
box's tag, one for all: what the box's tag variable says, else a digest of them all.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build_wheelhouse
from artifact_contract.runtime_identity import IdentityError, resolve_identity
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
USAGE, FAILED = 2, 4


@dataclass(frozen=True)
class Image:
    """One image: its name after the box's, what it installs, variables it is for that its name isn't.

    One of the `node` takes packages of Debian, too: from its base, or from where that one's apt gets them.
    """

    name: str
    installs: str
    dockerfile: Path
    files: tuple[Path, ...]
    variables: tuple[str, ...] = ()
    node: bool = False


def _service(name: str, *files: str, node: bool = False) -> Image:
    directory = Path("services") / name
    return Image(
        name=name,
        installs=f"esb-{name}",
        dockerfile=directory / "Dockerfile",
        files=tuple(Path("services") / file for file in files),
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
        name="moto",
        installs="moto",
        dockerfile=Path("e2e/fixtures/images/moto/Dockerfile"),
        files=(),
        variables=("ESB_S3_IMAGE", "ESB_DYNAMODB_IMAGE"),
    ),
)


# What each compose file does without.
OTHERS = {"docker": "runtime-node", "containerd": "agent"}


class BuildError(Exception):
    """The engine or the registry would not; shown to a person."""


def main() -> int:
    """Build what is missing, print the variables that name it. 0 done, 2 usage, 4 the world failed."""
    options = _options()
    try:
        identity = resolve_identity(os.environ, os.environ.get("ESB_NETWORK", ""))
        prefix = f"{options.registry}/{identity.image_prefix}"
        built = _built(options, prefix)
        tag = _wanted(os.environ.get(identity.tag_variable, "")) or _joint(built.values())
        for image, digest in built.items():
            _name(f"{prefix}-{image.name}:{digest}", f"{prefix}-{image.name}:{tag}", options.push)
    except IdentityError as error:
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    except (BuildError, WheelhouseError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    print(f"ESB_IMAGE_PREFIX={prefix}")
    print(f"{identity.tag_variable}={tag}")
    print(f"ESB_IMAGE_TAG=${{{identity.tag_variable}}}")
    for image in built:
        for variable in image.variables:
            print(f"{variable}={prefix}-{image.name}:{tag}")
    return 0


def _built(options: argparse.Namespace, prefix: str) -> dict[Image, str]:
    """The images of the mode, each with the digest that it is there under."""
    build_wheelhouse.build(options.python)
    bases = {False: options.base, True: options.node_base or options.base}
    images = _of_mode(options.mode) + (() if options.services_only else STAND_INS)
    ids = {node: _base_id(bases[node]) for node in {image.node for image in images}}
    digests = {image: _digest(image, ids[image.node]) for image in images}

    def provide(image: Image) -> None:
        _provide(image, f"{prefix}-{image.name}:{digests[image]}", bases[image.node])

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(provide, images))
    return digests


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


def _provide(image: Image, ref: str, base: str) -> None:
    if _run("docker", "image", "inspect", "--format", "{{.Id}}", ref) is None:
        print(f"building {ref}", file=sys.stderr)
        _build(image, ref, base)
    else:
        print(f"there already: {ref}", file=sys.stderr)


def _name(built: str, ref: str, push: bool) -> None:
    """Give a built image the box's tag; what is in the registry under a tag may be an older one."""
    if built != ref:
        _must("docker", "tag", built, ref)
    if push and not _same_in_registry(built, ref):
        print(f"pushing {ref}", file=sys.stderr)
        _must("docker", "push", "--quiet", built)
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


def _wanted(tag: str) -> str:
    """The operator's tag; but a digest is what an earlier run printed and a shell has read since."""
    return "" if re.fullmatch(r"[0-9a-f]{12}", tag) else tag


def _joint(digests: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:12]


def _digest(image: Image, base: str) -> str:
    """Of everything that goes into the image."""
    digest = hashlib.sha256(f"{base}\n".encode())
    for file in (image.dockerfile, *image.files):
        digest.update((ROOT / file).read_bytes())
    for wheel in sorted((WHEELHOUSE / image.installs).rglob("*.whl")):
        digest.update(f"{wheel.name}\n".encode())
        digest.update(hashlib.sha256(wheel.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _same_in_registry(ref: str, other: str) -> bool:
    """Whether the registry has both, as one."""
    found = _in_registry(ref)
    return bool(found) and found == _in_registry(other)


def _in_registry(ref: str) -> str:
    """What the registry has, by its digest: plain HTTP only on this host's loopback, in any doubt nothing."""
    host, _, rest = ref.partition("/")
    repository, _, tag = rest.rpartition(":")
    scheme = "http" if host.startswith(("127.", "localhost")) else "https"
    request = urllib.request.Request(f"{scheme}://{host}/v2/{repository}/manifests/{tag}", method="HEAD")
    request.add_header("Accept", ACCEPTED)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers.get("Docker-Content-Digest", ""))
    except (urllib.error.URLError, OSError):
        return ""


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
