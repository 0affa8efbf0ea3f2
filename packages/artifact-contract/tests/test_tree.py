import hashlib
import os
from pathlib import Path

import pytest
from artifact_contract import tree
from artifact_contract.errors import PathError, SchemaError
from artifact_contract.tree import digest_file, digest_tree, read_file, resolve_inside, scan, walk_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in ["b/c.txt", "a.txt", "a/z.txt", "a-b.txt"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "outside.txt").write_text("secret")
    return root


def test_files_come_in_the_order_of_their_bytes(root: Path) -> None:
    assert [name for name, _ in walk_files(root)] == ["a-b.txt", "a.txt", "a/z.txt", "b/c.txt"]


def test_the_digest_of_a_tree_is_what_sha256sum_gives(root: Path) -> None:
    lines = "".join(
        f"{name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n" for name, path in walk_files(root)
    )
    assert digest_tree(root) == hashlib.sha256(lines.encode()).hexdigest()
    assert digest_file(root / "a.txt") == hashlib.sha256(b"a.txt").hexdigest()


def test_links_inside_count_as_what_they_lead_to(root: Path) -> None:
    (root / "b" / "link.txt").symlink_to("../a.txt")
    (root / "dir").symlink_to("a")
    names = [name for name, _ in walk_files(root)]
    assert names == ["a-b.txt", "a.txt", "a/z.txt", "b/c.txt", "b/link.txt", "dir/z.txt"]


@pytest.mark.parametrize(
    "target",
    ["../outside.txt", "..", "/etc/passwd", "../root/a.txt", "a/../../outside.txt", "missing.txt", "loop"],
)
def test_a_link_that_leaves_the_root_or_leads_nowhere_is_refused(root: Path, target: str) -> None:
    (root / "loop").symlink_to(target)
    with pytest.raises(PathError, match="loop"):
        walk_files(root)
    with pytest.raises(PathError):
        digest_tree(root)


def test_an_absolute_link_is_refused_though_it_leads_inside_now(root: Path) -> None:
    (root / "link").symlink_to(root / "a.txt")
    assert "absolute path" in str(scan(root).problems[0])


def test_a_link_that_leaves_by_another_link_is_refused(root: Path) -> None:
    (root / "b" / "up").symlink_to("..")
    (root / "b" / "out").symlink_to("up/../outside.txt")
    problems = [str(problem) for problem in scan(root).problems]
    assert len(problems) == 2
    assert "a link to a directory it is in" in problems[0] + problems[1]
    assert "a link to up/../outside.txt" in problems[0] + problems[1]


def test_every_bad_link_is_reported(root: Path) -> None:
    (root / "one").symlink_to("/a")
    (root / "b" / "two").symlink_to("../..")
    assert len(scan(root).problems) == 2


def test_links_that_make_few_directories_look_like_very_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_NAMES", 1000)
    for level in range(40):
        (tmp_path / f"d{level}").mkdir()
        for name in "ab":
            (tmp_path / f"d{level}" / name).symlink_to(f"../d{level + 1}")
    (tmp_path / "d40").mkdir()
    with pytest.raises(PathError, match="at most 1000 files and directories"):
        walk_files(tmp_path)


def test_a_directory_deeper_than_any_artifact_is_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    with pytest.raises(PathError, match="at most 200 levels"):
        walk_files(tmp_path)


def test_a_fifo_is_no_part_of_an_artifact(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with pytest.raises(PathError, match="expected a file or a directory"):
        walk_files(root)
    with pytest.raises(SchemaError, match="found something else"):
        read_file(root / "fifo", limit=10)


def test_a_root_that_is_a_link_is_as_good_as_its_target(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("root")
    (root / "inside").symlink_to("a.txt")
    assert digest_tree(tmp_path / "link") == digest_tree(root)


def test_a_root_that_is_no_directory_is_refused(root: Path) -> None:
    with pytest.raises(PathError, match="found nothing"):
        scan(root / "missing")
    with pytest.raises(PathError, match="found something else"):
        scan(root / "a.txt")


def test_an_empty_directory_has_no_digest(tmp_path: Path) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(PathError, match="an empty directory"):
        digest_tree(tmp_path / "empty")


def test_a_name_that_isnt_utf8_is_walked_and_digested(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).write_text("x")
    assert len(digest_tree(root)) == 64


def test_a_path_inside_is_resolved_and_one_through_a_leaving_link_refused(root: Path) -> None:
    assert resolve_inside(root, "a/z.txt") == root / "a/z.txt"
    assert resolve_inside(root, "not/there") == root / "not/there"
    (root / "out").symlink_to("..")
    with pytest.raises(PathError):
        resolve_inside(root, "out/outside.txt")


def test_reading_refuses_what_is_too_large_before_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(3 << 20)
    with pytest.raises(SchemaError, match=r"expected at most 2 MiB, found 3\.0 MiB"):
        read_file(path, limit=2 << 20)
    assert len(read_file(path, limit=3 << 20)) == 3 << 20
