"""Images as containerd has them, and their pulls: one at a time for an image, whoever asks for it.

A pull goes on when the start that asked for it is given up: the next start finds the image. What is known of
an image is kept by its digest: a start asks containerd one question, which digest its name stands for now.
"""

import asyncio
from contextlib import suppress

import structlog

from esb_agent.drivers.containerd.client import Containerd
from esb_agent.drivers.containerd.content import Content
from esb_agent.drivers.containerd.image_settings import ImageSettings
from esb_agent.drivers.containerd.manifests import (
    INDEXES,
    ImageFacts,
    for_this_host,
    parse_facts,
    parse_manifest,
)
from esb_agent.drivers.containerd.pull import LEASE_PREFIX, Puller
from esb_agent.drivers.containerd.references import Reference, parse_reference
from esb_agent.drivers.containerd.registry import Registry
from esb_agent.drivers.containerd.rpc import ContainerdError
from esb_agent.drivers.docker.registry_auth import find_auth
from esb_agent.drivers.docker.settings import PullPolicy
from esb_agent.errors import AgentError, ImageNotFoundError

log = structlog.get_logger()


class Images:
    """What a start needs to know of its image, pulled as the policy says."""

    def __init__(self, client: Containerd, settings: ImageSettings) -> None:
        self._client = client
        self._settings = settings
        self._content = Content(client.rpc)
        self._puller = Puller(client, self._content, settings.snapshotter)
        self._known: dict[str, ImageFacts] = {}
        self._pulls: dict[str, asyncio.Task[ImageFacts]] = {}

    async def start(self) -> None:
        """Let go what pulls of an earlier life held; none may be under way."""
        for lease in (await self._client.rpc.call("leases.List")).leases:
            if lease.id.startswith(LEASE_PREFIX):
                await self._client.delete_lease(lease.id)

    async def ensure(self, ref: str) -> ImageFacts:
        """The image's facts; containerd has it then, unpacked.

        Raises:
            BadRequestError: no image can be called so.
            ImageNotFoundError: nobody has it, or the policy forbids to ask.
            ImageBrokenError: it is not what its digests say, or there is none for this machine.
            DriverError: containerd or the registry failed.
        """
        reference = parse_reference(ref)
        if self._settings.pull is PullPolicy.ALWAYS:
            return await self._pull(reference, ref)
        if found := await self._find(reference):
            return found[1]
        if self._settings.pull is not PullPolicy.MISSING:
            raise ImageNotFoundError(f"{ref}: containerd has no such image (ESB_IMAGE_PULL is never)")
        return await self._pull(reference, ref)

    def forget(self) -> None:
        """What is known is no longer sure: ask containerd anew, after a snapshot was found missing."""
        self._known.clear()

    async def _find(self, reference: Reference) -> tuple[str, ImageFacts] | None:
        """What the name stands for, and its facts; None when containerd has not all of it."""
        try:
            target = (await self._client.rpc.call("images.Get", name=reference.name)).image.target
            if known := self._known.get(target.digest):
                return target.digest, known
            return target.digest, await self._look(reference, target.digest, target.media_type)
        except ContainerdError as error:
            if error.not_found:
                return None
            raise

    async def _look(self, reference: Reference, target: str, kind: str) -> ImageFacts:
        """Read the stored documents, and unpack what was never unpacked. Raises ContainerdError."""
        what, digest = reference.name, target
        data = await self._content.read(digest, what)
        if kind in INDEXES:
            digest = for_this_host(data, what).digest
            data = await self._content.read(digest, what)
        manifest = parse_manifest(data, what)
        config = await self._content.read(manifest.config.digest, what)
        facts = parse_facts(config, manifest, digest, what)
        if facts.chain_id and not await self._puller.unpacked(facts.chain_id):
            await self._puller.unpack(manifest, config, digest, what)
        self._known[target] = facts
        return facts

    async def _pull(self, reference: Reference, ref: str) -> ImageFacts:
        pull = self._pulls.get(reference.name)
        if not pull:
            pull = self._pulls[reference.name] = asyncio.create_task(self._pull_now(reference, ref))
            pull.add_done_callback(lambda _: self._pulls.pop(reference.name, None))
            # Whoever asked for it may have given up; then nobody is to be told.
            pull.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(pull)

    async def _pull_now(self, reference: Reference, ref: str) -> ImageFacts:
        auth = await find_auth(self._settings.auth_file, ref) if self._settings.auth_file else None
        async with Registry(reference, self._settings, auth) as registry:
            top = await registry.manifest(reference.version)
            if (found := await self._find(reference)) and found[0] == top[2]:
                return found[1]
            facts = await self._puller.pull(registry, top)
        log.info("image pulled", image=ref, digest=facts.digest)
        return facts

    async def close(self) -> None:
        """Give up all pulls; nothing of them stays."""
        for pull in list(self._pulls.values()):
            pull.cancel()
            with suppress(AgentError, asyncio.CancelledError):
                await pull
