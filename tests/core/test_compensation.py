"""Taking effects back: when, in which order, under which rules, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    CONTRACT,
    GATE,
    PROCESS,
    TRANSIENT,
    UNDO,
    Journey,
    broken,
    failed,
    mapped,
    plan_of,
    ref,
    refused,
    step,
    undo,
    undoable,
    writing,
)
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.values import (
    Assurance,
    Blame,
    Decision,
    Effect,
    EscalationKind,
    Idempotency,
    OnFailure,
    Outcome,
    Stage,
    Status,
    StepKind,
    Why,
)
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.outstanding import outstanding
from process_orchestrator.core.undo_step import undoing

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import StepFacts

COMPENSATE = {"else": OnFailure.COMPENSATE}


def doomed(*, needs: tuple[str, ...] = ()) -> StepFacts:
    return step("doomed", needs=needs, on_failure=COMPENSATE)


def after(*steps: StepFacts, done: tuple[str, ...], **fields: Any) -> Journey:
    """A process whose last step fails for good after others were done."""
    journey = Journey(plan_of(*steps, doomed()), **fields)
    for name in done:
        journey.done(f"{name}.1")
    return journey.fails("doomed.1", refused("doomed.1"))


def prepared_units(journey: Journey) -> list[str]:
    return [order.unit for order in journey.ordered(c.PrepareCall)]


# --- when --------------------------------------------------------------------------------------------------------


def test_done_effects_are_undone_the_last_one_first_and_one_at_a_time() -> None:
    journey = after(undoable("a"), undoable("b"), step("read"), undoable("x"), done=("b", "read", "a"))
    assert prepared_units(journey) == ["a!undo"]  # b was done before a
    assert (journey.phase("a"), journey.phase("b"), journey.phase("x")) == ("undoing", "done", "skipped")
    assert (journey.state.status, journey.state.to_undo) == (Status.RUNNING, ("a", "b"))
    journey.prepared("a!undo.1").succeeded("a!undo.1")
    assert (prepared_units(journey), journey.phase("a"), journey.state.undone) == (["b!undo"], "undone", ("a",))
    journey.prepared("b!undo.1")
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.AGENT)
    journey.succeeded("b!undo.1")
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="unknown_vendor", unit="doomed"),)
    assert (journey.state.undone, journey.state.left) == (("a", "b"), ())
    assert (journey.phase("b"), journey.phase("read"), journey.phase("doomed")) == ("undone", "done", "failed")
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(
    "word", [{"unknown_vendor": OnFailure.COMPENSATE}, {"permanent": OnFailure.COMPENSATE}, COMPENSATE]
)
def test_code_class_and_else_may_say_compensate(word: dict[str, OnFailure]) -> None:
    plan = plan_of(undoable("a"), step("b", on_failure={"else": OnFailure.ESCALATE} | word))
    journey = Journey(plan).done("a.1").fails("b.1", refused("b.1"))
    assert prepared_units(journey) == ["a!undo"]


def test_a_word_of_another_failure_does_not_undo() -> None:
    plan = plan_of(undoable("a"), step("b", on_failure={"else": OnFailure.FAIL, "busy": OnFailure.COMPENSATE}))
    journey = Journey(plan).done("a.1").fails("b.1", refused("b.1"))
    assert (journey.state.status, journey.state.undone, journey.state.left) == (Status.FAILED, (), ("a",))


def test_the_failed_item_of_a_map_undoes_the_items_before_it() -> None:
    plan = plan_of(mapped("lines", parallel=1, effect=Effect.WRITE, undo=undo(), on_failure=COMPENSATE))
    journey = Journey(plan).opened("lines", 3).done("lines[0].1").done("lines[1].1")
    journey.fails("lines[2].1", refused("lines[2].1"))
    assert (prepared_units(journey), journey.phase("lines")) == (["lines[1]!undo"], "failed")
    journey.done("lines[1]!undo.1").done("lines[0]!undo.1")
    assert (journey.state.undone, journey.state.left) == (("lines[1]", "lines[0]"), ())
    assert (journey.phase("lines"), journey.phase("lines[0]")) == ("failed", "undone")
    assert journey.broken_rules() == ()


def test_a_mapped_step_is_undone_once_all_its_items_are() -> None:
    plan = plan_of(mapped("lines", effect=Effect.WRITE, undo=undo()), undoable("a"), doomed())
    journey = Journey(plan).opened("lines", 2).done("lines[1].1").done("a.1").done("lines[0].1")
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list"))).fails("doomed.1", refused("doomed.1"))
    assert (journey.state.to_undo, journey.phase("lines")) == (("lines[0]", "a", "lines[1]"), "undoing")
    journey.done("lines[0]!undo.1").done("a!undo.1")
    assert journey.phase("lines") == "undoing"
    journey.done("lines[1]!undo.1")
    assert (journey.phase("lines"), journey.state.status) == ("undone", Status.FAILED)
    assert journey.broken_rules() == ()


def test_a_mapped_step_with_an_item_that_stays_is_done() -> None:
    plan = plan_of(mapped("lines", effect=Effect.WRITE, undo=undo()), doomed())
    journey = Journey(plan).opened("lines", 2).done("lines[0].1").done("lines[1].1")
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list"))).fails("doomed.1", refused("doomed.1"))
    journey.done("lines[1]!undo.1").fails("lines[0]!undo.1", refused("lines[0]!undo.1")).decide(Decision.SKIP)
    assert (journey.phase("lines"), journey.phase("lines[0]"), journey.phase("lines[1]")) == ("done", "done", "undone")
    assert (journey.state.undone, journey.state.left) == (("lines[1]",), ("lines[0]",))
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(("word", "undone"), [("compensate", ["a!undo"]), ("leave", [])])
def test_a_cancel_undoes_where_the_type_says_so(word: str, undone: list[str]) -> None:
    journey = Journey(plan_of(undoable("a"), step("b"), on_cancel=word)).done("a.1").cancel()
    assert prepared_units(journey) == undone
    if undone:
        assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.CANCEL)
        journey.done("a!undo.1")
    assert (journey.state.status, journey.state.undone) == (Status.CANCELLED, ("a",) if undone else ())


@pytest.mark.parametrize(("word", "undone"), [("compensate", ["a!undo"]), ("leave", [])])
def test_an_abort_undoes_where_the_type_says_so(word: str, undone: list[str]) -> None:
    plan = plan_of(undoable("a"), step("b"), on_abort=word)
    journey = Journey(plan).done("a.1").fails("b.1", refused("b.1")).decide(Decision.ABORT)
    assert prepared_units(journey) == undone


def test_a_rejection_undoes_where_the_plan_says_so() -> None:
    plan = plan_of(undoable("a"), writing("b", on_failure=COMPENSATE))
    journey = Journey(plan).done("a.1").prepared("b.1", gate=GATE).decide(Decision.REJECT)
    assert (prepared_units(journey), journey.phase("b")) == (["a!undo"], "failed")


@pytest.mark.parametrize(("word", "undone"), [(OnFailure.COMPENSATE, ["a!undo"]), (OnFailure.ESCALATE, [])])
def test_an_output_that_cannot_be_built_undoes_where_the_type_says_so(word: OnFailure, undone: list[str]) -> None:
    journey = Journey(plan_of(undoable("a"), on_failure=word)).done("a.1")
    journey.tell(e.StageFailed(at=0, stage=Stage.OUTPUT, code="output_mismatch", blame=Blame.PLANNER))
    assert prepared_units(journey) == undone


def test_what_still_calls_is_waited_for_and_undone_if_it_was_done_after_all() -> None:
    journey = Journey(plan_of(undoable("a"), undoable("b"), doomed())).done("a.1").prepared("b.1")
    journey.fails("doomed.1", refused("doomed.1"))
    assert journey.last == (c.CancelCall(process=PROCESS, call="b.1"),)
    journey.succeeded("b.1")
    assert (prepared_units(journey), journey.state.to_undo) == (["b!undo"], ("b", "a"))


def test_taking_back_above_the_cap_breaks_no_rule() -> None:
    journey = Journey(plan_of(undoable("a"), doomed()), budget=Budget(usd_micros=7))
    journey.prepared("a.1", reserve_usd_micros=6).succeeded("a.1", usd_micros=6).fails("doomed.1", refused("doomed.1"))
    journey.prepared("a!undo.1", reserve_usd_micros=3).succeeded("a!undo.1", usd_micros=3)
    assert (journey.state.undone, journey.state.usd_micros) == (("a",), 9)
    assert journey.broken_rules() == ()


def test_nothing_to_undo_ends_at_once() -> None:
    journey = after(step("read"), done=("read",))
    assert (journey.state.status, journey.state.undone, journey.state.left) == (Status.FAILED, (), ())


def test_a_cancel_while_undoing_changes_nothing() -> None:
    journey = after(undoable("a"), done=("a",)).cancel()
    assert (journey.last, journey.state.cancelling) == ((), False)
    assert journey.done("a!undo.1").state.status == Status.FAILED


# --- how ---------------------------------------------------------------------------------------------------------


def test_an_undo_is_prepared_with_the_call_that_it_takes_back_and_called_by_its_own_contract() -> None:
    own = undo(idempotency=Idempotency.NATURAL, attempt_ms=7000, effect=Effect.IRREVERSIBLE)
    journey = after(undoable("a", undo=own), done=("a",))
    (order,) = journey.ordered(c.PrepareCall)
    assert (order.call, order.unit, order.step, order.item) == ("a!undo.1", "a!undo", "a", None)
    assert order.key == f"{PROCESS}/a!undo/g1"
    assert order.undoes == c.UndoneCall(unit="a", input=ref("a-in"), output=ref("a.1-out"))
    (call,) = journey.prepared("a!undo.1", agent=ALPHA).ordered(c.InvokeAgent)
    assert (call.contract, call.key, call.timeout_ms) == (UNDO, f"{PROCESS}/a!undo/g1", 7000)
    assert (call.effect, call.idempotency) == (Effect.IRREVERSIBLE, Idempotency.NATURAL)
    assert journey.unit("a").input == ref("a-in")


def test_an_undo_is_tried_again_as_its_own_contract_says() -> None:
    journey = after(undoable("a", retry=replace(TRANSIENT, max_attempts=1)), done=("a",))
    journey.fails("a!undo.1", failed("a!undo.1", outcome=Outcome.UNKNOWN)).timer("a!undo.1/retry")
    (order,) = journey.ordered(c.PrepareCall)
    assert (order.call, order.key) == ("a!undo.2", f"{PROCESS}/a!undo/g1")  # an unknown outcome keeps the key
    assert journey.state.why == Why.ENGINE
    journey.fails("a!undo.2", failed("a!undo.2"))
    assert (journey.phase("a!undo"), journey.phase("a")) == ("escalated", "undoing")


def test_the_total_time_of_an_undo_is_that_of_its_own_contract() -> None:
    journey = after(undoable("a", undo=undo(total_ms=40_000)), done=("a",)).prepared("a!undo.1")
    journey.passes(20_000)
    assert journey.tell(failed("a!undo.1")).phase("a!undo") == "escalated"


def test_an_undo_falls_back_to_the_next_agent_that_serves_it() -> None:
    own = undo(agents=(ALPHA, BETA), retry=replace(TRANSIENT, max_attempts=1))
    journey = after(undoable("a", undo=own), done=("a",)).fails("a!undo.1", failed("a!undo.1"))
    (order,) = journey.ordered(c.PrepareCall)
    assert (order.call, order.tried) == ("a!undo.2", ("alpha",))


def test_a_lost_unsafe_undo_is_asked_about_and_not_repeated() -> None:
    own = undo(idempotency=Idempotency.UNSAFE)
    journey = after(undoable("a", undo=own), done=("a",)).prepared("a!undo.1").tell(e.CallLost(at=0, call="a!undo.1"))
    question = journey.question()
    assert (question.kind, question.unit, question.step) == (EscalationKind.UNDO_FAILED, "a!undo", "a")
    assert question.decisions == (Decision.RETRY, Decision.SKIP, Decision.ABORT)
    assert question.contract_sha256 == UNDO.sha256
    assert journey.state.status == Status.WAITING_HUMAN


def test_an_undo_that_must_be_approved_waits_for_it() -> None:
    journey = after(undoable("a"), done=("a",)).prepared("a!undo.1", gate=GATE)
    assert (journey.phase("a!undo"), journey.state.status) == ("asking", Status.WAITING_HUMAN)
    assert journey.question().kind is EscalationKind.APPROVAL
    (call,) = journey.decide(Decision.APPROVE).ordered(c.InvokeAgent)
    assert call.call == "a!undo.1"
    journey.succeeded("a!undo.1")
    assert (journey.state.undone, journey.broken_rules()) == (("a",), ())


def test_the_approval_of_a_map_does_not_cover_its_undoing() -> None:
    plan = plan_of(mapped("lines", effect=Effect.WRITE, undo=undo()), doomed())
    journey = Journey(plan).opened("lines", 1, gate=GATE).decide(Decision.APPROVE).done("lines[0].1")
    journey.fails("doomed.1", refused("doomed.1")).prepared("lines[0]!undo.1", gate=GATE)
    assert (journey.phase("lines[0]!undo"), journey.question(2).kind) == ("asking", EscalationKind.APPROVAL)


def test_an_undo_that_is_rejected_is_asked_about_and_not_called() -> None:
    journey = after(undoable("a"), done=("a",)).prepared("a!undo.1", gate=GATE).decide(Decision.REJECT)
    assert (journey.question(2).kind, journey.unit("a!undo").failure.code) == (  # type: ignore[union-attr]
        EscalationKind.UNDO_FAILED,
        "rejected",
    )
    assert journey.ordered(c.InvokeAgent) == []


def test_a_human_who_undoes_answers_like_an_agent() -> None:
    own = undo(human=True, role="clerk", answer_level=Assurance.A1)
    journey = after(undoable("a", undo=own), done=("a",)).prepared("a!undo.1")
    question = journey.question()
    assert (question.kind, question.role, question.answer_level) == (EscalationKind.TASK, "clerk", Assurance.A1)
    journey.decide(Decision.ANSWER, checked=UNDO.sha256)
    assert (journey.state.status, journey.state.undone) == (Status.FAILED, ("a",))


def test_a_human_who_refuses_to_undo_is_asked_what_to_do() -> None:
    own = undo(human=True)
    journey = after(undoable("a", undo=own), done=("a",)).prepared("a!undo.1").decide(Decision.REJECT)
    assert journey.question(2).kind is EscalationKind.UNDO_FAILED


@pytest.mark.parametrize("limit", [1, 2])
def test_the_limit_of_calls_never_blocks_an_undo(limit: int) -> None:
    plan = plan_of(undoable("a"), step("doomed", needs=("a",), on_failure=COMPENSATE))
    journey = Journey(plan, limits=Limits(calls=limit)).done("a.1").prepared("doomed.1")
    if limit > 1:
        journey.tell(refused("doomed.1"))
    assert journey.state.failing is not None
    journey.done("a!undo.1")
    assert (journey.state.calls, journey.state.undone) == (limit + 1, ("a",))
    assert journey.broken_rules() == ()


def test_no_default_and_no_condition_can_skip_an_undo() -> None:
    journey = after(undoable("a", has_default=True), done=("a",))
    journey.tell(e.StepSkipped(at=0, unit="a!undo", reason="condition"))
    assert (journey.last, journey.phase("a!undo")) == ((), "preparing")


def test_the_level_of_a_decision_about_an_undo_is_the_highest_of_step_and_undo() -> None:
    own = undo(decision_level=Assurance.A3)
    journey = after(undoable("a", undo=own, decision_level=Assurance.A2), done=("a",))
    journey.fails("a!undo.1", refused("a!undo.1"))
    assert journey.question().min_assurance is Assurance.A3


# --- what cannot be undone ---------------------------------------------------------------------------------------


def failed_undo(**fields: Any) -> Journey:
    """An undo that was refused for good, with an older effect behind it."""
    journey = after(undoable("a"), undoable("b"), done=("a", "b"), **fields)
    return journey.fails("b!undo.1", refused("b!undo.1"))


def test_an_undo_that_failed_for_good_waits_for_a_human() -> None:
    journey = failed_undo()
    assert (journey.phase("b!undo"), journey.phase("b"), journey.phase("a")) == ("escalated", "undoing", "done")
    assert (journey.state.status, journey.state.why) == (Status.WAITING_HUMAN, Why.HUMAN)
    assert journey.question().decisions == (Decision.RETRY, Decision.SKIP, Decision.ABORT)


def test_a_retry_calls_the_undo_again() -> None:
    journey = failed_undo().decide(Decision.RETRY)
    (order,) = journey.ordered(c.PrepareCall)
    assert (order.call, order.key) == ("b!undo.2", f"{PROCESS}/b!undo/g2")
    journey.done("b!undo.2").done("a!undo.1")
    assert (journey.state.undone, journey.state.left) == (("b", "a"), ())
    assert journey.broken_rules() == ()


def test_a_skip_leaves_the_effect_and_goes_on_with_the_older_ones() -> None:
    journey = failed_undo().decide(Decision.SKIP)
    assert (prepared_units(journey), journey.phase("b"), journey.phase("b!undo")) == (["a!undo"], "done", "skipped")
    journey.done("a!undo.1")
    assert (journey.state.undone, journey.state.left) == (("a",), ("b",))
    assert journey.broken_rules() == ()


def test_an_abort_leaves_the_effect_and_all_older_ones() -> None:
    journey = failed_undo().decide(Decision.ABORT)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="unknown_vendor", unit="doomed"),)
    assert (journey.state.undone, journey.state.left) == ((), ("a", "b"))
    assert (journey.phase("a"), journey.phase("b")) == ("done", "done")
    assert journey.broken_rules() == ()


def test_an_effect_that_nothing_undoes_is_asked_about_in_its_turn() -> None:
    journey = after(undoable("a"), writing("final"), undoable("c"), done=("a", "final", "c")).done("c!undo.1")
    question = journey.question()
    assert (question.kind, question.unit, question.call) == (EscalationKind.UNDO_FAILED, "final!undo", None)
    assert question.decisions == (Decision.SKIP, Decision.ABORT)
    assert journey.ordered(c.OpenEscalation)[0].code == "no_undo"
    assert journey.phase("final") == "done"
    journey.decide(Decision.SKIP).done("a!undo.1")
    assert (journey.state.undone, journey.state.left) == (("c", "a"), ("final",))
    assert journey.broken_rules() == ()


def test_an_effect_that_perhaps_happened_is_asked_about_and_named() -> None:
    plan = plan_of(undoable("a", idempotency=Idempotency.UNSAFE, needs=()), doomed())
    journey = Journey(plan).prepared("a.1").fails("doomed.1", refused("doomed.1"))
    journey.tell(e.CallLost(at=0, call="a.1"))
    (order,) = journey.ordered(c.OpenEscalation)
    assert (order.kind, order.code, order.contract) == (EscalationKind.UNDO_FAILED, "lost", UNDO)
    assert order.undoes == c.UndoneCall(unit="a", input=ref("a-in"), output=None)
    assert journey.question().decisions == (Decision.SKIP, Decision.ABORT)
    journey.decide(Decision.SKIP)
    assert (journey.state.status, journey.state.left, journey.phase("a")) == (Status.FAILED, ("a",), "failed")
    assert journey.broken_rules() == ()


def test_an_effect_whose_input_nobody_knows_is_asked_about() -> None:
    plan = plan_of(undoable("a"), step("doomed", on_failure=COMPENSATE, needs=("a",)))
    journey = Journey(plan).tell(refused("a.1", "missing_binding", blame=Blame.PLANNER))
    journey.decide(Decision.USE_OUTPUT, checked=CONTRACT.sha256).fails("doomed.1", refused("doomed.1"))
    assert journey.question(2).kind is EscalationKind.UNDO_FAILED
    assert journey.decide(Decision.SKIP, 2).state.left == ("a",)


def test_a_question_left_open_is_no_effect_and_a_harmless_unknown_outcome_neither() -> None:
    journey = Journey(plan_of(step("read"), doomed())).fails("read.1", broken("read.1"))
    journey.fails("doomed.1", refused("doomed.1"))
    assert (journey.state.status, journey.state.left) == (Status.FAILED, ())


# --- what survives a crash ---------------------------------------------------------------------------------------


def test_an_undo_that_was_called_before_a_crash_is_called_again_after_it() -> None:
    journey = after(undoable("a"), done=("a",)).prepared("a!undo.1").tell(e.EngineResumed(at=0, engine=2))
    (again,) = outstanding(journey.state)
    assert isinstance(again, c.InvokeAgent)
    assert (again.call, again.key) == ("a!undo.1", f"{PROCESS}/a!undo/g1")


def test_the_kind_of_an_undo_is_that_of_a_call() -> None:
    assert [undoing(one).kind for one in (undoable("a"), undoable("a", undo=undo(human=True)), writing("a"))] == [
        StepKind.CALL,
        StepKind.HUMAN,
        StepKind.CALL,
    ]
    assert undoing(writing("a")).contract is None
    assert msgspec.json.decode(msgspec.json.encode(undo()), type=type(undo())) == undo()


@pytest.mark.parametrize("asked", ["lines[2]!undo.1", "lines[1]!undo.1"])
def test_an_undoing_that_a_human_ends_in_the_middle_of_a_list_leaves_the_list_done(asked: str) -> None:
    plan = plan_of(mapped("lines", effect=Effect.WRITE, undo=undo()), doomed())
    journey = Journey(plan).opened("lines", 3).done("lines[0].1").done("lines[1].1").done("lines[2].1")
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list"))).fails("doomed.1", refused("doomed.1"))
    if asked != "lines[2]!undo.1":
        journey.done("lines[2]!undo.1")
    journey.fails(asked, refused(asked)).decide(Decision.ABORT)
    assert (journey.state.status, journey.phase("lines"), journey.phase("lines[0]")) == (Status.FAILED, "done", "done")
    assert journey.broken_rules() == ()


def test_an_undoing_that_a_human_ends_at_a_later_step_leaves_an_older_list_as_it_is() -> None:
    plan = plan_of(mapped("lines", effect=Effect.WRITE, undo=undo()), undoable("a", needs=("lines",)), doomed())
    journey = Journey(plan).opened("lines", 1).done("lines[0].1")
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list"))).done("a.1")
    journey.fails("doomed.1", refused("doomed.1")).fails("a!undo.1", refused("a!undo.1")).decide(Decision.ABORT)
    assert (journey.phase("lines"), set(journey.state.left)) == ("done", {"lines[0]", "a"})
    assert journey.broken_rules() == ()
