"""Intake, plans that are proposed, plans that are approved: all that is no call of an agent."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import PROCESS, TYPE, Journey, plan_of, ref, step
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, PlanFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Blame,
    Decision,
    EscalationKind,
    Stage,
    Status,
    Usage,
    Why,
)
from process_orchestrator.core.limits import Limits

PLAN = plan_of(step("a"), server_floor=Assurance.A1, type_level=Assurance.A2, role="owner")
MODELS = {"intake": None, "plan": None}
OTHER_PLAN = replace(plan_of(step("x"), step("y")), sha256="other-plan-sha")


def unplanned(**fields: object) -> Journey:
    return Journey(None, **fields)


def proposed(journey: Journey, number: int = 1) -> Journey:
    return journey.tell(e.PlanProposed(at=0, plan=ref(f"plan-{number}"), round=number, usage=Usage(usd_micros=3)))


def checked(journey: Journey, *, ok: bool = True) -> Journey:
    return journey.tell(e.PlanChecked(at=0, ok=ok, plan=PLAN if ok else None, report=ref("report")))


def stage_failed(stage: Stage, code: str = "not_json", **fields: Any) -> e.StageFailed:
    """A model's answer that is none; its price nobody knows."""
    given: dict[str, Any] = {"blame": Blame.PLANNER, "detail": ref("detail"), "usage": Usage(tokens=5)}
    return e.StageFailed(at=0, stage=stage, code=code, **(given | fields))


# --- intake ------------------------------------------------------------------------------------------------------


def test_a_task_without_a_type_is_classified_first() -> None:
    journey = unplanned(type=None, task=ref("task"))
    assert journey.last == (c.ClassifyTask(process=PROCESS, task=ref("task"), input=ref("input")),)
    journey.tell(e.EngineResumed(at=0, engine=1)).tell(e.OutputBuilt(at=0, output=ref("x")))
    classified = e.TaskClassified(
        at=0, process_type=TYPE, plan=PLAN, input=ref("found"), by="model", usage=Usage(usd_micros=7, tokens=11)
    )
    journey.tell(classified)
    state = journey.state
    assert (state.spec.type, state.spec.input, state.spec.classified_by) == (TYPE, ref("found"), "model")
    assert (state.plan, state.usd_micros, state.tokens) == (PLAN, 7, 11)
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.context.type, prepare.context.input) == (TYPE, ref("found"))
    assert journey.tell(classified).last == ()


@pytest.mark.parametrize("plan", [None, PLAN])
def test_a_type_that_is_known_leaves_intake_only_its_input_to_find(plan: PlanFacts | None) -> None:
    journey = Journey(plan, task=ref("task"), input=None, models=MODELS)
    assert journey.last == (c.ClassifyTask(process=PROCESS, task=ref("task"), input=None, process_type=TYPE),)
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model"))
    assert [type(order) for order in journey.last] == [c.ProposePlan if plan is None else c.PrepareCall]
    assert journey.state.spec.input == ref("found")


def test_a_plan_of_another_type_than_the_one_that_was_found_is_not_followed() -> None:
    journey = Journey(PLAN, task=ref("task"), input=None, models=MODELS)
    other = replace(TYPE, name="other", sha256="other-sha")
    journey.tell(e.TaskClassified(at=0, process_type=other, input=ref("found"), by="model"))
    [propose] = journey.last
    assert isinstance(propose, c.ProposePlan)
    assert (propose.task, propose.context.type) == (ref("task"), other)


def test_the_type_brings_its_budget_and_its_limits() -> None:
    journey = unplanned(type=None)
    budget, limits = Budget(usd_micros=70, tokens=9), Limits(calls=7)
    journey.tell(
        e.TaskClassified(
            at=0, process_type=TYPE, plan=PLAN, input=ref("found"), by="model", budget=budget, limits=limits
        )
    )
    assert (journey.state.spec.budget, journey.state.spec.limits) == (budget, limits)


