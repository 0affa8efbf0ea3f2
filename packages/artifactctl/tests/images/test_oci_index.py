from __future__ import annotations

import json

import pytest
from artifactctl.images.oci_index import EMPTY_INDEX, index_entry, parse_index
from artifactctl.images.recipe import Platform
from artifactctl.registry.descriptors import MANIFEST_TYPE, Descriptor
from hypothesis import given
from hypothesis import strategies as st

AMD64 = Platform("linux", "amd64")


def descriptor(number: int) -> Descriptor:
    return Descriptor(MANIFEST_TYPE, f"sha256:{number:064x}", number)


def test_a_reference_keeps_its_place_and_new_ones_come_last() -> None:
    first = EMPTY_INDEX.with_images({ref: index_entry(ref, descriptor(1), AMD64) for ref in ("a", "b")})
    second = first.with_images({ref: index_entry(ref, descriptor(2), AMD64) for ref in ("a", "c")})
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in second.manifests] == [
        "a",
        "b",
        "c",
    ]
    assert [entry["size"] for entry in second.manifests] == [2, 1, 2]


def test_what_we_do_not_know_is_kept() -> None:
    foreign = {
        "schemaVersion": 2,
        "annotations": {"x": "y"},
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "digest": "sha512:00",
                "size": 1,
                "x": [1],
            },
            {"annotations": {"org.opencontainers.image.ref.name": "theirs"}},
            "not even an object",
        ],
    }
    index = parse_index(json.dumps(foreign).encode()).with_images(
        {"a": index_entry("a", descriptor(1), AMD64)}
    )
    written = json.loads(index.to_bytes())
    assert written["annotations"] == {"x": "y"}
    assert written["manifests"][:3] == foreign["manifests"]


def test_two_entries_for_one_reference_become_one() -> None:
    entry = index_entry("a", descriptor(1), AMD64)
    index = parse_index(json.dumps({"schemaVersion": 2, "manifests": [entry, entry]}).encode())
    assert index.descriptor("a") is None
    assert len(index.with_images({"a": entry}).manifests) == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"digest": "sha512:00", "size": 1, "mediaType": MANIFEST_TYPE},
        {"digest": "sha256:../../../etc/passwd", "size": 1, "mediaType": MANIFEST_TYPE},
        {"digest": f"sha256:{1:064x}", "size": "1", "mediaType": MANIFEST_TYPE},
        {"digest": f"sha256:{1:064x}", "size": 1, "mediaType": "application/vnd.oci.image.index.v1+json"},
        {},
    ],
)
def test_an_entry_that_is_no_image_manifest_is_as_good_as_none(entry: dict) -> None:
    named = {**entry, "annotations": {"org.opencontainers.image.ref.name": "a"}}
    index = parse_index(json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
    assert index.descriptor("a") is None


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"manifests": {}}', b'{"manifests": [], "schemaVersion": 1}', b"\xff"]
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_index(data)


@given(st.dictionaries(st.text(), st.integers(0, 9)), st.dictionaries(st.text(), st.integers(0, 9)))
def test_writing_the_same_images_again_changes_nothing(one: dict[str, int], other: dict[str, int]) -> None:
    first = {ref: index_entry(ref, descriptor(number), AMD64) for ref, number in one.items()}
    second = {ref: index_entry(ref, descriptor(number), AMD64) for ref, number in other.items()}
    index = EMPTY_INDEX.with_images(first).with_images(second)
    assert index.with_images(second) == index
    assert parse_index(index.to_bytes()).to_bytes() == index.to_bytes()
    assert set(index.by_ref) == {*one, *other}
