"""A JSON Schema from example values: what they have in common, never narrower than what was seen.

Pure and bounded. Says types, properties, which of them every example has, and the formats that a machine writes
without exception (dates, times, UUIDs); no ranges, lengths or lists of words, which examples do not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from process_orchestrator.checking.schemas.validate import Validator

Json = Any

DEPTH_MAX: Final = 20
"""Levels that are described; below, anything is let through."""

KEYS_MAX: Final = 100
"""An object with more keys is a map: its keys are data, not names."""

ITEMS_MAX: Final = 1_000
"""Items of one list that are looked at."""

FORMATS: Final = ("date-time", "date", "uuid")


def infer_schema(examples: Sequence[Json]) -> dict[str, Json]:
    """The schema that all examples keep. Empty (anything) where there is none, or nothing but null."""
    return _common(list(examples), 0)


def _common(values: list[Json], depth: int) -> dict[str, Json]:
    """The schema of values that stand at one place."""
    if depth >= DEPTH_MAX:
        return {}
    objects = [each for each in values if isinstance(each, dict)]
    lists = [each for each in values if isinstance(each, list)]
    kinds = [_object(objects, depth)] if objects else []
    kinds += [_list(lists, depth)] if lists else []
    kinds += _scalars(values)
    null = any(each is None for each in values)
    if not kinds:
        return {}
    if len(kinds) == 1:
        return {**kinds[0], "type": [kinds[0]["type"], "null"]} if null else kinds[0]
    if all(list(each) == ["type"] for each in kinds):
        return {"type": [*(each["type"] for each in kinds), *(["null"] if null else [])]}
    return {"anyOf": [*kinds, *([{"type": "null"}] if null else [])]}


def _object(values: list[dict[str, Json]], depth: int) -> dict[str, Json]:
    names = list(dict.fromkeys(name for each in values for name in each))
    if not names:
        return {"type": "object"}
    if len(names) > KEYS_MAX:
        inner = [value for each in values for value in each.values()][:ITEMS_MAX]
        return {"type": "object", "additionalProperties": _common(inner, depth + 1) or True}
    properties = {name: _common([each[name] for each in values if name in each], depth + 1) for name in names}
    required = [name for name in names if all(name in each for each in values)]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _list(values: list[list[Json]], depth: int) -> dict[str, Json]:
    items = _common([item for each in values for item in each[:ITEMS_MAX]][: 10 * ITEMS_MAX], depth + 1)
    return {"type": "array", "items": items} if items else {"type": "array"}


def _scalars(values: list[Json]) -> list[dict[str, Json]]:
    """Booleans, numbers and texts among the values: at most one schema of each."""
    found: list[dict[str, Json]] = []
    if any(isinstance(each, bool) for each in values):
        found.append({"type": "boolean"})
    numbers = [each for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    if numbers:
        found.append({"type": "integer" if all(isinstance(each, int) for each in numbers) else "number"})
    texts = [each for each in values if isinstance(each, str)]
    if texts:
        found.append({"type": "string", **_format(texts)})
    return found


def _format(texts: list[str]) -> dict[str, Json]:
    for name in FORMATS:
        form = Validator({"format": name})
        if all(form.is_valid(each) for each in texts):
            return {"format": name}
    return {}
