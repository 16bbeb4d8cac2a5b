"""A question that nobody answers: somebody is reminded, then a timer decides, and never to approve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from core.journeys import GATE, PROCESS, Journey, mapped, plan_of, ref, refused, step, undoable, writing
from process_orchestrator.core import trace
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Decision, EscalationKind, OnFailure, Status
from process_orchestrator.core.ports import JournalRow

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import PlanFacts

pytestmark = pytest.mark.behaviour("deadline")

HOUR = 3_600_000
REMIND, DEADLINE = f"{PROCESS}.e1/remind", f"{PROCESS}.e1/deadline"


def limited(*steps: Any, **fields: Any) -> PlanFacts:
    return plan_of(*steps, **({"deadline_ms": 2 * HOUR} | fields))


def asked(**fields: Any) -> Journey:
    """A step that must be approved, beside one that goes on."""
    return Journey(limited(writing("a"), step("b"), **fields)).prepared("a.1", gate=GATE)


def opened() -> e.EscalationOpened:
    return e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package"))


def past(journey: Journey) -> Journey:
    """Both timers of the first question fire in their time."""
    journey.passes(HOUR)
    journey.timer(REMIND).passes(HOUR)
    return journey.timer(DEADLINE)


def code_of(journey: Journey) -> str | None:
    return journey.state.failing.code if journey.state.failing is not None else None


def decision_of(journey: Journey) -> Decision | None:
    resolution = journey.question().resolution
    return resolution.decision if resolution is not None else None


def start(timer: str, fire_at: int) -> c.StartTimer:
    return c.StartTimer(process=PROCESS, timer=timer, fire_at=fire_at)


def stop(timer: str) -> c.StopTimer:
    return c.StopTimer(process=PROCESS, timer=timer)


def test_a_question_has_one_timer_first_for_the_reminder_then_for_its_deadline() -> None:
    journey = asked()
    assert journey.ordered(c.StartTimer) == [start(REMIND, 1000 + HOUR)]
    assert (journey.question().deadline_at, journey.question().reminded_at) == (1000 + 2 * HOUR, None)
    journey.passes(HOUR)
    journey.timer(REMIND)
    assert journey.last == (start(DEADLINE, 1000 + 2 * HOUR),)
    question = journey.question()
    assert (question.reminded_at, question.version, question.open) == (1000 + HOUR, 1, True)


def test_a_plan_without_a_deadline_starts_no_timer() -> None:
    journey = asked(deadline_ms=None)
    assert journey.ordered(c.StartTimer) == []
    assert journey.question().deadline_at is None
    assert journey.timer(DEADLINE).question().open
    assert journey.decide(Decision.APPROVE).ordered(c.StopTimer) == []


def test_a_process_that_waits_for_a_human_alone_is_waiting_whatever_its_timers() -> None:
    journey = asked().done("b.1")
    assert (journey.state.status, journey.state.live_timers) == (Status.WAITING_HUMAN, ())
    assert journey.timer(REMIND).state.status == Status.WAITING_HUMAN


def test_a_deadline_rejects_and_says_who_decided() -> None:
    journey = past(asked())
    resolution = journey.question().resolution
    assert resolution is not None
    assert (resolution.decision, resolution.by, resolution.channel) == (Decision.REJECT, "deadline", "timer")
    assert (resolution.assurance, resolution.at) == (Assurance.A0, 1000 + 2 * HOUR)
    assert journey.question().resolved_seq == journey.state.seq
    assert (code_of(journey), journey.phase("a")) == ("rejected", "failed")
    assert journey.ordered(c.StopTimer) == []  # it has fired
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(
    ("word", "decision", "code"), [("reject", Decision.REJECT, "rejected"), ("abort", Decision.ABORT, "aborted")]
)
def test_the_plan_says_what_a_deadline_does(word: str, decision: Decision, code: str) -> None:
    journey = past(asked(on_deadline=word))
    assert (decision_of(journey), code_of(journey)) == (decision, code)


def test_reject_reads_as_abort_where_nothing_can_be_rejected() -> None:
    journey = past(Journey(limited(step("a"))).fails("a.1", refused("a.1")))
    assert (journey.question().kind, decision_of(journey)) == (
        EscalationKind.FAILED,
        Decision.ABORT,
    )
    assert journey.state.status == Status.FAILED


def test_a_rejection_by_deadline_follows_the_plans_word_like_any_other() -> None:
    plan = limited(writing("a", on_failure={"else": OnFailure.SKIP}), step("b", needs=()))
    journey = past(Journey(plan).prepared("a.1", gate=GATE))
    assert (journey.phase("a"), journey.state.failing) == ("skipped", None)


def test_a_role_gets_the_question_and_the_same_time_once_then_it_is_rejected() -> None:
    journey = past(asked(on_deadline="role:chief").tell(opened()))
    question = journey.question()
    assert (question.role, question.version, question.open) == ("chief", 2, True)
    assert (question.deadline_at, question.reminded_at) == (1000 + 4 * HOUR, None)
    assert journey.last == (start(REMIND, 1000 + 3 * HOUR),)
    past(journey)
    assert decision_of(journey) == Decision.REJECT
    assert journey.broken_rules() == ()


def test_a_package_that_is_not_made_yet_is_made_for_the_new_role() -> None:
    journey = past(asked(on_deadline="role:chief"))
    assert [order.role for order in journey.ordered(c.OpenEscalation)] == ["chief"]


def test_an_answer_stops_the_timer() -> None:
    assert asked().decide(Decision.APPROVE).ordered(c.StopTimer) == [stop(REMIND)]
    journey = asked()
    journey.passes(HOUR)
    assert journey.timer(REMIND).decide(Decision.APPROVE).ordered(c.StopTimer) == [stop(DEADLINE)]


def test_a_withdrawn_question_has_no_timer() -> None:
    journey = asked().done("b.1").cancel()
    assert journey.ordered(c.StopTimer) == [stop(REMIND)]
    assert (journey.state.status, journey.broken_rules()) == (Status.CANCELLED, ())


def test_a_timer_that_comes_late_or_out_of_turn_changes_nothing() -> None:
    journey = asked().timer(DEADLINE)
    assert (journey.last, journey.question().open) == ((), True)
    journey.decide(Decision.APPROVE).timer(REMIND)
    assert (journey.last, journey.phase("a")) == ((), "calling")
    assert journey.timer(f"{PROCESS}.e9/remind").last == ()


def test_a_deadline_that_passed_while_no_engine_ran_decides_at_the_next_start() -> None:
    journey = asked()
    journey.passes(9 * HOUR)
    journey.timer(REMIND)
    assert journey.last == (start(DEADLINE, 1000 + 2 * HOUR),)  # long past: it fires at once
    assert journey.timer(DEADLINE).question().resolution is not None


def test_the_deadline_of_a_whole_map_rejects_all_of_it() -> None:
    plan = limited(mapped("lines", on_failure={"else": OnFailure.SKIP}))
    journey = past(Journey(plan).opened("lines", 2, gate=GATE))
    assert (journey.phase("lines"), list(journey.state.units)) == ("skipped", ["lines"])


def test_the_deadline_of_a_plan_rejects_it() -> None:
    journey = past(Journey(limited(step("a")), approval=ApprovalMode.PLAN))
    assert (journey.state.status, code_of(journey)) == (Status.FAILED, "rejected")


def test_a_human_who_never_answers_a_task_has_rejected_it() -> None:
    journey = past(Journey(limited(step("a", human=True))).prepared("a.1"))
    assert (journey.question().kind, code_of(journey)) == (EscalationKind.TASK, "rejected")


def test_the_deadline_of_a_failed_undo_leaves_what_is_left() -> None:
    plan = limited(undoable("a"), undoable("b"), step("c", on_failure={"else": OnFailure.COMPENSATE}))
    journey = Journey(plan).done("a.1").done("b.1").fails("c.1", refused("c.1"))
    past(journey.fails("b!undo.1", refused("b!undo.1")))
    assert (journey.state.status, journey.state.undone, journey.state.left) == (Status.FAILED, (), ("a", "b"))
    assert journey.broken_rules() == ()


def test_an_undo_whose_approval_ran_out_is_asked_about_again() -> None:
    plan = limited(undoable("a"), step("c", on_failure={"else": OnFailure.COMPENSATE}))
    journey = Journey(plan).done("a.1").fails("c.1", refused("c.1"))
    past(journey.prepared("a!undo.1", gate=GATE))
    assert (journey.question(2).kind, journey.phase("a!undo")) == (EscalationKind.UNDO_FAILED, "escalated")


def test_the_trace_tells_reminder_and_decision() -> None:
    journey = past(asked())
    rows = [JournalRow(seq=seq, at=0, events=(event,)) for seq, event in enumerate(journey.events, start=1)]
    told = [entry for entry in trace.entries(rows) if entry.event == "TimerFired"]
    assert [(entry.escalation, entry.unit, entry.decision) for entry in told] == [
        (f"{PROCESS}.e1", "a", None),
        (f"{PROCESS}.e1", "a", Decision.REJECT),
    ]


def test_a_package_and_a_timer_are_both_due_after_a_crash() -> None:
    journey = asked()
    assert {type(order) for order in journey.unanswered.due.values()} >= {c.OpenEscalation, c.StartTimer}
    journey.tell(opened())
    assert start(REMIND, 1000 + HOUR) in journey.unanswered.due.values()
