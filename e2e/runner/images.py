"""Images of a profile's functions, in its registry: stand-ins for others first, then the artifact's."""

from __future__ import annotations

from runner.box import Work
from runner.commands import PhaseError

BUILD_SECONDS = 900.0
_FIXTURE_IMAGES = "esb-e2e-fixtures/"
# Contract §13: what the runtime pulls from, and what this host pushes to. Here they are one.
_REGISTRY_NAMES = ("CONTAINER_REGISTRY", "HOST_REGISTRY_ADDR")


def setting(work: Work, name: str) -> str:
    """One of the profile's settings; PhaseError when the matrix has none."""
    if name not in work.profile.settings:
        where = f"profiles.{work.profile.name}.settings.{name}"
        raise PhaseError(f"test_matrix.yaml: {where}: expected a value, found nothing")
    return work.profile.settings[name]


async def prepare_images(work: Work) -> None:
    """`prepare-images` into the registry, with the profile's overrides."""
    overrides = work.profile.image_overrides
    for reference in overrides.values():
        await _fixture_image(work, reference)
    await work.artifactctl(
        *("prepare-images", "--artifact", work.profile.artifact, "--target", "registry"),
        *(word for name, it in overrides.items() for word in ("--image-override", f"{name}={it}")),
        environ=dict.fromkeys(_REGISTRY_NAMES, setting(work, "registry")),
        seconds=BUILD_SECONDS,
    )


async def _fixture_image(work: Work, reference: str) -> None:
    """Build and push it when it is one of e2e/fixtures/images."""
    prefix = f"{setting(work, 'registry')}/{_FIXTURE_IMAGES}"
    if not reference.startswith(prefix):
        return
    context = work.root / "e2e/fixtures/images" / reference.removeprefix(prefix).partition(":")[0]
    others = work.profile.image_overrides.items()
    contexts = (f"{name}=docker-image://{it}" for name, it in others if not it.startswith(prefix))
    await work.commands.run(
        *("docker", "buildx", "build", "--quiet", "--provenance", "false", "--push", "--tag", reference),
        *(word for one in contexts for word in ("--build-context", one)),
        context,
        seconds=BUILD_SECONDS,
    )
