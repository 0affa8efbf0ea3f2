"""`esb artifact generate`."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from esb_cli.cli import SomePath, Surroundings, warn
from esb_cli.errors import UsageError
from esb_cli.version import __version__

if TYPE_CHECKING:
    from esb_cli.generate import GenerateRequest, GenerateResult
    from esb_cli.project import Project

__all__ = ["generate_command"]

MODES = ["docker", "containerd", "process"]
REGISTRY = "CONTAINER_REGISTRY"
DEFAULT_REGISTRY = "registry:5010"
MOST_JOBS = 8
IMAGE_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*/?")
DIRECTORY = SomePath(file_okay=False, path_type=Path)
FILE = SomePath(dir_okay=False, path_type=Path)
HELP = {
    "template": "A SAM template; repeat it for several.  [default: esb.toml's, or template.yaml]",
    "env": "The environment.  [default: esb.toml's, or dev]",
    "mode": "Where functions run.  [default: esb.toml's, or process]",
    "project": "The project's name.  [default: esb.toml's]",
    "parameter": "A value for a parameter of the templates; repeat it for several.",
    "output": "The directory for artifact roots.  [default: artifact]",
    "manifest": "The manifest to write.  [default: artifact.yml in --output]",
    "build_images": "Build the functions' images too; in mode process only.",
    "images": "The OCI image layout that --build-images fills.  [default: .esb/box/images]",
    "strict": "Reject templates with anything that a box doesn't have.",
}


@click.command("generate", short_help="Generate an artifact from SAM templates.")
@click.option(
    "-t", "--template", "templates", multiple=True, type=FILE, metavar="FILE", help=HELP["template"]
)
@click.option("--env", metavar="NAME", help=HELP["env"])
@click.option("--mode", type=click.Choice(MODES), help=HELP["mode"])
@click.option("--project", metavar="NAME", help=HELP["project"])
@click.option("--parameter", "parameters", multiple=True, metavar="KEY=VALUE", help=HELP["parameter"])
@click.option("--output", type=DIRECTORY, metavar="DIR", help=HELP["output"])
@click.option("--manifest", type=FILE, metavar="FILE", help=HELP["manifest"])
@click.option("--build-images", is_flag=True, help=HELP["build_images"])
@click.option("--images", type=DIRECTORY, metavar="DIR", help=HELP["images"])
@click.option("--strict", is_flag=True, help=HELP["strict"])
@click.pass_obj
def generate_command(  # noqa: PLR0917 - click passes options by name
    here: Surroundings,
    templates: tuple[Path, ...],
    env: str | None,
    mode: str | None,
    project: str | None,
    parameters: tuple[str, ...],
    output: Path | None,
    manifest: Path | None,
    build_images: bool,
    images: Path | None,
    strict: bool,
) -> None:
    """Generate an artifact from SAM templates and print the path of its manifest.

    Defaults are in the project. In modes docker and containerd, images carry the registry that the
    environment variable CONTAINER_REGISTRY names (default registry:5010).
    """
    from esb_cli.generate import generate  # noqa: PLC0415 - slow, and esb --help reads this module
    from esb_cli.project import find_project  # noqa: PLC0415 - see above
    from esb_cli.requirements import Installer  # noqa: PLC0415 - see above

    found = find_project(here.cwd)
    options = Options(templates, env, mode, project, parameters, output, manifest, strict)
    request = make_request(here, found, options)
    if build_images and request.target.mode.value != "process":
        raise UsageError("--build-images: expected mode process; for others run artifactctl prepare-images")
    if images and not build_images:
        raise UsageError("--images: has no effect without --build-images")
    for warning in found.warnings:
        warn(warning)
    installer = Installer(found.root / ".esb/cache/requirements", here.environ)
    result = generate(request, installer)
    report(here, result)
    if build_images:
        build(here, request, here.absolute(images) if images else found.root / ".esb/box/images")
    click.echo(here.shown(result.manifest))


@frozen
class Options:
    """The options as they were given."""

    templates: tuple[Path, ...]
    env: str | None
    mode: str | None
    project: str | None
    parameters: tuple[str, ...]
    output: Path | None
    manifest: Path | None
    strict: bool


def make_request(here: Surroundings, found: "Project", options: Options) -> "GenerateRequest":
    """Fill in from the project what the options leave open.

    Raises:
        UsageError: An option has a value that can't be, or there is no template.
    """
    from artifact_contract.models import Mode  # noqa: PLC0415 - slow, and esb --help reads this module

    from esb_cli.generate import GenerateRequest  # noqa: PLC0415 - see above
    from esb_cli.render import Target  # noqa: PLC0415 - see above

    templates = tuple(map(here.absolute, options.templates)) or found.templates
    if not templates:
        raise UsageError(f"no template.yaml in {found.root}; name a template with --template")
    output = here.absolute(options.output) if options.output else found.root / "artifact"
    return GenerateRequest(
        project_root=found.root,
        target=Target(
            project=_name("--project", found.name if options.project is None else options.project),
            env=_name("--env", found.env if options.env is None else options.env),
            mode=Mode(options.mode) if options.mode else found.mode,
            registry=_registry(here.environ.get(REGISTRY) or DEFAULT_REGISTRY),
        ),
        templates=templates,
        parameters=_parameters(options.parameters),
        output=output,
        manifest=here.absolute(options.manifest) if options.manifest else output / "artifact.yml",
        strict=options.strict,
        now=here.now,
        keep_time=not here.fixed_time,
        version=__version__,
    )


def report(here: Surroundings, result: "GenerateResult") -> None:
    """Say on stderr what was generated, and what of the templates was not."""
    for warning in result.warnings:
        warn(warning)
    for entry in result.entries:
        counts = f"functions {entry.functions}, routes {entry.routes}, tables and buckets {entry.resources}"
        state = "unchanged" if entry.unchanged else "written"
        click.echo(f"{entry.id}: {here.shown(entry.root)} {state}: {counts}", err=True)


def build(here: Surroundings, request: "GenerateRequest", images: Path) -> None:
    """Build the images of what was generated into an OCI layout.

    Raises:
        ArtifactError: An image can't be built from the artifact.
        WorldError: The layout can't be written.
    """
    from artifactctl import LayoutTarget, PrepareImagesRequest, prepare_images  # noqa: PLC0415 - see above

    asked = PrepareImagesRequest(
        artifact=request.manifest,
        target=LayoutTarget(images),
        now=here.now,
        strict=request.strict,
        jobs=min(os.cpu_count() or 1, MOST_JOBS),
        command="esb artifact generate",
    )
    result = prepare_images(asked)
    for warning in result.warnings:
        warn(str(warning))
    for image in result.images:
        click.echo(f"{image.ref}: {image.status.value}", err=True)
    result.raise_failures()


def _parameters(given: tuple[str, ...]) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--parameter: expected KEY=VALUE, found {text!r}")
        if parameters.setdefault(key, value) != value:
            raise UsageError(f"--parameter: {key} is given twice with different values")
    return parameters


def _registry(text: str) -> str:
    if not IMAGE_PREFIX.fullmatch(text):
        raise UsageError(f"{REGISTRY}: expected a registry such as {DEFAULT_REGISTRY}, found {text!r}")
    return text


def _name(option: str, text: str) -> str:
    from esb_cli.project import parse_name  # noqa: PLC0415 - slow, and esb --help reads this module

    try:
        return parse_name(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error
