"""`artifactctl prepare-images`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from artifactctl import cli_options as use

_MOST_JOBS = 8


@click.command("prepare-images")
@use.artifact
@click.option("--target", required=True, metavar="oci-layout:DIR", help="Where the images go.")
@use.strict
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help=f"How many images are made at a time.  [default: processors, at most {_MOST_JOBS}]",
)
@click.option("--no-cache", is_flag=True, help="Make every image again, also what looks unchanged.")
@use.options(use.lock_timeout, use.output, use.verbose)
def prepare_images_command(
    *,
    artifact: Path,
    target: str,
    strict: bool,
    jobs: int | None,
    no_cache: bool,
    lock_timeout: float,
    output: str,
) -> None:
    """Build the images of an artifact's functions.

    And the bases they are FROM. No container engine is needed; what didn't change is left alone.
    """
    from artifactctl.images import report  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.images.api import PrepareImagesRequest, parse_target  # noqa: PLC0415 - as above
    from artifactctl.images.prepare import prepare_images  # noqa: PLC0415 - as above

    request = PrepareImagesRequest(
        artifact=artifact,
        target=parse_target(target),
        now=datetime.now(UTC),
        strict=strict,
        jobs=jobs or min(os.cpu_count() or 1, _MOST_JOBS),
        rebuild=no_cache,
        lock_timeout=lock_timeout,
    )
    result = prepare_images(
        request,
        on_image=lambda image: click.echo(report.progress_text(image), err=True),
        on_wait=use.echo_wait,
    )
    use.echo_warnings(result.warnings)
    click.echo(report.prepared_json(result) if output == "json" else report.prepared_text(result))
    result.raise_failures()
