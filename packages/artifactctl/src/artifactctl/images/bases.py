"""What a FROM brings along: the lambda base of this artifact, or an image from elsewhere (contract §13).

The lambda base is built from `runtime-base/` of the same artifact root and nowhere else, so that two entries
never get each other's. An image from elsewhere is taken as empty where there is no registry to get it from:
in mode `process` the host's interpreter is the runtime.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from artifactctl.images.recipe import Base, ImageConfig, Platform
from artifactctl.images.tree import ImageTree, directory

LAMBDA_BASE = "esb-lambda-base"

# gives what an image that isn't built here is known to bring
ExternalBases = Callable[[str, Platform], Base]

_PYTHON_TAG = re.compile(r"python(\d+\.\d+)(?:-.*)?")
_AWS_LAMBDA = re.compile(r"(?:.*/)?(?:lambda/|aws-lambda-)(?:python|nodejs|java|dotnet|ruby|go|provided)")
_DIRECTORIES = (
    *(
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "lib64",
        "media",
        "mnt",
        "opt",
        "proc",
        "run",
        "sbin",
        "srv",
        "sys",
    ),
    *("usr", "usr/bin", "usr/lib", "usr/local", "usr/local/bin", "usr/local/lib", "usr/sbin", "usr/share"),
    *("var", "var/lib", "var/lock", "var/log", "var/run"),
)
_MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
_MAYBE_LINKS = frozenset(("bin", "lib", "lib64", "sbin", "usr/lib64", "var/lock", "var/run"))
_VARIABLES = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_LAMBDA_DIRECTORIES = ("var/lang", "var/runtime", "var/task")
_LAMBDA_VARIABLES = {
    "LAMBDA_TASK_ROOT": "/var/task",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib"
    ":/opt/lib",
}

SCRATCH = Base(name="scratch", inputs="scratch", variables=_VARIABLES)


def split_reference(ref: str) -> tuple[str, str]:
    """Repository and tag of an image reference; a digest is left out."""
    name = ref.partition("@")[0]
    head, slash, last = name.rpartition("/")
    repository, _, tag = last.partition(":")
    return f"{head}{slash}{repository}", tag


def is_lambda_base(ref: str) -> bool:
    """Whether a FROM means the base that the artifact brings itself."""
    return split_reference(ref)[0].rpartition("/")[2] == LAMBDA_BASE


def lambda_base_args(ref: str) -> Mapping[str, str]:
    """The build arguments a reference to the lambda base implies: the Python version in its tag."""
    found = _PYTHON_TAG.fullmatch(split_reference(ref)[1])
    return {"PYTHON_VERSION": found[1]} if found else {}


def empty_base(ref: str, _platform: Platform) -> Base:
    """An image from elsewhere, without a registry: empty, with what everybody knows about such images."""
    is_lambda = _AWS_LAMBDA.fullmatch(split_reference(ref)[0]) is not None
    known = {path: directory(path) for path in (*_DIRECTORIES, *(_LAMBDA_DIRECTORIES if is_lambda else ()))}
    known.update({path: directory(path, mode) for path, mode in _MODES.items()})
    warning = "" if is_lambda else "it is taken as empty: this target has no registry to get it from"
    return Base(
        name=ref,
        inputs="empty",
        config=ImageConfig(workdir="/var/task") if is_lambda else ImageConfig(),
        tree=ImageTree(known),
        variables=_LAMBDA_VARIABLES if is_lambda else _VARIABLES,
        maybe_links=_MAYBE_LINKS,
        complete=False,
        warning=warning,
    )
