"""Another plan for what is left: when a step of a model's plan has failed for good, and how the new plan is taken up.

Steps that are done, skipped or under way are kept as they are, whatever is proposed; the others had no effect and give
way. When it is asked for is decided here, asking is `stage`'s, and what follows where it leads nowhere `settle`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import ending, orders
from process_orchestrator.core.facts.paged import paged
from process_orchestrator.core.facts.values import Blame, FailureClass, Phase, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts
    from process_orchestrator.core.facts.state import Failure, Standing, Unit


def round_left(standing: Standing) -> bool:
    """Whether another plan may be asked for. A plan that was given has no rounds."""
    return 0 < standing.plan_round <= standing.spec.limits.replans


def put_off(draft: Draft, unit: Unit, failure: Failure) -> bool:
    """Leave a step that failed for good to a plan of what is left, if a model may make one: then it waits for that."""
    if not (_may_replace(draft, unit, failure) and Stage.PLAN in draft.spec.models and round_left(draft)):
        return False
    draft.put(replace(unit, phase=Phase.WAITING, failure=failure, escalation=None, wants=None, timer=None, why=None))
    if draft.replanning.failure is None:
        draft.replanning = replace(draft.replanning, failure=failure, asked=False)
    return True


def _may_replace(draft: Draft, unit: Unit, failure: Failure) -> bool:
    """A whole step that has had no effect, and that neither a rule nor a human has stopped."""
    if unit.undoes is not None or unit.id != unit.step or unit.items_next or unit.child_left:
        return False
    if failure.blame is Blame.POLICY or failure.class_ is FailureClass.NEEDS_HUMAN:
        return False
    return not ending.left_an_effect(draft, unit)


def failed_units(standing: Standing) -> Iterator[Unit]:
    """The steps that wait for another plan because they failed, in the order of the plan."""
    steps = standing.plan.steps if standing.plan is not None else ()
    for step in steps:
        unit = standing.units[step.id]
        if unit.phase is Phase.WAITING and unit.failure is not None:
            yield unit


def is_due(draft: Draft) -> bool:
    """Whether the plan of what is left is to be asked for now: no call is under way, nor about to be made."""
    if draft.replanning.failure is None or draft.replanning.asked or not draft.plan_approved:
        return False
    return not draft.live_calls and draft.units_busy == draft.units_resting and draft.set_aside is None


def begin(draft: Draft) -> None:
    """Note what the plan that is asked for keeps; what happens to it meanwhile changes no question."""
    steps = draft.plan.steps if draft.plan is not None else ()
    kept = [step.id for step in steps if draft.units[step.id].phase is not Phase.WAITING]
    draft.replanning = replace(draft.replanning, asked=True, sources=orders.sources_of(draft, kept))


def keeps(draft: Draft, plan: PlanFacts) -> bool:
    """Whether a plan has all that must be kept, under the contracts that it is done or being done by.

    The rest of a kept step's facts may be other ones by now: it lives on by those with which it began.
    """
    proposed = {step.id: step for step in plan.steps}
    return all(_is_same(draft.facts(draft.units[name]), proposed.get(name)) for name in draft.replanning.sources)


def _is_same(kept: StepFacts, step: StepFacts | None) -> bool:
    if step is None or kept.contract != step.contract or kept.needs != step.needs:
        return False
    return (kept.kind, kept.is_map, kept.repeat) == (step.kind, step.is_map, step.repeat)


def adopt(draft: Draft, plan: PlanFacts) -> None:
    """Follow another plan: kept steps stay as they stand, under the facts by which they began."""
    old = draft.plan
    assert old is not None  # a first plan is adopted by the draft itself
    kept = {step.id: step for step in old.steps if step.id in draft.replanning.sources}
    steps = tuple(_with(kept[step.id], step) if step.id in kept else step for step in plan.steps)
    gone = [draft.units[step.id] for step in old.steps if step.id not in kept]
    known = {**draft.replanning.replaced, **{unit.id: unit for unit in gone if unit.call}}
    places = {step.id: place for place, step in enumerate(steps)}
    staying = [_placed(unit, places[unit.step]) for unit in draft.units.values() if unit.step in kept]
    draft.plan = replace(plan, steps=steps)
    coming = [
        _going_on(draft.new_unit(step, place=places[step.id]), known.pop(step.id, None))
        for step in steps
        if step.id not in kept
    ]
    draft.units = paged((unit.id, unit) for unit in sorted((*coming, *staying), key=lambda unit: unit.place))
    _count(draft)
    fruitless = {unit.digest: None for unit in gone if unit.digest is not None and unit.failure is not None}
    draft.replanning = replace(
        draft.replanning,
        sources={},
        replaced=known,
        fruitless=tuple(dict.fromkeys((*draft.replanning.fruitless, *fruitless))),
    )


def _with(kept: StepFacts, step: StepFacts) -> StepFacts:
    """A kept step, needed and bound by the steps of the new plan."""
    return replace(kept, needed_by=step.needed_by, bound_by=step.bound_by)


def _placed(unit: Unit, place: int) -> Unit:
    return unit if unit.place == place else replace(unit, place=place)


def _going_on(unit: Unit, former: Unit | None) -> Unit:
    """A new unit under the name of one that gave way: no number of a call and no key is used twice."""
    if former is None:
        return unit
    return replace(
        unit,
        call=former.call,
        calls_total=former.calls_total,
        generation=former.generation,
        tried=former.tried,
        usd_micros=former.usd_micros,
        tokens=former.tokens,
        unknown_calls=former.unknown_calls,
        overbilled=former.overbilled,
        earlier_settled=former.earlier_settled,
    )


def _count(draft: Draft) -> None:
    """Count needs and closed steps anew."""
    assert draft.plan is not None
    closed = {step.id for step in draft.plan.steps if draft.units[step.id].phase in (Phase.DONE, Phase.SKIPPED)}
    draft.steps_done = len(closed)
    draft.needs_left = {step.id: sum(need not in closed for need in step.needs) for step in draft.plan.steps}


def over(draft: Draft) -> None:
    """The new plan stands. A step that failed for good meanwhile asks for one more: it was put off as one was left."""
    if draft.replanning.failure is None:
        return
    failed = next(failed_units(draft), None)
    failure = failed.failure if failed is not None else None
    draft.replanning = replace(draft.replanning, failure=failure, asked=False, sources={})
