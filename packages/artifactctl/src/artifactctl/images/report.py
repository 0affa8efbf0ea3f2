"""The result of `prepare_images` for people and for machines (contract §12)."""

from __future__ import annotations

import json

from artifactctl.images.api import ImageResult, ImageStatus, PrepareImagesResult

_SHOWN_DIGEST = len("sha256:") + 12


def progress_text(image: ImageResult) -> str:
    """One image that is done."""
    return f"{image.status.value:6}  {image.ref}  {_what_for(image)}"


def prepared_text(result: PrepareImagesResult) -> str:
    """A line for each image, and one that sums up and names those that failed."""
    width = max((len(image.ref) for image in result.images), default=0)
    lines = [
        f"{image.status.value:6}  {image.ref:{width}}  {_digest(image):{_SHOWN_DIGEST}}  {_what_for(image)}"
        for image in result.images
    ]
    counts = ", ".join(f"{result.count(status)} {status.value}" for status in ImageStatus)
    failed = [image.ref for image in result.images if image.status is ImageStatus.FAILED]
    names = f" ({', '.join(failed)})" if failed else ""
    return "\n".join([*lines, f"{result.target}: {len(result.images)} images: {counts}{names}"])


def prepared_json(result: PrepareImagesResult) -> str:
    """The same as JSON: `digest` is that of the image manifest, `size` the bytes of all blobs."""
    document = {
        "target": str(result.target),
        "images": [image_json(image) for image in result.images],
        **{status.value: result.count(status) for status in ImageStatus},
        "warnings": [str(warning) for warning in result.warnings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def image_json(image: ImageResult) -> dict[str, object]:
    """One image; what isn't known is null."""
    return {
        "ref": image.ref,
        "status": image.status.value,
        "entry": image.entry,
        "functions": list(image.functions),
        "dockerfile": image.dockerfile,
        "platform": image.platform or None,
        "builder": image.builder or None,
        "digest": image.stored.digest if image.stored else None,
        "size": image.stored.size if image.stored else None,
        "error": str(image.error) if image.error else None,
    }


def _what_for(image: ImageResult) -> str:
    return ", ".join(image.functions) or "base"


def _digest(image: ImageResult) -> str:
    return image.stored.digest[:_SHOWN_DIGEST] if image.stored else ""
