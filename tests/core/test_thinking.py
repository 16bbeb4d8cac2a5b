"""What stands between a stage and its model: whether there is one, its price, its absence; and a question's prose."""

from __future__ import annotations

from typing import Any

import pytest

from core.journeys import PROCESS, TYPE, Journey, plan_of, ref, refused, step, undoable
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.values import (
    Blame,
    Decision,
    EscalationKind,
    OnFailure,
    Stage,
    Status,
    Usage,
    Why,
)
from process_orchestrator.core.limits import Limits

PLAN = plan_of(step("a"))
MODELS = {"intake": 3, "plan": 10, "brief": 2}
SPENT = Usage(usd_micros=1, tokens=7, ms=20)


def untyped(**fields: Any) -> Journey:
    return Journey(None, **({"type": None, "task": ref("task"), "models": MODELS} | fields))


def unplanned(**fields: Any) -> Journey:
    return Journey(None, **({"models": MODELS} | fields))


def absent(stage: Stage, code: str = "unreachable", **fields: Any) -> e.StageFailed:
    given: dict[str, Any] = {"blame": Blame.TRANSPORT}
    return e.StageFailed(at=0, stage=stage, code=code, **(given | fields))


def proposed(usage: Usage = SPENT, *, number: int = 1) -> e.PlanProposed:
    return e.PlanProposed(at=0, plan=ref("plan"), round=number, usage=usage)


def last(journey: Journey) -> list[type[c.Command]]:
    return [type(order) for order in journey.last]


def timer_of(journey: Journey) -> c.StartTimer:
    [timer] = journey.ordered(c.StartTimer)
    return timer


# --- a stage without a model -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("journey", "kind"),
    [
        (lambda: untyped(models={}), EscalationKind.INTAKE),
        (lambda: unplanned(models={"intake": 3}), EscalationKind.FAILED),
    ],
)
def test_a_stage_without_a_model_is_a_question_at_once_and_asks_nobody(journey: Any, kind: EscalationKind) -> None:
    made = journey()
    [ask] = made.last
    assert isinstance(ask, c.OpenEscalation)
    assert (ask.kind, ask.code, ask.blame, made.state.thinking.asked) == (kind, "no_model", "policy", 0)
    assert made.state.status is Status.WAITING_HUMAN


# --- money -------------------------------------------------------------------------------------------------------


def test_the_worst_case_is_held_back_until_the_model_has_answered() -> None:
    journey = untyped()
    assert (journey.state.reserved_usd_micros, journey.state.usd_micros) == (3, 0)
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model", usage=SPENT))
    assert (journey.state.reserved_usd_micros, journey.state.usd_micros, journey.state.tokens) == (10, 1, 7)
    journey.tell(proposed())
    assert (journey.state.reserved_usd_micros, journey.state.usd_micros) == (0, 2)
    assert journey.broken_rules() == ()


def test_an_answer_whose_price_nobody_says_costs_its_worst_case() -> None:
    journey = unplanned().tell(proposed(Usage(tokens=7)))
    assert (journey.state.usd_micros, journey.state.unknown_calls) == (10, 0)
    journey = unplanned(models={"plan": None}).tell(proposed(Usage(ms=5)))
    assert (journey.state.usd_micros, journey.state.unknown_calls) == (0, 1)


@pytest.mark.parametrize(
    ("code", "usd_micros"),
    [("unreachable", 0), ("rate_limited", 0), ("no_model", 0), ("not_configured", 0), ("timeout", 10), ("refused", 10)],
)
def test_a_failure_costs_what_it_may_have_been_billed(code: str, usd_micros: int) -> None:
    journey = unplanned().tell(absent(Stage.PLAN, code, usage=Usage(ms=9)))
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros) == (usd_micros, 0)
    assert journey.broken_rules() == ()


def test_a_timeout_of_which_nothing_is_said_may_have_been_billed() -> None:
    assert unplanned().tell(absent(Stage.PLAN, "timeout")).state.usd_micros == 10


