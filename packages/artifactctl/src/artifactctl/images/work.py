"""How one image comes about: assembled here, built by an engine, or copied from another registry.

Whatever the way, `inputs` is a digest over everything the image is made from: equal inputs, no work.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from attrs import field, frozen

from artifactctl.images.layers import Layer
from artifactctl.images.recipe import Platform, Recipe, combined_inputs
from artifactctl.images.tree import FileEntry

# goes up whenever an engine would be asked for something else than before
ENGINE_VERSION = "buildx-1"


@frozen(slots=False)
class Assembly:
    """Layers put together here: a recipe for each platform."""

    recipes: tuple[Recipe, ...]

    @cached_property
    def inputs(self) -> str:
        """The input digest."""
        return combined_inputs(self.recipes)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """What it runs on."""
        return tuple(recipe.platform for recipe in self.recipes)


@frozen
class BaseUse:
    """A FROM, or another image that files come from; `ours` is one this artifact brings itself."""

    ref: str
    inputs: str
    ours: bool = False


@frozen(slots=False)
class Build:
    """A Dockerfile for an engine, with exactly the files of the context that it may read."""

    dockerfile: Path
    text: bytes
    files: tuple[FileEntry, ...]
    platforms: tuple[Platform, ...]
    args: Mapping[str, str] = field(factory=dict)
    bases: tuple[BaseUse, ...] = ()

    @cached_property
    def inputs(self) -> str:
        """The input digest."""
        facts = {
            "builder": ENGINE_VERSION,
            "dockerfile": sha256(self.text).hexdigest(),
            "context": Layer(self.files).key,
            "platforms": [str(platform) for platform in self.platforms],
            "args": dict(self.args),
            "bases": sorted([base.ref, base.inputs] for base in self.bases),
        }
        return f"sha256:{sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}"


@frozen
class Import:
    """An image that exists already; its own digest says what is in it."""

    source: str
    platforms: tuple[Platform, ...] = ()

    @property
    def inputs(self) -> str:
        """Nothing: only the registry knows."""
        return ""


Work: TypeAlias = Assembly | Build | Import
