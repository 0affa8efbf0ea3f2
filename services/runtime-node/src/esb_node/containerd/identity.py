"""What the box calls its things on this host, from the one identity that agent and node derive alike."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from artifact_contract.runtime_identity import resolve_identity

from esb_node.containerd.layout import Layout
from esb_node.errors import NodeError


def name_box(state: Path, run: Path, subnet: IPv4Network, environ: Mapping[str, str]) -> Layout:
    """The box's directories and names.

    Raises:
        NodeError: nothing in the environment says what the box is called.
    """
    try:
        identity = resolve_identity(environ)
    except ValueError as error:
        raise NodeError(str(error)) from error
    return Layout(state, run, identity.slug, identity.namespace, identity.bridge, subnet)
