"""How registries are reached: everything the client takes from the command line and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

MIB = 1 << 20
# blobs that are brought at a time, whatever the number of images that are made
UPLOADS = 16


@frozen
class RegistryConfig:
    """`container_registry` is what references name, `host_registry` what this host talks to instead (§13).

    Hosts in `insecure` are spoken to in plain HTTP, as loopback ones always are; `ca_file` counts beside the
    system's authorities; proxies and what credential helpers need come from `environment`. Sizes are bytes,
    times seconds; `timeout` is how long nothing may come; `connections` are kept beside those of uploads.
    """

    container_registry: str = ""
    host_registry: str = ""
    insecure: frozenset[str] = frozenset()
    ca_file: Path | None = None
    docker_config: Path | None = None
    environment: Mapping[str, str] = field(factory=dict, repr=False)
    connections: int = 8
    chunk_size: int = 16 * MIB
    timeout: float = 60.0
    attempts: int = 6
