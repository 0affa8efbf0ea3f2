"""The hooks and templates that this package carries."""

import sys

from esb_cli.runtime_files import DOCKERFILE_TEMPLATE, PYTHON_HOOKS, runtime_base_files


def test_all_files_of_the_contract_are_there_and_nothing_else():
    assert sorted(runtime_base_files()) == [
        "runtime-hooks/python/docker/Dockerfile",
        "runtime-hooks/python/sitecustomize/site-packages/sitecustomize.py",
        "runtime-hooks/python/trace-bridge/layer/trace_bridge.py",
        DOCKERFILE_TEMPLATE,
    ]


def test_they_are_the_same_on_every_machine():
    assert not any(staged.executable for staged in runtime_base_files().values())
    assert all(b"\r" not in staged.read() for staged in runtime_base_files().values())


def test_the_base_takes_its_python_from_an_argument_and_only_copies_what_is_there():
    lines = runtime_base_files()[f"{PYTHON_HOOKS}docker/Dockerfile"].read().decode().splitlines()
    assert "FROM public.ecr.aws/lambda/python:${PYTHON_VERSION}" in lines
    sources = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert sources
    assert all(any(path.startswith(source) for path in runtime_base_files()) for source in sources)
    assert not any(line.startswith(("RUN", "ADD", "# syntax")) for line in lines)


def test_the_packages_own_byte_code_is_no_part_of_it():
    assert sys.implementation.cache_tag not in "".join(runtime_base_files())
