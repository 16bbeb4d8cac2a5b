"""Which references may stand at which argument: the static check asked beforehand, so that no misfit can be written.

A slot is one argument of one step that may be proposed, or one name of the output. What the strict check of the
finished plan would refuse (never fits, may not fit, may be absent where it is needed, too sensitive) is not offered;
what it cannot decide is. Whole plans, and what arguments say of each other, are judged later, by that check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from process_orchestrator.checking.planning.places import Place
from process_orchestrator.checking.plans.argument_schema import Argument
from process_orchestrator.checking.plans.fitting import Fitting, Question, Verdict
from process_orchestrator.checking.plans.lifted import UnliftableError, lifted
from process_orchestrator.checking.plans.plan_samples import resolved, sources
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Schema,
    Shape,
    kinds_of,
    needed_of,
    project,
    resolve,
)

Json = Any

CONSTANTS_MAX: Final = 40
CONSTANT_BYTES_MAX: Final = 200
"""Declared constants of one argument that are offered, and the size of one."""

QUESTIONS_MAX: Final = 1_500
"""Pairs of schemas that are judged for one map; of more it is not known whether they fit, so they are offered."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """One argument, and all that may stand there."""

    name: str
    needed: bool
    wanted: Schema | None  # standing by itself; None: it cannot be told apart from the rest
    kinds: frozenset[str]
    constants: tuple[Json, ...] = ()
    trusted: Callable[[Place], bool] = lambda _: True
    found: list[Place] = field(default_factory=list[Place])

    def ways(self, steps: Iterable[str]) -> bool:
        """Whether something may stand here when only these steps can be done before."""
        known = set(steps)
        return bool(self.constants) or any(each.step is None or each.step in known for each in self.found)


def slots_of(schema: Schema, names: Iterable[str]) -> list[Slot]:
    """The properties with these names of an object."""
    whole = Shape.of(schema)
    needed = needed_of(whole)
    found: list[Slot] = []
    for name in names:
        part = project(whole, (name,))
        if part.presence is Presence.NEVER:
            continue
        found.append(
            Slot(
                name=name,
                needed=name in needed,
                wanted=_alone(part.shape),
                kinds=kinds_of(part.shape),
                constants=_constants(part.shape),
            )
        )
    return found


@dataclass(slots=True)
class _Alike:
    """Places that are judged together, since all that the check would know of them is the same."""

    text: bytes
    places: list[Place]

    @property
    def argument(self) -> Argument:
        return self.places[0].argument

    @property
    def kinds(self) -> frozenset[str]:
        return self.places[0].kinds

    def question(self, wanted: Schema, fitting: Fitting) -> Question:
        """As the check of a plan asks it: what is not all that its schema says is shown by samples alone."""
        place = self.places[0]
        if place.argument.exact:
            return Question(place.argument.schema, wanted)
        return Question(
            place.argument.schema,
            wanted,
            exact=False,
            samples=lambda: resolved(place.bound, place.check, fitting),
            source=sources(place.bound, place.check),
        )


class Pool:
    """Places, those that are alike together."""

    def __init__(self, places: Iterable[Place]) -> None:
        found: dict[tuple[bytes, Presence], _Alike] = {}
        for each in places:
            text = _text(each.argument.schema) + (b"!" if each.argument.exact else b"?" + each.text.encode())
            found.setdefault((text, each.argument.presence), _Alike(text, [])).places.append(each)
        self.alike = tuple(found.values())


def fill(slots: Sequence[tuple[Slot, str, Sequence[Pool]]], *, fitting: Fitting, covered: bool) -> None:
    """Put into each slot the places of its pools that may stand there, but for those of its own step.

    `covered`: the type says what follows where a value does not fit, so that one which only may fit is accepted.
    """
    asked: list[tuple[Slot, str, _Alike, bytes]] = []
    questions: dict[bytes, Question] = {}
    for slot, own, pools in slots:
        wanted = b"" if slot.wanted is None else _text(slot.wanted)
        for alike in (each for pool in pools for each in pool.alike):
            if not alike.kinds & slot.kinds:
                continue
            if slot.needed and alike.argument.presence is not Presence.ALWAYS and not covered:
                continue
            key = alike.text + wanted
            asked.append((slot, own, alike, key))
            if slot.wanted is not None and len(questions) < QUESTIONS_MAX:
                questions[key] = alike.question(slot.wanted, fitting)
    verdicts = dict(zip(questions, (fit.verdict for fit in fitting.fits(list(questions.values()))), strict=True))
    refused = {Verdict.NEVER} if covered else {Verdict.NEVER, Verdict.SOMETIMES}
    for slot, own, alike, key in asked:
        if verdicts.get(key, Verdict.UNKNOWN) not in refused:
            slot.found += [each for each in alike.places if (each.step or "") != own and slot.trusted(each)]


def _text(schema: Schema) -> bytes:
    """A schema by content."""
    try:
        return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # deeper than the encoder goes, or an integer beyond 64 bits
        return repr(schema).encode("utf-8", "replace")


def _alone(shape: Shape) -> Schema | None:
    try:
        return lifted(shape)
    except UnliftableError:
        return None


def _constants(shape: Shape) -> tuple[Json, ...]:
    """The values that a place lists, if it lists any."""
    found: list[Json] = []
    for schema, root in shape.alternatives:
        here = resolve(schema, root)
        if isinstance(here, bool):
            continue
        if "const" in here:
            found.append(here["const"])
        elif "enum" in here:
            found.extend(here["enum"])
        elif here.get("type") == "boolean":
            found.extend((True, False))
    small = [each for each in found if isinstance(each, (str, int, float, bool)) and _size(each) <= CONSTANT_BYTES_MAX]
    return tuple(small[:CONSTANTS_MAX])


def _size(value: Json) -> int:
    return len(str(value).encode("utf-8", "replace"))
