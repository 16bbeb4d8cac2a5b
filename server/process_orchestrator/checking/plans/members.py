"""Values for the search for witnesses: of what a producer gives, and just beyond what a consumer takes.

Bounds the seeded generator to what one question of a plan check may cost. A schema that does not compile has no values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from process_orchestrator.checking.schemas.generate import Limits, invalid_values, valid_values
from process_orchestrator.checking.schemas.projection import Schema
from process_orchestrator.core.errors import SchemaError

Json = Any

_SEARCH: Final = Limits(draws=300, nodes=400, all_nodes=10_000, depth=16, seconds=0.3)
_SAMPLE: Final = Limits(draws=120, nodes=400, all_nodes=10_000, depth=16, seconds=0.3)
SAMPLES_MAX: Final = 40


def samples(schema: Schema, examples: tuple[Json, ...]) -> tuple[Json, ...]:
    """Some values that keep a schema, examples first."""
    try:
        return valid_values(schema, count=SAMPLES_MAX, examples=examples, limits=_SAMPLE)
    except SchemaError:
        return ()


def kept_by(schema: Schema, accept: Callable[[Json], bool], *, count: int) -> tuple[Json, ...]:
    """At most `count` values that keep a schema and are accepted."""
    try:
        return valid_values(schema, count=count, accept=accept, limits=_SEARCH)
    except SchemaError:
        return ()


def broken_for(schema: Schema, accept: Callable[[Json], bool]) -> tuple[Json, ...]:
    """At most one value that breaks a schema and is accepted."""
    try:
        return tuple(each.value for each in invalid_values(schema, count=1, accept=accept, limits=_SEARCH))
    except SchemaError:
        return ()
