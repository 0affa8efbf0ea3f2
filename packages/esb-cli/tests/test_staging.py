"""What of a directory ships."""

import os
import stat

import pytest
from esb_cli.staging import Exclusions, collect, every_file


def test_all_files_ship_in_one_order_with_their_executable_bit(tree):
    code = tree({"b.py": "", "a/z.py": "", "a/run.sh": "", "data with space.txt": ""})
    (code / "a/run.sh").chmod(0o775)
    (code / "b.py").chmod(0o600)
    found = collect(code)
    assert [(path, staged.executable) for path, staged in found.files.items()] == [
        ("a/run.sh", True),
        ("a/z.py", False),
        ("b.py", False),
        ("data with space.txt", False),
    ]
    assert found.faults == found.secrets == ()


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "deep/.git",
        "__pycache__/app.cpython-311.pyc",
        "old.pyc",
        ".aws-sam/build/app.py",
        ".venv/lib/x.py",
        ".esb/cache/x",
        ".pytest_cache/x",
        "node_modules/left-pad/index.js",
    ],
)
def test_what_is_no_code_stays_behind(tree, path):
    assert list(collect(tree({"app.py": "", path: ""})).files) == ["app.py"]


def test_a_virtual_environment_stays_behind_whatever_its_name(tree):
    code = tree({"app.py": "", "environment/pyvenv.cfg": "", "environment/lib/x.py": "", "venv/real.py": ""})
    assert list(collect(code).files) == ["app.py", "venv/real.py"]


def test_an_artifact_stays_behind_or_each_output_would_ship_in_the_next(tree):
    code = tree({
        "app.py": "",
        "old/template/runtime-base/x": "",
        "old/template/runtime-config/x": "",
        "old/template/functions/f/src/app.py": "",
        "runtime-config/mine.py": "",
        ".esb-tmp-old-artifact.yml": "",
    })  # fmt: skip
    assert list(collect(code).files) == ["app.py", "runtime-config/mine.py"]


def test_node_modules_ship_with_a_node_function(tree):
    code = tree({"index.js": "", "node_modules/left-pad/index.js": ""})
    assert "node_modules/left-pad/index.js" in collect(code, Exclusions(node_modules=False)).files


def test_a_file_of_secrets_stays_behind_and_is_named(tree):
    found = collect(tree({"app.py": "", "conf/.env": "TOKEN=1"}))
    assert (list(found.files), found.secrets) == (["app.py"], ("conf/.env",))


def test_excluded_paths_stay_behind_also_when_a_link_leads_to_them(tree):
    code = tree({"app.py": "", "artifact/template/app.py": "", "esb.toml": ""})
    (code / "again").symlink_to("artifact")
    excluded = frozenset(os.path.realpath(code / name) for name in ("artifact", "esb.toml"))
    assert list(collect(code, Exclusions(excluded)).files) == ["app.py"]


def test_links_inside_become_what_they_lead_to(tree):
    code = tree({"lib/one.py": "1", "app.py": ""})
    (code / "two.py").symlink_to("lib/one.py")
    (code / "other").symlink_to("lib")
    found = collect(code)
    assert list(found.files) == ["app.py", "lib/one.py", "other/one.py", "two.py"]
    assert found.files["two.py"].read() == b"1"


def test_a_code_directory_may_itself_be_reached_by_a_link(tree, tmp_path):
    tree({"app.py": ""}, "real")
    (tmp_path / "link").symlink_to("real")
    assert list(collect(tmp_path / "link").files) == ["app.py"]


def test_a_link_that_leaves_is_a_fault_that_says_where_it_leads(tree, tmp_path):
    tree({"secret": ""}, "outside")
    code = tree({"app.py": ""}, "code")
    (code / "a").symlink_to("../outside/secret")
    (code / "b").symlink_to("/etc")
    (code / "c").symlink_to("../code-2")
    assert collect(code).faults == (
        f"a: a symbolic link that leaves the directory, to {tmp_path}/outside/secret",
        "b: a symbolic link that leaves the directory, to /etc",
        f"c: a symbolic link that leaves the directory, to {tmp_path}/code-2",
    )


def test_broken_and_circular_links_and_odd_files_are_faults(tree):
    code = tree({"app.py": "", "deep/er/x.py": ""})
    (code / "broken").symlink_to("nothing")
    (code / "deep/er/up").symlink_to("..")
    (code / "me").symlink_to("me")
    os.mkfifo(code / "pipe")
    (code / "line\nbreak").touch()
    odd = os.fsdecode(b"latin-\xe9")
    (code / odd).touch()
    found = collect(code)
    assert found.faults == (
        "broken: a link to nothing",
        "deep/er/up: a link to a directory that it lies in",
        f"{odd!r}: a name that isn't UTF-8",
        "'line\\nbreak': a name with a line break",
        "me: a link to nothing",
        "pipe: neither a file nor a directory",
    )
    assert list(found.files) == ["app.py", "deep/er/x.py"]


def test_every_file_leaves_out_only_byte_code(tree):
    root = tree({"a.py": "", ".hidden": "", "__pycache__/a.pyc": "", "b.pyc": "", "node_modules/x": ""})
    assert sorted(every_file(root)) == [".hidden", "a.py", "node_modules/x"]


def test_a_file_that_cannot_be_read_is_the_worlds_fault(tree):
    code = tree({"app.py": ""})
    (code / "closed").mkdir()
    (code / "closed").chmod(0)
    if os.access(code / "closed", os.R_OK):
        pytest.skip("this user may read anything")
    with pytest.raises(OSError):
        collect(code)
    (code / "closed").chmod(stat.S_IRWXU)
