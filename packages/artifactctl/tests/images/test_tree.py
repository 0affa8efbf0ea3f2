from __future__ import annotations

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.tree import (
    FileEntry,
    FileKind,
    ImageTree,
    ancestors,
    directory,
    join,
    resolve,
    select,
    walk,
)
from hypothesis import given
from hypothesis import strategies as st


def tree(*paths: str, **links: str) -> ImageTree:
    """Paths that end with / are directories, the others empty files; links by their name."""
    found = ImageTree()
    for path in paths:
        found.put(directory(path[:-1]) if path.endswith("/") else FileEntry(path, FileKind.FILE, 0o644))
    for name, target in links.items():
        found.put(FileEntry(name, FileKind.SYMLINK, 0o777, target=target))
    return found


def test_links_are_followed_inside_the_root() -> None:
    image = tree("a/", "a/b/", "a/b/c", link="a/b", up="../../a", absolute="/a/b")
    assert resolve(image, "link/c") == "a/b/c"
    assert resolve(image, "up/b/c") == "a/b/c"
    assert resolve(image, "absolute/c") == "a/b/c"
    assert resolve(image, "nothing/here") == "nothing/here"


def test_links_in_a_circle_are_refused() -> None:
    with pytest.raises(FieldError, match="circle"):
        resolve(tree(a="b", b="a"), "a/x")


def test_wildcards_select_what_is_there() -> None:
    image = tree("d/", "d/a.py", "d/b.py", "d/c.txt", "e/", "e/a.py")
    assert select(image, "d/*.py") == ["d/a.py", "d/b.py"]
    assert select(image, "*/a.py") == ["d/a.py", "e/a.py"]
    assert select(image, "d/[bc]*") == ["d/b.py", "d/c.txt"]
    assert select(image, "/d/./a.py") == ["d/a.py"]
    assert select(image, "nothing") == []
    assert select(image, "d/*.md") == []
    assert select(image, ".") == [""]


def test_a_file_hides_a_directory_of_its_name() -> None:
    image = tree("a/", "a/b")
    image.put(FileEntry("a", FileKind.FILE, 0o644))
    assert image.get("a/b") is None
    assert image.children("") == ["a"]


def test_a_copy_is_independent() -> None:
    image = tree("a/")
    other = image.copy()
    other.put(directory("b"))
    assert image.children("") == ["a"]


def test_walking_gives_parents_first() -> None:
    assert [entry.path for entry in walk(tree("a/", "a/b/", "a/b/c", "a/d"), "a")] == ["a/b", "a/b/c", "a/d"]


@given(st.text(st.sampled_from("ab./"), max_size=12))
def test_joining_stays_below_the_root_and_joining_again_changes_nothing(text: str) -> None:
    joined = join(text)
    assert not joined.startswith("/")
    assert ".." not in joined.split("/")
    assert join(joined) == joined
    assert [join(above) for above in ancestors(joined)] == list(ancestors(joined))
