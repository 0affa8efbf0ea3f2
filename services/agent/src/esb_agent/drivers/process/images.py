"""Images ready to run: unpacked once each, by content, shared by all their workers.

ref ─layout.find_manifest▶ ImageManifest ─unpack_layer each▶ rootfs/.tmp-… ─rename▶ rootfs/<manifest digest>
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from esb_agent.drivers.process.layout import ImageConfig, ImageManifest, find_manifest, manifest_digests
from esb_agent.drivers.process.unpack import unpack_layer
from esb_agent.errors import DriverError, ImageBrokenError, ImageNotFoundError

TEMPORARY = ".tmp-"
BOOT_FILE = ".boot-id"


@frozen
class Image:
    """An unpacked image. `names` are the top-level modules and packages of its code directories."""

    digest: str
    root: Path
    config: ImageConfig
    names: frozenset[str]


class ImageStore:
    """The unpacked images of one layout."""

    def __init__(self, layout: Path, directory: Path) -> None:
        self._layout = layout
        self._directory = directory
        self._index_seen: tuple[int, int, int] | None = None
        self._manifests: dict[str, ImageManifest] = {}
        self._unpacking: dict[str, asyncio.Task[Image]] = {}
        self._images: dict[str, Image] = {}

    def check(self, ref: str) -> None:
        """Raises ImageNotFoundError, ImageBrokenError: the layout has no image that could be unpacked."""
        self._manifest(ref)

    async def get(self, ref: str) -> Image:
        """The image, unpacked if this is the first call for it; concurrent calls wait for one unpacking.

        Raises:
            ImageNotFoundError, ImageBrokenError: see layout and unpack.
            DriverError: the disk refused.
        """
        manifest = self._manifest(ref)
        if manifest.digest in self._images:
            return self._images[manifest.digest]
        if manifest.digest not in self._unpacking:
            task = asyncio.create_task(asyncio.to_thread(self._unpack, manifest))
            self._unpacking[manifest.digest] = task
            task.add_done_callback(lambda done: self._unpacked(manifest.digest, done))
        # Shielded: one caller that gives up must not take the image from the others.
        return await asyncio.shield(self._unpacking[manifest.digest])

    def _unpacked(self, digest: str, task: asyncio.Task[Image]) -> None:
        del self._unpacking[digest]
        if not task.cancelled() and not task.exception():
            self._images[digest] = task.result()

    def _manifest(self, ref: str) -> ImageManifest:
        """Read again only after the layout's index changed: it is asked for at every start of a worker."""
        try:
            stat = (self._layout / "index.json").stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        if seen is None or seen != self._index_seen:
            self._manifests.clear()
            self._index_seen = seen
        if ref not in self._manifests:
            self._manifests[ref] = find_manifest(self._layout, ref)
        return self._manifests[ref]

    def _unpack(self, manifest: ImageManifest) -> Image:
        root = self._directory / manifest.digest.removeprefix("sha256:")
        try:
            if not root.is_dir():
                temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self._directory))
                try:
                    for layer in manifest.layers:
                        unpack_layer(layer, temporary)
                    for needed in ("var/task", "opt"):
                        (temporary / needed).mkdir(parents=True, exist_ok=True)
                    temporary.chmod(0o755)
                    temporary.rename(root)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise DriverError(f"image {manifest.digest} cannot be unpacked to {root}: {error}") from error
        return Image(manifest.digest, root, manifest.config, frozenset(_module_names(root)))

    def problem(self) -> str:
        """Why no image can be had now; "" when the layout can be read."""
        try:
            manifest_digests(self._layout)
        except (ImageNotFoundError, ImageBrokenError) as error:
            return str(error)
        return ""

    def clean(self, boot_id: str) -> None:
        """Remove what cannot be trusted or is not needed. For the start, before anything runs.

        That is: half-unpacked images; images the layout holds no longer; and, when the machine was started
        anew since, all of them, because files are not forced to the disk one by one and may be incomplete
        after a power failure.
        """
        seen = self._directory / BOOT_FILE
        rebooted = not seen.is_file() or seen.read_text(encoding="utf-8") != boot_id
        kept: set[str] = set()
        with suppress(ImageNotFoundError, ImageBrokenError):
            kept = {digest.removeprefix("sha256:") for digest in manifest_digests(self._layout).values()}
        for path in self._directory.iterdir():
            if path.is_dir() and (rebooted or path.name not in kept):
                shutil.rmtree(path, ignore_errors=True)
        seen.write_text(boot_id, encoding="utf-8")


def _module_names(root: Path) -> Iterable[str]:
    places = [root / "var/task", root / "opt/python", *root.glob("opt/python/lib/python3.*/site-packages")]
    for place in places:
        if place.is_dir():
            yield from (path.name.partition(".")[0] for path in place.iterdir())
