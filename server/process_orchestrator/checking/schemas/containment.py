"""Whether one JSON Schema takes every value of another: yes, no with a value that shows it, or not decided.

The decision is `containing`'s, which the static plan check asks as well, so that one question has one answer; here a
value is looked for that shows a no. It was judged by the validators themselves, so a library's mistake makes no alarm.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any, Final

import msgspec

from process_orchestrator.checking.schemas.containing import Containing, Pair
from process_orchestrator.checking.schemas.generate import Limits, valid_values
from process_orchestrator.checking.schemas.validate import Containment, Validator
from process_orchestrator.core.errors import SchemaError
from process_orchestrator.core.facts.values import Fact

Json = Any
Schema = dict[str, Any] | bool

SEARCH: Final = Limits(draws=300, seconds=1.0)
"""Of one search for a value."""

COMPARING_S: Final = 5.0
"""Of all searches of one comparison; what is left then is not decided."""


class Contained(StrEnum):
    """Whether every value of the inner schema is one of the outer's."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Verdict(Fact, frozen=True, kw_only=True):
    """`witness`, where it is no, keeps the inner schema and breaks the outer."""

    contained: Contained
    witness: Json = msgspec.UNSET


class Comparing:
    """The comparisons of one pair of documents, bounded together. Not thread-safe."""

    def __init__(self) -> None:
        self._containing = Containing()
        self._until = time.monotonic() + COMPARING_S

    def contained(self, inner: Schema, outer: Schema) -> Verdict:
        """Compare two schemas. Never raises: what does not compile is not decided."""
        if self._over():
            return Verdict(contained=Contained.UNKNOWN)
        try:
            refused = Validator(outer)
            if self._containing.decide([Pair(inner, outer)])[0] is Containment.INSIDE:
                return Verdict(contained=Contained.YES)
            found = valid_values(inner, count=1, accept=lambda value: not refused.is_valid(value), limits=SEARCH)
        except SchemaError:
            return Verdict(contained=Contained.UNKNOWN)
        return Verdict(contained=Contained.NO, witness=found[0]) if found else Verdict(contained=Contained.UNKNOWN)

    def without(self, name: str, schema: Schema) -> Json:
        """An object of a schema that leaves one property out; UNSET where none was found."""
        if self._over():
            return msgspec.UNSET
        try:
            found = valid_values(
                schema, count=1, accept=lambda value: isinstance(value, dict) and name not in value, limits=SEARCH
            )
        except SchemaError:
            return msgspec.UNSET
        return found[0] if found else msgspec.UNSET

    def _over(self) -> bool:
        return time.monotonic() > self._until
