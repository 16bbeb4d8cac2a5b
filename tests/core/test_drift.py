"""A process that this core decides otherwise than its journal says: a human is asked, and nothing else is decided."""

from __future__ import annotations

import pytest

from core.journeys import PROCESS, Journey, plan_of, ref, refused, step
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Blame, Decision, OnFailure, Stage
from process_orchestrator.core.process import apply

DRIFTED = e.DecisionsDrifted(at=0, row=1, was=("PrepareCall a.1",), now=("PrepareCall b.1",))


def asked() -> Journey:
    return Journey(plan_of(step("a"), step("b", needs=("a",)))).prepared("a.1").tell(DRIFTED)


def test_a_human_is_asked_once_and_the_process_waits_for_him() -> None:
    journey = asked()
    assert (journey.state.status.value, journey.state.set_aside) == ("waiting_human", f"{PROCESS}.e1")
    question = journey.question()
    assert (question.kind.value, question.unit, [each.value for each in question.decisions]) == (
        "drift",
        None,
        ["retry", "abort"],
    )
    assert [type(order) for order in journey.last] == [c.OpenEscalation]
    journey.tell(DRIFTED)
    assert (journey.last, journey.state.escalations_opened) == ((), 1)


def test_retry_goes_on_where_it_stood() -> None:
    journey = asked().decide(Decision.RETRY)
    assert (journey.state.set_aside, journey.state.status.value, journey.last) == (None, "running", ())
    journey.succeeded("a.1").done("b.1").tell(e.OutputBuilt(at=0, output=journey.state.spec.input))  # type: ignore[arg-type]
    assert journey.state.status.value == "completed"
    assert journey.broken_rules() == ()


def test_abort_ends_it() -> None:
    journey = asked().decide(Decision.ABORT)
    assert journey.state.set_aside is None
    journey.tell(e.CallLost(at=0, call="a.1"))
    assert (journey.state.status.value, journey.broken_rules()) == ("failed", ())


def test_a_cancel_ends_it_too() -> None:
    journey = asked().cancel()
    assert (journey.state.set_aside, journey.question().withdrawn) == (None, True)


def test_no_other_question_is_decided_until_this_one_is() -> None:
    journey = Journey(plan_of(step("a"), step("b"))).fails("a.1", refused("a.1")).tell(DRIFTED)
    before = journey.state
    assert journey.decide(Decision.RETRY, 1).state.units == before.units
    assert journey.decide(Decision.RETRY, 2).decide(Decision.RETRY, 1).phase("a") == "preparing"


def test_before_a_plan_is_begun_its_own_level_is_asked_for() -> None:
    unplanned = Journey(None).tell(DRIFTED)
    assert unplanned.question().min_assurance is Assurance.A2
    given = Journey(plan_of(step("a"), type_level=Assurance.A1), approval=ApprovalMode.PLAN).tell(DRIFTED)
    assert given.question(2).min_assurance is Assurance.A1


@pytest.mark.parametrize("end", ["cancel", "fail"])
def test_a_process_that_is_ending_or_has_ended_is_not_set_aside(end: str) -> None:
    journey = Journey(plan_of(step("a"), step("b", on_failure={"else": OnFailure.FAIL}))).prepared("a.1")
    if end == "cancel":
        journey.cancel()
    else:
        journey.fails("b.1", refused("b.1"))
    assert journey.tell(DRIFTED).state.set_aside is None
    assert journey.tell(e.CallLost(at=0, call="a.1")).state.finished
    assert apply(journey.state, DRIFTED).state.set_aside is None


def test_a_process_that_ends_while_it_is_set_aside_leaves_no_question_open() -> None:
    journey = Journey(plan_of(step("a"))).done("a.1").tell(DRIFTED).tell(e.OutputBuilt(at=0, output=ref("output")))
    assert (journey.state.status.value, journey.state.escalations_open, journey.state.set_aside) == (
        "completed",
        0,
        None,
    )
    assert journey.question().withdrawn
    assert journey.broken_rules() == ()


def test_what_happens_while_it_is_set_aside_changes_nothing_of_the_question() -> None:
    journey = Journey(None, type=None, task=ref("task")).tell(DRIFTED)
    journey.tell(e.StageFailed(at=0, stage=Stage.INTAKE, code="not_json", blame=Blame.CALLER))
    assert [question.kind.value for question in journey.state.escalations.values()] == ["drift", "intake"]
