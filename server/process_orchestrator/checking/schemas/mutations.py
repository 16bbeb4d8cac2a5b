"""Values that differ from a sound one in one place: what a careless caller would send. Some of them may still be sound.

No schema is walked: the place comes from the value, the numbers worth trying from the schema's bounds, and who asks
lets the validator say which keyword was broken.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

from process_orchestrator.checking.schemas.validate import pointer_of
from process_orchestrator.core.facts.values import Fact

Json = Any
Path = tuple[str | int, ...]

PLACES_MAX: Final = 60
NUMBERS_MAX: Final = 40
LENGTH_MAX: Final = 5_000
"""Characters or items beyond which no bound is overstepped: a limit of a million is not worth a megabyte."""

EXTRA: Final = "not_in_the_contract"
TYPES: Final[tuple[tuple[str, Json], ...]] = (
    ("null", None),
    ("a text", "not this type"),
    ("a number", 1.5),
    ("a boolean", True),
    ("a list", [1]),
    ("an object", {"a": 1}),
)
NUMBER_KEYS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
LENGTH_KEYS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


class Mutation(Fact, frozen=True, kw_only=True):
    """A value and what was done to it; `pointer` is None where it was not made from a sound one."""

    value: Json
    pointer: str | None
    what: str


class Bounds(Fact, frozen=True, kw_only=True):
    """The numbers and lengths that a schema draws lines at."""

    numbers: tuple[float, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, schema: Json) -> Bounds:
        numbers: set[float] = set()
        lengths: set[int] = set()
        stack: list[Json] = [schema]
        while stack:
            top = stack.pop()
            if isinstance(top, dict):
                numbers |= {top[key] for key in NUMBER_KEYS if _number(top.get(key))}
                lengths |= {int(top[key]) for key in LENGTH_KEYS if _number(top.get(key)) and top[key] <= LENGTH_MAX}
                stack.extend(top.values())
            elif isinstance(top, list):
                stack.extend(top)
        return cls(numbers=tuple(sorted(numbers)[:NUMBERS_MAX]), lengths=tuple(sorted(lengths)[:NUMBERS_MAX]))


def mutations(value: Json, bounds: Bounds, random: Random) -> Iterator[Mutation]:
    """Every change at up to 60 places of a value, in random order of places."""
    places = list(_places(value))
    if len(places) > PLACES_MAX:
        places = random.sample(places, PLACES_MAX)
    for path in places:
        pointer, old = pointer_of(path), _at(value, path)
        for what, new in _changes(old, bounds):
            yield Mutation(value=_with(value, path, new), pointer=pointer, what=f"{pointer or 'the whole'} is {what}")
        if isinstance(old, dict):
            for name in old:
                rest = {key: each for key, each in old.items() if key != name}
                below = pointer_of((*path, name))
                yield Mutation(value=_with(value, path, rest), pointer=pointer, what=f"{below} is left out")


def _changes(old: Json, bounds: Bounds) -> Iterator[tuple[str, Json]]:
    for what, new in TYPES:
        if type(new) is not type(old):
            yield what, new
    if isinstance(old, bool):
        return
    if isinstance(old, int | float):
        yield from (("a number with a fraction", old + 0.25), ("negative", -abs(old) - 1), ("huge", 10**15))
        yield "zero", 0
        for number in bounds.numbers:
            for near in (number, number - 1, number + 1, number - 0.5, number + 0.5):
                yield f"a number at the bound {number}", near
    elif isinstance(old, str):
        yield from (("an empty text", ""), ("a blank text", " "), ("another text", old + " ¿?"))
        yield from (("no date", "2026-02-30"), ("no such choice", "no_such_choice"), ("no address", "not an address"))
        for length in bounds.lengths:
            for near in (length - 1, length + 1):
                if near >= 0 and near != len(old):
                    yield f"a text of {near} characters", ((old or "x") * (near // max(1, len(old)) + 1))[:near]
    elif isinstance(old, list):
        yield "an empty list", []
        yield "a list with its last item twice", [*old, *old[-1:]]
        for length in bounds.lengths:
            for near in (length - 1, length + 1):
                if old and near >= 0:
                    yield f"a list of {near} items", [*old, *(_another(old, turn) for turn in range(near))][:near]
    elif isinstance(old, dict):
        yield "an empty object", {}
        yield "an object with a property more", {**old, EXTRA: "x"}


def _another(items: list[Json], turn: int) -> Json:
    """An item like those of the list, and unlike them where that is easy: uniqueness is another rule than length."""
    like = items[turn % len(items)]
    if isinstance(like, bool) or not isinstance(like, int | str):
        return like
    return like + f"{turn}" if isinstance(like, str) else like + 1000 + turn


def _places(value: Json) -> Iterator[Path]:
    stack: list[tuple[Path, Json]] = [((), value)]
    while stack:
        path, node = stack.pop()
        yield path
        if isinstance(node, dict):
            stack.extend(((*path, name), each) for name, each in node.items())
        elif isinstance(node, list):
            stack.extend(((*path, index), each) for index, each in enumerate(node[:3]))


def _at(value: Json, path: Path) -> Json:
    for token in path:
        value = value[token]
    return value


def _with(value: Json, path: Path, new: Json) -> Json:
    """The same value with another at one place; nothing of the old one is changed."""
    if not path:
        return new
    token, *rest = path
    if isinstance(value, dict):
        return {**value, token: _with(value[token], tuple(rest), new)}
    copied = list(value)
    copied[int(token)] = _with(copied[int(token)], tuple(rest), new)
    return copied


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
