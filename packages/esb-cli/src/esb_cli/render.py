"""What an artifact holds: a DeploySpec becomes the files of one artifact root (contract §2).

    functions/<name>/             code, layers, Dockerfile (function_files)
    runtime-config/               functions, routes, resources (config)
    runtime-base/                 hooks and templates, as this package has them (runtime_files)

Nothing is written here; code is only pointed at. Sources are read for their digests, which give the tags.
"""

from collections.abc import Iterator, Mapping

from artifact_contract.errors import Place, Problem
from artifact_contract.models import Mode
from attrs import frozen

from esb_cli.config import config_files
from esb_cli.errors import TemplateError
from esb_cli.function_files import FunctionFiles, Installs
from esb_cli.images import image_names, registry_prefix
from esb_cli.runtime_files import RUNTIME_BASE, runtime_base_files
from esb_cli.spec_model import DeploySpec
from esb_cli.staging import StagedFile

__all__ = ["CONFIG_DIR", "RenderedArtifact", "Target", "render"]

CONFIG_DIR = "runtime-config"


@frozen
class Target:
    """Where the artifact is meant to run; `registry` is the one the runtime pulls from."""

    project: str
    env: str
    mode: Mode
    registry: str

    @property
    def prefix(self) -> str:
        """What stands before image names: in process mode images come from a directory."""
        return "" if self.mode is Mode.PROCESS else registry_prefix(self.registry)


@frozen
class RenderedArtifact:
    """The files of an artifact root by their path in it, and what its author should know."""

    files: Mapping[str, StagedFile]
    warnings: tuple[str, ...] = ()


def render(
    spec: DeploySpec, target: Target, installer: Installs, never_ship: frozenset[str] = frozenset()
) -> RenderedArtifact:
    """Say what the artifact root of one template holds.

    Args:
        spec: What the template asks for.
        target: For which project, environment and mode.
        installer: Installs requirements files.
        never_ship: Real paths that are left out wherever a code directory holds them.

    Raises:
        TemplateError: Something of it can't ship, with all reasons.
        WorldError: Requirements can't be fetched.
        OSError: Code can't be read.
    """
    functions = FunctionFiles(target.prefix, installer, never_ship)
    functions.problems += _names_used_twice(spec)
    files: dict[str, StagedFile] = {f"{RUNTIME_BASE}/{path}": it for path, it in runtime_base_files().items()}
    names = image_names(target.project, target.env, (function.name for function in spec.functions))
    images = {}
    for function in spec.functions:
        built = functions.build(function)
        files |= built.files
        images[function.name] = f"{target.prefix}{names[function.name]}:{built.tag}"
    if functions.problems:
        raise TemplateError(functions.problems)
    for name, data in config_files(spec, images).items():
        files[f"{CONFIG_DIR}/{name}"] = StagedFile(data)
    return RenderedArtifact(dict(sorted(files.items())), tuple(functions.warnings))


def _names_used_twice(spec: DeploySpec) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for function in spec.functions:
        other = first.setdefault(function.name, function.logical_id)
        if other != function.logical_id:
            place = Place(function.where.file, function.where.line)
            yield Problem(place, function.logical_id, f"a name that {other} doesn't have", function.name)
