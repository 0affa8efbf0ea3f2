"""From a spec and its image to what the keeper is told to start. No processes here."""

from pathlib import Path

from attrs import frozen

from esb_agent.drivers.process.environment import (
    Place,
    in_image,
    minor,
    needs_fresh_interpreter,
    worker_environment,
)
from esb_agent.drivers.process.images import Image
from esb_agent.drivers.process.keeper.messages import Ready, Spawn
from esb_agent.drivers.process.watch import data_limit_bytes
from esb_agent.drivers.process.worker import ProcessWorker
from esb_agent.errors import BadRequestError, ImageBrokenError
from esb_agent.model import FunctionSpec

RUNTIME_CLIENT = "awslambdaric"
# Entrypoints that start the Python runtime client, which a worker runs anyway.
PYTHON_ENTRYPOINTS = (RUNTIME_CLIENT, "lambda-entrypoint.sh")


@frozen(kw_only=True)
class Interpreter:
    """What runs the functions: its path, and what its keeper said of it."""

    path: str
    ready: Ready
    fork: bool


def check_runtime(spec: FunctionSpec) -> None:
    """Raises BadRequestError for what plain processes of a Python interpreter cannot run."""
    if spec.runtime and not spec.runtime.startswith("python"):
        raise BadRequestError(
            f"function {spec.name}: runtime {spec.runtime}: mode process runs Python functions only"
        )


def version_differs(spec: FunctionSpec, interpreter: Interpreter) -> bool:
    """The function asks for another Python than there is."""
    return spec.runtime not in ("", f"python{minor(interpreter.ready.python)}")


def handler_of(spec: FunctionSpec, image: Image) -> str:
    """What to call: of `cmd`, `handler` and the image's command the first that is there."""
    entrypoint = image.config.entrypoint
    if entrypoint and not any(known in part for part in entrypoint for known in PYTHON_ENTRYPOINTS):
        raise ImageBrokenError(
            f"{spec.image}: entrypoint {' '.join(entrypoint)}: not Lambda's Python runtime client"
        )
    for candidate in (*spec.cmd[:1], spec.handler, *image.config.command[:1]):
        if candidate:
            return candidate
    raise ImageBrokenError(f"{spec.image}: has no command, and function {spec.name} no handler")


def prepare(worker: ProcessWorker, image: Image, runtime_api: str, interpreter: Interpreter) -> Spawn:
    """What the keeper needs to know."""
    spec = worker.spec
    handler = handler_of(spec, image)
    place = Place(
        worker_id=worker.identity.worker_id,
        directory=worker.paths.directory,
        temporary=worker.paths.temporary,
        runtime_api=runtime_api,
        python_version=interpreter.ready.python,
        created_unix_ms=int(worker.created * 1000),
    )
    environment = worker_environment(spec, image, place, handler)
    fresh = needs_fresh_interpreter(environment, image, frozenset(interpreter.ready.preloaded))
    return Spawn(
        worker=worker.run,
        arguments=[interpreter.path, "-m", RUNTIME_CLIENT, handler],
        environment=environment,
        directory=str(working_directory(image)),
        data_bytes=data_limit_bytes(spec.memory_mb),
        fork=interpreter.fork and not fresh,
    )


def working_directory(image: Image) -> Path:
    """The image's, where it has one; else where Lambda has the code."""
    wanted = image.config.directory
    directory = Path(in_image(wanted, image.root)) if wanted else image.root
    inside = directory != image.root and directory.is_relative_to(image.root)
    return directory if inside and directory.is_dir() else image.root / "var/task"
