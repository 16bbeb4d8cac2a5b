"""The tools of the agents of these tests, and twelve ways in which one of them may change."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Tool = dict[str, Any]

BOOK: Final[Tool] = {
    "name": "book",
    "title": "Book",
    "description": "Book one invoice.",
    "inputSchema": {
        "type": "object",
        "properties": {"number": {"type": "string"}, "total": {"type": "number"}},
        "required": ["number"],
    },
    "outputSchema": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "total": {"type": "number"}, "state": {"enum": ["open", "paid"]}},
        "required": ["id"],
    },
    "annotations": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": True},
}
LOOK: Final[Tool] = {**copy.deepcopy(BOOK), "name": "look", "description": "Look one up."}


def changed(change: Callable[[Tool], object], tool: Tool = BOOK) -> Tool:
    """A copy of a tool with one thing about it changed."""
    found = copy.deepcopy(tool)
    change(found)
    return found


def put(path: Path, *tools: Tool) -> Path:
    path.write_text(json.dumps(tools))
    return path


def calls(path: Path) -> list[str]:
    """What the agent was asked to do, in order."""
    kept = path.with_suffix(".calls")
    return kept.read_text().split() if kept.exists() else []
