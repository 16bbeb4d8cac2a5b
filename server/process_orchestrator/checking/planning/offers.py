"""What a planner is offered: the steps that can be done at all, each argument with the references that may stand there.

Only contracts that the type lists by name are offered (undo contracts are the engine's), active ones that somebody
serves. A contract is offered once for a single call, once for each item of a list that fits it (`order_find_each`),
and a second time where the input names two of what it takes (`from_city`, `to_city`). A step that nothing could be
given to is left out, and so is a reference to one that could only run later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Contract, ProcessType, Step
from process_orchestrator.checking.documents.draft_status import draft_words
from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.planning.likely import ranked, serves_items
from process_orchestrator.checking.planning.places import Body, Listed, Place, input_source, step_source
from process_orchestrator.checking.planning.slots import Pool, Slot, fill, slots_of
from process_orchestrator.checking.planning.steps import made_step, step_name
from process_orchestrator.checking.plans.checked_plan import CheckedStep
from process_orchestrator.checking.plans.plan_data import level_of
from process_orchestrator.checking.plans.plan_values import ANY_NUMBER, Count
from process_orchestrator.checking.schemas.projection import Shape, names_of
from process_orchestrator.core.facts.values import Effect, OnFailure

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.plan_map import Definitions

CONTRACTS_MAX: Final = 60
"""Contracts of one map that are offered; what is listed beyond is left out."""

LISTS_MAX: Final = 3
"""Lists that one contract may be offered for, the nearest."""

EACH: Final = "each"


class LeftOut(NamedTuple):
    """What is not offered, and why, in words for who wrote the definitions."""

    what: str
    why: str
    fix: str = ""


@dataclass(slots=True, kw_only=True)
class Offer:
    """One step that may be proposed. `over`: the lists that it may be done for, each with slots of its own."""

    id: str
    contract: Contract
    slots: list[Slot]
    over: str | None = None
    second: bool = False


class Offers(NamedTuple):
    """All that a plan can be made of. `goal`: the slots of the output."""

    steps: tuple[Offer, ...]
    goal: tuple[Slot, ...]
    left_out: tuple[LeftOut, ...]
    kept: tuple[str, ...] = ()

    def named(self) -> Mapping[str, Contract]:
        """The contract of every step that may be proposed, by its name."""
        return {each.id: each.contract for each in self.steps}


def offers_of(process_type: ProcessType, *, registry: Definitions, kept: Sequence[Step] = ()) -> Offers:
    """What may be proposed for a type. `kept`: steps of a plan that is made anew which stay as they are."""
    return _Offering(process_type, registry, kept).run()


class _Offering:
    def __init__(self, process_type: ProcessType, registry: Definitions, kept: Sequence[Step]) -> None:
        self._type, self._registry, self._kept = process_type, registry, kept
        self._covered = process_type.on_failure is not OnFailure.ESCALATE
        self._left_out: list[LeftOut] = []
        self._taken = {each.id for each in kept}
        self._bodies = [Body(input_source(process_type))]

    def run(self) -> Offers:
        contracts = [*self._contracts()]
        for step in self._kept:
            self._give(step, self._registry.contract(step.contract or ""))
        done = {(step.contract or "").partition("@")[0] for step in self._kept}
        # What was done to the world is not done again by another plan, whatever its arguments.
        contracts = [each for each in contracts if each.name not in done or each.effect in {Effect.NONE, Effect.READ}]
        single = [self._offer(each, step_name(each.name)) for each in contracts]
        second = [self._offer(each, step_name(each.name), second=True) for each in contracts if self._twice(each)]
        for each in (*single, *second):
            self._give(self._step(each), each.contract)
        mapped = [self._offer(each, f"{step_name(each.name)}_{EACH}") for each in contracts]
        lists = sorted((each for body in self._bodies for each in body.lists()), key=lambda each: each.place.depth)
        over = [each for offer in mapped for each in _over(offer, lists)]
        for offer, listed in {each.id: (each, listed) for each, listed in reversed(over)}.values():
            self._give(self._step(offer), offer.contract, count=listed.number)
        goal = slots_of(self._type.output, names_of(Shape.of(self._type.output)))
        self._fill([*single, *second], over, goal)
        every = [*single, *second, *(each for each, _ in over)]
        echoed = {(each.id, slot.name) for each in every for slot in each.slots}
        for slot in (*(slot for each in every for slot in each.slots), *goal):
            slot.found = ranked(slot, echoed=echoed)
        offered = self._possible(every)
        for slot in goal:
            self._of_goal(slot, {each.id for each in offered} | self._taken_by_kept())
        return Offers(
            tuple(offered), tuple(goal), tuple(dict.fromkeys(self._left_out)), tuple(each.id for each in self._kept)
        )

    # Who may be asked

    def _contracts(self) -> Iterator[Contract]:
        found: dict[str, Contract] = {}
        for written in self._type.contracts:
            contract = self._registry.contract(written)
            if contract is None:
                nearest = ", ".join(self._registry.nearest("contract", reference(written).name)) or "none yet"
                self._left_out.append(LeftOut(written, "there is no such contract", f"nearest: {nearest}"))
            elif contract.status != "active":
                words = draft_words(contract)
                self._left_out.append(LeftOut(contract.name, words.message, words.fix))
            elif not self._registry.serving(contract):
                fix = f"add {contract.name}@^{contract.version.partition('.')[0]} to the serves of an agent"
                self._left_out.append(LeftOut(contract.name, "no agent serves it", fix))
            elif len(found) >= CONTRACTS_MAX and contract.name not in found:
                self._left_out.append(LeftOut(contract.name, f"a map offers at most {CONTRACTS_MAX} contracts"))
            else:
                found.setdefault(contract.name, contract)
        yield from found.values()

    def _twice(self, contract: Contract) -> bool:
        """Whether the input has two of what the contract takes, told by their names."""
        given = names_of(Shape.of(self._type.input))
        for argument in names_of(Shape.of(contract.input)):
            meant = [each for each in given if each == argument or each.endswith(f"_{argument}")]
            if argument != contract.key_field and len(meant) > 1:
                return True
        return False

    def _offer(self, contract: Contract, name: str, *, second: bool = False) -> Offer:
        names = [each for each in names_of(Shape.of(contract.input)) if each != contract.key_field]
        slots = slots_of(contract.input, names)
        for slot in slots:
            slot.trusted = self._trust(contract)
        return Offer(id=self._free(name), contract=contract, slots=slots, second=second)

    def _trust(self, contract: Contract) -> Trust:
        agents = self._registry.serving(contract)
        by_model = any(agent.transport.kind == "model" for agent, _ in agents)
        return Trust(-2 if by_model else level_of(contract))

    def _free(self, name: str) -> str:
        """A name that no other step has: `order_find`, then `order_find_2`."""
        chosen, number = name, 2
        while chosen in self._taken:
            chosen, number = f"{name}_{number}", number + 1
        self._taken.add(chosen)
        return chosen

    def _step(self, offer: Offer) -> Step:
        return made_step(offer.id, contract=offer.contract, arguments={}, process_type=self._type, for_each=offer.over)

    def _give(self, step: Step, contract: Contract | None, *, count: Count = ANY_NUMBER) -> None:
        source = step_source(CheckedStep(index=0, step=step, contract=contract, count=count))
        if source is not None:
            self._bodies.append(Body(source))

    # What may stand where

    def _fill(self, plain: Sequence[Offer], over: Sequence[tuple[Offer, Listed]], goal: list[Slot]) -> None:
        every = Pool(place for body in self._bodies for place in body.places)
        inside = {listed.place.text: Pool(listed.inside) for _, listed in over}
        arguments = [(slot, offer.id, (every,)) for offer in plain for slot in offer.slots]
        of_items = [(slot, each.id, (inside[one.place.text], every)) for each, one in over for slot in each.slots]
        fill([*arguments, *of_items], fitting=self._registry.fitting, covered=self._covered)
        fill([(slot, "output", (every,)) for slot in goal], fitting=self._registry.fitting, covered=False)

    def _taken_by_kept(self) -> set[str]:
        return {each.id for each in self._kept}

    def _possible(self, offers: list[Offer]) -> list[Offer]:
        """Those that can be done, without references to what could only be done after them."""
        reached = self._reached(offers)
        found: list[Offer] = []
        for offer in offers:
            before = self._reached(offers, without=offer.id)
            for slot in offer.slots:
                slot.found = [each for each in slot.found if each.step is None or each.step in before]
            usable = all(not slot.needed or slot.ways(before) for slot in offer.slots)
            by_item = offer.over is None or (serves_items(offer.slots) and _before(offer.over, before))
            if offer.id in reached and usable and by_item:
                found.append(offer)
        offered = {each.contract.name for each in found}
        for offer in offers:
            if offer.contract.name not in offered:
                missing = [slot.name for slot in offer.slots if slot.needed and not slot.ways(reached - {offer.id})]
                lacks = " and ".join(f"`{name}`" for name in missing[:3]) or "what it takes"
                why = f"nothing that can be there before it surely fits {lacks}"
                fix = "let the input of the type, or the output of another contract on the map, hold it as it is wanted"
                self._left_out.append(LeftOut(offer.contract.name, why, fix))
        return found

    def _reached(self, offers: list[Offer], *, without: str = "") -> set[str]:
        """The steps that can be done one after the other, beginning with the input alone."""
        reached = self._taken_by_kept()
        while True:
            new = {
                each.id
                for each in offers
                if each.id != without
                and each.id not in reached
                and (each.over is None or _before(each.over, reached))
                and all(not slot.needed or slot.ways(reached) for slot in each.slots)
            }
            if not new:
                return reached
            reached |= new

    def _of_goal(self, slot: Slot, steps: set[str]) -> None:
        slot.found = [each for each in slot.found if each.step is None or each.step in steps]
        if not slot.needed or any(each.step is not None for each in slot.found):
            slot.constants = ()  # what a step finds out, or what need not be known, is not to be made up
        if any(each.step is not None for each in slot.found):
            slot.found = [each for each in slot.found if each.step is not None or each.word == slot.name]
        same = [each for each in slot.found if each.word == slot.name]
        if same:  # what is nearest the top of what a step gives is what it is for
            slot.found = [each for each in same if each.depth == min(other.depth for other in same)]
        if slot.needed and not slot.ways(steps):
            self._left_out.append(LeftOut("output", f"nothing fits `{slot.name}` of the output", "widen the map"))


class Trust(NamedTuple):
    """How sensitive what may be shown to a contract is; what a model closes sees nothing sensitive."""

    level: int

    def __call__(self, place: Place) -> bool:
        return place.level is None or self.level >= place.level


def _over(offer: Offer, lists: Sequence[Listed]) -> Iterator[tuple[Offer, Listed]]:
    """The offer, once for each of the nearest lists whose items could be given to it."""
    made = 0
    for listed in lists:
        kinds = frozenset[str]().union(*(each.kinds for each in listed.inside))
        if made < LISTS_MAX and any(slot.kinds & kinds for slot in offer.slots):
            made += 1
            slots = [replace(slot, found=[]) for slot in offer.slots]
            yield replace(offer, slots=slots, over=listed.place.text), listed


def _before(over: str, steps: set[str]) -> bool:
    """Whether the step that gives a list is among these; the input is always there."""
    parts = over.split(".")
    return parts[1] != "steps" or parts[2] in steps
