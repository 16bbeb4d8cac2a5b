"""Whether an outside event may enter, and in which order that is asked."""

from __future__ import annotations

from typing import Any

import pytest

from core.journeys import (
    ALPHA,
    BETA,
    CONTRACT,
    GATE,
    TYPE,
    Journey,
    mapped,
    plan_of,
    ref,
    refused,
    resolution,
    step,
)
from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Blame, Decision, Stage

A0, A1, A2, A3 = Assurance.A0, Assurance.A1, Assurance.A2, Assurance.A3


def escalated(level: Assurance = A2) -> Journey:
    plan = plan_of(step("a", agents=(ALPHA, BETA), decision_level=level), step("b", needs=("a",)))
    return Journey(plan).fails("a.1", refused("a.1"))


def code(journey: Journey, event: e.EscalationResolved) -> str | None:
    refusal = admit(journey.state, event)
    return refusal.code if refusal is not None else None


def test_a_proven_decision_on_an_open_question_enters() -> None:
    assert code(escalated(), resolution(Decision.RETRY, assurance=A2)) is None


def test_a_question_that_was_never_asked_is_unknown() -> None:
    assert code(escalated(), resolution(Decision.RETRY, 2)) == "UNKNOWN_ESCALATION"


@pytest.mark.behaviour("P3")
def test_whoever_comes_late_gets_the_record_before_anything_is_said_of_his_request() -> None:
    journey = escalated().decide(Decision.USE_OUTPUT)
    late = resolution(Decision.CHOOSE_TYPE, version=99)
    refusal = admit(journey.state, late)
    assert refusal is not None
    assert (refusal.code, refusal.record) == ("ALREADY_RESOLVED", journey.question())
    assert refusal.record is not None
    assert refusal.record.resolution == journey.events[-1]
    assert "resolved already" in refusal.message


def test_a_withdrawn_question_is_closed_too_also_in_an_ended_process() -> None:
    journey = escalated().cancel()
    assert journey.state.finished
    refusal = admit(journey.state, resolution(Decision.RETRY))
    assert refusal is not None
    assert refusal.code == "ALREADY_RESOLVED"
    assert "withdrawn already" in refusal.message


def test_the_version_is_looked_at_before_the_decision() -> None:
    journey = escalated()
    assert code(journey, resolution(Decision.APPROVE, version=2)) == "VERSION_CONFLICT"
    assert code(journey, resolution(Decision.APPROVE, version=1)) == "DECISION_NOT_ALLOWED"
    assert code(journey, resolution(Decision.APPROVE)) == "DECISION_NOT_ALLOWED"


def test_the_decision_is_looked_at_before_the_proof_and_the_proof_before_the_data() -> None:
    journey = escalated(A3)
    assert code(journey, resolution(Decision.ANSWER, checked="x")) == "DECISION_NOT_ALLOWED"
    refusal = admit(journey.state, resolution(Decision.USE_OUTPUT, assurance=A2, checked="x"))
    assert refusal is not None
    assert (refusal.code, refusal.required) == ("NEEDS_HUMAN", A3)
    assert code(journey, resolution(Decision.USE_OUTPUT, assurance=A3, checked="x")) == "INPUT_MISMATCH"


@pytest.mark.parametrize("decision", [Decision.USE_OUTPUT, Decision.RETRY_WITH_INPUT])
def test_data_must_be_there_and_checked_against_the_pinned_contract(decision: Decision) -> None:
    journey = escalated(A0)
    assert code(journey, resolution(decision)) is None
    assert code(journey, resolution(decision, checked=None)) == "INPUT_MISMATCH"
    assert code(journey, resolution(decision, checked="another-version")) == "INPUT_MISMATCH"
    assert code(journey, resolution(decision, data=None)) == "INPUT_MISMATCH"


def test_a_safe_decision_needs_no_proof() -> None:
    assert code(escalated(A3), resolution(Decision.ABORT, assurance=A0)) is None


@pytest.mark.parametrize(("assurance", "expected"), [(A0, "NEEDS_HUMAN"), (A1, None)])
def test_the_answer_to_a_task_needs_its_own_level(assurance: Assurance, expected: str | None) -> None:
    journey = Journey(plan_of(step("a", human=True, answer_level=A1, decision_level=A3))).prepared("a.1")
    assert code(journey, resolution(Decision.ANSWER, assurance=assurance)) == expected
    assert code(journey, resolution(Decision.REJECT, assurance=A0)) is None


