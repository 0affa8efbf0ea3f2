"""What every artifact carries in its `runtime-base/` (contract §2): this package's `runtime_base/`."""

from functools import cache
from pathlib import Path

from esb_cli.staging import StagedFile, every_file

__all__ = ["DOCKERFILE_TEMPLATE", "PYTHON_HOOKS", "RUNTIME_BASE", "runtime_base_files"]

FOLDER = Path(__file__).parent / "runtime_base"
RUNTIME_BASE = "runtime-base"  # of an artifact root
PYTHON_HOOKS = "runtime-hooks/python/"
DOCKERFILE_TEMPLATE = "runtime-templates/python/templates/dockerfile.tmpl"


@cache
def runtime_base_files() -> dict[str, StagedFile]:
    """Return the files by their path below `runtime-base/`."""
    return {path: StagedFile(file.source) for path, file in every_file(FOLDER).items()}
