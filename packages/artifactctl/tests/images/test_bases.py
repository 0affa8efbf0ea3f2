from __future__ import annotations

import pytest
from artifactctl.images.bases import empty_base, is_lambda_base, lambda_base_args, split_reference
from artifactctl.images.recipe import Platform


@pytest.mark.parametrize(
    ("ref", "repository", "tag"),
    [
        ("a", "a", ""),
        ("a:1", "a", "1"),
        ("registry:5010/a", "registry:5010/a", ""),
        ("registry:5010/a/b:1", "registry:5010/a/b", "1"),
        ("a:1@sha256:00", "a", "1"),
    ],
)
def test_a_reference_has_a_repository_and_a_tag(ref: str, repository: str, tag: str) -> None:
    assert split_reference(ref) == (repository, tag)


@pytest.mark.parametrize(
    "ref",
    [
        "esb-lambda-base",
        "esb-lambda-base:x",
        "registry:5010/esb-lambda-base:x",
        "a/b/esb-lambda-base@sha256:00",
    ],
)
def test_the_lambda_base_is_known_by_the_last_segment_of_its_repository(ref: str) -> None:
    assert is_lambda_base(ref)


@pytest.mark.parametrize("ref", ["esb-lambda-base-x", "my-esb-lambda-base", "esb-lambda-base/x", "scratch"])
def test_other_names_are_other_images(ref: str) -> None:
    assert not is_lambda_base(ref)


def test_the_tag_of_the_lambda_base_says_the_python_version() -> None:
    assert lambda_base_args("esb-lambda-base:python3.13-0123456789ab") == {"PYTHON_VERSION": "3.13"}
    assert lambda_base_args("esb-lambda-base:latest") == {}


@pytest.mark.parametrize(
    "ref", ["public.ecr.aws/lambda/python:3.12", "lambda/provided:al2023", "amazon/aws-lambda-python:3.11"]
)
def test_what_everybody_knows_about_lambda_images_is_known(ref: str) -> None:
    base = empty_base(ref, Platform("linux", "amd64"))
    assert base.variables["LAMBDA_TASK_ROOT"] == "/var/task"
    assert base.config.workdir == "/var/task"
    assert base.layers == ()
    assert base.config.env == {}
    assert base.tree.get("var/task") is not None
