"""Collects what is wrong with a template and what of it is lost, so that everything is said in one run."""

from typing import Protocol

from artifact_contract.errors import Place, Problem
from attrs import frozen

from esb_cli.errors import TemplateError
from esb_cli.spec_model import Finding

__all__ = ["Marked", "Owner", "Report"]


class Marked(Protocol):
    """Anything that knows its place; line and column count from 1, 0 is unknown."""

    @property
    def line(self) -> int:
        """The line, from 1."""

    @property
    def column(self) -> int:
        """The column, from 1."""


@frozen
class Owner:
    """Whom a finding is about: a resource, or a section of the template."""

    logical_id: str
    type: str


class Report:
    """The problems and findings of one template, each said once, in the order they were met."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: dict[Problem, None] = {}
        self._findings: dict[Finding, None] = {}

    def problem(self, at: Marked, field: str, expected: str, found: str, hint: str = "") -> None:
        """Note an error at a place; `raise_problems` will raise it."""
        place = Place(self.file, at.line or None, at.column or None)
        self._problems.setdefault(Problem(place, field, expected, found, hint))

    def finding(self, owner: Owner, at: Marked, lost: str) -> None:
        """Note what the box won't have."""
        self._findings.setdefault(Finding(owner.logical_id, owner.type, self.file, max(at.line, 1), lost))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, by line."""
        return tuple(sorted(self._findings, key=lambda finding: finding.line))

    def raise_problems(self) -> None:
        """Raise what was noted, by place.

        Raises:
            TemplateError: If any problem was noted.
        """
        if self._problems:
            by_place = sorted(self._problems, key=lambda it: (it.place.line or 0, it.place.column or 0))
            raise TemplateError(by_place)
