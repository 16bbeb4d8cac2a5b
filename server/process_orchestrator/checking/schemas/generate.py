"""Seeded values that keep a JSON Schema 2020-12, and values that break it, each with a word on what was broken.

Drawn from the canonical form (negated for half of the broken ones) where the schema is modest enough to be put into it,
else from the schema as written; the validator judges every draw, so what comes out is right whatever was drawn. The
same schema, seed and limits give the same values on every machine, unless `Limits.seconds` cut the work short. Used by
`contracts verify`, `contracts fake` and the search for witnesses. It knows no contract.

    valid_values(schema, count=20, seed=7)                          at most 20 distinct values
    valid_values(a, count=1, accept=lambda v: not b.is_valid(v))    a witness: kept by a, refused by b
    invalid_values(schema, count=20, seed=7)                        Broken(value, pointer, rule, what)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Final

from process_orchestrator.checking.schemas.drawing import LIMITS, Drawing, Limits
from process_orchestrator.checking.schemas.mutations import Bounds, Mutation, mutations
from process_orchestrator.checking.schemas.pointers import value_at
from process_orchestrator.checking.schemas.schema_size import modest
from process_orchestrator.checking.schemas.validate import Validator, ValueProblem, canonical_schema, encode_body
from process_orchestrator.core.errors import BodyError
from process_orchestrator.core.facts.values import Fact

__all__ = ["LIMITS", "Broken", "Limits", "invalid_values", "valid_values"]

Json = Any
Schema = dict[str, Any] | bool


BOUNDS: Final = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), -1),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), 1),
}
DRAWN: Final = "drawn from the opposite schema"
CLOSED: Final = ("additionalProperties", "unevaluatedProperties", "propertyNames")


class Broken(Fact, frozen=True, kw_only=True):
    """A value that the validator refuses: where, by which keyword, and in words."""

    value: Json
    pointer: str
    rule: str
    what: str


def valid_values(
    schema: Schema,
    *,
    count: int,
    seed: int | str = 0,
    examples: Sequence[Json] = (),
    accept: Callable[[Json], bool] | None = None,
    limits: Limits = LIMITS,
) -> tuple[Json, ...]:
    """At most `count` distinct values that keep `schema`, and `accept` where given; fewer where the limits end first.

    `examples` come first where they qualify; later draws also vary a few properties of them, which is how values are
    found that keep conditions between properties. Raises SchemaError for a schema that does not compile.
    """
    judge = Validator(schema)
    random = Random(f"valid {seed}")  # noqa: S311  repeatable on purpose
    drawing = Drawing(_form(schema), random, limits, samples_in=schema)

    def drawn() -> Iterator[Json]:
        yield from examples
        while drawing.goes_on():
            value = drawing.value()
            if examples and random.random() < 0.5:
                value = _varied(random.choice(examples), value, random)
            yield value

    return tuple(_distinct(drawn(), count, lambda value: judge.is_valid(value) and (accept is None or accept(value))))


def invalid_values(
    schema: Schema,
    *,
    count: int,
    seed: int | str = 0,
    examples: Sequence[Json] = (),
    accept: Callable[[Json], bool] | None = None,
    limits: Limits = LIMITS,
) -> tuple[Broken, ...]:
    """At most `count` distinct values that the validator refuses, spread over places and keywords.

    Made by breaking a valid value in one place, and by drawing from the negated schema. Four `examples` are enough to
    be broken; of fewer, valid values are drawn. Raises SchemaError.
    """
    judge = Validator(schema)
    random = Random(f"invalid {seed}")  # noqa: S311  repeatable on purpose
    sound = valid_values(schema, count=4, seed=seed, examples=examples, limits=limits)
    negated = canonical_schema(schema, negated=True) if modest(schema) else None
    drawing = Drawing(True if negated is None else negated, random, limits)
    found: dict[tuple[str, str], list[Broken]] = {}

    def broken(mutation: Mutation) -> bool:
        if judge.is_valid(mutation.value) or (accept is not None and not accept(mutation.value)):
            return False
        first, *others = judge.problems(mutation.value)
        if others and mutation.pointer is not None:  # one thing broken says more than two
            return False
        what = f"{mutation.what}: {first.message}" if first.message else mutation.what
        row = Broken(value=mutation.value, pointer=first.pointer, rule=first.rule, what=what)
        found.setdefault((_place(first), first.rule), []).append(row)
        return True

    def tried() -> Iterator[Mutation]:
        for value in sound:
            yield from mutations(value, Bounds.of(schema), random)
        while drawing.goes_on():
            yield Mutation(value=drawing.value(), pointer=None, what=DRAWN)

    made = 0
    for mutation in tried():
        made += broken(mutation)
        if drawing.over() or (mutation.pointer is None and made >= 4 * count):
            break
    return tuple(_spread(found, count, random))


def _spread(found: dict[tuple[str, str], list[Broken]], count: int, random: Random) -> Iterator[Broken]:
    """One of every place and keyword, then the second of each, and so on. Wrong types, of which all is full, last.

    Of those beyond a bound the nearest to it comes first: to be wrong by one is the fault that programs make. What was
    broken in one place comes before what was drawn as a whole.
    """
    ordered = [found[key] for key in sorted(found)]
    for group in ordered:
        random.shuffle(group)
        group.sort(key=lambda row: (row.what.startswith(DRAWN), _beyond(row)))
    random.shuffle(ordered)
    groups = sorted(ordered, key=lambda group: group[0].rule == "type")
    rounds = (group[turn] for turn in range(max(map(len, groups), default=0)) for group in groups if turn < len(group))
    unique = _distinct((row.value for row in rounds), count, lambda _: True)
    by_value = {encode_body(row.value): row for group in groups for row in group}
    return (by_value[encode_body(value)] for value in unique)


def _beyond(row: Broken) -> float:
    """How far a value lies beyond the bound that it breaks, on the scale of its place; 0 for other keywords."""
    side = BOUNDS.get(row.rule)
    value = value_at(row.value, row.pointer) if side else None
    size = len(value) if isinstance(value, str | list | dict) else value
    return side * size if side and isinstance(size, int | float) else 0.0


def _place(problem: ValueProblem) -> str:
    """Where a problem lies, whichever item of a list or name of a property it met."""
    pointer = re.sub(r"/[0-9]+(?=/|$)", "/0", problem.pointer)
    return pointer.rpartition("/")[0] if problem.rule in CLOSED else pointer


def _distinct(values: Iterator[Json], count: int, keep: Callable[[Json], bool]) -> Iterator[Json]:
    seen: set[bytes] = set()
    if count < 1:
        return
    for value in values:
        try:
            name = encode_body(value)
        except BodyError:
            continue
        if name not in seen and keep(value):
            seen.add(name)
            yield value
            if len(seen) >= count:
                return


def _varied(example: Json, drawn: Json, random: Random) -> Json:
    """An example with one property or a few as they were drawn, or without them where the draw has none."""
    if not isinstance(example, dict) or not isinstance(drawn, dict):
        return drawn
    names = sorted({*example, *drawn})
    changed = random.sample(names, min(len(names), random.choice((1, 1, 2, 3))))
    kept = {name: value for name, value in example.items() if name not in changed}
    return {**kept, **{name: drawn[name] for name in changed if name in drawn}}


def _form(schema: Schema) -> Schema:
    form = canonical_schema(schema) if modest(schema) else None
    return schema if form is None else form
