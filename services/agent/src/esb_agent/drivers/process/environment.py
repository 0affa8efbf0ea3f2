"""The environment a worker starts with: what Lambda documents, the image's, the function's own; nothing else.

Paths of the image (`/opt/...`, `/var/task`, ...) become paths below its unpacked root, since a plain
process has no root of its own.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from esb_agent.drivers.process.images import Image
from esb_agent.drivers.process.keeper.procfs import MARKER
from esb_agent.model import FunctionSpec

# Where an image's files are; a path elsewhere is the host's.
IMAGE_PLACES = ("/opt", "/var/task", "/var/runtime", "/var/lang")
PATH_LISTS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
HOST_PATH = "/usr/local/bin:/usr/bin:/bin"
DEFAULT_REGION = "us-east-1"
KEEPER_LANG = "C.UTF-8"
ACCOUNT = "000000000000"


@frozen(kw_only=True)
class Place:
    """Where one worker lives.

    Its own directory, its temporary files, its Runtime API, its interpreter's version.
    """

    worker_id: str
    directory: Path
    temporary: Path
    runtime_api: str
    python_version: str
    created_unix_ms: int


def worker_environment(spec: FunctionSpec, image: Image, place: Place, handler: str) -> dict[str, str]:
    """All of it.

    The function's environment wins, but for what the platform itself must say (Lambda: reserved variables).
    """
    given = {**image.config.environment, **spec.environment}
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    environment = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "LANG": KEEPER_LANG,
        "TZ": ":UTC",
        **given,
    }
    for name, value in path_lists(given, image.root, place.python_version).items():
        environment.pop(name, None)
        if value:
            environment[name] = value
    return {**environment, **_reserved(spec, image, place, handler)}


def _reserved(spec: FunctionSpec, image: Image, place: Place, handler: str) -> dict[str, str]:
    day = datetime.fromtimestamp(place.created_unix_ms / 1000, UTC)
    return {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{spec.runtime or 'python' + minor(place.python_version)}",
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{day:%Y/%m/%d}/[$LATEST]{place.worker_id}",
        "AWS_LAMBDA_RUNTIME_API": place.runtime_api,
        "HOME": str(place.temporary),
        "LAMBDA_RUNTIME_DIR": str(image.root / "var/runtime"),
        "LAMBDA_TASK_ROOT": str(image.root / "var/task"),
        "TMPDIR": str(place.temporary),
        "_HANDLER": handler,
        MARKER: str(place.directory),
    }


def path_lists(given: Mapping[str, str], root: Path, python_version: str) -> dict[str, str]:
    """The search paths: what was given, mapped into the image, then the image's usual places; "" for none."""
    usual: dict[str, list[Path | str]] = {
        "PATH": [root / "opt/bin", *HOST_PATH.split(":")],
        "PYTHONPATH": [
            root / "opt/python",
            root / f"opt/python/lib/python{minor(python_version)}/site-packages",
        ],
        "LD_LIBRARY_PATH": [root / "var/task/lib", root / "opt/lib"],
    }
    lists = {}
    for name in PATH_LISTS:
        mapped = [in_image(part, root) for part in given.get(name, "").split(":") if part]
        # A place of the image that is not there needs no looking into at every import.
        mapped += [
            str(part) for part in usual[name] if not str(part).startswith(str(root)) or Path(part).is_dir()
        ]
        lists[name] = ":".join(dict.fromkeys(mapped))
    return lists


def in_image(path: str, root: Path) -> str:
    """A path as the image means it, as this host has it."""
    inside = any(path == place or path.startswith(f"{place}/") for place in IMAGE_PLACES)
    return f"{root}{path}" if inside else path


def minor(version: str) -> str:
    """`3.11` of `3.11.7`."""
    return ".".join(version.split(".")[:2])


def needs_fresh_interpreter(environment: Mapping[str, str], image: Image, preloaded: frozenset[str]) -> bool:
    """Whether a fork of the keeper would differ from a new interpreter.

    It would when the environment holds what is read only at an interpreter's or the loader's start, or when
    the image brings a module of its own that the keeper has loaded already.
    """
    started_with = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "LC_")
    early = any(name.startswith(started_with) and name != "PYTHONPATH" for name in environment)
    return early or environment["LANG"] != KEEPER_LANG or not image.names.isdisjoint(preloaded)
