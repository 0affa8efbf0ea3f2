"""How images come: from where, with whose leave, and when. Apart, so that reading it loads no driver."""

from pathlib import Path

from attrs import frozen

from esb_agent.drivers.docker.settings import PullPolicy


@frozen(kw_only=True)
class ImageSettings:
    """`auth_file` is a docker configuration file with the registries' credentials, if there are any.

    `insecure` names registries (`host:port`) spoken to without TLS; those of this host are anyway. `ca` is
    whom to believe beside the system's authorities.
    """

    snapshotter: str = "overlayfs"
    pull: PullPolicy = PullPolicy.MISSING
    auth_file: Path | None = None
    insecure: frozenset[str] = frozenset()
    ca: Path | None = None
