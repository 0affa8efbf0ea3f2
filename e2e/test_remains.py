"""What boxes leave is found: mounts, addresses, names of the kernel's, what a containerd keeps."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.remains import Box, addresses
from faults.stored import stored_remains


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(f"t{os.getpid()}", f"t{os.getpid()}b", (tmp_path,))


@pytest.fixture
def host(box: Box) -> Iterator[Box]:
    """A host with one of each; skipped where that takes rights nobody has here."""
    if os.geteuid() or not all(map(shutil.which, ("ip", "mount", "containerd"))):
        pytest.skip("needs root, iproute2 and containerd")
    (place,) = box.places
    undo = [
        ("ip", "netns", "delete", f"esb-{box.slug}-1"),
        ("ip", "link", "delete", box.bridge),
        ("umount", str(place / "mounted")),
    ]
    (place / "mounted").mkdir()
    try:
        for words in (
            ("ip", "netns", "add", f"esb-{box.slug}-1"),
            ("ip", "link", "add", box.bridge, "type", "bridge"),
            ("mount", "-t", "tmpfs", "tmpfs", str(place / "mounted")),
        ):
            subprocess.run(words, check=True, capture_output=True)
        yield box
    finally:
        for words in undo:
            subprocess.run(words, check=False, capture_output=True)


def test_what_a_box_made_of_the_kernels_is_found(host: Box) -> None:
    found = host.remains()
    assert f"network namespace esb-{host.slug}-1" in found
    assert f"interface {host.bridge}" in found
    assert f"mount {host.places[0] / 'mounted'}" in found


def test_a_host_without_the_box_has_nothing_of_it(box: Box) -> None:
    assert box.remains() == []


def test_addresses_are_files_and_not_those_of_images(tmp_path: Path) -> None:
    for name in ("networks/10.9.0.2", "networks/lock", "io.containerd.x/10.9.0.3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [file.name for file in addresses(tmp_path)] == ["10.9.0.2"]


def test_a_new_containerd_keeps_nothing(host: Box) -> None:
    root = host.places[0] / "containerd"
    root.mkdir()
    assert stored_remains(root) == []
    assert stored_remains(root / "none") == []
