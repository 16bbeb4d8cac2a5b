"""Questions to humans: what each offers, what each answer does, how many are open at once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    CONTRACT,
    GATE,
    PROCESS,
    TRANSIENT,
    Journey,
    broken,
    failed,
    mapped,
    plan_of,
    ref,
    refused,
    step,
    writing,
)
from process_orchestrator.core.escalate import DECISIONS
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Gate, StepFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Blame,
    Decision,
    EscalationKind,
    FailureClass,
    Idempotency,
    OnFailure,
    Outcome,
    Phase,
    Status,
    Usage,
    Why,
)
from process_orchestrator.core.limits import Limits

KINDS = {
    "approval": "approve reject abort",
    "failed": "retry retry_with_input use_output use_agent skip abort",
    "outcome_unknown": "use_output retry skip abort",
    "task": "answer reject abort",
    "plan": "approve reject abort",
    "intake": "choose_type abort",
    "budget": "raise_budget abort",
    "loop": "retry abort",
    "drift": "retry abort",
    "undo_failed": "retry skip abort",
}


@pytest.mark.parametrize("kind", list(EscalationKind))
def test_each_kind_has_its_decisions(kind: EscalationKind) -> None:
    assert " ".join(DECISIONS[kind]) == KINDS[kind.value]


def offers(journey: Journey, number: int = 1) -> str:
    return " ".join(journey.question(number).decisions)


# --- what is offered ---------------------------------------------------------------------------------------------

TWO = (ALPHA, BETA)
UNSAFE: dict[str, Any] = {"idempotency": Idempotency.UNSAFE}


@pytest.mark.parametrize(
    ("facts", "needed", "event", "expected"),
    [
        (step("a"), False, refused("a.1"), "retry retry_with_input use_output skip abort"),
        (step("a"), True, refused("a.1"), "retry retry_with_input use_output abort"),
        (step("a", has_default=True), True, refused("a.1"), "retry retry_with_input use_output skip abort"),
        (step("a", agents=TWO), True, refused("a.1"), "retry retry_with_input use_output use_agent abort"),
        (writing("a", agents=TWO), True, refused("a.1"), "retry retry_with_input use_output use_agent abort"),
        # while it is unknown what was done: no new arguments, no agent that does not know the key
        (writing("a", agents=TWO), True, broken("a.1"), "retry use_output abort"),
        (writing("a", agents=TWO, idempotency=Idempotency.NATURAL, retry=replace(TRANSIENT, on=())), True,
         refused("a.1", outcome=Outcome.UNKNOWN), "retry use_output use_agent abort"),
        (step("a", agents=TWO), True, refused("a.1", outcome=Outcome.UNKNOWN), "retry use_output use_agent abort"),
        (writing("a", agents=TWO, **UNSAFE), True, broken("a.1"), "use_output retry abort"),
        (writing("a", agents=TWO, **UNSAFE), False, broken("a.1"), "use_output retry skip abort"),
    ],
)  # fmt: skip
def test_only_what_is_allowed_now_is_offered(
    facts: StepFacts, event: e.CallFailed, expected: str, *, needed: bool
) -> None:
    later = (step("b", needs=("a",)),) if needed else ()
    assert offers(Journey(plan_of(facts, *later)).fails("a.1", event)) == expected


def test_data_is_only_asked_for_where_there_is_a_contract_to_check_it_against() -> None:
    journey = Journey(plan_of(step("a", human=True, contract=None))).tell(refused("a.1", "missing_binding"))
    assert offers(journey) == "retry skip abort"


def test_before_an_agent_was_chosen_one_of_several_may_be_named() -> None:
    journey = Journey(plan_of(step("a", agents=TWO))).tell(refused("a.1", "missing_binding"))
    assert offers(journey) == "retry retry_with_input use_output use_agent skip abort"


@pytest.mark.parametrize(
    ("item_failure", "needed", "expected"),
    [
        (None, True, "retry retry_with_input use_output abort"),
        (None, False, "retry retry_with_input use_output skip abort"),
    ],
)
def test_an_item_is_skipped_by_hand_only_where_nobody_reads_the_list(
    item_failure: OnFailure | None, expected: str, *, needed: bool
) -> None:
    later = (step("b", needs=("lines",)),) if needed else ()
    journey = Journey(plan_of(mapped("lines", item_failure=item_failure, has_default=True), *later)).opened("lines", 1)
    assert offers(journey.fails("lines[0].1", refused("lines[0].1"))) == expected


def test_an_item_whose_hole_was_foreseen_may_be_skipped_by_hand() -> None:
    journey = Journey(plan_of(mapped("lines", item_failure=OnFailure.SKIP), step("b", needs=("lines",))))
    journey.opened("lines", 1).fails("lines[0].1", refused("lines[0].1", "limit", class_=FailureClass.NEEDS_HUMAN))
    assert offers(journey) == "retry retry_with_input use_output skip abort"


def test_no_further_call_is_offered_once_all_calls_are_made() -> None:
    journey = Journey(plan_of(step("a"), step("b")), limits=Limits(calls=1)).fails("a.1", refused("a.1"))
    assert offers(journey) == "use_output skip abort"
    journey.prepared("b.1")
    failure = journey.unit("b").failure
    assert failure is not None
    assert (failure.code, failure.blame, journey.state.calls) == ("over_budget", Blame.POLICY, 1)
    assert journey.broken_rules() == ()


# --- what is asked -----------------------------------------------------------------------------------------------


def test_a_question_carries_all_that_its_evidence_is_computed_from() -> None:
    plan = plan_of(step("a"), step("b", needs=("a",), decision_level=Assurance.A2, role="clerk"), deadline_ms=5000)
    journey = Journey(plan).done("a.1").fails("b.1", refused("b.1", detail=ref("evidence")))
    [command] = journey.ordered(c.OpenEscalation)
    assert command == c.OpenEscalation(
        process=PROCESS,
        escalation=f"{PROCESS}.e1",
        kind=EscalationKind.FAILED,
        unit="b",
        step="b",
        call="b.1",
        digest="b-digest",
        contract=CONTRACT,
        input=ref("b-in"),
        detail=ref("evidence"),
        code="unknown_vendor",
        blame=Blame.AGENT,
        decisions=journey.question().decisions,
        min_assurance=Assurance.A2,
        role="clerk",
        deadline_at=6000,
        context=command.context,
    )
    assert command.context is not None
    assert command.context.sources == {"a": c.Source(status=Phase.DONE, output=ref("a.1-out"))}
    assert (journey.question().opened_at, journey.question().contract_sha256) == (1000, CONTRACT.sha256)
    assert journey.state.why == Why.HUMAN
    assert journey.unit("b").why == Why.HUMAN


def test_a_process_without_a_deadline_asks_without_one() -> None:
    journey = Journey(plan_of(step("a"), deadline_ms=None)).fails("a.1", refused("a.1"))
    assert journey.question().deadline_at is None


def test_the_package_is_noted_once_and_is_no_change_of_the_question() -> None:
    journey = Journey(plan_of(step("a")), models={"brief": None}).fails("a.1", refused("a.1"))
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package"), schema_sha256="s"))
    assert (journey.question().package, journey.question().schema_sha256) == (ref("package"), "s")
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("another")))
    assert (journey.question().package, journey.question().version) == (ref("package"), 1)
    journey.tell(
        e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", brief=ref("brief"), usage=Usage(usd_micros=9, tokens=1))
    )
    assert (journey.question().brief, journey.question().version, journey.state.usd_micros) == (ref("brief"), 1, 9)
    journey.decide(Decision.RETRY).tell(e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", brief=ref("late")))
    assert (journey.question().brief, journey.question().version) == (ref("brief"), 2)
    late = e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("late"))
    assert journey.tell(late).question().package == ref("package")


# --- approvals ---------------------------------------------------------------------------------------------------


def test_an_approved_call_is_made_under_the_key_it_was_prepared_with() -> None:
    journey = Journey(plan_of(writing("a"))).prepared("a.1", gate=GATE)
    assert (journey.phase("a"), journey.state.status) == ("asking", Status.WAITING_HUMAN)
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.kind, ask.role, ask.min_assurance, ask.digest) == ("approval", "approver", Assurance.A1, "a-digest")
    journey.decide(Decision.APPROVE)
    [invoke] = journey.ordered(c.InvokeAgent)
    assert (invoke.call, invoke.key) == ("a.1", f"{PROCESS}/a/g1")
    assert journey.unit("a").approved_digest == "a-digest"


def test_an_approval_holds_for_the_same_arguments_and_for_no_others() -> None:
    journey = Journey(plan_of(writing("a"))).prepared("a.1", gate=GATE).decide(Decision.APPROVE)
    journey.tell(failed("a.1")).timer("a.1/retry").prepared("a.2", gate=GATE)
    assert journey.phase("a") == "calling"
    journey.tell(failed("a.2")).timer("a.2/retry").prepared("a.3", gate=GATE, digest="other-arguments")
    assert journey.phase("a") == "asking"


def test_new_arguments_from_a_human_void_the_approval() -> None:
    journey = Journey(plan_of(writing("a"))).prepared("a.1", gate=GATE).decide(Decision.APPROVE)
    journey.tell(refused("a.1")).decide(Decision.RETRY_WITH_INPUT, 2)
    assert journey.unit("a").approved_digest is None
    assert journey.prepared("a.2", gate=GATE).phase("a") == "asking"


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        ({}, "failed"),  # escalate reads as fail: nobody is asked twice
        ({"on_failure": {"else": OnFailure.FAIL}}, "failed"),
        ({"on_failure": {"rejected": OnFailure.SKIP, "else": OnFailure.FAIL}}, "skipped"),
        ({"on_failure": {"permanent": OnFailure.SKIP, "else": OnFailure.FAIL}}, "skipped"),
        ({"on_failure": {"rejected": OnFailure.SKIP}, "has_default": True}, "preparing"),
        ({"agents": TWO, "retry": replace(TRANSIENT, on=("rejected", "permanent"))}, "failed"),
    ],
)
def test_a_rejected_call_is_neither_tried_again_nor_given_to_another(fields: dict[str, Any], phase: str) -> None:
    journey = Journey(plan_of(step("a", **fields))).prepared("a.1", gate=GATE).decide(Decision.REJECT)
    failure = journey.unit("a").failure
    assert failure is not None
    assert (journey.phase("a"), failure.code, failure.blame) == (phase, "rejected", Blame.POLICY)


def test_a_map_is_approved_once_for_all_items_and_leaves_out_those_named() -> None:
    journey = Journey(plan_of(mapped("lines")))
    journey.opened("lines", 4, gate=GATE)
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.unit, ask.digest, ask.input, ask.call) == ("lines", "map-digest", ref("lines-items"), None)
    journey.decide(Decision.APPROVE, reject_items=(3, 1, 1))
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["lines[0].1", "lines[2].1"]
    journey.prepared("lines[0].1", gate=GATE).prepared("lines[2].1", gate=GATE)
    assert (journey.phase("lines[0]"), journey.phase("lines[2]")) == ("calling", "calling")
    journey.succeeded("lines[0].1").succeeded("lines[2].1")
    rejected = journey.unit("lines[1]").failure
    assert rejected is not None
    assert (rejected.code, rejected.unit, journey.phase("lines[3]")) == ("rejected", "lines[1]", "skipped")
    outputs = (ref("lines[0].1-out"), None, ref("lines[2].1-out"), None)
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=outputs),)


def test_a_map_of_which_every_item_is_rejected_is_collected_empty() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 2, gate=GATE)
    journey.decide(Decision.APPROVE, reject_items=(0, 1))
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=(None, None)),)


def test_a_rejected_map_is_settled_like_a_rejected_call() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 2, gate=GATE).decide(Decision.REJECT)
    assert (journey.phase("lines"), journey.state.status) == ("failed", Status.FAILED)


def test_arguments_that_a_human_puts_in_place_of_an_items_are_asked_about_again() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 1, gate=GATE).decide(Decision.APPROVE)
    journey.prepared("lines[0].1", gate=GATE).tell(refused("lines[0].1")).decide(Decision.RETRY_WITH_INPUT, 2)
    assert journey.prepared("lines[0].2", gate=GATE).phase("lines[0]") == "asking"


def test_an_item_asks_for_itself_where_its_map_did_not() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 2).prepared("lines[0].1", gate=GATE)
    assert (journey.phase("lines[0]"), journey.unit("lines").items_asking) == ("asking", 1)
    journey.decide(Decision.APPROVE)
    assert (journey.phase("lines[0]"), journey.unit("lines").items_asking) == ("calling", 0)


def test_a_step_approved_for_a_human_then_asks_that_human() -> None:
    journey = Journey(plan_of(step("a", human=True, role="clerk"))).prepared(
        "a.1", gate=Gate(role="boss", min_assurance=Assurance.A0)
    )
    assert journey.question(1).role == "boss"
    journey.passes(100)
    journey.decide(Decision.APPROVE)
    assert (journey.question(2).kind, journey.question(2).role) == (EscalationKind.TASK, "clerk")
    journey.passes(100)
    journey.decide(Decision.ANSWER, 2)
    assert (journey.phase("a"), journey.unit("a").waited_ms) == ("done", 200)


def test_the_mode_of_approval_travels_to_where_gates_are_computed() -> None:
    journey = Journey(plan_of(step("a"), mapped("lines")), approval=ApprovalMode.EVERY_STEP)
    assert [order.approval for order in journey.last if isinstance(order, c.PrepareCall | c.OpenMap)] == [
        ApprovalMode.EVERY_STEP
    ] * 2


# --- what each decision does -------------------------------------------------------------------------------------


def test_retry_starts_afresh_with_the_same_order_of_agents() -> None:
    one = replace(TRANSIENT, max_attempts=1)
    journey = Journey(plan_of(step("a", agents=TWO, retry=one)))
    journey.fails("a.1", failed("a.1")).fails("a.2", failed("a.2"), agent=BETA).decide(Decision.RETRY)
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.tried, prepare.only_agent, journey.unit("a").attempts) == ((), None, 1)
    journey.fails("a.3", failed("a.3"))
    assert journey.ordered(c.PrepareCall)[0].tried == ("alpha",)
    assert journey.broken_rules() == ()


def test_retry_with_input_puts_the_whole_input_in_place_of_the_bindings() -> None:
    journey = Journey(plan_of(step("a"))).fails("a.1", refused("a.1")).decide(Decision.RETRY_WITH_INPUT)
    assert journey.ordered(c.PrepareCall)[0].override == ref("human-data")
    journey.fails("a.2", refused("a.2")).decide(Decision.RETRY, 2)
    assert journey.ordered(c.PrepareCall)[0].override == ref("human-data")


def test_use_output_closes_the_unit_and_names_its_author() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)))).fails("a.1", refused("a.1"))
    journey.decide(Decision.USE_OUTPUT, by="ben", assurance=Assurance.A2)
    unit = journey.unit("a")
    assert (unit.phase, unit.output, unit.author, unit.author_assurance, unit.failure) == (
        Phase.DONE,
        ref("human-data"),
        "ben",
        Assurance.A2,
        None,
    )
    assert journey.ordered(c.PrepareCall)[0].context.sources["a"].output == ref("human-data")
    assert journey.broken_rules() == ()


def test_use_output_settles_an_unknown_outcome() -> None:
    journey = Journey(plan_of(writing("a", idempotency=Idempotency.UNSAFE))).fails("a.1", broken("a.1"))
    assert journey.question().kind == EscalationKind.OUTCOME_UNKNOWN
    journey.decide(Decision.USE_OUTPUT)
    assert (journey.phase("a"), journey.unit("a").outcome_unknown) == ("done", False)


def test_use_agent_asks_that_agent_alone() -> None:
    journey = Journey(plan_of(step("a", agents=TWO))).fails("a.1", refused("a.1"))
    journey.decide(Decision.USE_AGENT, agent="beta")
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.only_agent, prepare.tried) == ("beta", ())
    journey.fails("a.2", refused("a.2"), agent=BETA)
    assert offers(journey, 2) == "retry retry_with_input use_output use_agent skip abort"
    journey.decide(Decision.RETRY, 2)
    assert journey.ordered(c.PrepareCall)[0].only_agent is None


def test_a_read_that_was_lost_may_be_given_to_another_agent_by_hand() -> None:
    plan = plan_of(step("a", agents=TWO, retry=replace(TRANSIENT, on=())))
    journey = (
        Journey(plan).fails("a.1", refused("a.1", outcome=Outcome.UNKNOWN)).decide(Decision.USE_AGENT, agent="beta")
    )
    assert journey.ordered(c.PrepareCall)[0].only_agent == "beta"


def test_skip_by_hand_evaluates_the_default_first() -> None:
    plan = plan_of(step("a", has_default=True), step("b", needs=("a",)))
    journey = Journey(plan).fails("a.1", refused("a.1")).decide(Decision.SKIP)
    assert journey.ordered(c.PrepareCall)[0].default_only is True
    plain = Journey(plan_of(step("a"))).fails("a.1", refused("a.1")).decide(Decision.SKIP)
    assert plain.phase("a") == "skipped"


def test_a_task_is_answered_as_its_call_and_may_be_rejected() -> None:
    plan = plan_of(step("a", human=True, role="clerk", answer_level=Assurance.A1), step("b", needs=("a",)))
    journey = Journey(plan).prepared("a.1")
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.kind, ask.call, ask.input, ask.role, ask.min_assurance) == (
        EscalationKind.TASK,
        "a.1",
        ref("a-in"),
        "clerk",
        Assurance.A1,
    )
    assert journey.state.calls == 0
    journey.decide(Decision.ANSWER)
    assert (journey.phase("a"), journey.phase("b")) == ("done", "preparing")
    rejected = Journey(plan).prepared("a.1").decide(Decision.REJECT)
    assert (rejected.phase("a"), rejected.state.status) == ("failed", Status.FAILED)


def test_the_time_of_humans_counts_in_no_total() -> None:
    facts = step("a", attempt_ms=1000, total_ms=5000)
    journey = Journey(plan_of(facts)).fails("a.1", refused("a.1"))
    journey.passes(3_600_000)
    journey.decide(Decision.RETRY)
    assert (journey.unit("a").waited_ms, journey.unit("a").waiting_since) == (3_600_000, None)
    journey.fails("a.2", failed("a.2"))
    assert journey.phase("a") == "backoff"


# --- how many at once --------------------------------------------------------------------------------------------


def test_only_so_many_questions_are_open_and_the_next_is_let_in_when_one_closes() -> None:
    plan = plan_of(*(step(name) for name in "abc"), step("d", human=True))
    journey = Journey(plan, limits=Limits(open_escalations=2))
    for name in "abc":
        journey.fails(f"{name}.1", refused(f"{name}.1"))
    journey.prepared("d.1")
    assert (journey.state.escalations_open, journey.state.escalations_waiting) == (2, ("c", "d"))
    assert (journey.phase("c"), journey.unit("c").escalation) == ("escalated", None)
    # the one that closes asks again at once, and goes to the end of the line
    journey.decide(Decision.RETRY, 2)
    assert [(order.unit, order.kind) for order in journey.ordered(c.OpenEscalation)] == [("c", "failed")]
    journey.fails("b.2", refused("b.2"))
    assert journey.state.escalations_waiting == ("d", "b")
    journey.decide(Decision.USE_OUTPUT, 1)
    assert [(order.unit, order.kind) for order in journey.ordered(c.OpenEscalation)] == [("d", "task")]
    assert journey.state.escalations_open == 2
    assert journey.cancel().state.escalations_waiting == ()


def test_a_unit_that_fails_while_others_wait_in_line_does_not_jump_the_queue() -> None:
    journey = Journey(plan_of(step("a"), step("b"), step("c")), limits=Limits(open_escalations=1))
    for name in "ab":
        journey.fails(f"{name}.1", refused(f"{name}.1"))
    journey.prepared("c.1").decide(Decision.USE_OUTPUT, 1).tell(refused("c.1"))
    assert [question.unit for question in journey.state.escalations.values()] == ["a", "b"]
    assert journey.state.escalations_waiting == ("c",)


def test_a_unit_that_asks_again_lets_those_in_line_ask_first() -> None:
    journey = Journey(plan_of(step("a", human=True), step("b")), limits=Limits(open_escalations=1))
    journey.prepared("a.1", gate=GATE).fails("b.1", refused("b.1")).decide(Decision.APPROVE)
    assert [(order.unit, order.kind) for order in journey.ordered(c.OpenEscalation)] == [("b", "failed")]
    assert (journey.state.escalations_waiting, journey.unit("a").wants) == (("a",), EscalationKind.TASK)


def test_a_question_about_the_whole_process_needs_no_place() -> None:
    journey = Journey(plan_of(step("a")), approval=ApprovalMode.PLAN, limits=Limits(open_escalations=1))
    assert journey.state.escalations_open == 1
    journey.decide(Decision.APPROVE).fails("a.1", refused("a.1"))
    assert journey.question(2).open


def test_an_abort_with_others_in_line_opens_none_of_them() -> None:
    journey = Journey(plan_of(step("a"), step("b")), limits=Limits(open_escalations=1))
    for name in "ab":
        journey.fails(f"{name}.1", refused(f"{name}.1"))
    journey.decide(Decision.ABORT)
    assert journey.ordered(c.OpenEscalation) == []
    assert journey.state.status == Status.FAILED
