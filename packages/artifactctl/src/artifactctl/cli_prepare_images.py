"""`artifactctl prepare-images`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from artifactctl import cli_options as use

if TYPE_CHECKING:
    from artifactctl.registry.config import RegistryConfig

_MOST_JOBS = 8
_FEWEST_CONNECTIONS = 8


@click.command("prepare-images")
@use.artifact
@click.option(
    "--target",
    metavar="TARGET",
    help="Where the images go: registry, docker or oci-layout:DIR.  [default: registry, but none for mode"
    " process]",
)
@click.option(
    "--builder",
    type=click.Choice(["auto", "direct", "buildx"]),
    default="auto",
    show_default=True,
    help="Who makes them: an engine only where it must, never, or always.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="LIST",
    help="For these platforms, with commas between them.  [default: each function's own]",
)
@click.option(
    "--image-override",
    "overrides",
    multiple=True,
    metavar="FROM=REF",
    help="Take the image REF wherever a Dockerfile says FROM; several times.",
)
@click.option(
    "--insecure-registry",
    "insecure",
    multiple=True,
    envvar="ARTIFACTCTL_INSECURE_REGISTRIES",
    show_envvar=True,
    metavar="HOST",
    help="Speak plain HTTP to this registry, as to loopback ones; several times.",
)
@click.option(
    "--registry-ca",
    type=click.Path(path_type=Path),
    envvar=["ARTIFACTCTL_REGISTRY_CA", "SSL_CERT_FILE"],
    show_envvar=True,
    metavar="FILE",
    help="Trust these certificate authorities too.",
)
@use.strict
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help=f"How many images are made at a time.  [default: processors, at most {_MOST_JOBS}]",
)
@click.option("--no-cache", is_flag=True, help="Make every image again, also what looks unchanged.")
@use.options(use.lock_timeout, use.output)
@click.option(
    "--progress",
    type=click.Choice(["auto", "live", "plain", "json", "off"]),
    default="auto",
    show_default=True,
    help="What stderr shows meanwhile; auto: json with --output json, live on a terminal, else plain.",
)
@use.verbose
def prepare_images_command(
    *,
    artifact: Path,
    target: str | None,
    builder: str,
    platforms: str | None,
    overrides: tuple[str, ...],
    insecure: tuple[str, ...],
    registry_ca: Path | None,
    strict: bool,
    jobs: int | None,
    no_cache: bool,
    lock_timeout: float,
    output: str,
    progress: str,
) -> None:
    """Make the images of an artifact's functions.

    And the bases they are FROM. What didn't change is left alone; a container engine is needed only for what
    has to be executed.
    """
    from artifactctl.images import api, report  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.images.prepare import prepare_images  # noqa: PLC0415 - as above
    from artifactctl.images.progress import shown  # noqa: PLC0415 - as above

    workers = jobs or min(os.cpu_count() or 1, _MOST_JOBS)
    request = api.PrepareImagesRequest(
        artifact=artifact,
        target=api.parse_target(target) if target is not None else None,
        now=datetime.now(UTC),
        strict=strict,
        jobs=workers,
        rebuild=no_cache,
        lock_timeout=lock_timeout,
        builder=api.Builder(builder),
        platforms=api.parse_platforms(platforms) if platforms is not None else (),
        overrides=api.parse_overrides(overrides),
        registry=_registry(os.environ, insecure, registry_ca, workers),
    )
    kind = _progress(progress, output)
    with shown(kind, lambda line: click.echo(line, err=True)) as display:
        result = prepare_images(request, on_image=display.done, on_step=display.step, on_wait=use.echo_wait)
    if kind != "json":
        use.echo_warnings(result.warnings)
    click.echo(report.prepared_json(result) if output == "json" else report.prepared_text(result))
    result.raise_failures()


def _progress(asked: str, output: str) -> str:
    if asked != "auto":
        return asked
    if output == "json":
        return "json"
    return "live" if sys.stderr.isatty() else "plain"


def _registry(
    environment: Mapping[str, str], insecure: tuple[str, ...], ca_file: Path | None, jobs: int
) -> RegistryConfig:
    """How registries are reached, as the environment says it (contract §13)."""
    from artifactctl.registry.config import RegistryConfig  # noqa: PLC0415 - --help doesn't need it

    hosts = (host.strip() for text in insecure for host in text.split(","))
    docker = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "~").expanduser() / ".docker"
    return RegistryConfig(
        container_registry=environment.get("CONTAINER_REGISTRY", ""),
        host_registry=environment.get("HOST_REGISTRY_ADDR", ""),
        insecure=frozenset(filter(None, hosts)),
        ca_file=ca_file,
        docker_config=Path(docker) / "config.json",
        environment=dict(environment),
        connections=max(jobs, _FEWEST_CONNECTIONS),
    )
