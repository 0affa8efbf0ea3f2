r"""`.dockerignore` in Docker's way: the last line that matches a path, or a directory above it, decides.

`#` at the start of a line is a comment, `!` lets in again, `*`, `?`, `[…]` and `**` are wildcards, `/` at the
start means nothing.
"""

from __future__ import annotations

import posixpath
import re

from artifact_contract.errors import FieldError, Place, Problem
from attrs import frozen

from artifactctl.images.patterns import compile_pattern
from artifactctl.images.tree import ancestors


@frozen
class IgnoreRule:
    """One line: what it matches, and whether it lets in what an earlier one excluded."""

    pattern: re.Pattern[str]
    exception: bool


@frozen
class IgnoreRules:
    """The lines of one file, in order."""

    rules: tuple[IgnoreRule, ...] = ()

    @property
    def has_exceptions(self) -> bool:
        """Whether any line starts with `!`."""
        return any(rule.exception for rule in self.rules)

    def exclude(self, path: str) -> bool:
        """Whether this path is no part of the context."""
        if not self.rules:
            return False
        excluded = False
        candidates = (*ancestors(path), path)
        for rule in self.rules:
            # only a line that would change the verdict is worth matching
            if rule.exception == excluded and any(map(rule.pattern.fullmatch, candidates)):
                excluded = not rule.exception
        return excluded


def parse_ignore(text: str, file: str) -> tuple[IgnoreRules, tuple[Problem, ...]]:
    """The rules of a `.dockerignore`, and its malformed lines."""
    rules: list[IgnoreRule] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        pattern = line.strip()
        if line.startswith("#") or not pattern:
            continue
        exception = pattern.startswith("!")
        cleaned = posixpath.normpath("/" + pattern.removeprefix("!").strip()).lstrip("/")
        try:
            rules.append(IgnoreRule(compile_pattern(cleaned, double_star=True), exception))
        except FieldError as error:
            problems.append(error.at(Place(file, number), ".dockerignore"))
    return IgnoreRules(tuple(rules)), tuple(problems)
