"""What no model is asked, since there is no choice in it: filled in by rule, the same for whoever chose the steps.

An argument that only one reference can be given to gets it; an optional one where the reference bears its name and what
it refers to is there. Where several could stand and none of their steps is chosen, it is the look-up that gives the
very name, nearest to the top. A look-up that a step of the plan cannot do without, and that has no choice in itself, is
part of the plan, said or not: it changes nothing, and no person is asked for it. All else that is missing stays
missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Plan, ProcessType, Step
from process_orchestrator.checking.planning.likely import unlike
from process_orchestrator.checking.planning.steps import made_step
from process_orchestrator.checking.values.bindings import Bound, read_value

if TYPE_CHECKING:
    from process_orchestrator.checking.planning.offers import Offer, Offers
    from process_orchestrator.checking.planning.places import Place
    from process_orchestrator.checking.planning.slots import Slot

Json = Any

ROUNDS_MAX: Final = 10
"""Look-ups that look-ups need in a row."""


def is_choice(slot: Slot) -> bool:
    """Whether there is anything to decide at a slot. One that nothing can stand at is none."""
    ways = len(slot.found) + len(slot.constants)
    if slot.needed or not ways:
        return ways > 1
    return ways > 1 or bool(slot.constants) or unlike(slot.found[0].word, slot.name) > 0


def step_of(value: Json) -> str | None:
    """The step that a value refers to."""
    found = read_value(value).value if isinstance(value, str) else None
    return found.step if isinstance(found, Bound) else None


class Filling:
    """`quiet`: the steps that may be added unsaid."""

    def __init__(self, offers: Offers, process_type: ProcessType, *, quiet: frozenset[str]) -> None:
        self._type, self._goal, self._quiet = process_type, offers.goal, quiet
        self._offers: dict[str, list[Offer]] = {}
        for each in offers.steps:
            self._offers.setdefault(each.id, []).append(each)

    def fill(self, plan: Plan, *, said: Mapping[str, frozenset[str]]) -> tuple[Plan, tuple[str, ...]]:
        """The whole plan, and the steps that were added. `said`: names that the proposal decides, by step."""
        steps = list(plan.steps)
        added: list[str] = []
        output: dict[str, Json] = {}
        for _ in range(ROUNDS_MAX):
            there = {each.id for each in steps}
            steps = [self._filled(each, there, said.get(each.id, frozenset())) for each in steps]
            output = self._values(plan.output, self._goal, there, said.get("output", frozenset()))
            implied = [name for name in self._implied(steps, output) if name not in there]
            if not implied:
                break
            for name in dict.fromkeys(implied):
                offer = self._offers[name][0]
                steps.insert(0, made_step(name, contract=offer.contract, arguments={}, process_type=self._type))
                added.append(name)
        return replace(plan, steps=tuple(steps), output=output), tuple(added)

    def _filled(self, step: Step, there: set[str], said: frozenset[str]) -> Step:
        offers = self._offers.get(step.id, [])
        offer = next((each for each in offers if each.over == step.for_each), offers[0] if offers else None)
        if offer is None:  # kept from before
            return step
        return replace(step, input=self._values(step.input or {}, offer.slots, there, said))

    def _values(
        self, given: Mapping[str, Json], slots: Sequence[Slot], there: set[str], said: frozenset[str]
    ) -> dict[str, Json]:
        found = dict(given)
        for slot in slots:
            if slot.name in found or slot.name in said:
                continue
            if is_choice(slot):  # decided by what was chosen, where only one of the ways is in the plan
                ways = [each for each in slot.found if each.step is None or each.step in there]
                if slot.needed and not slot.constants and not ways:
                    ways = self._nearest(slot)
                if slot.needed and not slot.constants and len(ways) == 1:
                    found[slot.name] = ways[0].text
            elif slot.found:
                place = slot.found[0]
                if slot.needed or place.step is None or place.step in there:
                    found[slot.name] = place.text
            elif slot.constants and slot.needed:
                found[slot.name] = {"const": slot.constants[0]}
        return found

    def _nearest(self, slot: Slot) -> list[Place]:
        """Where no chosen step gives it: the look-up that gives its very name nearest to the top, if there is one."""
        named = [each for each in slot.found if each.word == slot.name and each.step in self._quiet]
        near = [each for each in named if each.depth == min(other.depth for other in named)]
        return [each for each in near if each.step is not None and self._without_choice(each.step)]

    def _implied(self, steps: Sequence[Step], output: Mapping[str, Json]) -> list[str]:
        """The look-ups that the plan cannot do without: what is needed refers to them."""
        needed: list[str | None] = []
        for step in steps:
            for offer in self._offers.get(step.id, []):
                names = {slot.name for slot in offer.slots if slot.needed}
                needed += [step_of(value) for name, value in (step.input or {}).items() if name in names]
            needed.append(step_of(step.for_each))
        names = {slot.name for slot in self._goal if slot.needed}
        needed += [step_of(value) for name, value in output.items() if name in names]
        return [each for each in needed if each is not None and each in self._quiet and self._without_choice(each)]

    def _without_choice(self, name: str) -> bool:
        offer = self._offers[name][0]
        return offer.over is None and not any(slot.needed and is_choice(slot) for slot in offer.slots)
