"""requirements.txt, installed with the real uv from a directory of wheels; no test asks a network."""

import hashlib
import os
import shutil

import pytest
from esb_cli.errors import TemplateError, WorldError
from esb_cli.requirements import Installer, cache_key, has_requirements

SCRIPTS = "[console_scripts]\ntiny = tiny:main\n"


@pytest.fixture
def requirements(tmp_path):
    """Return a function that writes a requirements file."""

    def write(text, name="requirements.txt"):
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
        return tmp_path / "code" / name

    return write


@pytest.fixture
def installer(tmp_path, offline):
    return Installer(tmp_path / "cache", offline)


def files_of(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def install(installer, file, python="3.12", architecture="x86_64"):
    return installer.install(file, python=python, architecture=architecture)


def test_requirements_are_installed_without_what_differs_from_install_to_install(
    installer, requirements, make_wheel
):
    make_wheel("tiny", entry_points=SCRIPTS)
    found = files_of(install(installer, requirements("tiny==1.0\n")))
    info = "tiny-1.0.dist-info"
    assert sorted(found) == [
        *(f"{info}/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "REQUESTED", "WHEEL")),
        f"{info}/entry_points.txt",
        "tiny.py",
    ]
    listed = [line.split(",")[0] for line in found[f"{info}/RECORD"].decode().splitlines()]
    assert listed == sorted(found)


def test_the_same_requirements_give_the_same_bytes_elsewhere(tmp_path, offline, requirements, make_wheel):
    make_wheel("tiny", entry_points=SCRIPTS)
    make_wheel("other", files={"other/__init__.py": "", "other/data.bin": "\0"})
    file = requirements("tiny\nother\n")
    first = files_of(install(Installer(tmp_path / "one", offline), file))
    moved = shutil.copytree(tmp_path / "wheels", tmp_path / "elsewhere/deep/wheels")
    before = os.umask(0o077)
    try:
        environ = offline | {"UV_FIND_LINKS": str(moved), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        second = files_of(install(Installer(tmp_path / "two", environ), file))
    finally:
        os.umask(before)
    assert first == second


def test_a_second_install_takes_the_first_ones_result_and_needs_no_wheels(
    tmp_path, offline, requirements, make_wheel
):
    wheels = make_wheel("tiny")
    file = requirements("tiny\n")
    first = install(Installer(tmp_path / "cache", offline), file)
    shutil.rmtree(wheels)
    assert install(Installer(tmp_path / "cache", offline), file) == first
    assert "tiny.py" in files_of(first)


def test_a_damaged_result_is_installed_again(tmp_path, offline, requirements, make_wheel):
    make_wheel("tiny")
    file = requirements("tiny\n")
    first = install(Installer(tmp_path / "cache", offline), file)
    (first / "tiny.py").write_text("")
    again = install(Installer(tmp_path / "cache", offline), file)
    assert files_of(again)["tiny.py"] == b"VALUE = 1\n"


def test_the_wheel_of_the_functions_platform_is_taken_not_of_this_one(installer, requirements, make_wheel):
    for tag in ("cp312-cp312-manylinux2014_aarch64", "cp312-cp312-manylinux2014_x86_64"):
        make_wheel("native", files={"native.py": tag}, tag=tag)
    file = requirements("native\n")
    for architecture, machine in (("arm64", "aarch64"), ("x86_64", "x86_64")):
        found = files_of(install(installer, file, architecture=architecture))
        assert found["native.py"].decode().endswith(machine)


def test_a_wheel_for_a_newer_linux_than_the_runtimes_is_refused(installer, requirements, make_wheel):
    make_wheel("native", tag="py3-none-manylinux_2_28_x86_64")
    install(installer, requirements("native\n"), python="3.12")
    with pytest.raises(TemplateError):
        install(installer, requirements("native\n"), python="3.11")


def test_a_requirement_without_a_wheel_is_named(installer, requirements, make_wheel):
    make_wheel("native", tag="cp312-cp312-macosx_11_0_arm64")
    file = requirements("native\n")
    with pytest.raises(TemplateError) as caught:
        install(installer, file)
    (problem,) = caught.value.problems
    assert problem.place.file == str(file)
    assert problem.expected == "wheels for Python 3.12 on x86_64"
    assert "native" in problem.found
    assert not list((installer.cache).glob("*"))


@pytest.mark.parametrize("text", ["tiny=>1\n", "tiny==2.0\n", "./project\n", "nowhere\n"])
def test_requirements_that_cannot_be_met_are_their_authors_fault(
    installer, requirements, make_wheel, tree, text
):
    make_wheel("tiny")
    tree({"pyproject.toml": "[project]\nname = 'p'\nversion = '1'\n"}, "code/project")
    with pytest.raises(TemplateError, match=r"requirements\.txt"):
        install(installer, requirements(text))


def test_an_index_that_does_not_answer_is_the_worlds_fault(tmp_path, offline, requirements):
    environ = {key: value for key, value in offline.items() if key != "UV_CONFIG_FILE"}
    environ |= {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    (tmp_path / "wheels").mkdir(exist_ok=True)
    file = requirements("tiny\n")
    with pytest.raises(WorldError, match="could not install") as caught:
        install(Installer(tmp_path / "cache", environ), file)
    assert str(file) in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


def test_an_index_that_is_switched_off_is_the_worlds_fault(tmp_path, offline, requirements):
    environ = {key: value for key, value in offline.items() if key != "UV_CONFIG_FILE"} | {"UV_OFFLINE": "1"}
    (tmp_path / "wheels").mkdir(exist_ok=True)
    with pytest.raises(WorldError):
        install(Installer(tmp_path / "cache", environ), requirements("tiny\n"))


def test_an_editable_install_is_refused_with_its_line(installer, requirements):
    with pytest.raises(TemplateError, match=r"requirements\.txt:2:1: .*editable"):
        install(installer, requirements("# ours\n-e ./lib\n"))


def test_a_requirement_for_another_system_installs_nothing(installer, requirements):
    assert files_of(install(installer, requirements('pywin32; sys_platform == "win32"\n'))) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", False), ("# only words\n\n", False), ("\ufefftiny\n", True), ("-r more.txt", True)],
)
def test_a_file_without_requirements_is_known(requirements, text, expected):
    requirements("", "more.txt")
    assert has_requirements(requirements(text)) is expected


def test_the_key_covers_what_is_included_and_files_that_are_named(requirements, make_wheel):
    file = requirements("-r more.txt\n./local.whl\n")
    keys = set()
    for more, wheel in (("a", "1"), ("b", "1"), ("b", "2")):
        requirements(more, "more.txt")
        requirements(wheel, "local.whl")
        keys |= {cache_key(file, python, arch) for python in ("3.11", "3.12") for arch in ("arm64", "x86_64")}
    assert len(keys) == 12


def test_the_key_ignores_comments_and_where_the_file_lies(tmp_path, requirements):
    file = requirements("tiny==1.0  # why\n\n")
    moved = tmp_path / "other.txt"
    moved.write_text("# all we need\ntiny==1.0\n")
    assert cache_key(file, "3.12", "x86_64") == cache_key(moved, "3.12", "x86_64")


def test_files_that_include_each_other_come_to_an_end(requirements):
    requirements("-r requirements.txt\ntiny\n", "more.txt")
    assert len(cache_key(requirements("-r more.txt\n"), "3.12", "x86_64")) == hashlib.sha256().digest_size * 2


def test_a_missing_include_is_named(requirements):
    with pytest.raises(TemplateError, match=r"missing\.txt"):
        cache_key(requirements("-r missing.txt\n"), "3.12", "x86_64")
