from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifact_contract.errors import ArtifactError
from artifactctl.images.api import Builder
from artifactctl.images.bases import empty_base
from artifactctl.images.planning import Method, NotedBases, plan_work
from artifactctl.images.recipe import Base, Platform
from artifactctl.images.sources import ContextOf
from artifactctl.images.work import Assembly, Build, Work
from attrs import evolve

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
AUTO = Method(Builder.AUTO, engine=True, single=False)
Plan = Callable[..., Work]


def changing_base(inputs: str) -> Callable[[str, Platform], Base]:
    return lambda ref, platform: evolve(empty_base(ref, platform), inputs=inputs)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    def run(dockerfile: str, method: Method = AUTO, base: str = "one", **more: Any) -> Work:
        (tmp_path / "src").mkdir(exist_ok=True)
        for name in ("a.py", "b.py"):
            (tmp_path / "src" / name).touch()
        (tmp_path / "Dockerfile").write_text(dockerfile)
        found = NotedBases(changing_base(base))
        platforms = more.pop("platforms", (AMD64,))
        return plan_work(
            tmp_path, "Dockerfile", ContextOf(tmp_path), found, platforms=platforms, method=method, **more
        )

    return run


def files(work: Work) -> list[str]:
    assert isinstance(work, Build)
    return [entry.path for entry in work.files]


def test_what_direct_assembly_understands_is_assembled(plan: Plan) -> None:
    work = plan("FROM debian\nCOPY src/ /x/\n", platforms=(AMD64, ARM64))
    assert isinstance(work, Assembly)
    assert work.platforms == (AMD64, ARM64)


@pytest.mark.parametrize(
    "line",
    [
        "RUN make",
        "ADD https://example.org/x /x",
        "HEALTHCHECK NONE",
        "COPY --chown=5 src/ /x/",
        "COPY --from=debian /bin/ls /x",
        "COPY --parents src/a.py /x/",
    ],
)
def test_everything_else_is_for_the_engine(plan: Plan, line: str) -> None:
    assert isinstance(plan(f"FROM public.ecr.aws/lambda/python:3.12\n{line}\n"), Build)


def test_without_an_engine_it_is_rejected_with_its_line(plan: Plan) -> None:
    for method in (evolve(AUTO, builder=Builder.DIRECT), evolve(AUTO, engine=False)):
        with pytest.raises(ArtifactError, match=r"Dockerfile:2:1: RUN: .*found RUN make"):
            plan("FROM debian\nRUN make\n", method)


def test_an_error_is_one_also_beside_a_run(plan: Plan) -> None:
    with pytest.raises(ArtifactError, match="nothing at 'none'"):
        plan("FROM debian\nRUN make\nCOPY none /x\n")


def test_buildx_builds_everything(plan: Plan) -> None:
    assert isinstance(plan("FROM debian\nCOPY src/ /x/\n", evolve(AUTO, builder=Builder.BUILDX)), Build)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("COPY src/a.py /x/\nRUN true", ["src", "src/a.py"]),
        ("RUN true", []),
        ("ADD src/b.py /x/", ["src", "src/b.py"]),
        ("ADD https://example.org/x src/a.py /x/", ["src", "src/a.py"]),
        ("RUN --mount=type=bind,source=src,target=/s make", ["src", "src/a.py", "src/b.py"]),
        ("RUN --mount=type=cache,target=/root/.cache make", []),
        ("COPY --parents src/a.py /x/", ["src", "src/a.py"]),
        ("COPY <<x /y\nsrc/a.py\nx", []),
    ],
)
def test_an_engine_gets_the_files_that_the_dockerfile_may_read(
    plan: Plan, lines: str, expected: list[str]
) -> None:
    assert files(plan(f"FROM debian\n{lines}\n")) == expected


def test_only_what_a_build_depends_on_changes_its_inputs(plan: Plan, tmp_path: Path) -> None:
    text = "FROM debian\nCOPY src/a.py /x/\nRUN make\n"
    inputs = plan(text).inputs
    (tmp_path / "src" / "b.py").write_text("changed")
    assert plan(text).inputs == inputs
    (tmp_path / "src" / "a.py").chmod(0o600)
    assert plan(text).inputs == inputs
    (tmp_path / "src" / "a.py").write_text("changed")
    others = [
        plan(text).inputs,
        plan(text, base="two").inputs,
        plan(text, build_args={"A": "1"}).inputs,
        plan(text, platforms=(ARM64,)).inputs,
        plan(text + "RUN more\n").inputs,
    ]
    assert len({inputs, *others}) == 6


def test_a_builds_bases_are_all_images_it_reads(plan: Plan) -> None:
    work = plan("FROM a AS one\nRUN --mount=from=c,target=/c x\nFROM b\nCOPY --from=one /x /\nRUN y\n")
    assert isinstance(work, Build)
    assert [base.ref for base in work.bases] == ["a", "c", "b"]


def test_the_platforms_are_the_callers_then_the_functions(plan: Plan) -> None:
    assert AUTO.of((ARM64,)) == (ARM64,)
    assert evolve(AUTO, platforms=(AMD64, ARM64)).of((ARM64,)) == (AMD64, ARM64)
    assert evolve(AUTO, single=True).of((ARM64, AMD64)) == (ARM64,)
