from __future__ import annotations

from pathlib import Path

from artifactctl.images.buildx import BuildError, failure
from artifactctl.images.docker_cli import EngineError

DOCKERFILE = Path("svc/functions/a/Dockerfile")
FAILED = """\
#0 building with "default" instance using docker driver

#5 [2/3] COPY src/ /x/
#5 DONE 0.0s

#6 [3/3] RUN make
#6 0.271 out
#6 0.272 err
#5 ...

#6 [3/3] RUN make
#6 0.300 last
#6 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 7
------
 > [3/3] RUN make:
0.271 out
------
Dockerfile:3
--------------------
   3 | >>> RUN make
--------------------
ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 7
"""


def test_a_failing_step_is_the_artifacts_fault_with_its_line_and_its_last_words() -> None:
    error = failure(FAILED.splitlines(), DOCKERFILE)
    assert isinstance(error, BuildError)
    assert str(error).splitlines() == [
        "svc/functions/a/Dockerfile:3:1: RUN make: expected a step that succeeds, found process"
        ' "/bin/sh -c make" did not complete successfully: exit code: 7',
        "    out",
        "    err",
        "    last",
    ]


def test_only_the_last_lines_are_shown() -> None:
    many = "".join(f"#6 0.1 line {number}\n" for number in range(100))
    text = FAILED.replace("#6 0.271 out\n", many)
    shown = str(failure(text.splitlines(), DOCKERFILE)).splitlines()[1:]
    assert len(shown) == 15
    assert shown[-1] == "    last"


def test_anything_else_is_the_worlds_fault() -> None:
    text = (
        "#2 ERROR: x\nERROR: failed to solve: public.ecr.aws/x: failed to resolve source metadata: no route"
    )
    error = failure(text.splitlines(), DOCKERFILE)
    assert isinstance(error, EngineError)
    assert str(error) == "docker buildx: public.ecr.aws/x: failed to resolve source metadata: no route"
    assert "without a word" in str(failure([], DOCKERFILE))
