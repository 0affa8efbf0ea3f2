"""The one error of the client: what failed where, in the registry's own words, and what may help."""

from __future__ import annotations

from artifactctl.errors import WorldError


class RegistryError(WorldError):
    """A registry, or the way to it, failed; with `transient` the same request may work a moment later."""

    def __init__(
        self,
        registry: str,
        what: str,
        reason: str,
        *,
        status: int | None = None,
        hint: str = "",
        transient: bool = False,
    ) -> None:
        self.registry = registry
        self.what = what
        self.status = status
        self.reason = reason
        self.hint = hint
        self.transient = transient
        facts = " ".join(filter(None, (str(status or ""), reason)))
        super().__init__(f"registry {registry}: cannot {what}: {facts}{f' ({hint})' if hint else ''}")
