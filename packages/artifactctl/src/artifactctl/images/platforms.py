"""Which of an image's platforms is meant."""

from __future__ import annotations

from collections.abc import Iterable

from artifactctl.images.recipe import Platform
from artifactctl.registry.descriptors import JsonObject

# with no variant asked for, what is common for the architecture
_COMMON_VARIANTS = {"arm64": ("", "v8"), "arm": ("v7", "")}


def platform_of(document: JsonObject) -> Platform:
    """The platform in an entry of an index, or in an image configuration."""
    return Platform(*(str(document.get(name) or "") for name in ("os", "architecture", "variant")))


def fits(found: Platform, wanted: Platform) -> bool:
    """Whether an image for one platform runs where another is wanted."""
    same = (found.os, found.architecture) == (wanted.os, wanted.architecture)
    return same and (not wanted.variant or found.variant in (wanted.variant, ""))


def best(found: Iterable[Platform], wanted: Platform) -> Platform | None:
    """The one to take, nothing when none fits."""
    order = _COMMON_VARIANTS.get(wanted.architecture, ("",))

    def rank(one: Platform) -> int:
        return order.index(one.variant) if one.variant in order else len(order)

    return min((one for one in found if fits(one, wanted)), key=rank, default=None)
