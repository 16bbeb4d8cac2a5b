"""What an expression may know of a value: its JSON types, deep enough to give numbers their type.

Made from schemas when a plan or contract is compiled, kept in the plan document, used to convert values before they
enter an expression: a `number` is always a double there (1000 arrives as 1000.0), an `integer` an int.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from process_orchestrator.checking.schemas.projection import (
    ALL_KINDS,
    Presence,
    Shape,
    items_of,
    kinds_of,
    names_of,
    project,
)
from process_orchestrator.core.facts.values import Fact

Json = Any
Convert = Callable[[Json], Json]

DEPTH_MAX: Final = 6
"""Levels of a value whose numbers are typed; recursive schemas would go on for ever."""

NODES_MAX: Final = 300
"""Places of one value whose types are kept."""


class ValueType(Fact, frozen=True, kw_only=True):
    """The values that may stand in a variable. No kinds: anything."""

    kinds: tuple[str, ...] = ()
    items: ValueType | None = None
    properties: dict[str, ValueType] = {}
    always: tuple[str, ...] = ()  # properties that are never missing

    @property
    def only(self) -> str | None:
        """The one kind that values have, `number` where they are numbers of either kind; None where they differ."""
        if set(self.kinds) == {"integer", "number"}:
            return "number"
        return self.kinds[0] if len(self.kinds) == 1 else None

    def at(self, name: str) -> ValueType | None:
        """The type of a property, if it is declared."""
        return self.properties.get(name)


ANY: Final = ValueType()
BOOLEAN: Final = ValueType(kinds=("boolean",))
STRING: Final = ValueType(kinds=("string",))
INTEGER: Final = ValueType(kinds=("integer",))
NUMBER: Final = ValueType(kinds=("integer", "number"))


def type_of(shape: Shape) -> ValueType:
    """The type of the values of a shape."""
    return _type_of(shape, DEPTH_MAX, [NODES_MAX])


def _type_of(shape: Shape, depth: int, budget: list[int]) -> ValueType:
    budget[0] -= 1
    kinds = kinds_of(shape)
    if kinds == ALL_KINDS:
        kinds = frozenset[str]()
    written = tuple(sorted(kinds))
    if depth == 0 or budget[0] <= 0:
        return ValueType(kinds=written)
    items = None
    if "array" in kinds:
        items = _type_of(items_of(shape), depth - 1, budget)
    properties: dict[str, ValueType] = {}
    always: list[str] = []
    if "object" in kinds or not kinds:
        for name in names_of(shape):
            there = project(shape, (name,))
            if there.presence is not Presence.NEVER and budget[0] > 0:
                properties[name] = _type_of(there.shape, depth - 1, budget)
                if there.presence is Presence.ALWAYS:
                    always.append(name)
    return ValueType(kinds=written, items=items, properties=properties, always=tuple(always))


def converter(value_type: ValueType) -> Convert | None:
    """What turns a JSON value into one whose numbers are typed; None where nothing has to change. Values are copied."""
    item = converter(value_type.items) if value_type.items is not None else None
    named = {name: made for name, each in value_type.properties.items() if (made := converter(each)) is not None}
    double = "number" in value_type.kinds
    if not double and item is None and not named:
        return None
    if double and item is None and not named:
        return _double

    def convert(value: Json) -> Json:
        if type(value) is list:
            return [item(each) for each in value] if item is not None else value
        if type(value) is dict:
            changed = {name: made(value[name]) for name, made in named.items() if name in value}
            return {**value, **changed} if changed else value
        return _double(value) if double else value

    return convert


def _double(value: Json) -> Json:
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return value
    return value
