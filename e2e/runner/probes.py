"""What a host has: one probe for each kind of requirement; a probe returns why it isn't met, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable

from runner.matrix import Requirement

_SECONDS = 20
_HINT = "e2e/setup-host.sh brings it"
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1",
        "oci.image.manifest.v1",
        "docker.distribution.manifest.list.v2",
        "docker.distribution.manifest.v2",
    )
)


def missing(requires: Iterable[Requirement]) -> list[str]:
    """Say what of these the host doesn't have, each with the reason."""
    reasons = [(requirement, PROBES[requirement.kind](requirement.value)) for requirement in requires]
    return [f"{requirement}: {reason}" for requirement, reason in reasons if reason]


def _linux(_value: str) -> str:
    return "" if sys.platform == "linux" else f"this is {sys.platform}"


def _root(_value: str) -> str:
    return "" if os.geteuid() == 0 else "not run as root"


def _command(name: str) -> str:
    return "" if shutil.which(name) else f"not on PATH; {_HINT}"


def _docker(_value: str) -> str:
    return _answers("docker", "version", "--format", "{{json .Server.Version}}")


def _buildx(_value: str) -> str:
    return _answers("docker", "buildx", "version")


def _compose(_value: str) -> str:
    return _answers("docker", "compose", "version", "--short")


def _answers(*words: str) -> str:
    """Whether a command ends well; the last line it says, when not."""
    if not shutil.which(words[0]):
        return f"{words[0]} is not on PATH; {_HINT}"
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"`{' '.join(words)}` does not answer within {_SECONDS} s"
    said = (done.stderr or done.stdout).strip().splitlines()
    return f"{said[-1] if said else f'exit code {done.returncode}'}; {_HINT}" if done.returncode else ""


def _registry(host: str) -> str:
    return _fetch(f"http://{host}/v2/")


def _image(reference: str) -> str:
    host, _, path = reference.partition("/")
    repository, _, tag = path.rpartition(":")
    return _fetch(f"http://{host}/v2/{repository}/manifests/{tag}")


def _fetch(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept": _MANIFESTS})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # what is asked is local
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        return f"{url} answers {error.code}; {_HINT}"
    except (OSError, ValueError) as error:
        return f"{url}: {getattr(error, 'reason', error)}; {_HINT}"
    return ""


PROBES: dict[str, Callable[[str], str]] = {
    "linux": _linux,
    "root": _root,
    "command": _command,
    "docker": _docker,
    "buildx": _buildx,
    "compose": _compose,
    "registry": _registry,
    "image": _image,
}
