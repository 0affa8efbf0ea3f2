"""containerd's configuration: what a box needs, and nothing that would listen or write elsewhere."""

from __future__ import annotations

import json

from esb_node.containerd.layout import Layout

# Left out, each would probe the host at every start or open a port; `cri` is Kubernetes' way in.
_UNUSED = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)
_DEVMAPPER = "io.containerd.snapshotter.v1.devmapper"


def engine_config(layout: Layout, devmapper_pool: str = "") -> str:
    """The TOML text; `devmapper_pool` names the thin pool that microVMs take their disks from."""
    unused = _UNUSED if devmapper_pool else (*_UNUSED, _DEVMAPPER)
    lines = [
        "version = 2",
        f"root = {_text(layout.engine_root)}",
        f"state = {_text(layout.engine_state)}",
        "oom_score = 0",
        f"disabled_plugins = [{', '.join(map(_text, unused))}]",
        "[grpc]",
        f"address = {_text(layout.socket)}",
        "[debug]",
        'address = ""',
        'level = "info"',
        "[metrics]",
        'address = ""',
    ]
    if devmapper_pool:
        lines += [
            f'[plugins."{_DEVMAPPER}"]',
            f"pool_name = {_text(devmapper_pool)}",
            f"root_path = {_text(layout.engine_root / 'devmapper')}",
            'base_image_size = "4GB"',
        ]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