@pytest.mark.behaviour("P9")
def test_an_approval_needs_the_highest_of_gate_and_step() -> None:
    journey = Journey(plan_of(step("a", decision_level=A0))).prepared("a.1", gate=GATE)
    assert code(journey, resolution(Decision.APPROVE, assurance=A0)) == "NEEDS_HUMAN"
    assert code(journey, resolution(Decision.APPROVE, assurance=A1)) is None
    strict = Journey(plan_of(step("a", decision_level=A2))).prepared("a.1", gate=GATE)
    assert code(strict, resolution(Decision.APPROVE, assurance=A1)) == "NEEDS_HUMAN"


def test_an_agent_must_serve_the_contract() -> None:
    journey = escalated(A0)
    assert code(journey, resolution(Decision.USE_AGENT, agent="beta")) is None
    assert code(journey, resolution(Decision.USE_AGENT, agent="mallory")) == "UNKNOWN_AGENT"
    assert code(journey, resolution(Decision.USE_AGENT)) == "UNKNOWN_AGENT"


def test_items_are_rejected_only_where_there_are_such_items() -> None:
    journey = Journey(plan_of(mapped("lines"), step("a")))
    journey.opened("lines", 3, gate=GATE).prepared("a.1", gate=GATE)
    assert code(journey, resolution(Decision.APPROVE, assurance=A1, reject_items=(0, 2))) is None
    assert code(journey, resolution(Decision.APPROVE, assurance=A1, reject_items=(3,))) == "BAD_ARGUMENT"
    assert code(journey, resolution(Decision.APPROVE, assurance=A1, reject_items=(-1,))) == "BAD_ARGUMENT"
    assert code(journey, resolution(Decision.APPROVE, 2, assurance=A1, reject_items=(0,))) == "BAD_ARGUMENT"
    assert code(journey, resolution(Decision.ABORT, 2, reject_items=(0,))) is None


def test_the_approval_of_a_plan_has_no_items() -> None:
    journey = Journey(plan_of(step("a")), approval=ApprovalMode.PLAN)
    assert code(journey, resolution(Decision.APPROVE, assurance=A2, reject_items=(0,))) == "BAD_ARGUMENT"


def test_a_type_is_chosen_with_an_input_that_was_checked_against_it() -> None:
    journey = Journey(None, type=None)
    journey.tell(e.StageFailed(at=0, stage=Stage.INTAKE, code="condition_error", blame=Blame.CALLER))
    chosen: dict[str, Any] = {"data": ref("input"), "checked": TYPE.sha256, "process_type": TYPE}
    assert code(journey, resolution(Decision.CHOOSE_TYPE, **chosen)) is None
    assert code(journey, resolution(Decision.CHOOSE_TYPE, **dict(chosen, checked=CONTRACT.sha256))) == "INPUT_MISMATCH"
    assert code(journey, resolution(Decision.CHOOSE_TYPE, **dict(chosen, data=None))) == "INPUT_MISMATCH"
    assert code(journey, resolution(Decision.CHOOSE_TYPE, **dict(chosen, process_type=None))) == "INPUT_MISMATCH"


def test_a_cancel_always_enters_also_in_an_ended_process() -> None:
    journey = Journey(plan_of(step("a"))).cancel()
    assert admit(journey.state, e.CancelRequested(at=0, by="x", reason="", request_id="r")) is None


def test_what_is_not_admitted_is_stale_when_applied() -> None:
    journey = escalated(A3).decide(Decision.RETRY, assurance=A2)
    assert (journey.phase("a"), journey.question().open, journey.last) == ("escalated", True, ())
    journey.tell(resolution(Decision.RETRY, 7))
    assert journey.phase("a") == "escalated"


def test_an_answer_is_checked_against_nothing_where_nothing_is_pinned() -> None:
    journey = Journey(plan_of(step("a", human=True, contract=None))).prepared("a.1")
    assert code(journey, resolution(Decision.ANSWER, checked=None)) == "INPUT_MISMATCH"
