"""A layer into a directory, and never out of it."""

import io
import stat
import tarfile
from pathlib import Path

import pytest
from esb_agent.drivers.process.layout import Descriptor
from esb_agent.drivers.process.unpack import unpack_layer
from esb_agent.errors import ImageBrokenError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def unpack(layout, tmp_path):
    """Unpack layers one on another; returns the directory."""
    root = tmp_path / "root"
    root.mkdir()

    def run(*layers, gzipped=False):
        manifest = layout.image(f"i:{len(layout.manifests)}", *layers, gzipped=gzipped)
        for blob in manifest["layers"]:
            unpack_layer(
                Descriptor(layout.blob_path(blob), blob["digest"], blob["size"], blob["mediaType"]), root
            )
        return root

    return run


def entry(kind, target="", mode=0o644):
    info = tarfile.TarInfo()
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def link(target):
    return entry(tarfile.SYMTYPE, target)


def hard(target):
    return entry(tarfile.LNKTYPE, target)


@pytest.mark.parametrize("gzipped", [False, True])
def test_files_and_directories_appear(unpack, tar, gzipped):
    root = unpack(
        tar({"a": None, "a/b/c.txt": "text", "./d.txt": b"\0\xff", "/opt/e": "abs"}), gzipped=gzipped
    )
    assert (root / "a/b/c.txt").read_text() == "text"
    assert (root / "d.txt").read_bytes() == b"\0\xff"
    assert (root / "opt/e").read_text() == "abs"


def test_later_layers_win_and_hide(unpack, tar):
    root = unpack(
        tar({"a": "1", "b": "1", "d/x": "1", "d/y": "1", "e/x": "1", "f": "file"}),
        tar({"a": "2", ".wh.b": "", "d/.wh..wh..opq": "", "d/z": "2", "e/.wh.x": "", "f": None, "f/g": "2"}),
    )
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) == ["a", "d/z", "f/g"]
    assert (root / "a").read_text() == "2"


def test_modes_are_kept_without_what_is_dangerous(unpack):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, mode in (("run", 0o755), ("suid", 0o4777), ("hidden", 0o000)):
            info = tarfile.TarInfo(name)
            info.mode = mode
            archive.addfile(info)
    root = unpack(buffer.getvalue())
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in root.iterdir()}
    assert modes == {"run": 0o755, "suid": 0o755, "hidden": 0o400}


@pytest.mark.parametrize(
    ("where", "target", "written"),
    [
        ("a/l", "b/c", "../a/b/c"),
        ("a/l", "/opt/x", "../opt/x"),
        ("l", "/", "."),
        ("a/b/l", "../../c", "../../c"),
        ("l", "a/../b/./c", "b/c"),
    ],
)
def test_links_inside_are_written_relative_to_the_image(unpack, tar, where, target, written):
    root = unpack(tar({where: link(target)}))
    assert str((root / where).readlink()) == written


@pytest.mark.parametrize(
    "files",
    [
        {"../evil": "x"},
        {"a/../../evil": "x"},
        {"l": link("../evil")},
        {"a/l": link("../../evil")},
        {"l": link("a/../../evil")},
        {"l": link("/../evil")},
        {"h": hard("../evil")},
        {"h": hard("/etc/passwd")},
        {"d": None, "l": link("d"), "l/x": "x"},
        {"l": link("/"), "l/etc/x": "x"},
        {"l": link("."), "h": hard("l")},
        {"f": "file", "f/x": "x"},
        {"dev": entry(tarfile.CHRTYPE)},
        {"fifo": entry(tarfile.FIFOTYPE)},
        {"a/b/c": None, "a/b/c/s": link("../../.."), "a/b/c/t/x": None, "u": link("a/b/c/s"), "u/x": "x"},
    ],
)
def test_nothing_leaves_the_directory(unpack, tar, tmp_path, files):
    before = set(tmp_path.iterdir())
    with pytest.raises(ImageBrokenError):
        unpack(tar(files))
    assert set(tmp_path.iterdir()) == before


