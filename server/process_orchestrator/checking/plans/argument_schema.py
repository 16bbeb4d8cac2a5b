"""From a value of a plan to the schema of what it can become: bindings projected, constants fixed, results typed.

The schema is no smaller than the truth: all that a run can make keeps it. `exact` says that it is no larger either, as
far as the contracts tell. Knows scenes and schemas; what the consumer wants is another room's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from process_orchestrator.checking.plans.lifted import Lifter, UnliftableError
from process_orchestrator.checking.plans.plan_values import Produced, Scene, produced_by, shape_of_plain
from process_orchestrator.checking.schemas.projection import (
    ANYTHING,
    Presence,
    Schema,
    Shape,
    is_exact,
    needed_of,
    project,
)
from process_orchestrator.checking.values.bindings import (
    Bound,
    Computed,
    First,
    Literal,
    Record,
    Sequence,
    Value,
    references,
)

Json = Any

BOUND_MAX = 100
"""Bindings of one whole that are held against each other; of more it is not known whether they are independent."""


class Argument(NamedTuple):
    """What a value can become. `missing`: the bindings that may make it absent, or stop it from being made."""

    schema: Schema
    presence: Presence
    exact: bool
    missing: tuple[Bound, ...] = ()


@dataclass(slots=True)
class ArgumentSchemas:
    """Makes the schemas of values that stand in one place. `results`: what each expression gives, by its pointer."""

    scene: Scene
    results: Mapping[str, Shape]

    def alone(self, value: Value) -> Argument:
        """The argument of one value, its schema standing by itself."""
        lifter = Lifter()
        found = self._of(value, lifter)
        return found._replace(schema=lifter.alone(found.schema))

    def fitting(self, value: Value, wanted: Shape, *, filled: Iterable[str]) -> Argument:
        """The argument of a whole whose parts each fit what is wanted of them: what is left to ask is the combination.

        `filled`: properties that the engine fills in.
        """
        lifter = Lifter()
        found = self._of(value, lifter, wanted)
        schema = found.schema
        if isinstance(schema, dict) and "properties" in schema:
            also = {name: _lift(lifter, project(wanted, (name,)).shape) for name in filled}
            schema = {**schema, "properties": {**schema["properties"], **also}}
            schema["required"] = [*schema["required"], *also]
        return found._replace(schema=lifter.alone(schema))

    def _of(self, value: Value, lifter: Lifter, wanted: Shape | None = None) -> Argument:
        if wanted is not None and not isinstance(value, (Record, Sequence)):
            found, part = self._of(value, lifter), _lift(lifter, wanted)
            narrow = part is True or part == found.schema
            return found if narrow else found._replace(schema={"allOf": [found.schema, part]})
        match value:
            case Bound():
                return self._bound(value, lifter)
            case Literal():
                return Argument({"const": value.value}, Presence.ALWAYS, exact=True)
            case Computed():
                return self._computed(value, lifter)
            case First():
                return self._first(value, lifter)
            case Record():
                return self._record(value, lifter, wanted)
            case Sequence():
                return self._sequence(value, lifter, wanted)

    def _bound(self, bound: Bound, lifter: Lifter) -> Argument:
        plain = shape_of_plain(bound)
        source = produced_by(bound, self.scene)
        if plain is not None or source is None:
            presence = Presence.MAYBE if bound.part == "code" else Presence.ALWAYS
            missing = () if presence is Presence.ALWAYS else (bound,)
            return Argument(_lift(lifter, plain or ANYTHING), presence, exact=False, missing=missing)
        found = project(source.shape, bound.segments)
        presence = min(found.presence, source.presence)
        missing = () if presence is Presence.ALWAYS else (bound,)
        exact = source.free(bound.segments) and is_exact(source.shape, bound.segments)
        return Argument(_lift(lifter, found.shape), presence, exact, missing)

    def _computed(self, value: Computed, lifter: Lifter) -> Argument:
        """A variable that is absent stops the whole; what the expression gives of its type is not known."""
        variables = [self._of(each, lifter) for _, each in value.variables]
        missing = tuple(bound for each in variables if each.presence is not Presence.ALWAYS for bound in each.missing)
        presence = Presence.ALWAYS if all(each.presence is Presence.ALWAYS for each in variables) else Presence.MAYBE
        result = self.results.get(value.pointer, ANYTHING)
        return Argument(_lift(lifter, result), presence, exact=False, missing=missing)

    def _first(self, value: First, lifter: Lifter) -> Argument:
        schemas: list[Schema] = []
        exact, missing = True, tuple[Bound, ...]()
        otherwise: set[str | None] = set()  # steps that have run where no alternative so far is there
        for each in value.alternatives:
            found = self._of(each, lifter)
            schemas.append(found.schema)
            exact, missing = exact and found.exact, missing + found.missing
            if found.presence is Presence.ALWAYS:  # what stands behind it is never looked at
                schema: Schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
                return Argument(schema, Presence.ALWAYS, exact)
            source = self._branch(each)
            if source is not None and isinstance(each, Bound):
                if each.step in otherwise:
                    return Argument({"anyOf": schemas}, Presence.ALWAYS, exact)
                otherwise |= source.otherwise
        return Argument(schemas[0] if len(schemas) == 1 else {"anyOf": schemas}, Presence.MAYBE, exact, missing)

    def _branch(self, value: Value) -> Produced | None:
        """The step's output of which an alternative is a part that is there whenever the output is."""
        if not isinstance(value, Bound) or value.part != "output":
            return None
        source = produced_by(value, self.scene)
        if source is None or project(source.shape, value.segments).presence is not Presence.ALWAYS:
            return None
        return source

    def _record(self, value: Record, lifter: Lifter, wanted: Shape | None) -> Argument:
        """An absent property is left out."""
        parts = {name: self._of(each, lifter, _part(wanted, name)) for name, each in value.properties}
        needed = frozenset[str]() if wanted is None else needed_of(wanted)
        schema = {
            "type": "object",
            "properties": {name: each.schema for name, each in parts.items()},
            "required": [name for name, each in parts.items() if each.presence is Presence.ALWAYS or name in needed],
            "additionalProperties": False,
        }
        return Argument(schema, Presence.ALWAYS, exact=self._independent(value, parts.values()))

    def _sequence(self, value: Sequence, lifter: Lifter, wanted: Shape | None) -> Argument:
        """A list of so many items; none may be absent."""
        parts = [self._of(each, lifter, _part(wanted, index)) for index, each in enumerate(value.items)]
        missing = tuple(bound for each in parts for bound in each.missing)
        presence = Presence.ALWAYS if all(each.presence is Presence.ALWAYS for each in parts) else Presence.MAYBE
        schema: dict[str, Any] = {"type": "array", "minItems": len(parts), "maxItems": len(parts)}
        if parts:
            schema["prefixItems"] = [each.schema for each in parts]
        return Argument(schema, presence, self._independent(value, parts), missing)

    def _independent(self, value: Value, parts: Iterable[Argument]) -> bool:
        """Whether parts that are exact by themselves are so together: no two of them say something of each other.

        They do where one place lies in the other, or where both are absent for the same reason.
        """
        if not all(each.exact for each in parts):
            return False
        bounds = [found.bound for found in references(value)]
        if len(bounds) > BOUND_MAX:
            return False
        return not any(self._tied(one, other) for one, other in combinations(bounds, 2))

    def _tied(self, one: Bound, other: Bound) -> bool:
        if (one.root, one.step) != (other.root, other.step):
            return False
        shorter, longer = sorted((one.segments, other.segments), key=len)
        if longer[: len(shorter)] == shorter:
            return True
        source = produced_by(one, self.scene)
        if source is None or source.presence is not Presence.ALWAYS:
            return True
        maybe = [project(source.shape, each.segments).presence is not Presence.ALWAYS for each in (one, other)]
        return all(maybe) and one.segments[0] == other.segments[0]


def _part(wanted: Shape | None, key: str | int) -> Shape | None:
    return None if wanted is None else project(wanted, (key,)).shape


def _lift(lifter: Lifter, shape: Shape) -> Schema:
    """A producer's part that cannot be taken out is anything at all: no smaller than the truth."""
    try:
        return lifter.shape(shape)
    except UnliftableError:
        return True
