"""Who a box is on its host: one slug, and every name that the box gives to something of an engine.

    ESB_BRAND_SLUG  |  PROJECT_NAME + ENV  |  the network's name   ─▶  slug  ─▶  names

docs/runtime-identity-contract.md is the rule, this its only implementation. Without one of the three there is
no identity: two boxes that both took a default would remove each other's workers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from attrs import frozen

SOURCES = ("ESB_BRAND_SLUG", "PROJECT_NAME (with ENV)", "the network's name")
SLUG_LENGTH = 32
BRIDGE_LENGTH = 15  # The kernel's limit of an interface's name.
NAME_LENGTH = 76  # containerd's limit of an id.
PREFIX = "esb-"
DEFAULT_ENVIRONMENT = "dev"


class IdentityError(ValueError):
    """There is no identity; the text is one line, and says which variables would give one."""


@frozen(kw_only=True)
class RuntimeIdentity:
    """`slug` is of `[a-z0-9-]`, at most 32 characters; `source` which of the three gave it.

    `environment` is the stage of the box, a part of its workers' names. `network` is the operator's, or "".
    """

    slug: str
    source: str
    environment: str = DEFAULT_ENVIRONMENT
    given_network: str = ""

    @property
    def namespace(self) -> str:
        """Containerd's namespace: never one that others use, as `moby`, `default` and `k8s.io` are."""
        return PREFIX + self.slug

    @property
    def cni_name(self) -> str:
        """The name of the CNI network."""
        return PREFIX + self.slug

    @property
    def bridge(self) -> str:
        """The bridge of the workers, at most 15 characters; a digest takes the place of what does not fit."""
        return PREFIX + _shortened(self.slug, BRIDGE_LENGTH - len(PREFIX), digits=6)

    @property
    def network(self) -> str:
        """The engine's network: the operator's name for it, else the slug."""
        return self.given_network or self.slug

    @property
    def image_prefix(self) -> str:
        """What names of images that are built for this box begin with, before `-gateway` and so on."""
        return self.slug

    @property
    def tag_variable(self) -> str:
        """The variable that holds the tag of those images, as `ORDERS_PROD_TAG`."""
        name = self.slug.replace("-", "_").upper() + "_TAG"
        return f"_{name}" if name[0].isdigit() else name

    def worker_name(self, function: str, worker_id: str) -> str:
        """`{slug}-{env}-{function}-{id}`, as Docker and containerd both take it.

        A digest ends what does not fit into 76 characters, or has an id that had to be changed.
        """
        whole = f"{self.slug}-{self.environment}-{function}-{worker_id}"
        name = _plain(f"{self.slug}-{self.environment}-{function}") + "-" + _plain(worker_id)
        if _plain(worker_id) == worker_id and len(name) <= NAME_LENGTH:
            return name
        return name[: NAME_LENGTH - 17].rstrip("._-") + "-" + _digest(whole, 16)


def resolve_identity(environment: Mapping[str, str], network: str = "") -> RuntimeIdentity:
    """The identity that the variables give; `network` is the engine's network if the operator named one.

    Raises:
        IdentityError: none of the three sources is set, or the first that is holds no letter and no digit.
    """
    project = environment.get("PROJECT_NAME", "")
    stage = environment.get("ESB_ENV") or environment.get("ENV") or ""
    candidates = {
        SOURCES[0]: environment.get("ESB_BRAND_SLUG", ""),
        SOURCES[1]: project and f"{_cut(project, 'env')}-{environment.get('ENV') or stage}",
        SOURCES[2]: _cut(_cut(network, "external"), "env"),
    }
    for source, text in candidates.items():
        if text:
            return RuntimeIdentity(
                slug=_slug(source, text),
                source=source,
                environment=stage or DEFAULT_ENVIRONMENT,
                given_network=network,
            )
    raise IdentityError(
        "ESB_BRAND_SLUG: expected a name for this box, found nothing "
        "(or set PROJECT_NAME and ENV, or name the engine's network)"
    )


def normalise(text: str) -> str:
    """Small letters, digits, single hyphens between them; at most 32 characters. "" when nothing is left."""
    return _shortened(re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"), SLUG_LENGTH, digits=8)


def _slug(source: str, text: str) -> str:
    slug = normalise(text)
    if not slug:
        raise IdentityError(f"{source}: expected letters or digits, found {text!r}")
    return slug


def _cut(text: str, suffix: str) -> str:
    """Without `-suffix` or `_suffix` at its end."""
    return re.sub(rf"(?<=.)[-_]{suffix}$", "", text)


def _shortened(text: str, length: int, *, digits: int) -> str:
    if len(text) <= length:
        return text
    return text[: length - digits - 1].rstrip("-") + "-" + _digest(text, digits)


def _plain(text: str) -> str:
    """Letters and digits, with one of `.`, `_`, `-` between them."""
    found = re.sub(r"[^A-Za-z0-9]+", lambda gap: gap[0] if gap[0] in ("-", ".", "_") else "-", text)
    return found.strip("._-") or "x"


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
