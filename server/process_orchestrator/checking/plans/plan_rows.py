"""The rows of a plan's report: one for each binding, with where it comes from and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from process_orchestrator.checking.plans.plan_values import ValueCheck
from process_orchestrator.checking.schemas.paths import Segments
from process_orchestrator.checking.schemas.pointers import escape
from process_orchestrator.checking.values.bindings import Bound, Computed, Literal, Record, Sequence, Value
from process_orchestrator.core.facts.values import Fact

Json = Any


class PlanRow(Fact, frozen=True, kw_only=True):
    """How one argument of one step fits. `argument` is a pointer into the consumer's input, `/` for the whole.

    `verdict`: always, sometimes, never or unknown; `witness` a value that shows it. The plan's own output stands under
    step `output`.
    """

    process: str
    version: str
    step: str
    argument: str
    verdict: str
    producer: str | None = None
    consumer: str | None = None
    witness: Json = None
    message: str = ""


class Leaf(NamedTuple):
    """A binding, expression or constant. `path` leads to it in the whole that it is part of."""

    value: Value
    path: Segments
    demanded: bool  # where it is absent, the whole cannot be made


def leaves(value: Value, path: Segments = (), *, demanded: bool = True) -> Iterator[Leaf]:
    """The bindings, expressions and constants of a value, each of which makes one row."""
    match value:
        case Record():
            for name, each in value.properties:
                yield from leaves(each, (*path, name), demanded=False)
        case Sequence():
            for index, each in enumerate(value.items):
                yield from leaves(each, (*path, index), demanded=True)
        case Computed():
            yield Leaf(value, path, demanded=True)
        case _:
            yield Leaf(value, path, demanded)


def pointer_below(path: Segments) -> str:
    """A path as a JSON pointer."""
    return "".join(f"/{escape(str(segment))}" for segment in path)


def producer(value: Value, check: ValueCheck) -> str | None:
    """Where a value comes from, as the report names it."""
    match value:
        case Bound():
            source = check.produced(value)
            if source is None:
                return value.text
            below = pointer_below(value.segments)
            return f"{source.label}#/{source.part}{below}"
        case Computed():
            return f"expression: {value.text[:100]}"
        case Literal():
            return "const"
        case _:
            return "first"
