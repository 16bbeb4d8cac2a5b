"""The laws once more, on roads that lead through plans that a model makes anew: few of all roads do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.journeys import PROCESS, Journey, failed, ref, refused
from core.test_laws import PRICED, common, human_answer, made_plan, sensible_answer, spent_on_models, stage_failed
from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.values import ApprovalMode, Effect, Outcome, Phase, Stage, Status
from process_orchestrator.core.limits import Limits

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Process


def answer(draw: st.DrawFn, command: c.Command, state: Process) -> e.Event:
    """Plans are mostly good, and calls fail for good more often than elsewhere."""
    rare = draw(st.integers(0, 7)) == 7
    match command:
        case c.CheckPlan(kept=kept):
            return e.PlanChecked(at=0, ok=not rare, plan=made_plan(draw, state, kept), report=ref("report"))
        case c.ProposePlan(round=number) if not rare:
            return e.PlanProposed(at=0, plan=ref("said"), round=number)
        case c.ProposePlan():
            return stage_failed(draw, Stage.PLAN)
        case c.InvokeAgent(call=call) if draw(st.integers(0, 2)) == 2:
            return draw(st.sampled_from([refused(call), refused(call), failed(call, outcome=Outcome.UNKNOWN)]))
        case c.PrepareCall(call=call, default_only=False, undoes=None) if rare:
            return refused(call, "missing_binding")
        case _:
            made = sensible_answer(draw, command, state)
            assert made is not None
            return made


@st.composite
def planned_roads(draw: st.DrawFn) -> Journey:
    journey = Journey(
        None,
        task=ref("task"),
        models=draw(st.sampled_from([{"plan": None}, {"plan": 0, "brief": 0}, PRICED])),
        approval=draw(st.sampled_from([ApprovalMode.POLICY, ApprovalMode.POLICY, ApprovalMode.PLAN])),
        limits=Limits(replans=draw(st.integers(1, 4)), open_escalations=draw(st.integers(1, 3))),
        budget=Budget(usd_micros=draw(st.sampled_from([1_000_000, 1_000_000, 20]))),
    )
    for _ in range(80):
        if journey.state.finished:
            break
        due = list(journey.unanswered.due.values())
        turn = draw(st.integers(0, 79))
        human = human_answer(draw, journey.state) if turn % 4 == 0 or not due else None
        if turn == 79:
            journey.cancel()
        elif human is not None:
            if admit(journey.state, human) is None:
                journey.tell(human)
        else:
            journey.tell(answer(draw, draw(st.sampled_from(due)), journey.state))
        journey.passes(draw(st.sampled_from([0, 1, 5000])))
    return journey


def done(state: Process) -> dict[str, Any]:
    """What was done for good, by unit."""
    closed = (Phase.DONE, Phase.UNDOING, Phase.UNDONE)
    return {unit.id: unit.output for unit in state.units.values() if unit.phase in closed and unit.undoes is None}


@settings(common, max_examples=60)
@given(journey=planned_roads())
def test_no_other_plan_breaks_an_invariant_or_leads_nowhere(journey: Journey) -> None:
    assert journey.broken_rules() == ()
    state = journey.state
    assert state.finished is not (bool(journey.unanswered.due) or any(one.open for one in state.escalations.values()))
    if state.status is Status.WAITING_HUMAN:
        assert any(one.open for one in state.escalations.values())


@settings(common, max_examples=30)
@given(journey=planned_roads())
def test_the_books_agree_whatever_was_planned_anew(journey: Journey) -> None:
    state = journey.state
    units = (*state.units.values(), *state.replanning.replaced.values())
    assert state.usd_micros == sum(unit.usd_micros for unit in units) + spent_on_models(journey)
    made = [order.call for order in journey.orders if isinstance(order, c.InvokeAgent | c.StartChild)]
    assert len(made) == len(set(made))
    if state.plan is not None:
        steps = [state.units[step.id] for step in state.plan.steps]
        assert len({unit.id for unit in steps}) == len(steps)
        assert all(state.plan.steps[unit.place].id == unit.step for unit in state.units.values())
        if not state.ending:
            closed = [unit for unit in steps if unit.phase in (Phase.DONE, Phase.SKIPPED)]
            assert state.steps_done == len(closed)


@settings(common, max_examples=30)
@given(journey=planned_roads())
def test_nothing_that_was_done_is_ever_forgotten(journey: Journey) -> None:
    """Told from the calls alone: every effect that an agent has confirmed ends undone, left, or done."""
    writes = {
        order.call: order.unit
        for order in journey.orders
        if isinstance(order, c.InvokeAgent) and order.effect in (Effect.WRITE, Effect.IRREVERSIBLE)
    }
    confirmed = {
        writes[event.call] for event in journey.events if isinstance(event, e.CallSucceeded) and event.call in writes
    }
    acted = {unit for unit in confirmed if not unit.endswith("!undo")}
    state = journey.state
    assert acted <= set(state.units) | {""}
    if state.status in (Status.FAILED, Status.CANCELLED):
        assert acted <= {*state.undone, *state.left}
    assert state.spec.process_id == PROCESS
    assert set(done(state)) <= set(state.units)
