"""The judge of journals must find each fault that is put before it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    GATE,
    PROCESS,
    TRANSIENT,
    Journey,
    broken,
    failed,
    plan_of,
    ref,
    refused,
    resolution,
    step,
    undoable,
    writing,
)
from process_orchestrator import conformance
from process_orchestrator.conformance import gaps, violations
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.paged import Paged, paged
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.state import Escalation, Process, Transition, Unit
from process_orchestrator.core.facts.values import (
    Assurance,
    Decision,
    EscalationKind,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Status,
    StepKind,
    Usage,
)
from process_orchestrator.core.ports import JournalRow
from process_orchestrator.core.process import apply

PLAN = plan_of(writing("a", retry=replace(TRANSIENT, max_attempts=2)))


def rules(events: list[e.Event], *, projection: Process | None = None) -> list[str]:
    return [violation.rule for violation in violations(events, projection=projection)]


def test_a_sound_journal_breaks_no_rule() -> None:
    journey = Journey(PLAN).fails("a.1", broken("a.1")).decide(Decision.RETRY).done("a.2")
    journey.tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.broken_rules() == ()
    assert rules([]) == []


def test_rows_must_be_numbered_without_gaps() -> None:
    event = e.EngineResumed(at=0, engine=1)
    sound = [JournalRow(seq=2, at=0, events=(event, event)), JournalRow(seq=3, at=0, events=(event,))]
    assert gaps(sound) == ()
    torn = [sound[0], JournalRow(seq=5, at=0, events=(event,)), JournalRow(seq=6, at=0, events=(event,))]
    assert [(gap.seq, gap.rule) for gap in gaps(torn)] == [(5, "gapless_seq")]


def test_an_answer_without_an_order_is_found() -> None:
    journey = Journey(PLAN).succeeded("a.1").tell(e.CallLost(at=0, call="a.9")).tell(broken("a.8"))
    assert rules(journey.events) == ["intent", "intent", "intent"]


def test_a_question_that_is_answered_twice_is_found() -> None:
    journey = Journey(PLAN).fails("a.1", refused("a.1")).decide(Decision.RETRY).decide(Decision.RETRY)
    assert rules(journey.events) == ["resolved_once"]


def test_a_projection_that_is_not_the_fold_is_found() -> None:
    journey = Journey(PLAN)
    assert rules(journey.events, projection=replace(journey.state, calls=7)) == ["projection"]


class FaultyCore:
    """The core, with one thing wrong in what it answers to the last event."""

    def __init__(self, fault: Transition) -> None:
        self.fault = fault

    def apply(self, state: Process | None, event: e.Event) -> Transition:
        return self.fault if isinstance(event, e.EngineResumed) else apply(state, event)


def judged(monkeypatch: pytest.MonkeyPatch, journey: Journey, fault: Transition) -> list[str]:
    """What the judge says of a journal whose last event was answered wrongly."""
    monkeypatch.setattr(conformance, "apply", FaultyCore(fault).apply)
    return rules([*journey.events, e.EngineResumed(at=0, engine=1)])


def next_state(journey: Journey, **changes: object) -> Process:
    return replace(journey.state, **({"seq": journey.state.seq + 1} | changes))


def call_again(journey: Journey, *, call: str, key: str) -> Transition:
    order = next(order for order in journey.orders if isinstance(order, c.InvokeAgent))
    again = replace(order, call=call, key=f"{PROCESS}/a/{key}")
    return Transition(state=next_state(journey), commands=(again,))


def test_a_core_that_loses_count_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN)
    assert judged(monkeypatch, journey, Transition(state=journey.state)) == ["gapless_seq"]


def test_a_call_without_intent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).fails("a.1", failed("a.1"))
    assert judged(monkeypatch, journey, call_again(journey, call="a.2", key="g2")) == ["intent"]


def test_a_call_that_is_ordered_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).prepared("a.1")
    assert judged(monkeypatch, journey, call_again(journey, call="a.1", key="g1")) == ["intent"]


def test_an_effect_called_again_under_a_new_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).fails("a.1", failed("a.1", outcome=Outcome.UNKNOWN)).timer("a.1/retry")
    journey.events.append(e.CallPrepared(at=0, call="a.2", agent=ALPHA, input=ref("x"), digest="d"))
    state = apply(journey.state, journey.events[-1]).state
    journey.events[-1] = replace(journey.events[-1], call="a.2")
    fault = call_again(journey, call="a.2", key="g2")
    fault = replace(fault, state=replace(state, seq=state.seq + 1))
    assert "key" in judged(monkeypatch, journey, fault)


def test_a_gated_call_without_its_approval_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Journey(PLAN).prepared("a.1", gate=GATE)
    order = Journey(PLAN).prepared("a.1").orders[-1]
    fault = Transition(state=next_state(asked), commands=(order,))
    assert judged(monkeypatch, asked, fault) == ["approval"]
    assert Journey(PLAN).prepared("a.1", gate=GATE).decide(Decision.APPROVE).broken_rules() == ()


def test_an_approval_of_other_arguments_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).prepared("a.1", gate=GATE, digest="first").decide(Decision.APPROVE)
    journey.tell(failed("a.1")).timer("a.1/retry").prepared("a.2", gate=GATE, digest="second")
    order = replace(Journey(PLAN).prepared("a.1").orders[-1], call="a.2", key=f"{PROCESS}/a/g2")
    fault = Transition(state=next_state(journey), commands=(order,))
    assert judged(monkeypatch, journey, fault) == ["approval"]


def test_the_approval_of_a_map_covers_its_items_but_not_what_a_human_put_in_their_place() -> None:
    plan = plan_of(step("lines", is_map=True, kind=StepKind.MAP))
    journey = Journey(plan).opened("lines", 1, gate=GATE).decide(Decision.APPROVE)
    journey.prepared("lines[0].1", gate=GATE, digest="item")
    assert isinstance(journey.orders[-1], c.InvokeAgent)
    journey.tell(refused("lines[0].1")).decide(Decision.RETRY_WITH_INPUT, 2)
    journey.prepared("lines[0].2", gate=GATE, digest="other")
    assert journey.question(3).kind is EscalationKind.APPROVAL
    assert journey.decide(Decision.APPROVE, 3).broken_rules() == ()


def test_one_try_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).fails("a.1", failed("a.1")).timer("a.1/retry").fails("a.2", failed("a.2"))
    journey.events.append(e.CallPrepared(at=0, call="a.3", agent=ALPHA, input=ref("x"), digest="d"))
    fault = call_again(journey, call="a.3", key="g3")
    fault = replace(fault, state=next_state(journey, seq=journey.state.seq + 2))
    assert judged(monkeypatch, journey, fault) == ["attempts"]


def test_a_call_over_the_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN)
    journey.events.append(e.CallPrepared(at=0, call="a.1", agent=ALPHA, input=ref("x"), digest="d"))
    over = replace(apply(journey.state, journey.events[-1]).state, calls=101, seq=3)
    order = apply(journey.state, journey.events[-1]).commands[0]
    fault = Transition(state=over, commands=(replace(order, call="a.2"),))
    assert judged(monkeypatch, journey, fault) == ["intent", "calls"]


def test_a_call_above_the_cap_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN, budget=Budget(usd_micros=5))
    journey.events.append(
        e.CallPrepared(at=0, call="a.1", agent=ALPHA, input=ref("x"), digest="d", reserve_usd_micros=6)
    )
    order = Journey(PLAN).prepared("a.1").orders[-1]
    fault = Transition(state=next_state(journey, seq=journey.state.seq + 2), commands=(order,))
    assert judged(monkeypatch, journey, fault) == ["cap"]


def test_a_raise_that_did_not_enter_lifts_no_cap_and_one_that_did_does(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN, budget=Budget(usd_micros=5)).prepared("a.1", reserve_usd_micros=6)
    raised = resolution(Decision.RAISE_BUDGET, usd_micros=1)
    weak = Journey(plan_of(step("a", decision_level=Assurance.A2)), budget=Budget(usd_micros=5))
    weak.prepared("a.1", reserve_usd_micros=6).tell(raised)
    order = Journey(PLAN).prepared("a.1").orders[-1]
    assert judged(monkeypatch, weak, Transition(state=next_state(weak), commands=(order,))) == ["cap"]
    assert tuple(journey.tell(raised).state.live_calls) == ("a.1",)
    assert journey.broken_rules() == ()


def test_what_models_used_counts_towards_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN, budget=Budget(usd_micros=5), models={"brief": 4})
    journey.prepared("a.1", reserve_usd_micros=2, gate=GATE)
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    journey.tell(e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", brief=ref("b"), usage=Usage(usd_micros=4)))
    journey.decide(Decision.APPROVE)
    assert journey.question(2).kind is EscalationKind.BUDGET
    order = Journey(PLAN).prepared("a.1").orders[-1]
    assert "cap" in judged(monkeypatch, journey, Transition(state=next_state(journey), commands=(order,)))


def test_outputs_that_change_or_are_missing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(plan_of(step("a"), step("b"))).done("a.1")
    a, b = journey.unit("a"), journey.unit("b")
    other = next_state(journey, units=paged([("a", replace(a, output=ref("other"))), ("b", b)]))
    assert judged(monkeypatch, journey, Transition(state=other)) == ["one_output"]
    empty = next_state(journey, units=paged([("a", a), ("b", replace(b, phase=Phase.DONE))]))
    assert judged(monkeypatch, journey, Transition(state=empty)) == ["one_output"]


def test_a_unit_that_is_done_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(plan_of(step("a"), step("b"))).done("a.1")
    undone = replace(journey.state, seq=4, units=paged([("a", Unit(id="a", step="a")), ("b", journey.unit("b"))]))
    again = replace(journey.state, seq=5)
    answers = iter([Transition(state=undone), Transition(state=again)])

    def faulty(state: Process | None, event: e.Event) -> Transition:
        return next(answers) if isinstance(event, e.EngineResumed) else apply(state, event)

    monkeypatch.setattr(conformance, "apply", faulty)
    resumed = e.EngineResumed(at=0, engine=1)
    assert rules([*journey.events, resumed, resumed]) == ["one_output", "one_output"]


def test_an_end_with_anything_live_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).prepared("a.1")
    question = Escalation(id=f"{PROCESS}.e1", kind=EscalationKind.FAILED)
    ended = next_state(journey, status=Status.FAILED, live_timers=("a.1/retry",), escalations={question.id: question})
    assert judged(monkeypatch, journey, Transition(state=ended)) == ["end", "end", "end"]
    answered = Journey(PLAN).done("a.1")
    still = next_state(answered, status=Status.FAILED, live_calls=paged([("a.2", None)]))
    assert judged(monkeypatch, answered, Transition(state=still)) == ["end"]


@pytest.mark.parametrize("code", ["circuit_open", "rate_limited"])
def test_a_decision_about_nothing_and_a_call_that_no_agent_was_asked_are_taken_as_they_are(code: str) -> None:
    journey = Journey(PLAN).tell(resolution(Decision.RETRY, 9))
    for number in (1, 2, 3):
        circuit = failed(f"a.{number}", code, retry_after_ms=10)
        journey.fails(f"a.{number}", circuit).timer(f"a.{number}/retry")
    assert journey.broken_rules() == ()


UNDOABLE = plan_of(undoable("a"), undoable("b"), step("doomed", on_failure={"else": OnFailure.COMPENSATE}))


def both_done() -> Journey:
    return Journey(UNDOABLE).done("a.1").done("b.1")


def undo_of(name: str, phase: Phase = Phase.PREPARING) -> Unit:
    return Unit(id=f"{name}!undo", step=name, undoes=name, phase=phase)


def beside(journey: Journey, unit: Unit) -> Paged[Unit]:
    return paged([*journey.state.units.items(), (unit.id, unit)])


def test_an_undo_that_begins_while_the_process_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = both_done()
    fault = Transition(state=next_state(journey, units=beside(journey, undo_of("b"))))
    assert judged(monkeypatch, journey, fault) == ["undo"]


def test_an_undo_out_of_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = both_done()
    fault = Transition(state=next_state(journey, cancelling=True, units=beside(journey, undo_of("a"))))
    assert judged(monkeypatch, journey, fault) == ["undo"]


def test_an_undo_of_what_was_never_done_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(UNDOABLE).prepared("a.1")
    fault = Transition(state=next_state(journey, cancelling=True, units=beside(journey, undo_of("a"))))
    assert judged(monkeypatch, journey, fault) == ["undo"]


def test_an_undo_beside_another_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = both_done()
    units = beside(journey, undo_of("b", Phase.CALLING))
    live = next_state(journey, cancelling=True, units=units, live_calls=paged([("b!undo.1", None), ("x.1", None)]))
    assert judged(monkeypatch, journey, Transition(state=live)) == ["undo"]


def test_an_end_that_tells_of_undoing_what_was_not_undone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = both_done()
    ended = next_state(journey, status=Status.FAILED, undone=("b", "b"), left=("b",))
    assert judged(monkeypatch, journey, Transition(state=ended)) == ["undo", "undo"]


def test_a_timer_that_outlives_its_process_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = both_done()
    start = c.StartTimer(process=PROCESS, timer=f"{PROCESS}.e1/remind", fire_at=9)
    fault = Transition(state=next_state(journey, status=Status.FAILED), commands=(start,))
    assert judged(monkeypatch, journey, fault) == ["end"]


def test_an_undo_of_a_step_without_one_has_no_try(monkeypatch: pytest.MonkeyPatch) -> None:
    journey = Journey(PLAN).prepared("a.1")
    journey.events.append(e.CallPrepared(at=0, call="a!undo.1", agent=ALPHA, input=ref("x"), digest="d"))
    order = next(order for order in journey.orders if isinstance(order, c.InvokeAgent))
    fault = Transition(state=next_state(journey, seq=4), commands=(replace(order, call="a!undo.1", unit="a!undo"),))
    assert judged(monkeypatch, journey, fault) == ["attempts"]


def test_what_must_not_be_repeated_is_called_again_only_where_a_human_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unsafe = plan_of(writing("a", idempotency=Idempotency.UNSAFE))
    asked = Journey(unsafe).fails("a.1", failed("a.1", outcome=Outcome.UNKNOWN))
    assert "repeat" in judged(monkeypatch, asked, call_again(asked, call="a.2", key="g1"))
    monkeypatch.undo()
    told = Journey(unsafe).fails("a.1", failed("a.1", outcome=Outcome.UNKNOWN)).decide(Decision.RETRY).prepared("a.2")
    assert rules(told.events) == []
