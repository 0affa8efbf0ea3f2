"""Image references: `[registry/]repository[:tag][@digest]`, with the defaults Docker has made common.

`python:3.12` is `docker.io/library/python:3.12`; the first part is a registry when it has a dot, a port or an
upper-case letter, or is `localhost`.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_REGISTRY = re.compile(
    r"(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::([0-9]{1,5}))?", re.ASCII
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST_NAME = 255


@frozen
class Repository:
    """A name in one registry."""

    registry: str
    name: str

    def __str__(self) -> str:
        return f"{self.registry}/{self.name}"


@frozen
class Reference:
    """One image of a repository; the digest decides where there is one."""

    repository: Repository
    tag: str = ""
    digest: str = ""

    @property
    def version(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag

    def with_digest(self, digest: str) -> Reference:
        """The image with this digest in the same repository."""
        return Reference(self.repository, digest=digest)

    def at(self, registry: str) -> Reference:
        """The same image in another registry, or under another name of it."""
        return evolve(self, repository=Repository(registry, self.repository.name))

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"


def has_registry(text: str) -> bool:
    """Whether a reference names its registry."""
    first, slash, _ = text.partition("/")
    return bool(slash) and (
        first == "localhost"
        or first.startswith("[")
        or any(mark in first for mark in ".:")
        or first != first.lower()
    )


def parse_registry(text: str) -> str:
    """A registry's name, `host` or `host:port`; Docker Hub's names become one.

    Raises:
        ValueError: it isn't one.
    """
    found = _REGISTRY.fullmatch(text)
    if not found or (found[1] and not 0 < int(found[1]) < 65536):
        raise ValueError(f"a registry such as localhost:5000 expected, {text!r} found")
    return DOCKER_HUB if text in _HUB_NAMES else text


def parse_reference(text: str, *, default_registry: str = DOCKER_HUB) -> Reference:
    """A reference with everything it leaves out.

    Raises:
        ValueError: it isn't one.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"an image reference with a SHA-256 digest expected, {text!r} found")
    registry = default_registry
    if has_registry(rest):
        registry, _, rest = rest.partition("/")
    registry = parse_registry(registry)
    name, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(
            f"an image reference with a tag of letters, digits, _, . and - expected, {text!r} found"
        )
    if not _REPOSITORY.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(f"an image reference such as registry/name:tag expected, {text!r} found")
    if registry == DOCKER_HUB and "/" not in name:
        name = f"library/{name}"
    return Reference(Repository(registry, name), tag or ("" if digest else DEFAULT_TAG), digest)
