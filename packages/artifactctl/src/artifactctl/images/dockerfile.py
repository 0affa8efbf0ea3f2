r"""What a Dockerfile says: its instructions with their lines, nothing interpreted yet.

Comments, continued lines, `# escape=`, flags and here-documents are understood as Docker does, here-documents
only so far that their lines aren't taken for instructions. A `# syntax=` line is refused: it makes a build
ask a registry (contract §13).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from artifact_contract.errors import Place, Problem
from attrs import define, field, frozen

from artifactctl.images.words import split_quoted

KEYWORDS = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = ("syntax", "escape", "check")
_WITH_HEREDOC = frozenset({"ADD", "COPY", "RUN"})
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")


@frozen
class Instruction:
    """One instruction: keyword in capitals, flags such as `--from=x` in order, the rest as one line."""

    keyword: str
    flags: tuple[tuple[str, str], ...]
    rest: str
    line: int
    heredocs: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The instruction as one line."""
        flags = (f"--{name}={value}" if value else f"--{name}" for name, value in self.flags)
        return " ".join((self.keyword, *flags, self.rest)).strip()


@frozen
class Dockerfile:
    """The instructions of one file, and what is wrong with its form."""

    file: str
    instructions: tuple[Instruction, ...]
    escape: str
    problems: tuple[Problem, ...]


def parse_dockerfile(data: bytes, file: str) -> Dockerfile:
    """Parse a Dockerfile; its problems are part of the result, so that the interpreter can add its own."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Dockerfile(file, (), "\\", (Problem(Place(file, line), "Dockerfile", "UTF-8", "other bytes"),))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return Dockerfile(
            file, (), "\\", (Problem(Place(file, line), "Dockerfile", "text", "a NUL character"),)
        )
    parser = _Parser(file, [line.rstrip("\r") for line in text.split("\n")])
    parser.read_directives()
    instructions = tuple(parser.read_instructions())
    if not instructions and not parser.problems:
        parser.problem(1, "Dockerfile", "instructions", "none")
    return Dockerfile(file, instructions, parser.escape, tuple(parser.problems))


@define
class _Parser:
    file: str
    lines: list[str]
    position: int = 0
    escape: str = "\\"
    problems: list[Problem] = field(factory=list)

    def problem(self, line: int, field: str, expected: str, found: str, hint: str = "") -> None:
        """Note something that is wrong."""
        self.problems.append(Problem(Place(self.file, line), field, expected, found, hint))

    def read_directives(self) -> None:
        """`# key=value` lines, which count only before anything else."""
        seen: set[str] = set()
        for number, line in enumerate(self.lines, start=1):
            found = _DIRECTIVE.fullmatch(line.strip())
            name = found[1].lower() if found else ""
            if not found or name not in _DIRECTIVES:
                return
            if name in seen:
                self.problem(number, f"# {name}", "one such line", "another one")
            seen.add(name)
            self._directive(number, name, found[2])

    def _directive(self, number: int, name: str, value: str) -> None:
        if name == "syntax":
            hint = "it makes every build ask a registry; take the line out"
            self.problem(number, "# syntax", "no such line", repr(value), hint)
        elif name == "escape" and value in ("\\", "`"):
            self.escape = value
        elif name == "escape":
            self.problem(number, "# escape", "\\ or `", repr(value))

    def read_instructions(self) -> Iterator[Instruction]:
        """The instructions in order."""
        while self.position < len(self.lines):
            number = self.position + 1
            text = self._logical_line()
            if text:
                instruction = self._instruction(number, text)
                if instruction:
                    yield instruction

    def _logical_line(self) -> str:
        """The next line with all that continue it; empty for a comment or an empty line."""
        escape = re.escape(self.escape)
        continued = re.compile(rf"(|.*[^{escape}]){escape}[ \t]*", re.DOTALL)
        text = ""
        first = True
        while self.position < len(self.lines):
            line = self.lines[self.position]
            self.position += 1
            skipped = not line.strip() or line.lstrip().startswith("#")
            if skipped and first:
                return ""
            if skipped:
                continue
            found = continued.fullmatch(line)
            text += found[1] if found else line
            first = False
            if not found:
                break
        return text.strip()

    def _instruction(self, number: int, text: str) -> Instruction | None:
        word = text.split(maxsplit=1)[0]
        keyword = word.upper()
        if keyword not in KEYWORDS:
            self.problem(number, keyword, "a Dockerfile instruction", repr(word))
            return None
        flags, rest = _split_flags(text[len(word) :].lstrip())
        heredocs = self._skip_heredocs(number, keyword, rest)
        return Instruction(keyword, flags, rest, number, heredocs)

    def _skip_heredocs(self, number: int, keyword: str, rest: str) -> tuple[str, ...]:
        if keyword not in _WITH_HEREDOC or rest.startswith("["):
            return ()
        found = [match for word in split_quoted(rest, self.escape) if (match := _HEREDOC.fullmatch(word))]
        for match in found:
            self._skip_to(number, keyword, match[2].strip("'\""), tabs=bool(match[1]))
        return tuple(match[0] for match in found)

    def _skip_to(self, number: int, keyword: str, end: str, *, tabs: bool) -> None:
        while self.position < len(self.lines):
            line = self.lines[self.position]
            self.position += 1
            if (line.lstrip("\t") if tabs else line) == end:
                return
        self.problem(number, keyword, f"a line {end!r} that ends the here-document", "the end of the file")


def _split_flags(rest: str) -> tuple[tuple[tuple[str, str], ...], str]:
    flags: list[tuple[str, str]] = []
    while rest.startswith("--"):
        word, rest = (*rest.split(maxsplit=1), "", "")[:2]
        if word == "--":
            break
        name, _, value = word[2:].partition("=")
        flags.append((name, value))
    return tuple(flags), rest
