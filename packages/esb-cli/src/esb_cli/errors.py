"""The one error that a template's author can fix. All problems of a template come together."""

from artifact_contract.errors import ArtifactError

__all__ = ["TemplateError"]


class TemplateError(ArtifactError):
    """A template that can't be rendered. `problems` holds every reason, each with its place."""
