"""What an entry brings."""

from artifact_contract.manifest import load_manifest
from artifactctl.block_yaml import block_reader
from artifactctl.entry_config import read_entries
from artifactctl.ownership import Owner


def read(builder):
    return read_entries(load_manifest(builder.write()), block_reader())


def test_entries_come_in_list_order_with_their_owner(build):
    builder = build().entry("./b.yaml", functions=["b"]).entry("x/../a.yaml", functions=["a"])
    entries = read(builder).value
    assert [entry.owner for entry in entries] == [
        Owner("shop", "dev", "b.yaml"),
        Owner("shop", "dev", "a.yaml"),
    ]
    assert [list(entry.slots) for entry in entries] == [[("functions", "b")], [("functions", "a")]]


def test_resources_and_images_may_be_missing(build):
    assert not read(build().entry(functions=["a"])).warnings


def test_what_is_given_twice_is_a_warning(build):
    parsed = read(build().entry(routes=["GET /a", "GET /a"]))
    assert [str(warning).partition("routing.yml: ")[2] for warning in parsed.warnings] == [
        "routes: GET /a: expected it once, found it again (the last one counts)"
    ]
