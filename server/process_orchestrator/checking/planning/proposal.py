"""What a model proposed, read as data: step by step into a plan, each thing that may not be said refused by name.

A proposal names steps that were offered, gives their arguments as references or as constants that the contract lists,
and the values of the output. It has no words for agents, approvals, budgets, policies, times or expressions, and none
are read. Whether values fit is not decided here. Never raises, whatever the JSON is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Plan, ProcessType, Step
from process_orchestrator.checking.planning.map_schema import STEPS_MAX, MapSchema
from process_orchestrator.checking.planning.offers import Offer
from process_orchestrator.checking.planning.slots import Slot
from process_orchestrator.checking.planning.steps import made_step
from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.pointers import escape
from process_orchestrator.checking.schemas.shown import shown, visible
from process_orchestrator.checking.values.bindings import Bound, read_value
from process_orchestrator.core.facts.values import Fact

Json = Any

ARGUMENTS_MAX: Final = 100
"""Arguments of one step, and names of the output."""

FAULTS_MAX: Final = 20
"""Faults of one proposal that are told; the rest are counted."""

_NAME_SHOWN: Final = 60


class Fault(Fact, frozen=True, kw_only=True):
    """Something in a proposal, or in the plan made of it, that may not be. `pointer` leads into the proposal."""

    code: str
    pointer: str
    message: str
    fix: str = ""
    step: str = ""


class Proposed(NamedTuple):
    """The plan as proposed, or why there is none. The steps kept from before stand first."""

    plan: Plan | None
    faults: tuple[Fault, ...]
    said: Mapping[str, frozenset[str]] = MappingProxyType({})  # the names that it decides, by step


def read_proposal(said: Json, *, offered: MapSchema, process_type: ProcessType, kept: Sequence[Step] = ()) -> Proposed:
    """Read a proposal for a type whose map was compiled to `offered`."""
    return _Reader(offered, process_type, kept).read(said)


class _Reader:
    def __init__(self, offered: MapSchema, process_type: ProcessType, kept: Sequence[Step]) -> None:
        self._type, self._kept, self._goal = process_type, kept, offered.offers.goal
        self._offers: dict[str, list[Offer]] = {}
        for each in offered.offers.steps:
            self._offers.setdefault(each.id, []).append(each)
        self._faults: list[Fault] = []
        self._said: dict[str, frozenset[str]] = {}

    def read(self, said: Json) -> Proposed:
        if not isinstance(said, dict):
            self._fault("NO_PLAN", "", f"a plan is an object with steps and output, not {shown(said)}")
            return Proposed(None, tuple(self._faults))
        self._only(said, ("steps", "output"), "")
        steps = said.get("steps")
        if not isinstance(steps, list):
            self._fault("NO_PLAN", "/steps", "`steps` is no list")
            steps = []
        if len(steps) > STEPS_MAX:
            self._fault("TOO_MANY_STEPS", "/steps", f"{len(steps)} steps are proposed, at most {STEPS_MAX} are read")
            steps = []
        made = [step for index, each in enumerate(steps) if (step := self._step(each, f"/steps/{index}"))]
        made = self._each_once(made)
        goal = {each.name: each for each in self._goal}
        output = self._values(said.get("output"), goal, "/output", step="output", mapped=False)
        if self._faults:
            more = len(self._faults) - FAULTS_MAX
            told = self._faults[:FAULTS_MAX]
            if more > 0:
                told.append(Fault(code="MORE", pointer="", message=f"and {more} faults more"))
            return Proposed(None, tuple(told))
        return Proposed(Plan(steps=(*self._kept, *made), output=output), (), self._said)

    # Steps

    def _step(self, said: Json, place: str) -> Step | None:
        said = {"id": said, "in": {}} if isinstance(said, str) else said
        if not isinstance(said, dict):
            self._fault("NO_STEP", place, f"a step is an object with id and in, not {shown(said)}")
            return None
        name = said.get("id")
        if not isinstance(name, str) or name not in self._offers:
            self._not_offered(name, place)
            return None
        self._only(said, ("id", "in", "for_each"), place, step=name)
        each = said.get("for_each")
        offer = self._offers[name][0]
        if (each is not None) is not (offer.over is not None):
            what = "is done for each item of a list: give `for_each`" if offer.over else "is done once: no `for_each`"
            self._fault("FOR_EACH", f"{place}/for_each", f"`{name}` {what}", step=name)
            return None
        over = None if each is None else self._reference(each, f"{place}/for_each", name)
        slots = {slot.name: slot for each in self._offers[name] for slot in each.slots}
        arguments = self._values(said.get("in"), slots, f"{place}/in", step=name, mapped=over is not None)
        return made_step(name, contract=offer.contract, arguments=arguments, process_type=self._type, for_each=over)

    def _not_offered(self, name: Json, place: str) -> None:
        if isinstance(name, str) and name in {each.id for each in self._kept}:
            message = f"step `{name}` is done or under way: what was done stays as it is"
            self._fault("KEPT_STEP", f"{place}/id", message, f"use `$.steps.{name}.output…`, and leave the step out")
            return
        told = f"`{_cut(name)}`" if isinstance(name, str) else shown(name)
        better = likely(name, list(self._offers)) if isinstance(name, str) and len(name) <= _NAME_SHOWN else None
        names = f"write `{better}`" if better else f"write one of {', '.join(list(self._offers)[:12]) or 'none'}"
        self._fault("NOT_OFFERED", f"{place}/id", f"there is no step {told} on the map of this type", names)

    def _each_once(self, made: list[Step]) -> list[Step]:
        """The steps without exact repetitions; two that differ under one name are a fault."""
        found: dict[str, Step] = {}
        for each in made:
            if each.id in found and found[each.id] != each:
                message = f"there are two steps `{each.id}` that differ"
                self._fault("DUPLICATE_STEP", "/steps", message, "keep one of them", step=each.id)
            found.setdefault(each.id, each)
        return list(found.values())

    # Values

    def _values(self, said: Json, slots: Mapping[str, Slot], place: str, *, step: str, mapped: bool) -> dict[str, Json]:
        if not isinstance(said, dict):
            self._fault("NO_VALUES", place, f"an object of names and values is wanted, not {shown(said)}", step=step)
            return {}
        if len(said) > ARGUMENTS_MAX:
            self._fault("TOO_MANY_VALUES", place, f"{len(said)} values; at most {ARGUMENTS_MAX} are read", step=step)
            return {}
        found: dict[str, Json] = {}
        self._said[step] = frozenset(said)
        for name, value in said.items():
            at = f"{place}/{escape(_cut(name))}"
            if name not in slots:
                better = likely(name, list(slots)) if len(name) <= _NAME_SHOWN else None
                fix = f"write `{better}`" if better else f"it takes {', '.join(list(slots)[:12]) or 'nothing'}"
                self._fault("UNKNOWN_ARGUMENT", at, f"`{step}` takes no `{_cut(name)}`", fix, step=step)
            elif value is not None:
                self._value(value, slots[name], at, found, step=step, mapped=mapped)
        return found

    def _value(self, value: Json, slot: Slot, place: str, found: dict[str, Json], *, step: str, mapped: bool) -> None:
        if isinstance(value, dict) and set(value) == {"const"}:
            if any(type(each) is type(value["const"]) and each == value["const"] for each in slot.constants):
                found[slot.name] = {"const": value["const"]}
                return
            may = ", ".join(shown(each) for each in slot.constants[:12]) or "no constant at all"
            message = f"{shown(value['const'])} is no constant that `{slot.name}` declares"
            self._fault("NOT_DECLARED", place, message, f"it may be {may}", step=step)
        elif isinstance(value, str):
            text = self._reference(value, place, step, mapped=mapped)
            if text is not None:
                found[slot.name] = text
        else:
            message = f"a value is a reference or a declared constant, not {shown(value)}"
            self._fault("NO_REFERENCE", place, message, 'write a reference such as "$.input.…"', step=step)

    def _reference(self, said: Json, place: str, step: str, *, mapped: bool = False) -> str | None:
        """A reference to the input, to a step or to the item; anything else is a fault."""
        read = read_value(said) if isinstance(said, str) else None
        if read is None or not isinstance(read.value, Bound):
            message = read.faults[0].message if read is not None and read.faults else f"{shown(said)} is no reference"
            self._fault("NO_REFERENCE", place, _line(message), 'write a reference such as "$.input.…"', step=step)
            return None
        bound = read.value
        if bound.root in {"item", "index"} and not mapped:
            self._fault("NO_ITEM", place, "only a step that is done for each item knows `$.item`", step=step)
            return None
        known = {*self._offers, *(each.id for each in self._kept)}
        if bound.root == "steps" and bound.step not in known:
            better = likely(bound.step or "", list(known)) if len(bound.step or "") <= _NAME_SHOWN else None
            fix = f"write `$.steps.{better}.output…`" if better else "refer to a step of the plan"
            self._fault("UNKNOWN_STEP", place, f"there is no step `{_cut(bound.step or '')}`", fix, step=step)
            return None
        return bound.text

    # Faults

    def _only(self, said: Mapping[str, Json], names: tuple[str, ...], place: str, *, step: str = "") -> None:
        for name in list(said)[:ARGUMENTS_MAX]:
            if name not in names:
                message = f"a plan does not say `{_cut(name)}`: it is not for a planner to decide"
                self._fault(
                    "NOT_FOR_PLANS",
                    f"{place}/{escape(_cut(name))}",
                    message,
                    f"remove it; say {' and '.join(names)}",
                    step=step,
                )

    def _fault(self, code: str, pointer: str, message: str, fix: str = "", *, step: str = "") -> None:
        self._faults.append(Fault(code=code, pointer=pointer, message=message, fix=fix, step=step))


def _cut(text: str) -> str:
    shown_text = visible(text[: _NAME_SHOWN + 1])
    return shown_text if len(text) <= _NAME_SHOWN else f"{shown_text[:_NAME_SHOWN]}…"


def _line(text: str) -> str:
    return visible(text)[:200]