def test_a_model_that_does_not_fit_into_the_budget_is_a_question_and_kills_nothing() -> None:
    journey = unplanned(budget=Budget(usd_micros=4))
    [ask] = journey.last
    assert isinstance(ask, c.OpenEscalation)
    assert (ask.kind, ask.unit, ask.decisions) == (
        EscalationKind.BUDGET,
        None,
        (Decision.RAISE_BUDGET, Decision.ABORT),
    )
    assert ask.money is not None
    assert (ask.money.needed_usd_micros, ask.money.cap_usd_micros, ask.money.short_usd_micros) == (10, 4, 6)
    assert (journey.state.status, journey.state.why) == (Status.WAITING_HUMAN, Why.BUDGET)
    journey.decide(Decision.RAISE_BUDGET, usd_micros=5)
    assert (last(journey), journey.question(2).kind) == ([c.OpenEscalation], EscalationKind.BUDGET)
    journey.decide(Decision.RAISE_BUDGET, 2, usd_micros=1)
    assert (last(journey), journey.state.why) == ([c.ProposePlan], Why.MODEL)
    assert journey.broken_rules() == ()


def test_a_question_about_the_money_of_a_stage_may_be_aborted() -> None:
    journey = untyped(budget=Budget(usd_micros=2)).decide(Decision.ABORT)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="aborted"),)


def test_what_a_human_has_added_stays_added_when_the_type_brings_its_own_budget() -> None:
    journey = untyped(budget=Budget(usd_micros=2)).decide(Decision.RAISE_BUDGET, usd_micros=4)
    journey.tell(
        e.TaskClassified(
            at=0, process_type=TYPE, plan=PLAN, input=ref("found"), by="model", budget=Budget(usd_micros=1)
        )
    )
    assert journey.state.spec.budget.usd_micros == 5
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"models": {"plan": None}, "budget": Budget(unknown="refuse")}, "budget.unknown"),
        ({"budget": Budget(tokens=7)}, "budget.tokens"),
        ({"limits": Limits(total_ms=100)}, "budget.total_s"),
    ],
)
def test_a_bound_that_no_money_moves_stops_a_stage_before_its_model_is_asked(fields: dict[str, Any], rule: str) -> None:
    """The check refuses the plan and another round is due: by then tokens and time are used up."""
    journey = unplanned(**fields)
    if rule != "budget.unknown":
        journey.tell(proposed())
        journey.passes(200)
        journey.tell(e.PlanChecked(at=0, ok=False, report=ref("report")))
    [ask] = journey.last
    assert isinstance(ask, c.OpenEscalation)
    assert (ask.kind, ask.code, ask.rule) == (EscalationKind.FAILED, "over_budget", rule)


def test_a_stage_counts_against_no_number_of_calls() -> None:
    assert last(unplanned(limits=Limits(calls=0))) == [c.ProposePlan]


# --- a model that cannot be had ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.INTAKE, Stage.PLAN])
def test_a_model_that_cannot_be_had_is_tried_twice_more_after_a_while_and_then_a_human_is_asked(stage: Stage) -> None:
    journey = untyped() if stage is Stage.INTAKE else unplanned()
    waits: list[int] = []
    for number in (1, 2):
        journey.tell(absent(stage))
        timer = timer_of(journey)
        assert timer.timer == f"{PROCESS}.{stage}.{number}/retry"
        assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.RETRY)
        assert journey.state.reserved_usd_micros == 0
        waits.append(timer.fire_at - journey.state.now)
        assert journey.tell(absent(stage)).last == ()  # nobody is asked meanwhile
        journey.passes(waits[-1])
        journey.timer(timer.timer)
        assert last(journey) == [c.ClassifyTask if stage is Stage.INTAKE else c.ProposePlan]
    assert 1000 <= waits[0] <= 2000 <= waits[1] <= 4000
    journey.tell(absent(stage))
    expected = EscalationKind.INTAKE if stage is Stage.INTAKE else EscalationKind.FAILED
    assert (journey.question().kind, journey.state.plan_round) == (expected, 0 if stage is Stage.INTAKE else 1)
    assert journey.broken_rules() == ()


