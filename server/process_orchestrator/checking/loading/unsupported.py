"""What the formats know and this version does not carry out: said when a file is checked, never found out in a run.

An error where a run would do something else than is written; a warning where it does less. Looks at what is written,
not at defaults. When a version learns one of these, its row goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.schemas.pointers import step_into

CODE: Final = "NOT_YET_SUPPORTED"


class Unsupported(NamedTuple):
    """`words` are the values that are not carried out, none: any. `*` in `place` is each item of a list."""

    place: tuple[str, ...]
    words: tuple[str, ...]
    level: str
    message: str
    fix: str


_OF_AGENTS: Final = (
    Unsupported(
        ("transport", "kind"),
        ("model",),
        "error",
        "agents of this kind are not called yet",
        "use mcp_stdio, mcp_http, http, a2a or human",
    ),
)
_OF_PROCESSES: Final[tuple[Unsupported, ...]] = ()


def unsupported(document: Document, definition: Contract | ProcessType | Agent) -> Iterator[Problem]:
    """A problem for everything written in a file that this version does not carry out."""
    match definition:
        case Agent():
            rows = _OF_AGENTS
        case ProcessType():
            rows = _OF_PROCESSES
        case _:
            return
    for row in rows:
        for pointer, value in _found(document.value, row.place, ""):
            if not row.words or value in row.words:
                yield document.problem(row.level, CODE, pointer, row.message, row.fix)


def _found(value: Any, place: tuple[str, ...], pointer: str) -> Iterator[tuple[str, Any]]:
    """Each pointer that `place` matches, with its value."""
    if not place:
        yield pointer, value
        return
    name, rest = place[0], place[1:]
    if isinstance(value, dict):
        for key in value if name == "*" else [name] if name in value else []:
            yield from _found(value[key], rest, step_into(pointer, key))
    elif isinstance(value, list) and name == "*":
        for index, each in enumerate(value):
            yield from _found(each, rest, step_into(pointer, index))
