"""JSON values as such: of which kind one is, and what stands directly in some. Never recurses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

Json = Any

NO_JSON: Final = ""
"""The kind of what is no JSON value."""


def kind_of(value: Json) -> str:
    """The JSON type of a value, whole numbers told from others."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list() | tuple():
            return "array"
        case dict():
            return "object"
        case _:
            return NO_JSON


def below(values: Iterable[Json]) -> list[Json]:
    """All members and items of some values: the next level of a walk."""
    return [
        inner
        for outer in values
        if isinstance(outer, (dict, list, tuple))
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]
