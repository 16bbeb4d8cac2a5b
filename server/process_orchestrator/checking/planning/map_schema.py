"""The JSON schema of a proposal, compiled from a map: a binding that could not fit cannot be written in it.

Only what is a choice is asked: which steps, and arguments that more than one thing could be given to. The rest is
`filling`'s: a small model makes mistakes with every word, and writes nine of them a second.

One form for every host of models. Strict modes want each property required and closed objects, so an optional argument
is left out by `null`; grammars of local hosts know `enum`, `anyOf`, `type` and `maxItems`, so nothing else is used, no
`$ref` and no `anyOf` at the root. Bounded as strict modes are: where a map says more, the second uses, the deepest
paths and the least likely references are left out, in this order, and it is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from process_orchestrator.checking.planning.filling import is_choice
from process_orchestrator.checking.planning.offers import LeftOut, Offer, Offers, offers_of
from process_orchestrator.checking.planning.places import DEPTH_MAX

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType, Step
    from process_orchestrator.checking.planning.slots import Slot
    from process_orchestrator.checking.plans.plan_map import Definitions

Json = Any

VALUES_MAX: Final = 1_000
"""Enum values of one schema. Source: the limit that OpenAI states for structured outputs."""

BYTES_MAX: Final = 36_000
"""Of one schema: it counts as a part of the prompt, and strict modes state 120,000 characters for names and values."""

STEPS_MAX: Final = 20
"""Steps of one proposal."""

ARGUMENT_MAX: Final = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""References offered for one argument; the first of these with which all is within bounds."""


@dataclass(frozen=True, kw_only=True)
class MapSchema:
    """What may be proposed: the schema for the model, the same as data for who reads its answer."""

    schema: dict[str, Json]
    offers: Offers
    left_out: tuple[LeftOut, ...]

    @property
    def open_goals(self) -> tuple[str, ...]:
        """Required names of the output that nothing can fill: no plan can be made."""
        return tuple(slot.name for slot in self.offers.goal if slot.needed and not slot.found and not slot.constants)


def map_schema(process_type: ProcessType, *, registry: Definitions, kept: Sequence[Step] = ()) -> MapSchema:
    """Compile the map of a type. `kept`: steps that are done or under way, and can be referred to."""
    offers = offers_of(process_type, registry=registry, kept=kept)
    offers, cut = _bounded(offers, lambda some: _fits(some, process_type))
    schema = _schema(offers, process_type, kept=len(kept))
    return MapSchema(schema=schema, offers=offers, left_out=(*offers.left_out, *cut))


def _schema(offers: Offers, process_type: ProcessType, *, kept: int) -> dict[str, Json]:
    most = min(STEPS_MAX, max(1, process_type.limits.steps - kept), max(1, len(offers.steps)))
    steps: dict[str, Json] = {"type": "array", "maxItems": 0, "items": {"type": "null"}}
    if offers.steps:
        steps = {"type": "array", "maxItems": most, "items": _any_of(_steps(offers.steps))}
        if not kept:
            steps["minItems"] = 1
    # The steps stand last: a small model that has named the last one closes the object, and where more has to follow it
    # names steps until it may not any more.
    return _object({"output": _record([*offers.goal]), "steps": steps})


def _steps(offers: Sequence[Offer]) -> list[Json]:
    """Steps by their names alone; those with a choice, and those that run over a list, also as objects."""
    named = list(dict.fromkeys(each.id for each in offers if each.over is None))
    chosen = [each for each in offers if each.over is not None or any(is_choice(slot) for slot in each.slots)]
    return [*([_texts(named)] if named else []), *(_step(each) for each in chosen)]


def _step(offer: Offer) -> Json:
    fields: dict[str, Json] = {"id": _texts([offer.id])}
    if offer.over is not None:
        fields["for_each"] = _texts([offer.over])
    return _object({**fields, "in": _record(offer.slots)})


def _record(slots: Sequence[Slot]) -> Json:
    return _object({slot.name: _slot(slot) for slot in slots if is_choice(slot)})


def _slot(slot: Slot) -> Json:
    ways: list[Json] = []
    if slot.found:
        ways.append(_texts([each.text for each in slot.found]))
    if slot.constants:
        ways.append(_object({"const": _constants(slot.constants)}))
    if not slot.needed:
        ways.append({"type": "null"})
    return _any_of(ways)


def _constants(values: Sequence[Json]) -> Json:
    kinds = {_kind(each) for each in values}
    typed = {"type": kinds.pop()} if len(kinds) == 1 else {}
    return {**typed, "enum": list(values)}


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _texts(values: Sequence[str]) -> Json:
    return {"type": "string", "enum": list(values)}


def _any_of(ways: list[Json]) -> Json:
    return ways[0] if len(ways) == 1 else {"anyOf": ways}


def _object(properties: dict[str, Json]) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# Bounds


def _bounded(offers: Offers, fits: Callable[[Offers], bool]) -> tuple[Offers, list[LeftOut]]:
    """As much as a schema may hold, the likeliest first."""
    cut: list[LeftOut] = []
    if not fits(offers) and any(each.second for each in offers.steps):
        cut.append(LeftOut("second uses", "the map is too large to offer a contract twice"))
        gone = {each.id for each in offers.steps if each.second}
        offers = offers._replace(steps=tuple(replace(each) for each in offers.steps if each.id not in gone))
        for slot in _slots(offers):
            slot.found = [each for each in slot.found if each.step not in gone]
    for depth in range(DEPTH_MAX - 1, 0, -1):
        if fits(offers):
            break
        if any(_trim_depth(slot, depth) for slot in _slots(offers)):
            cut = [each for each in cut if each.what != "paths"]
            cut.append(LeftOut("paths", f"of {depth + 1} names and more are not offered: the map is too large"))
    for most in ARGUMENT_MAX:
        longest = max((len(slot.found) for slot in _slots(offers)), default=0)
        if longest > most:
            for slot in _slots(offers):
                slot.found = slot.found[:most]
            cut = [each for each in cut if each.what != "references"]
            cut.append(LeftOut("references", f"of each argument only the {most} likeliest are offered"))
        if fits(offers):
            break
    return offers, cut


def _slots(offers: Offers) -> list[Slot]:
    return [*(slot for each in offers.steps for slot in each.slots), *offers.goal]


def _fits(offers: Offers, process_type: ProcessType) -> bool:
    values = sum(len(slot.found) + len(slot.constants) for slot in _slots(offers)) + 2 * len(offers.steps)
    return values <= VALUES_MAX and encoded_size(_schema(offers, process_type, kept=0)) <= BYTES_MAX


def _trim_depth(slot: Slot, depth: int) -> bool:
    """Leave out what lies deeper, but for what has the very name of the argument and all that is left."""
    kept = [each for each in slot.found if each.depth <= depth or each.word == slot.name] or slot.found[:1]
    shorter = len(kept) < len(slot.found)
    slot.found = kept
    return shorter


def encoded_size(schema: Json) -> int:
    """Bytes of a schema as it is sent."""
    return len(orjson.dumps(schema))
