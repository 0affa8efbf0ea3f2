"""Manifests and indexes: read with their digest checked, written under a tag or their digest."""

from __future__ import annotations

import json

from attrs import field, frozen

from artifactctl.registry.auth import pull_scope, push_scope
from artifactctl.registry.descriptors import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    Descriptor,
    JsonObject,
    as_object,
    describe,
)
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import Reference, Repository
from artifactctl.registry.session import Session
from artifactctl.registry.transport import Answer, Request

_ACCEPT = ", ".join(sorted(MANIFEST_TYPES | INDEX_TYPES))
_DIGEST_HEADER = "Docker-Content-Digest"


@frozen
class StoredDocument:
    """A manifest or an index as a registry holds it."""

    descriptor: Descriptor
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, media_type: str, data: bytes) -> StoredDocument:
        """A document that isn't stored yet."""
        return cls(describe(media_type, data), data)

    @property
    def is_index(self) -> bool:
        """Whether it lists images instead of being one."""
        return self.descriptor.media_type in INDEX_TYPES

    def parse(self) -> JsonObject:
        """The document.

        Raises:
            ValueError: it isn't a JSON object.
        """
        try:
            return as_object(json.loads(self.data))
        except RecursionError as error:
            raise ValueError("a document less deep expected") from error


class Manifests:
    """The manifests of all registries."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, ref: Reference, *, also_push: bool = False) -> StoredDocument | None:
        """The manifest or index of a reference, nothing when the registry has none.

        `also_push` asks for the right to push at once, where that will come next.

        Raises:
            RegistryError: no answer, another than these two, or bytes of another digest.
        """
        answer = self._ask("GET", ref, f"read the manifest of {ref}", also_push=also_push)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise answer.error()
        return _checked(ref, answer)

    def digest(self, ref: Reference) -> str | None:
        """The digest of what a reference stands for, nothing when the registry has none or doesn't say."""
        answer = self._ask("HEAD", ref, f"look for {ref}", also_push=False)
        if answer.status not in (200, 404):
            raise answer.error()
        return answer.headers.get(_DIGEST_HEADER) if answer.status == 200 else None

    def put(self, ref: Reference, media_type: str, data: bytes) -> Descriptor:
        """Store a manifest or an index; everything it refers to must be there.

        Raises:
            RegistryError: it was refused.
        """
        what = f"push the manifest of {ref}"
        url = self._session.url(ref.repository, f"manifests/{ref.version}")
        headers = {"Content-Type": media_type}
        request = Request(ref.repository.registry, what, "PUT", url, headers, data)
        answer = self._session.send(request, (push_scope(ref.repository.name),))
        if answer.status not in (200, 201, 202):
            raise answer.error()
        made = describe(media_type, data)
        told = answer.headers.get(_DIGEST_HEADER, made.digest)
        if told != made.digest:
            raise RegistryError(
                ref.repository.registry, what, f"{told} was stored, {made.digest} sent", status=answer.status
            )
        return made

    def _ask(self, method: str, ref: Reference, what: str, *, also_push: bool) -> Answer:
        repository: Repository = ref.repository
        url = self._session.url(repository, f"manifests/{ref.version}")
        request = Request(repository.registry, what, method, url, {"Accept": _ACCEPT})
        scope = (push_scope if also_push else pull_scope)(repository.name)
        return self._session.send(request, (scope,))


def _checked(ref: Reference, answer: Answer) -> StoredDocument:
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    found = describe(media_type, answer.data)
    expected = ref.digest or answer.headers.get(_DIGEST_HEADER, found.digest)
    if found.digest != expected:
        reason = f"bytes of {expected} expected, of {found.digest} found"
        raise RegistryError(ref.repository.registry, answer.request.what, reason)
    return StoredDocument(found, answer.data)