def test_a_type_that_a_human_chose_brings_its_budget_and_limits_and_is_planned_where_it_has_no_plan() -> None:
    journey = unplanned(type=None).tell(stage_failed(Stage.INTAKE))
    budget, limits = Budget(usd_micros=70), Limits(calls=7)
    chosen: dict[str, Any] = {"process_type": TYPE, "data": ref("by-hand"), "checked": TYPE.sha256}
    journey.decide(Decision.CHOOSE_TYPE, budget=budget, limits=limits, **chosen)
    assert [type(order) for order in journey.last] == [c.ProposePlan]
    assert (journey.state.spec.budget, journey.state.spec.limits) == (budget, limits)


def test_a_type_that_is_found_never_widens_what_the_process_started_with() -> None:
    asked, limits = Budget(usd_micros=5, total_ms=9), Limits(depth=2, total_ms=9)
    journey = unplanned(type=None, budget=asked, limits=limits)
    given: dict[str, Any] = {
        "budget": Budget(usd_micros=70, calls=8, unknown="refuse"),
        "limits": Limits(calls=7, depth=4),
    }
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, plan=PLAN, input=ref("found"), by="model", **given))
    assert journey.state.spec.budget == Budget(usd_micros=5, calls=8, total_ms=9, unknown="refuse")
    assert journey.state.spec.limits == Limits(calls=7, depth=2, total_ms=9)


def test_a_type_that_was_named_keeps_who_named_it_when_its_input_is_read() -> None:
    journey = Journey(PLAN, type=TYPE, task=ref("task"), input=None, classified_by="caller", models={"intake": None})
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model"))
    assert (journey.state.spec.classified_by, journey.state.spec.input) == ("caller", ref("found"))


def test_rules_that_classify_bill_nothing() -> None:
    journey = unplanned(type=None)
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, plan=PLAN, input=ref("found"), by="rules"))
    assert (journey.state.unknown_calls, journey.state.usd_micros) == (0, 0)


def test_a_type_without_a_plan_goes_on_to_planning() -> None:
    journey = unplanned(type=None)
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model"))
    assert [type(order) for order in journey.last] == [c.ProposePlan]


def test_while_a_model_thinks_the_model_is_waited_for() -> None:
    journey = unplanned()
    journey.tell(e.PlanProposed(at=0, plan=ref("plan"), round=1))
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.MODEL)


def test_a_task_that_nobody_can_classify_goes_to_a_human_who_chooses() -> None:
    journey = unplanned(type=None).tell(stage_failed(Stage.INTAKE))
    question = journey.question()
    assert (question.kind, question.unit, question.role, question.deadline_at) == (
        EscalationKind.INTAKE,
        None,
        "approver",
        None,
    )
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.code, ask.blame, ask.detail, ask.context, ask.contract) == (
        "not_json",
        "planner",
        ref("detail"),
        None,
        None,
    )
    assert (journey.state.status, journey.state.tokens, journey.state.unknown_calls) == (Status.WAITING_HUMAN, 5, 1)
    journey.decide(
        Decision.CHOOSE_TYPE, process_type=TYPE, plan=PLAN, data=ref("by-hand"), checked=TYPE.sha256,
        assurance=Assurance.A0,
    )  # fmt: skip
    assert (journey.state.spec.classified_by, journey.state.spec.input) == ("human", ref("by-hand"))
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1"]


def test_an_intake_may_be_aborted() -> None:
    journey = unplanned(type=None).tell(stage_failed(Stage.INTAKE)).decide(Decision.ABORT)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="aborted"),)


# --- planning ----------------------------------------------------------------------------------------------------


def test_a_plan_is_proposed_checked_and_followed() -> None:
    journey = unplanned()
    [propose] = journey.last
    assert isinstance(propose, c.ProposePlan)
    assert (propose.round, propose.report, propose.context.plan) == (1, None, "")
    proposed(journey)
    context = c.PlanContext(plan="", type=TYPE, input=ref("input"))
    assert journey.last == (c.CheckPlan(process=PROCESS, plan=ref("plan-1"), round=1, context=context),)
    checked(journey)
    assert (journey.state.plan, journey.state.usd_micros) == (PLAN, 3)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1"]
    journey.done("a.1").tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.state.status == Status.COMPLETED


