"""What a SAM construct means on a box: a template file becomes a `DeploySpec`."""

from collections.abc import Mapping
from pathlib import Path

from esb_cli.spec_model import DeploySpec

__all__ = ["build_spec"]


def build_spec(
    template_path: Path,
    *,
    project: str,
    env: str,
    parameters: Mapping[str, str],
    region: str = "us-east-1",
    account: str = "000000000000",
    display: str | None = None,
) -> DeploySpec:
    """Read, resolve and interpret one template.

    Args:
        template_path: The template; code paths in it are relative to its directory.
        project: Part of generated table and bucket names.
        env: Part of generated table and bucket names.
        parameters: Values for the template's parameters; their text is kept.
        region: What `AWS::Region` gives.
        account: What `AWS::AccountId` gives, and the account of every ARN.
        display: The name of the template in messages; the path as given by default.

    Raises:
        TemplateError: With every problem found, each at its place.
    """
    raise NotImplementedError
