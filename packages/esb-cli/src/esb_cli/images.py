"""What a function's image is called and how it is built: references, tags, the Dockerfile (contract §13).

A tag is made from what the image is made from, the base included, and not from the registry or the mode: the
same code has the same tag everywhere.

    [<registry>/]<project>-<env>-<function>:<12 hex>     [<registry>/]esb-lambda-base:python3.12-<12 hex>
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from string import Template

from artifact_contract.digests import Sha256, directory_digest, file_digest

from esb_cli.spec_model import ImageSource

__all__ = [
    "BASE_NAME",
    "base_image",
    "dockerfile",
    "function_tag",
    "image_dockerfile",
    "image_names",
    "registry_prefix",
]

BASE_NAME = "esb-lambda-base"
TAG_DIGITS = 12


def registry_prefix(registry: str) -> str:
    """Return what stands before an image's name; nothing without a registry."""
    return f"{registry.rstrip('/')}/" if registry else ""


def base_image(python: str, architecture: str, hooks: Iterable[tuple[str, Sha256]]) -> str:
    """Return name and tag of the lambda base.

    Args:
        python: The version of the runtime, `3.12`.
        architecture: Part of the tag, as a registry holds one image under a tag.
        hooks: Paths and digests of the files the base is built from.
    """
    facts = [("architecture", file_digest(architecture.encode())), *hooks]
    return f"{BASE_NAME}:python{python}-{directory_digest(facts)[:TAG_DIGITS]}"


def image_names(project: str, env: str, functions: Iterable[str]) -> dict[str, str]:
    """Return each function's image name, lower case; functions whose names become the same get a suffix."""
    names = {function: _segment(f"{project}-{env}-{function}") for function in functions}
    times = Counter(names.values())
    return {
        function: name if times[name] == 1 else f"{name}-{hashlib.sha256(function.encode()).hexdigest()[:6]}"
        for function, name in names.items()
    }


def function_tag(dockerfile_text: str, architecture: str, files: Mapping[str, tuple[Sha256, bool]]) -> str:
    """Return the tag of a function's image.

    Args:
        dockerfile_text: The Dockerfile as rendered without a registry.
        architecture: What the image is built for.
        files: Digest and executable bit of each file that is copied, by its path in the artifact.
    """
    facts = [
        ("Dockerfile", file_digest(dockerfile_text.encode())),
        ("architecture", file_digest(architecture.encode())),
        *((f"{path}\0x" if executable else path, digest) for path, (digest, executable) in files.items()),
    ]
    return directory_digest(facts)[:TAG_DIGITS]


def dockerfile(
    template: str, *, base: str, labels: Mapping[str, str], copies: Iterable[tuple[str, str]], command: str
) -> str:
    """Return a Dockerfile.

    Args:
        template: The text of `dockerfile.tmpl`, with `$base`, `$labels`, `$copies` and `$command`.
        base: The reference it is FROM.
        labels: The image's labels.
        copies: From where in the artifact to where in the image, in order; each becomes a layer.
        command: The handler.
    """
    return Template(template).substitute(
        base=base,
        labels=_labels(labels),
        copies="".join(f"COPY {source} {target}\n" for source, target in copies),
        command=json.dumps([command]),
    )


def image_dockerfile(
    image: ImageSource, *, labels: Mapping[str, str], hooks: Iterable[tuple[str, str]]
) -> str:
    """Return the Dockerfile of a function that is an image: FROM it, the hooks, what the template says.

    Args:
        image: The image.
        labels: The labels it gets.
        hooks: From where in the artifact to where in the image.
    """
    lines = [
        f"FROM {image.uri}",
        f"LABEL {_labels(labels)}",
        *(f"COPY {source} {target}" for source, target in hooks),
        # A Python image may have a path of its own.
        'ENV PYTHONPATH="/opt/esb/python${PYTHONPATH:+:$PYTHONPATH}" AWS_LAMBDA_LOG_FORMAT=JSON',
    ]
    if image.working_directory:
        lines.append(f"WORKDIR {image.working_directory}")
    if image.entry_point:
        lines.append(f"ENTRYPOINT {json.dumps(image.entry_point)}")
    if image.command:
        lines.append(f"CMD {json.dumps(image.command)}")
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{key}={json.dumps(value)}" for key, value in labels.items())


def _segment(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
