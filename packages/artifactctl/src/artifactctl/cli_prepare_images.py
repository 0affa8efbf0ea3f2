"""`artifactctl prepare-images`: options in, one library call, a table or JSON out."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from artifactctl.prepare_images import (
    ImageResult,
    ImageStatus,
    PrepareImagesRequest,
    PrepareImagesResult,
    parse_target,
    prepare_images,
)

_MOST_JOBS = 8
_SHOWN_DIGEST = len("sha256:") + 12


@click.command("prepare-images")
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    default=Path("artifact.yml"),
    show_default=True,
    help="The manifest.",
)
@click.option("--target", required=True, metavar="oci-layout:DIR", help="Where the images go.")
@click.option("--strict", is_flag=True, help="Treat warnings the contract names as errors.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="Images made at a time.  [default: processors, at most 8]"
)
@click.option("--no-cache", is_flag=True, help="Make every image again, and every blob.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def prepare_images_command(
    artifact: Path, target: str, *, strict: bool, jobs: int | None, no_cache: bool, output: str
) -> None:
    """Build the images of an artifact's functions, and the bases they are FROM.

    Images are assembled directly, without a container engine. One whose inputs didn't change is left alone.
    """
    request = PrepareImagesRequest(
        artifact=artifact,
        target=parse_target(target),
        now=datetime.now(UTC),
        strict=strict,
        jobs=jobs or min(os.cpu_count() or 1, _MOST_JOBS),
        rebuild=no_cache,
    )
    result = prepare_images(request, on_image=_show_progress, on_wait=lambda wait: click.echo(wait, err=True))
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(as_json(result) if output == "json" else as_text(result))
    result.raise_failures()


def as_text(result: PrepareImagesResult) -> str:
    """A line for each image, and one that sums up."""
    width = max((len(image.ref) for image in result.images), default=0)
    lines = [
        f"{image.status.value:6}  {image.ref:{width}}  {_digest(image):{_SHOWN_DIGEST}}  {_what_for(image)}"
        for image in result.images
    ]
    counts = ", ".join(f"{result.count(status)} {status.value}" for status in ImageStatus)
    failed = [image.ref for image in result.images if image.status is ImageStatus.FAILED]
    names = f" ({', '.join(failed)})" if failed else ""
    return "\n".join([*lines, f"{result.target}: {len(result.images)} images: {counts}{names}"])


def as_json(result: PrepareImagesResult) -> str:
    """The same for machines; `digest` is that of the image manifest, `size` the bytes of all blobs."""
    document = {
        "target": str(result.target),
        "images": [_image_json(image) for image in result.images],
        **{status.value: result.count(status) for status in ImageStatus},
        "warnings": [str(warning) for warning in result.warnings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _image_json(image: ImageResult) -> dict[str, object]:
    return {
        "ref": image.ref,
        "status": image.status.value,
        "entry": image.entry,
        "functions": list(image.functions),
        "dockerfile": image.dockerfile,
        "platform": image.platform or None,
        "digest": image.stored.digest if image.stored else None,
        "size": image.stored.size if image.stored else None,
        "error": str(image.error) if image.error else None,
    }


def _show_progress(image: ImageResult) -> None:
    click.echo(f"{image.status.value:6}  {image.ref}  {_what_for(image)}", err=True)


def _what_for(image: ImageResult) -> str:
    return ", ".join(image.functions) or "base"


def _digest(image: ImageResult) -> str:
    return image.stored.digest[:_SHOWN_DIGEST] if image.stored else ""
