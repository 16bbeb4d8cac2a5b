"""JSON pointers and the lines they stand on, for one definition file.

Knows nothing of YAML or of what a definition means. The reader fills it; every problem is placed by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from process_orchestrator.checking.documents.definitions import Problem

Json = Any


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A definition file as read: its value, and the line of every pointer in it (the key's line, not the value's)."""

    file: str
    value: Json
    lines: Mapping[str, int] = {}

    def line(self, pointer: str) -> int:
        """The line of `pointer`, or of the nearest thing above it that stands in the file; 1 for the whole."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)

    def error(self, code: str, pointer: str, message: str, fix: str) -> Problem:
        """An error at `pointer` in this file."""
        return self.problem("error", code, pointer, message, fix)

    def warning(self, code: str, pointer: str, message: str, fix: str) -> Problem:
        """A warning at `pointer` in this file."""
        return self.problem("warning", code, pointer, message, fix)

    def problem(self, level: str, code: str, pointer: str, message: str, fix: str) -> Problem:
        """A problem at `pointer`, placed on its line."""
        return Problem(
            level=level,
            code=code,
            file=self.file,
            line=self.line(pointer),
            pointer=printable(pointer),
            message=printable(message),
            fix=printable(fix),
        )

    def placed(self, problem: Problem) -> Problem:
        """A problem found by a check that knows pointers only, with this file's name and line put in."""
        return self.problem(problem.level, problem.code, problem.pointer, problem.message, problem.fix)


def printable(text: str) -> str:
    """A text for a terminal: what would move a cursor or turn the line around is replaced."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
