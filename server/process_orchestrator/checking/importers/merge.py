"""Three-way merge of JSON values: what a person changed stays, what was left as imported follows the source.

`base` is the form last imported, `new` what the source says now, `ours` what stands in the file. Pure: knows nothing
of files, and of definitions only which of their lists are sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import islice
from typing import Any, Final, Literal, NamedTuple

from process_orchestrator.checking.schemas.pointers import step_into

Json = Any


class _Absent(Enum):
    ABSENT = 0


ABSENT: Final = _Absent.ABSENT
"""No value at that place, which is not null."""

MaybeJson = Any | Literal[_Absent.ABSENT]

SETS: Final = frozenset(
    (
        *("required", "enum", "todo", "x-todo", "sensitive", "resources", "serves", "examples"),
        *("query", "headers", "body", "requires", "ensures"),
    )
)
"""Keys whose lists have no order that matters: they are merged item by item. All other lists are taken whole."""

TOLD_MAX: Final = 20
"""Differences told of one place that was taken over; it is taken over whole."""

NAMES_OF_ITEMS: Final = ("x-imported", "id", "name", "contract")
"""What tells the items of a list of mappings apart, the first that an item has."""


class Row(NamedTuple):
    """What became of one place. `how`: taken, kept or conflict."""

    pointer: str
    how: str
    message: str


class Merged(NamedTuple):
    value: MaybeJson
    rows: tuple[Row, ...]


def same(one: MaybeJson, other: MaybeJson) -> bool:
    """Whether two JSON values are the same text: `1`, `1.0` and `true` are three values, keys have no order."""
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(one) == canonical(other)


def canonical(value: Json) -> str:
    """One text for one value."""
    return json.dumps(value, sort_keys=True)


def merge(base: MaybeJson, new: MaybeJson, ours: MaybeJson, *, pointer: str = "") -> Merged:
    """Merge one place. Nothing that differs between `base` and `ours` is ever lost."""
    if same(new, base) or same(new, ours):
        return Merged(ours, ())
    if same(ours, base):
        return Merged(new, tuple(islice(_differences(base, new, pointer), TOLD_MAX)))
    if ours is ABSENT:
        return Merged(ABSENT, (Row(pointer, "kept", "you removed it; the source has changed it since"),))
    if new is ABSENT:
        return Merged(ours, (Row(pointer, "conflict", "the source no longer has it; yours is kept"),))
    if isinstance(new, Mapping) and isinstance(ours, Mapping):
        return _mappings(base if isinstance(base, Mapping) else {}, new, ours, pointer)
    key = pointer.rpartition("/")[2]
    if key in SETS and isinstance(new, list) and isinstance(ours, list):
        before: list[Json] = base if isinstance(base, list) else []
        if all(_distinct(each) for each in (before, new, ours)):
            return _sets(before, new, ours, pointer)
    return Merged(ours, (Row(pointer, "conflict", f"the source now says {_shown(new)}; yours is kept"),))


def item_name(item: Json) -> str:
    """What tells an item of a list from the others."""
    if isinstance(item, Mapping):
        for key in NAMES_OF_ITEMS:
            if isinstance(item.get(key), str):
                return f"{key}={item[key]}"
    return canonical(item)


def _mappings(base: Mapping[str, Json], new: Mapping[str, Json], ours: Mapping[str, Json], pointer: str) -> Merged:
    merged: dict[str, Json] = {}
    rows: list[Row] = []
    for key in _in_order(list(ours), list(new)):
        value, found = merge(
            base.get(key, ABSENT), new.get(key, ABSENT), ours.get(key, ABSENT), pointer=step_into(pointer, key)
        )
        rows.extend(found)
        if value is not ABSENT:
            merged[key] = value
    return Merged(merged, tuple(rows))


def _sets(base: list[Json], new: list[Json], ours: list[Json], pointer: str) -> Merged:
    was, now, here = ({item_name(each): each for each in items} for items in (base, new, ours))
    merged: list[Json] = []
    rows: list[Row] = []
    for index, name in enumerate(_in_order(list(here), list(now))):
        place = f"{pointer}/{index}"
        value, found = merge(was.get(name, ABSENT), now.get(name, ABSENT), here.get(name, ABSENT), pointer=place)
        rows.extend(found)
        if value is not ABSENT:
            merged.append(value)
    return Merged(merged, tuple(rows))


def _distinct(items: list[Json]) -> bool:
    return len({item_name(each) for each in items}) == len(items)


def _in_order(ours: list[str], new: list[str]) -> list[str]:
    """Names in our order, each that only the source has behind the one that it follows there."""
    found, here = list(ours), set(ours)
    behind = -1
    for name in new:
        if name in here:
            behind = found.index(name)
        else:
            behind += 1
            found.insert(behind, name)
    return found


def _differences(base: MaybeJson, new: MaybeJson, pointer: str) -> Iterator[Row]:
    """What was taken over, each where it stands."""
    if same(base, new):
        return
    if not isinstance(base, Mapping) or not isinstance(new, Mapping):
        yield Row(pointer, "taken", _taken(base, new))
        return
    for key in _in_order(list(base), list(new)):
        yield from _differences(base.get(key, ABSENT), new.get(key, ABSENT), step_into(pointer, key))


def _taken(base: MaybeJson, new: MaybeJson) -> str:
    if base is ABSENT:
        return f"new at the source: {_shown(new)}"
    if new is ABSENT:
        return f"gone at the source, was {_shown(base)}"
    return f"was {_shown(base)}, is {_shown(new)}"


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