def test_two_processes_do_not_wait_equally_long() -> None:
    waits: set[int] = set()
    for number in range(8):
        journey = unplanned(process_id=f"p_{number}").tell(absent(Stage.PLAN))
        waits.add(timer_of(journey).fire_at)
    assert len(waits) > 4


def test_a_model_that_is_asked_too_often_is_asked_again_when_it_says() -> None:
    journey = unplanned().tell(absent(Stage.PLAN, "rate_limited", retry_after_ms=70_000))
    assert (timer_of(journey).fire_at - journey.state.now, journey.state.why) == (70_000, Why.RATE_LIMIT)


@pytest.mark.parametrize(
    ("fields", "after"), [({}, 600_001), ({"limits": Limits(total_ms=50_000)}, 60_000)], ids=["ages", "total"]
)
def test_a_wait_that_is_too_long_is_a_question(fields: dict[str, Any], after: int) -> None:
    journey = unplanned(**fields).tell(absent(Stage.PLAN, "rate_limited", retry_after_ms=after))
    assert (last(journey), journey.question().kind) == ([c.OpenEscalation], EscalationKind.FAILED)


@pytest.mark.parametrize("code", ["no_model", "not_configured", "refused", "no_way"])
@pytest.mark.parametrize("stage", [Stage.INTAKE, Stage.PLAN])
def test_a_model_that_will_not_do_better_is_a_question_at_once(stage: Stage, code: str) -> None:
    journey = (untyped() if stage is Stage.INTAKE else unplanned()).tell(absent(stage, code))
    expected = EscalationKind.INTAKE if stage is Stage.INTAKE else EscalationKind.FAILED
    assert (last(journey), journey.question().kind) == ([c.OpenEscalation], expected)


def test_a_bad_answer_uses_up_a_round_and_gives_the_next_one_its_tries_back() -> None:
    journey = unplanned(limits=Limits(replans=1)).tell(absent(Stage.PLAN))
    journey.timer(timer_of(journey).timer).tell(absent(Stage.PLAN, "truncated"))
    [again] = journey.last
    assert isinstance(again, c.ProposePlan)
    assert (again.round, journey.state.thinking.tries) == (2, 0)
    journey.tell(absent(Stage.PLAN, "truncated"))
    assert journey.question().kind is EscalationKind.FAILED


def test_a_retry_of_a_human_gives_the_model_its_tries_back() -> None:
    journey = unplanned()
    for _ in range(2):
        journey.tell(absent(Stage.PLAN))
        journey.timer(timer_of(journey).timer)
    journey.tell(absent(Stage.PLAN)).decide(Decision.RETRY).tell(absent(Stage.PLAN))
    assert timer_of(journey).timer == f"{PROCESS}.plan.4/retry"


def test_money_that_is_gone_when_the_wait_is_over_is_asked_for() -> None:
    journey = unplanned(budget=Budget(usd_micros=15)).tell(absent(Stage.PLAN, usage=Usage(usd_micros=6)))
    journey.timer(timer_of(journey).timer)
    assert journey.question().kind is EscalationKind.BUDGET
    assert journey.broken_rules() == ()


def test_another_timer_wakes_no_stage() -> None:
    journey = unplanned().tell(absent(Stage.PLAN))
    assert journey.timer(f"{PROCESS}.plan.9/retry").last == ()
    assert unplanned().timer(f"{PROCESS}.plan.1/retry").last == ()


# --- engines that end meanwhile ----------------------------------------------------------------------------------


