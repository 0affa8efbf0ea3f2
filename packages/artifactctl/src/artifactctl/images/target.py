"""The port to where images go: an OCI layout now, a registry or an engine beside it.

A target is asked before anything is built, takes recipes and not bytes (so that it can skip layers it has),
and shows nothing of what it took to anybody before `commit`.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from artifactctl.images.recipe import Recipe


@frozen
class StoredImage:
    """A complete image in a target: manifest digest, bytes of all its blobs, input digest of its recipe."""

    digest: str
    size: int
    inputs: str


class Target(Protocol):
    """Somewhere images can be put; `find` and `put` are called from several threads."""

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference, when all its blobs are there.

        Raises:
            WorldError: the target can't be read.
        """

    def put(self, ref: str, recipe: Recipe) -> StoredImage:
        """Make the image of a recipe and keep it for `commit`.

        Raises:
            WorldError: something can't be read or written.
        """

    def commit(self) -> None:
        """Make everything that was put visible under its reference, at once.

        Raises:
            WorldError: it can't be written; what was visible before is still there.
        """
