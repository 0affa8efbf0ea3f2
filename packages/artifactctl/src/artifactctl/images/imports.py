"""`image-import.json`: images that exist elsewhere and are copied to where the runtime takes them from (§9).

`image_prewarm: off` leaves them where they are. A Dockerfile FROM an `image_ref` is built on its
`image_source`, which is the same image, so that nothing has to wait for the copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from artifact_contract.errors import Place, Problem, Severity
from artifact_contract.models import Entry, ImagePrewarm
from artifact_contract.runtime_config import IMAGE_IMPORT_FILE, ImageImport, ImageImportEntry
from attrs import frozen

from artifactctl.images.plan import EntryFiles, ImagePlan
from artifactctl.images.planning import Method
from artifactctl.images.recipe import lambda_platform
from artifactctl.images.work import Import


@frozen
class EntryImports:
    """What one entry wants to have copied."""

    entry: Entry
    config_dir: Path
    images: ImageImport

    @property
    def names(self) -> frozenset[str]:
        """The functions whose image comes from elsewhere."""
        return frozenset(image.function_name for image in self.images.images if image.function_name)

    @property
    def file(self) -> Path:
        """Where it says so."""
        return self.config_dir / IMAGE_IMPORT_FILE

    def sources(self) -> Mapping[str, str]:
        """Each image's source by the reference it gets."""
        return {self.ref(image): image.image_source for image in self.images.images if _is_whole(image)}

    def ref(self, image: ImageImportEntry) -> str:
        """The reference an image gets: in `push_target` when it names no registry itself."""
        first, slash, _ = image.image_ref.partition("/")
        named = slash and (first == "localhost" or "." in first or ":" in first)
        target = self.images.push_target.rstrip("/")
        return image.image_ref if named or not target else f"{target}/{image.image_ref}"

    def plans(self, files: EntryFiles, method: Method) -> Iterator[ImagePlan]:
        """One image each, for the platforms of the function it belongs to."""
        if self.entry.image_prewarm is ImagePrewarm.OFF:
            return
        for image in filter(_is_whole, self.images.images):
            function = files.functions.functions.get(image.function_name)
            architectures = (function.architectures if function else ()) or ("x86_64",)
            wanted = tuple(map(lambda_platform, architectures))
            yield ImagePlan(
                self.ref(image),
                self.entry.id,
                str(self.file),
                (image.function_name or image.key,),
                Import(image.image_source, method.of(wanted)),
            )

    def warnings(self, *, possible: bool) -> list[Problem]:
        """Which images stay where they are, and why."""
        whole = [image.key for image in self.images.images if _is_whole(image)]
        found = [
            self._warning("image_source and image_ref", image.key)
            for image in self.images.images
            if not _is_whole(image)
        ]
        if whole and not possible:
            found.append(
                self._warning("a registry to import into", f"an OCI layout; not imported: {', '.join(whole)}")
            )
        elif whole and self.entry.image_prewarm is ImagePrewarm.OFF:
            found.append(
                self._warning("images to import", f"image_prewarm: off; not imported: {', '.join(whole)}")
            )
        return found

    def _warning(self, expected: str, found: str) -> Problem:
        return Problem(Place(str(self.file)), "images", expected, found, severity=Severity.WARNING)


def _is_whole(image: ImageImportEntry) -> bool:
    return bool(image.image_source and image.image_ref)