def test_an_engine_that_takes_over_asks_again_pays_for_both_and_counts_no_outage() -> None:
    journey = unplanned()
    journey.passes(7_200_000)
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert (journey.last, journey.state.usd_micros, journey.state.reserved_usd_micros) == ((), 10, 10)
    journey.passes(50)
    journey.tell(proposed())
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros) == (11, 0)
    journey.tell(e.PlanChecked(at=0, ok=True, plan=PLAN, report=ref("report"))).prepared("a.1").succeeded("a.1")
    journey.tell(e.OutputBuilt(at=0, output=ref("out")))
    assert (journey.state.status, journey.state.running_ms) == (Status.COMPLETED, 50)


def test_a_model_that_outlives_no_engine_is_a_question_at_last() -> None:
    journey = unplanned(limits=Limits(deliveries=2))
    for engine in (2, 3):
        assert journey.state.stage is Stage.PLAN
        journey.tell(e.EngineResumed(at=0, engine=engine))
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.kind, ask.code, journey.state.reserved_usd_micros) == (EscalationKind.FAILED, "lost", 0)
    assert journey.decide(Decision.RETRY).state.thinking.resumed == 0
    assert journey.broken_rules() == ()


def test_an_engine_that_takes_over_asks_again_only_for_money_that_is_there() -> None:
    journey = unplanned(budget=Budget(usd_micros=25))
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert (journey.last, journey.state.usd_micros, journey.state.reserved_usd_micros) == ((), 10, 10)
    journey.tell(e.EngineResumed(at=0, engine=3))
    assert journey.question().kind is EscalationKind.BUDGET
    assert (last(journey), journey.state.usd_micros, journey.state.reserved_usd_micros) == ([c.OpenEscalation], 20, 0)
    journey.decide(Decision.RAISE_BUDGET, usd_micros=20)
    assert (last(journey), journey.state.thinking.resumed) == ([c.ProposePlan], 2)
    assert journey.broken_rules() == ()


# --- the end in the middle of it ---------------------------------------------------------------------------------


def test_a_cancel_while_a_model_thinks_counts_what_it_may_bill() -> None:
    journey = unplanned().cancel()
    assert journey.state.status is Status.CANCELLED
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros) == (10, 0)
    assert journey.tell(proposed()).last == ()


def test_a_cancel_while_a_stage_waits_stops_its_timer() -> None:
    journey = unplanned().tell(absent(Stage.PLAN))
    timer = timer_of(journey).timer
    journey.cancel()
    assert [stop.timer for stop in journey.ordered(c.StopTimer)] == [timer]
    assert journey.timer(timer).last == ()
    assert journey.broken_rules() == ()


# --- a paragraph beside a question -------------------------------------------------------------------------------


def questioned(**fields: Any) -> Journey:
    given: dict[str, Any] = {"models": MODELS}
    journey = Journey(PLAN, **(given | fields)).fails("a.1", refused("a.1"))
    return journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))


def written(**fields: Any) -> e.BriefWritten:
    given: dict[str, Any] = {"brief": ref("prose"), "usage": SPENT}
    return e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", **(given | fields))


def test_a_question_that_stands_is_told_in_prose_and_waits_for_none() -> None:
    journey = questioned()
    assert journey.last == (c.WriteBrief(process=PROCESS, escalation=f"{PROCESS}.e1", package=ref("package")),)
    assert (journey.state.status, journey.state.reserved_usd_micros) == (Status.WAITING_HUMAN, 2)
    journey.tell(written())
    assert (journey.question().brief, journey.question().version) == (ref("prose"), 1)
    assert (journey.state.reserved_usd_micros, journey.state.usd_micros) == (0, 1)
    assert journey.tell(written(brief=ref("again"))).question().brief == ref("prose")
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"models": {"plan": 10}},
        {"budget": Budget(usd_micros=1)},
        {"models": {"brief": None}, "budget": Budget(unknown="refuse")},
        {"budget": Budget(tokens=0), "plan": "tokens"},
    ],
    ids=["no model", "no money", "no price", "no tokens"],
)
def test_a_paragraph_that_cannot_be_had_without_asking_is_left_out(fields: dict[str, Any]) -> None:
    if fields.pop("plan", None):
        journey = Journey(plan_of(step("b"), step("a")), models=MODELS, **fields).done("b.1")
        journey.tell(e.CallFailed(at=0, call="a.1", code="x", class_="permanent", blame="agent", outcome="not_done"))  # type: ignore[arg-type]
        journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    else:
        journey = questioned(**fields)
    assert (journey.last, journey.question().open) == ((), True)


