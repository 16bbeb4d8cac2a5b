"""The rows of a plan's report: one for each binding, with where it comes from and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from process_orchestrator.checking.bindings import Bound, Computed, Literal, Record, Sequence, Value
from process_orchestrator.checking.plan_values import ValueCheck
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


def leaves(value: Value) -> Iterator[Value]:
    """The bindings, expressions and constants of a value, each of which makes one row."""
    match value:
        case Record():
            for _, each in value.properties:
                yield from leaves(each)
        case Sequence():
            for each in value.items:
                yield from leaves(each)
        case _:
            yield value


def producer(value: Value, check: ValueCheck) -> str | None:
    """Where a value comes from, as the report names it."""
    match value:
        case Bound():
            source = check.produced(value)
            if source is None:
                return value.text
            below = "".join(f"/{segment}" for segment in value.segments)
            return f"{source.label}#/{source.part}{below}"
        case Computed():
            return f"expression: {value.text[:100]}"
        case Literal():
            return "const"
        case _:
            return "first"
