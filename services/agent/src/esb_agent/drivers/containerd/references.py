"""What an image's name says: its registry, its repository there, and which of its images.

`orders:1` is `docker.io/library/orders:1`; `host:5000/a/b@sha256:…` is as it is. Pure.
"""

import re
from ipaddress import ip_address

from attrs import frozen

from esb_agent.errors import BadRequestError

HUB = "docker.io"
# Docker Hub's registry has another name than its images.
HUB_HOST = "registry-1.docker.io"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?")


@frozen
class Reference:
    """`version` is a tag or a digest."""

    registry: str
    repository: str
    version: str

    @property
    def digest(self) -> str:
        """The digest it names, "" when it names a tag."""
        return self.version if DIGEST.fullmatch(self.version) else ""

    @property
    def name(self) -> str:
        """What containerd calls the image."""
        return f"{self.registry}/{self.repository}{'@' if self.digest else ':'}{self.version}"

    @property
    def host(self) -> str:
        """Where its registry answers."""
        return HUB_HOST if self.registry == HUB else self.registry

    @property
    def loopback(self) -> bool:
        """Its registry is on this host, where nobody listens on the way."""
        host = re.sub(r":\d+$", "", self.registry).strip("[]")
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def parse_reference(text: str) -> Reference:
    """An image's name in all its parts. Raises BadRequestError."""
    rest, _, digest = text.partition("@")
    first, slash, path = rest.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, path = HUB, rest
    repository, colon, tag = path.partition(":")
    if first == HUB and "/" not in repository:
        repository = f"library/{repository}"
    tag = tag if colon else "latest"
    wrong = not (_HOST.fullmatch(first) and _REPOSITORY.fullmatch(repository) and _TAG.fullmatch(tag))
    if wrong or ("@" in text and not DIGEST.fullmatch(digest)):
        raise BadRequestError(f"image: expected [registry/]name[:tag][@sha256:digest], found {text!r}")
    return Reference(first, repository, digest or tag)
