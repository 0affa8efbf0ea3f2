"""What a function's workers are shut in: the key `sandbox` of a function (contract §9).

It is read more strictly than other keys are: a misspelt or unfinished line would shut a function in less
than was meant, and nobody would see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from artifact_contract.config_fields import Check, FieldPath, one_of
from artifact_contract.nodes import Node, Scalar, as_text

__all__ = [
    "SANDBOXES",
    "SANDBOX_KEY",
    "is_misspelt",
    "refuse_default_sandbox",
    "refuse_misspelt_sandbox",
    "sandbox",
]

# Those that an agent on containerd knows.
SANDBOXES = ("runc", "gvisor", "firecracker")
SANDBOX_KEY = "sandbox"
_EXPECTED = f"{', '.join(SANDBOXES[:-1])} or {SANDBOXES[-1]}"
_choice = one_of(*SANDBOXES)


def sandbox(check: Check, node: Node, path: FieldPath, key: str) -> str | None:
    """One of the sandboxes; a line without a value is wrong."""
    if isinstance(node, Scalar) and not as_text(node):
        check.missing((*path, key), f"{_EXPECTED}, or no such line")
        return None
    value: str | None = _choice(check, node, path, key)
    return value


def is_misspelt(key: str, word: str) -> bool:
    """Whether a key that isn't `word` was probably meant to be it: another case, or `-` or `_` in it."""
    return key != word and re.sub(r"[-_ ]", "", key).casefold() == word.casefold()


def refuse_misspelt_sandbox(check: Check, keys: Iterable[str], path: FieldPath) -> None:
    """Report each of these unknown keys that was probably meant to be `sandbox`."""
    for key in keys:
        if is_misspelt(key, SANDBOX_KEY):
            check.report((*path, key), SANDBOX_KEY, "an unknown key", hint=f"write it {SANDBOX_KEY}")


def refuse_default_sandbox(check: Check, keys: Iterable[str], path: FieldPath) -> None:
    """Report a sandbox that is given for all functions at once."""
    for key in keys:
        if key == SANDBOX_KEY or is_misspelt(key, SANDBOX_KEY):
            hint = "the agent's CONTAINERD_RUNTIME says what holds for the others"
            check.report((*path, key), "sandbox at a function", "it among the defaults", hint=hint)
