"""Reads the named statements of a `.sql` file. Not a query builder: what stands in the file is what runs."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK: Final = "-- name: "


def load_statements(file: str) -> Mapping[str, str]:
    """Statements of a file of this room by name. A statement starts below its line `-- name: NAME`."""
    text = resources.files("process_orchestrator.hosting").joinpath(file).read_text("utf-8")
    named: dict[str, str] = {}
    for part in text.split(MARK)[1:]:
        name, _, body = part.partition("\n")
        named[name.strip()] = body.strip()
    return named