def test_a_refused_plan_is_mended_with_the_report_at_hand_until_the_rounds_are_used_up() -> None:
    journey = checked(proposed(unplanned(limits=Limits(replans=1))), ok=False)
    [propose] = journey.last
    assert isinstance(propose, c.ProposePlan)
    assert (propose.round, propose.report) == (2, ref("report"))
    checked(proposed(journey, 2), ok=False)
    question = journey.question()
    assert (question.kind, question.decisions) == (EscalationKind.LOOP, (Decision.RETRY, Decision.ABORT))
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.code, ask.blame, ask.detail) == ("loop", "policy", ref("report"))
    journey.decide(Decision.RETRY)
    [again] = journey.last
    assert isinstance(again, c.ProposePlan)
    assert again.round == 3
    checked(proposed(journey, 3), ok=False)
    assert (journey.question(2).kind, journey.state.stage) == (EscalationKind.LOOP, None)


def test_a_check_that_brings_no_plan_is_no_success() -> None:
    journey = proposed(unplanned())
    journey.tell(e.PlanChecked(at=0, ok=True, report=ref("report")))
    assert [type(order) for order in journey.last] == [c.ProposePlan]


@pytest.mark.parametrize("at_check", [False, True])
def test_a_planner_that_fails_is_asked_again_and_then_a_human_is(*, at_check: bool) -> None:
    journey = unplanned(limits=Limits(replans=1))
    for number in (1, 2):
        if at_check:
            proposed(journey, number)
        journey.tell(stage_failed(Stage.PLAN))
    question = journey.question()
    assert (question.kind, question.decisions) == (EscalationKind.FAILED, (Decision.RETRY, Decision.ABORT))
    assert journey.decide(Decision.ABORT).state.status == Status.FAILED


def test_a_proposal_that_was_not_asked_for_is_stale() -> None:
    journey = unplanned()
    assert proposed(journey, 2).last == ()
    assert checked(journey).last == ()
    proposed(journey)
    assert proposed(journey).last == ()


def test_a_brief_that_cannot_be_written_costs_but_stops_nothing() -> None:
    journey = Journey(PLAN).tell(replace(stage_failed(Stage.BRIEF), usage=Usage(usd_micros=4)))
    assert (journey.last, journey.state.usd_micros, journey.state.seq) == ((), 0, 2)  # nobody asked for it


# --- approving a plan --------------------------------------------------------------------------------------------


def test_a_plan_that_must_be_approved_begins_nothing_before() -> None:
    journey = Journey(PLAN, approval=ApprovalMode.PLAN)
    [ask] = journey.last
    assert isinstance(ask, c.OpenEscalation)
    assert (ask.kind, ask.digest, ask.min_assurance, ask.role) == ("plan", "plan-sha", Assurance.A2, "owner")
    assert ask.context is not None
    assert (ask.context.plan, ask.context.sources) == ("plan-sha", {})
    assert (journey.state.status, journey.state.plan_approved) == (Status.WAITING_HUMAN, False)
    journey.prepared("a.1")
    assert journey.phase("a") == "waiting"
    journey.decide(Decision.APPROVE)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1"]
    assert journey.state.plan_approved


def test_a_rejected_plan_that_was_given_fails_the_process() -> None:
    journey = Journey(PLAN, approval=ApprovalMode.PLAN).decide(Decision.REJECT)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="rejected"),)
    assert journey.phase("a") == "skipped"


def test_a_rejected_plan_that_was_proposed_is_replaced_while_rounds_are_left() -> None:
    journey = checked(proposed(unplanned(approval=ApprovalMode.PLAN, limits=Limits(replans=1))))
    journey.decide(Decision.REJECT)
    [propose] = journey.last
    assert isinstance(propose, c.ProposePlan)
    assert (propose.round, propose.report) == (2, ref("report"))
    proposed(journey, 2).tell(e.PlanChecked(at=0, ok=True, plan=OTHER_PLAN, report=ref("report")))
    assert (journey.question(2).digest, sorted(journey.state.units)) == ("other-plan-sha", ["x", "y"])
    assert journey.decide(Decision.REJECT, 2).state.status == Status.FAILED