def test_calls_that_wait_for_money_have_the_first_turn() -> None:
    journey = Journey(PLAN, models=MODELS, budget=Budget(usd_micros=5)).prepared("a.1", reserve_usd_micros=9)
    assert journey.question().kind is EscalationKind.BUDGET
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    assert journey.last == ()


def test_a_paragraph_that_fails_changes_nothing_but_its_bill() -> None:
    journey = questioned()
    question = journey.question()
    failed = absent(Stage.BRIEF, "timeout", escalation=f"{PROCESS}.e1")
    journey.tell(failed)
    assert (journey.question().brief, journey.question().version) == (None, question.version)
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros, journey.last) == (2, 0, ())
    assert journey.tell(failed).state.usd_micros == 2
    assert journey.broken_rules() == ()


def test_a_paragraph_that_comes_after_the_answer_is_paid_and_not_kept() -> None:
    journey = questioned().decide(Decision.RETRY).tell(written())
    assert (journey.question().brief, journey.state.usd_micros, journey.state.reserved_usd_micros) == (None, 1, 0)
    assert journey.broken_rules() == ()


@pytest.mark.parametrize("way", ["cancel", "complete"])
def test_a_process_that_ends_counts_the_paragraph_it_will_not_hear_of(way: str) -> None:
    journey = questioned()
    if way == "cancel":
        journey.cancel()
    else:
        journey.decide(Decision.USE_OUTPUT, data=ref("by-hand")).tell(e.OutputBuilt(at=0, output=ref("out")))
    assert journey.state.finished
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros) == (2, 0)
    assert journey.broken_rules() == ()


def test_each_engine_that_has_a_paragraph_written_anew_pays_for_it() -> None:
    journey = questioned(budget=Budget(usd_micros=5)).tell(e.EngineResumed(at=0, engine=2))
    assert (journey.last, journey.state.usd_micros, journey.state.reserved_usd_micros) == ((), 2, 2)
    journey.tell(e.EngineResumed(at=0, engine=3))
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros, journey.question().open) == (4, 0, True)
    assert journey.tell(written()).question().brief is None
    assert journey.broken_rules() == ()


def test_a_paragraph_that_outlives_no_engine_is_left_out_at_last() -> None:
    journey = questioned(models={"brief": 0}, limits=Limits(deliveries=2))
    for engine, due in ((2, True), (3, False)):
        journey.tell(e.EngineResumed(at=0, engine=engine))
        assert journey.question().brief_due is due
    assert journey.broken_rules() == ()


def test_a_question_of_the_end_has_its_paragraph_too() -> None:
    doomed = step("doomed", needs=("a",), on_failure={"else": OnFailure.COMPENSATE})
    journey = Journey(plan_of(undoable("a", undo=None), doomed), models=MODELS).done("a.1")
    journey.fails("doomed.1", refused("doomed.1"))
    assert journey.question().kind is EscalationKind.UNDO_FAILED
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    assert last(journey) == [c.WriteBrief]
    journey.decide(Decision.SKIP)
    assert (journey.state.status, journey.state.reserved_usd_micros) == (Status.FAILED, 0)
    assert journey.broken_rules() == ()


def test_a_process_that_is_set_aside_orders_no_paragraph() -> None:
    journey = Journey(PLAN, models=MODELS).tell(e.DecisionsDrifted(at=0, row=1))
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    assert journey.last == ()