def test_a_link_is_replaced_not_followed(unpack, tar, tmp_path):
    root = unpack(tar({"real": "old", "l": link("real")}), tar({"l": "new"}))
    assert (root / "real").read_text() == "old"
    assert (root / "l").read_text() == "new"
    assert not (root / "l").is_symlink()


def test_a_hard_link_shares_its_file(unpack, tar):
    root = unpack(tar({"a/x": "text", "y": hard("a/x")}))
    assert (root / "y").samefile(root / "a/x")


segments = st.sampled_from(["a", "b", "..", ".", ""])
paths = st.lists(segments, min_size=1, max_size=5).map("/".join)
targets = st.one_of(paths, paths.map(lambda p: "/" + p))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(paths, st.one_of(st.just("file"), st.just("dir"), st.tuples(st.just("link"), targets))),
        max_size=8,
    )
)
def test_whatever_the_entries_every_link_stays_inside(layout, tar, tmp_path_factory, entries):
    outer = tmp_path_factory.mktemp("o")
    root = outer / "x" / "root"
    root.mkdir(parents=True)
    for path, kind in entries:
        content = {"file": "text", "dir": None}.get(kind) if isinstance(kind, str) else link(kind[1])
        blob = layout.blob(tar({path: content}), "application/vnd.oci.image.layer.v1.tar")
        try:
            unpack_layer(Descriptor(layout.blob_path(blob), blob["digest"], blob["size"], ""), root)
        except ImageBrokenError:
            continue
    assert [p for p in outer.rglob("*") if root not in (p, *p.parents) and p != outer / "x"] == []
    for path in root.rglob("*"):
        # Follow only what can be followed: loops resolve nowhere.
        try:
            assert path.resolve().is_relative_to(root)
        except (OSError, RuntimeError):
            continue


def test_a_changed_layer_is_noticed(unpack, layout, tar, tmp_path):
    layer = tar({"a": "x" * 5000})
    blob = layout.blob(layer, "application/vnd.oci.image.layer.v1.tar")
    layout.blob_path(blob).write_bytes(layer.replace(b"xxx", b"yyy"))
    root = tmp_path / "r"
    root.mkdir()
    with pytest.raises(ImageBrokenError, match=r"expected .* bytes of that digest"):
        unpack_layer(Descriptor(layout.blob_path(blob), blob["digest"], blob["size"], ""), root)


@pytest.mark.parametrize("cut", [10, 600, 5000])
def test_a_cut_layer_is_noticed(layout, tar, tmp_path, cut):
    layer = tar({"a": "x" * 5000})
    blob = layout.blob(layer, "application/vnd.oci.image.layer.v1.tar")
    layout.blob_path(blob).write_bytes(layer[:cut])
    with pytest.raises(ImageBrokenError, match="of that digest"):
        unpack_layer(Descriptor(layout.blob_path(blob), blob["digest"], blob["size"], ""), tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no tar at all" * 100, "not a layer"),
        (b"\x1f\x8bnot gzip", "not a layer"),
        (b"\x28\xb5\x2f\xfdzstd", "zstd"),
    ],
)
def test_what_is_no_layer_says_so(layout, tmp_path, data, message):
    blob = layout.blob(data, "application/vnd.oci.image.layer.v1.tar")
    with pytest.raises(ImageBrokenError, match=message):
        unpack_layer(Descriptor(layout.blob_path(blob), blob["digest"], blob["size"], "type"), tmp_path)


def test_a_missing_layer_says_so(tmp_path):
    with pytest.raises(ImageBrokenError, match="cannot be read"):
        unpack_layer(Descriptor(Path("/nowhere"), "sha256:0", 0, ""), tmp_path)


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh...", "d/.wh.."])
def test_a_whiteout_hides_only_an_entry_of_its_own_directory(unpack, tar, tmp_path, name):
    beside = tmp_path / "beside"
    beside.write_text("stays")
    with pytest.raises(ImageBrokenError, match="hides no entry"):
        unpack(tar({"d/x": "1"}), tar({name: ""}))
    assert beside.exists()
