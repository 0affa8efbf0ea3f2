"""What an image is to consist of, before a byte of it is made: what interpreting a Dockerfile gives.

Two recipes with the same `inputs` give the same image, on every machine (contract §13).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256

from artifact_contract.errors import FieldError, Problem
from attrs import asdict, field, frozen

from artifactctl.images.layers import Layer
from artifactctl.images.tree import ImageTree
from artifactctl.registry.descriptors import Descriptor
from artifactctl.registry.references import Repository

# goes up whenever the same recipe would give other bytes than before
BUILDER_VERSION = "direct-2"

_PLATFORM = re.compile(r"([a-z0-9]+)/([a-z0-9_]+)(?:/([a-z0-9]+))?")
_LAMBDA_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}


@frozen
class Platform:
    """Where an image runs, in the words of the image specification."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def parse_platform(text: str) -> Platform:
    """`linux/arm64` as a platform.

    Raises:
        FieldError: it isn't of this form.
    """
    found = _PLATFORM.fullmatch(text)
    if not found or found[1] != "linux":
        raise FieldError("a platform such as linux/amd64", repr(text))
    return Platform(found[1], found[2], found[3] or "")


def lambda_platform(architecture: str) -> Platform:
    """The platform of `x86_64` or `arm64`, as a function has it.

    Raises:
        FieldError: another architecture.
    """
    if architecture not in _LAMBDA_ARCHITECTURES:
        raise FieldError(" or ".join(_LAMBDA_ARCHITECTURES), repr(architecture))
    return Platform("linux", _LAMBDA_ARCHITECTURES[architecture])


@frozen
class ImageConfig:
    """How a container of the image is started; `None` for a command means it was never set.

    `more` is what a base says beside it and no instruction here changes, such as a health check.
    """

    env: Mapping[str, str] = field(factory=dict)
    labels: Mapping[str, str] = field(factory=dict)
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    workdir: str = ""
    user: str = ""
    stop_signal: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    more: Mapping[str, object] = field(factory=dict)


@frozen
class RemoteLayer:
    """A layer that is in a registry already; `origin` is one repository that has it, and isn't compared."""

    blob: Descriptor
    diff_id: str
    origin: Repository = field(eq=False)


@frozen
class Base:
    """What a FROM brings along.

    `layers` are those we make ourselves, on top of those an image from a registry has (`remote`, with its
    `history`). What is in the latter nobody looks at; known is what everybody knows: some of its
    `directories`, its `variables`, and names in it that may be links (`maybe_links`), which a layer must not
    replace.
    """

    name: str
    inputs: str
    config: ImageConfig = field(factory=ImageConfig)
    layers: tuple[Layer, ...] = ()
    remote: tuple[RemoteLayer, ...] = ()
    history: tuple[Mapping[str, object], ...] = ()
    tree: ImageTree = field(factory=ImageTree, eq=False)
    variables: Mapping[str, str] = field(factory=dict)
    maybe_links: frozenset[str] = frozenset()
    complete: bool = True
    warning: str = ""


@frozen(eq=False, slots=False)
class Recipe:
    """One image: its layers on top of the remote ones of its base, and its configuration."""

    platform: Platform
    base: Base
    config: ImageConfig
    layers: tuple[Layer, ...]
    tree: ImageTree
    warnings: tuple[Problem, ...] = ()

    @cached_property
    def inputs(self) -> str:
        """The input digest: over everything that decides the bytes of the image."""
        facts = {
            "builder": BUILDER_VERSION,
            "platform": str(self.platform),
            "base": [self.base.name, self.base.inputs],
            "config": {**asdict(self.config), "env": list(self.config.env.items())},
            "layers": [[layer.key, layer.created_by] for layer in self.layers],
        }
        return f"sha256:{sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}"

    def as_base(self, name: str) -> Base:
        """This image for a FROM that names it."""
        return Base(
            name=name,
            inputs=self.inputs,
            config=self.config,
            layers=self.layers,
            remote=self.base.remote,
            history=self.base.history,
            tree=self.tree,
            variables=self.base.variables,
            maybe_links=self.base.maybe_links,
            complete=self.base.complete,
        )


def combined_inputs(recipes: Sequence[Recipe]) -> str:
    """The input digest of an image for several platforms; of one it is that one's."""
    if len(recipes) == 1:
        return recipes[0].inputs
    found = json.dumps(sorted((str(recipe.platform), recipe.inputs) for recipe in recipes))
    return f"sha256:{sha256(found.encode()).hexdigest()}"
