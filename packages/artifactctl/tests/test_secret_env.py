"""Required secrets: every missing name is told, no value ever."""

import pytest
from artifact_contract.errors import Kind, SecretError, Severity
from artifactctl.secret_env import check_secrets


@pytest.fixture
def check(tmp_path):
    def run(text, *names):
        path = tmp_path / "secrets.env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return [str(problem).removeprefix(f"{path}") for problem in check_secrets(names, path, tmp_path)]

    return run


@pytest.mark.parametrize(
    "text",
    [
        "A=x\n",
        "export A=x\n",
        "A = x\n",
        "A='x y'\n",
        'A="x # y"\n',
        "# c\n\nA=x # c\n",
        "A=${HOME}\n",
        "A=x\r\nB=y\r\n",
        "\ufeffA=x\n",
        "A=\nA=x\n",
        'A="one\ntwo"\n',
    ],
)
def test_a_value_is_found_in_every_form_of_dotenv(check, text):
    assert check(text, "A") == []


def test_every_missing_name_is_told(check):
    assert check("B=x\nC=\nD\nE=''\nF= # c\n", "A", "B", "C", "D", "E", "F") == [
        ": A: expected a value, found nothing",
        ": C: expected a value, found an empty value",
        ": D: expected a value, found an empty value",
        ": E: expected a value, found an empty value",
        ": F: expected a value, found an empty value",
    ]


def test_no_file_given_lists_the_names(tmp_path):
    (problem,) = check_secrets(["A", "B", "A"], None, tmp_path / "artifact.yml")
    assert "expected a secrets file with A, B (--secret-env), found none given" in str(problem)
    assert (problem.kind, problem.severity) == (Kind.SECRET, Severity.ERROR)


def test_a_missing_file_lists_the_names(tmp_path):
    (problem,) = check_secrets(["A", "B"], tmp_path / "nowhere", tmp_path)
    assert "expected a secrets file with A, B, found No such file or directory" in str(problem)
    (problem,) = check_secrets(["A"], tmp_path, tmp_path)
    assert "found Is a directory" in str(problem)


def test_a_missing_file_is_a_warning_where_nothing_is_required(tmp_path):
    (problem,) = check_secrets([], tmp_path / "nowhere", tmp_path)
    assert problem.severity is Severity.WARNING
    assert check_secrets([], None, tmp_path) == []


def test_a_line_that_is_none_is_told_by_its_number_and_not_by_its_text(check):
    text = 'A=x\n\n\n= hunter2\nB="hunter3\nC=y\n'
    found = check(text, "A")
    assert [line.split(":")[1] for line in found] == ["4", "5"]
    assert not any("hunter" in line for line in found)


def test_bytes_that_are_no_text_are_refused_without_showing_them(check):
    (found,) = check(b"A=hunter\xff2\n", "A")
    assert found == ": expected a secrets file with A, found bytes that are not UTF-8"


def test_a_huge_file_is_refused(check):
    (found,) = check(b"#" * (1024 * 1024 + 1), "A")
    assert "more than 1048576 bytes" in found


def test_no_value_is_in_the_exception_or_what_it_came_from(build, box, tmp_path):
    path = tmp_path / "secrets.env"
    path.write_bytes(b"TOKEN=hunter\xff2\nOTHER='hunter3\n")
    with pytest.raises(SecretError) as caught:
        box.apply(build().entry(functions=["api"], required_secret_env=["TOKEN"]), secret_env=path)
    error, seen = caught.value, []
    while error is not None:
        seen += [repr(error), str(error), repr(error.args), repr(getattr(error, "object", ""))]
        error = error.__cause__ or error.__context__
    assert "hunter" not in "".join(seen)
