"""What can go wrong that isn't a bug: one class for each exit code of contract §12.

`TemplateError` is the one error that a template's author can fix; all problems of a template come together.
"""

from artifact_contract.errors import ArtifactError

__all__ = ["StrictError", "TemplateError", "UsageError", "WorldError"]


class TemplateError(ArtifactError):
    """A template that can't be rendered. `problems` holds every reason, each with its place."""


class StrictError(Exception):
    """Warnings that `--strict` turns into a rejection; the text has a line for each."""


class UsageError(Exception):
    """What was asked for can't be done as asked: a project file, an option or a place that doesn't fit."""


class WorldError(Exception):
    """Something outside failed: a package index, a disk, another process."""
