"""What CONFIG_DIR holds, read without a lock."""

import pytest
from artifactctl.block_yaml import block_reader
from artifactctl.errors import ConfigDirError
from artifactctl.ownership import Owner
from artifactctl.snapshot import read_snapshot, read_state

SHOP = Owner("shop", "dev", "orders.yaml")


def replace_link(box, name, text):
    (box.dir / name).unlink()
    (box.dir / name).write_text(text)


def test_nothing_is_there_at_first(box):
    snapshot = read_snapshot(box.dir, block_reader())
    assert (snapshot.current, dict(snapshot.base.slots), snapshot.adoption) == (None, {}, None)
    box.dir.mkdir()
    assert read_state(box.dir) == snapshot.state


def test_a_generation_is_read_with_its_owners(box, build):
    box.apply(build().entry(functions=["api"]))
    snapshot = read_snapshot(box.dir, block_reader())
    assert snapshot.current == 1
    assert snapshot.base.owners == {("functions", "api"): SHOP}
    assert (snapshot.adoption, snapshot.plain, snapshot.missing) == (None, (), ())


def test_the_state_changes_with_all_that_is_read(box, build):
    box.apply(build().entry(functions=["api"]))
    states = [read_state(box.dir)]
    path = box.dir / "generations/000001/functions.yml"
    path.chmod(0o644)
    path.write_text("functions: {}\n")
    states.append(read_state(box.dir))
    replace_link(box, "routing.yml", "routes: []\n")
    states.append(read_state(box.dir))
    box.apply(build().entry(functions=["b"]))
    states.append(read_state(box.dir))
    assert len(set(states)) == 4


def test_a_key_a_person_left_alone_keeps_its_owner(box, build):
    box.apply(build().entry(functions=["a", "b", "c"]))
    text = box.text("functions.yml").replace(
        "  a:\n    image: registry:5010/shop:1\n", "  a:\n    image: mine\n"
    )
    replace_link(
        box, "functions.yml", text.replace("  c:\n    image: registry:5010/shop:1\n", "  d:\n    image: x\n")
    )
    snapshot = read_snapshot(box.dir, block_reader())
    assert snapshot.base.owners == {("functions", "b"): SHOP}
    assert set(snapshot.base.slots) == {("functions", "a"), ("functions", "b"), ("functions", "d")}
    assert snapshot.adoption.files["functions.yml"].decode() == (box.dir / "functions.yml").read_text()


def test_a_file_with_the_same_content_is_only_linked_again(box, build):
    box.apply(build().entry(functions=["a"]))
    replace_link(box, "functions.yml", box.text("functions.yml"))
    snapshot = read_snapshot(box.dir, block_reader())
    assert (snapshot.adoption, snapshot.plain) == (None, ("functions.yml",))


def test_what_a_person_deleted_belongs_to_nobody(box, build):
    box.apply(build().entry(functions=["a", "b"]))
    path = box.dir / "generations/000001/functions.yml"
    path.chmod(0o644)
    path.write_text("functions:\n  a:\n    image: registry:5010/shop:1\n")
    assert read_snapshot(box.dir, block_reader()).base.owners == {("functions", "a"): SHOP}


def test_routes_without_a_path_stay_where_a_person_put_them(box, build):
    box.dir.mkdir()
    (box.dir / "routing.yml").write_text("routes:\n- function: x\n- path: /a\n  function: x\n")
    box.apply(build().entry(functions=["x"]))
    assert box.text("routing.yml").startswith("routes:\n  - function: x\n  - path: /a\n")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("ownership.json", "{", "not readable as ownership"),
        ("generation.json", "{}", "not readable as a generation: it lacks or misuses 'version'"),
        ("functions.yml", "functions: [", "not readable as a runtime config; correct it, or roll back"),
    ],
)
def test_a_damaged_generation_is_refused(box, build, file, text, message):
    box.apply(build().entry(functions=["a"]))
    path = box.dir / "generations/000001" / file
    path.chmod(0o644)
    path.write_text(text)
    with pytest.raises(ConfigDirError, match=message):
        read_snapshot(box.dir, block_reader())


def test_a_directory_in_place_of_a_file_is_refused(box):
    (box.dir / "functions.yml").mkdir(parents=True)
    with pytest.raises(ConfigDirError, match=r"functions\.yml: Is a directory"):
        read_snapshot(box.dir, block_reader())


def test_a_generation_that_vanishes_while_it_is_read_is_no_error(box, states):
    """Another writer switches and clears away the old generation between two steps of a reader."""
    box.apply(states.version("1"))
    reads = []

    def reader(data, file):
        reads.append(file)
        if len(reads) == 1:
            box.apply(states.version("2"), keep=0)
            raise FileNotFoundError(2, "No such file or directory", file)
        return block_reader()(data, file)

    snapshot = read_snapshot(box.dir, reader)
    assert snapshot.current == 2
    assert ("functions", "only-in-2") in snapshot.base.slots


def test_a_directory_that_never_keeps_still_is_given_up(box, states):
    box.apply(states.version("1"))
    turns = []

    def reader(data, file):
        turns.append(file)
        (box.dir / "functions.yml").unlink()
        (box.dir / "functions.yml").symlink_to(f"nowhere-{len(turns)}")
        raise FileNotFoundError(2, "No such file or directory", file)

    with pytest.raises(ConfigDirError, match="another generation each time it was read, 20 times"):
        read_snapshot(box.dir, reader)
