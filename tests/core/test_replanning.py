"""Another plan for what is left: what asks for it, what it keeps, what follows where none comes."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import (
    GATE,
    PROCESS,
    TYPE,
    Journey,
    broken,
    failed,
    mapped,
    parent,
    plan_of,
    ref,
    refused,
    repeated,
    resolution,
    step,
    undoable,
    waiting,
    writing,
)
from process_orchestrator.core.admit import admit
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, PlanFacts, StepFacts
from process_orchestrator.core.facts.values import (
    ApprovalMode,
    Assurance,
    Blame,
    ContractPin,
    Decision,
    EscalationKind,
    FailureClass,
    OnFailure,
    Outcome,
    Phase,
    Stage,
    Status,
    Usage,
    Why,
)
from process_orchestrator.core.limits import Limits

OTHER = ContractPin(name="ledger.find", version="1.0.0", sha256="other-sha")


def numbered(number: int, *steps: StepFacts, **fields: Any) -> PlanFacts:
    return replace(plan_of(*steps, **fields), sha256=f"plan-{number}")


def planned(*steps: StepFacts, plan: dict[str, Any] | None = None, **fields: Any) -> Journey:
    """A process that follows a plan that a model has made."""
    journey = Journey(None, **({"task": ref("task"), "models": {"plan": 0}} | fields))
    return answered(journey, numbered(1, *steps, **(plan or {})))


def answered(journey: Journey, plan: PlanFacts | None, *, number: int = 1) -> Journey:
    """The model proposes a plan, and the check lets it pass where there is one."""
    journey.tell(e.PlanProposed(at=0, plan=ref(f"said-{number}"), round=number, usage=Usage(usd_micros=0)))
    return journey.tell(e.PlanChecked(at=0, ok=plan is not None, plan=plan, report=ref(f"report-{number}")))


def asked(journey: Journey) -> c.ProposePlan:
    [order] = journey.ordered(c.ProposePlan)
    assert isinstance(order, c.ProposePlan)
    return order


A, B, LAST = step("a"), step("b", needs=("a",)), step("last", needs=("b",))
REPLACED = step("x", needs=("a",)), step("last", needs=("x",))


def failed_at_b(**fields: Any) -> Journey:
    return planned(A, B, LAST, **fields).done("a.1").fails("b.1", refused("b.1", message="no such order"))


# --- what asks for another plan ----------------------------------------------------------------------------------


def test_a_step_that_failed_for_good_asks_for_a_plan_of_what_is_left() -> None:
    journey = failed_at_b()
    order = asked(journey)
    assert (order.round, order.kept, order.failed, order.code) == (2, ("a",), "b", "unknown_vendor")
    assert (order.message, order.task, order.context.plan, order.context.type) == (
        "no such order",
        ref("task"),
        "plan-1",
        TYPE,
    )
    assert order.context.sources == {"a": c.Source(status=Phase.DONE, output=ref("a.1-out"))}
    assert (journey.phase("b"), journey.state.status, journey.state.why) == ("waiting", Status.RUNNING, Why.MODEL)
    journey.tell(e.PlanProposed(at=0, plan=ref("said"), round=2))
    assert journey.last == (
        c.CheckPlan(process=PROCESS, plan=ref("said"), round=2, context=order.context, kept=("a",)),
    )


def test_the_other_plan_is_followed_and_what_was_done_stays_done() -> None:
    journey = answered(failed_at_b(), numbered(2, A, *REPLACED), number=2)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["x.1"]
    assert (journey.phases(), journey.state.steps_done) == ({"a": "done", "x": "preparing", "last": "waiting"}, 1)
    journey.done("x.1").done("last.1").tell(e.OutputBuilt(at=0, output=ref("out")))
    assert (journey.state.status, journey.state.replanning.replaced["b"].failure) == (
        Status.COMPLETED,
        journey.state.replanning.replaced["b"].failure,
    )
    assert journey.broken_rules() == ()


def test_tries_and_other_agents_come_before_another_plan() -> None:
    journey = planned(A).fails("a.1", failed("a.1"))
    assert (journey.ordered(c.ProposePlan), journey.phase("a")) == ([], "backoff")


def test_a_plan_that_was_given_is_never_replaced() -> None:
    journey = Journey(plan_of(A), models={"plan": 0}).fails("a.1", refused("a.1"))
    assert (journey.phase("a"), journey.question().kind) == ("escalated", EscalationKind.FAILED)


@pytest.mark.parametrize(
    ("steps", "event"),
    [
        ((writing("a", idempotency="unsafe"),), broken("a.1")),
        ((writing("a", retry=replace(A.retry, max_attempts=1)),), failed("a.1", "timeout", outcome=Outcome.UNKNOWN)),
        ((A,), refused("a.1", class_=FailureClass.NEEDS_HUMAN)),
        ((A,), refused("a.1", "drifted")),
        ((A,), refused("a.1", blame=Blame.POLICY)),
        ((step("a", on_failure={"else": OnFailure.SKIP}),), refused("a.1")),
    ],
    ids=["unknown outcome", "frozen key", "a human's", "drift", "policy", "skipped"],
)
def test_what_may_have_acted_what_a_rule_stopped_and_what_may_be_skipped_is_not_planned_anew(
    steps: tuple[StepFacts, ...], event: e.CallFailed
) -> None:
    journey = planned(*steps).fails("a.1", event)
    assert journey.ordered(c.ProposePlan) == []
    assert journey.phase("a") in ("escalated", "skipped")


def test_items_and_rounds_are_not_planned_anew() -> None:
    journey = planned(mapped("a")).opened("a", 2).fails("a[0].1", refused("a[0].1"))
    assert (journey.ordered(c.ProposePlan), journey.phase("a[0]")) == ([], "escalated")
    journey = planned(repeated("a")).fails("a#1.1", refused("a#1.1"))
    assert (journey.ordered(c.ProposePlan), journey.phase("a#1")) == ([], "escalated")


@pytest.mark.parametrize("count", [0, 1])
def test_a_mapped_step_is_planned_anew_only_while_no_item_has_begun(count: int) -> None:
    journey = planned(mapped("a"))
    if count:
        journey.opened("a", 1).done("a[0].1")
    stage = Stage.COLLECT if count else Stage.MAP
    journey.tell(e.StageFailed(at=0, stage=stage, step="a", code="too_large", blame=Blame.PLANNER))
    assert len(journey.ordered(c.ProposePlan)) == 1 - count


def test_a_sub_process_that_left_something_is_not_planned_anew() -> None:
    for left, orders in (((), 1), (("post",), 0)):
        journey = planned(parent("part")).prepared("part.1")
        journey.ends("part.1", Status.FAILED, code="busy", blame=Blame.AGENT, left=left)
        assert len(journey.ordered(c.ProposePlan)) == orders


def test_a_humans_no_is_not_planned_around() -> None:
    journey = planned(A).prepared("a.1", gate=GATE).decide(Decision.REJECT)
    assert (journey.state.status, journey.ordered(c.ProposePlan)) == (Status.FAILED, [])


# --- while calls are under way -----------------------------------------------------------------------------------


def beside() -> Journey:
    """`a` has failed while `c` is called; `d` waits for `c`, `e` for both."""
    journey = planned(A, step("c"), step("d", needs=("c",)), step("e", needs=("a", "d")))
    return journey.prepared("c.1").fails("a.1", refused("a.1"))


def test_calls_that_are_under_way_come_to_their_end_and_nothing_new_begins() -> None:
    journey = beside()
    assert (journey.last, journey.state.why) == ((), Why.AGENT)
    journey.succeeded("c.1")
    order = asked(journey)
    assert (order.kept, journey.phase("d")) == (("c",), "waiting")


def test_a_step_in_a_pause_or_before_a_human_holds_no_other_plan_up_and_is_kept() -> None:
    journey = planned(A, waiting("w"), step("h")).prepared("w.1").prepared("h.1", gate=GATE)
    journey.fails("a.1", refused("a.1"))
    assert asked(journey).kept == ("w", "h")
    before = journey.unit("w"), journey.unit("h")
    journey.decide(Decision.APPROVE).succeeded("h.1").timer("w.1/wait")  # what is under way goes on
    answered(journey, numbered(2, waiting("w"), step("h"), step("x")), number=2)
    assert before[0].timer == "w.1/wait"
    assert journey.phases() == {"w": "done", "h": "done", "x": "preparing"}
    assert journey.broken_rules() == ()


def test_what_happens_to_kept_steps_meanwhile_changes_no_question_that_was_asked() -> None:
    journey = planned(A, step("h")).prepared("h.1", gate=GATE).fails("a.1", refused("a.1"))
    order = asked(journey)
    journey.decide(Decision.APPROVE).succeeded("h.1")
    assert order.context.sources["h"].status is Phase.ASKING
    journey.tell(e.PlanProposed(at=0, plan=ref("said"), round=2))
    [check] = journey.last
    assert isinstance(check, c.CheckPlan)
    assert check.context == order.context


def test_two_steps_that_fail_are_replaced_by_one_plan() -> None:
    journey = planned(A, step("c")).prepared("c.1").fails("a.1", refused("a.1"))
    journey.tell(refused("c.1"))
    assert (asked(journey).kept, asked(journey).failed) == ((), "a")
    answered(journey, numbered(2, step("x")), number=2)
    assert journey.phases() == {"x": "preparing"}


def test_a_kept_step_that_fails_while_the_model_thinks_asks_for_one_more_plan() -> None:
    journey = planned(A, step("h")).prepared("h.1", gate=GATE).fails("a.1", refused("a.1"))
    journey.decide(Decision.APPROVE).tell(refused("h.1"))
    assert journey.ordered(c.ProposePlan) == []
    answered(journey, numbered(2, step("h"), step("x")), number=2)
    order = asked(journey)
    assert (order.round, order.kept, order.failed, journey.phase("x")) == (3, (), "h", "waiting")
    answered(journey, numbered(3, step("y")), number=3)
    assert journey.phases() == {"y": "preparing"}


def test_a_kept_step_that_fails_when_no_round_is_left_is_settled_as_the_plan_says() -> None:
    journey = planned(A, step("h"), limits=Limits(replans=1)).prepared("h.1", gate=GATE).fails("a.1", refused("a.1"))
    journey.decide(Decision.APPROVE).tell(refused("h.1"))
    answered(journey, numbered(2, step("h"), step("x")), number=2)
    assert journey.phases() == {"h": "escalated", "x": "preparing"}


def test_a_step_that_the_other_plan_uses_is_not_skipped_any_more_whatever_was_offered() -> None:
    journey = planned(A, step("h")).fails("h.1", refused("h.1", class_=FailureClass.NEEDS_HUMAN))
    journey.fails("a.1", refused("a.1"))
    skip = resolution(Decision.SKIP, assurance=Assurance.A3)
    assert Decision.SKIP in journey.question().decisions
    assert admit(journey.state, skip) is None
    answered(journey, numbered(2, step("h"), step("x", needs=("h",))), number=2)
    refusal = admit(journey.state, skip)
    assert refusal is not None
    assert refusal.code == "DECISION_NOT_ALLOWED"
    assert journey.decide(Decision.SKIP).phase("h") == "escalated"
    assert journey.decide(Decision.RETRY).phase("h") == "preparing"


# --- ids, keys and books -----------------------------------------------------------------------------------------


def test_a_step_of_the_same_name_goes_on_with_its_numbers_and_keys() -> None:
    journey = answered(failed_at_b(), numbered(2, A, step("b", needs=("a",), contract=OTHER)), number=2)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["b.2"]
    journey.prepared("b.2", digest="another").succeeded("b.2")
    keys = [order.key for order in journey.orders if isinstance(order, c.InvokeAgent) and order.unit == "b"]
    assert keys == [f"{PROCESS}/b/g1", f"{PROCESS}/b/g2"]
    assert journey.state.usd_micros == sum(unit.usd_micros for unit in journey.state.units.values())
    assert journey.broken_rules() == ()


def test_a_name_that_comes_back_after_two_plans_goes_on_too() -> None:
    journey = answered(failed_at_b(), numbered(2, A, step("x", needs=("a",))), number=2)
    journey.fails("x.1", refused("x.1"))
    answered(journey, numbered(3, A, step("b", needs=("a",), contract=OTHER)), number=3)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["b.2"]
    assert sorted(journey.state.replanning.replaced) == ["x"]


def test_places_of_items_and_rounds_move_with_their_steps() -> None:
    journey = planned(A, mapped("m"), repeated("r")).opened("m", 2).done("m[0].1").prepared("r#1.1", gate=GATE)
    journey.prepared("m[1].1", gate=GATE).fails("a.1", refused("a.1"))
    answered(journey, numbered(2, repeated("r"), step("x"), mapped("m")), number=2)
    places = {name: unit.place for name, unit in journey.state.units.items()}
    assert places == {"r": 0, "r#1": 0, "x": 1, "m": 2, "m[0]": 2, "m[1]": 2}
    journey.decide(Decision.APPROVE, 2).succeeded("m[1].1")
    assert journey.ordered(c.CollectItems)
    assert journey.broken_rules() == ()


# --- plans that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        (step("x"),),
        (step("a", contract=OTHER), step("x")),
        (step("a", needs=("x",)), step("x")),
        (mapped("a"), step("x")),
    ],
    ids=["gone", "contract", "needs", "kind"],
)
def test_a_plan_that_changes_what_was_done_is_refused(steps: tuple[StepFacts, ...]) -> None:
    journey = answered(failed_at_b(), numbered(2, *steps), number=2)
    assert (asked(journey).round, journey.phase("a")) == (3, "done")


def test_a_kept_step_lives_on_by_the_facts_with_which_it_began() -> None:
    """Its agents may be others by now, and what undoes it: that is not what it was done under."""
    journey = planned(undoable("a"), B).done("a.1").fails("b.1", refused("b.1"))
    answered(journey, numbered(2, writing("a", agents=()), step("x", needs=("a",))), number=2)
    assert journey.state.plan is not None
    kept = journey.state.plan.steps[0]
    assert (kept.undo, kept.agents, kept.needed_by) == (undoable("a").undo, A.agents, ("x",))


def test_where_no_round_is_left_the_plans_own_words_hold() -> None:
    journey = answered(failed_at_b(limits=Limits(replans=1)), None, number=2)
    assert (journey.phase("b"), journey.question().kind) == ("escalated", EscalationKind.FAILED)
    assert journey.question().unit == "b"
    journey.decide(Decision.RETRY).done("b.2").done("last.1").tell(e.OutputBuilt(at=0, output=ref("out")))
    assert journey.state.status is Status.COMPLETED
    assert journey.broken_rules() == ()


def test_what_was_held_up_goes_on_where_no_other_plan_comes() -> None:
    journey = beside().succeeded("c.1").tell(absent("no_model"))
    assert (journey.phase("a"), journey.phase("d")) == ("escalated", "preparing")


def absent(code: str) -> e.StageFailed:
    return e.StageFailed(at=0, stage=Stage.PLAN, code=code, blame=Blame.TRANSPORT)


def test_a_planner_that_cannot_be_had_is_waited_for_and_then_the_plans_own_words_hold() -> None:
    journey = failed_at_b()
    for _ in range(2):
        journey.tell(absent("unreachable"))
        [timer] = journey.ordered(c.StartTimer)
        journey.timer(timer.timer)
    assert journey.tell(absent("unreachable")).phase("b") == "escalated"


def test_two_steps_that_failed_fail_the_process_once() -> None:
    fails = {"else": OnFailure.FAIL}
    journey = (
        planned(step("a", on_failure=fails), step("c", on_failure=fails)).prepared("c.1").fails("a.1", refused("a.1"))
    )
    journey.tell(refused("c.1")).tell(absent("no_model"))
    assert (journey.state.status, journey.phases()) == (Status.FAILED, {"a": "failed", "c": "failed"})
    assert journey.state.failing is not None
    assert journey.state.failing.unit == "a"


@pytest.mark.parametrize("word", [OnFailure.FAIL, OnFailure.COMPENSATE])
def test_failing_and_undoing_come_after_the_last_plan(word: OnFailure) -> None:
    first, second = undoable("u"), step("b", needs=("u",), on_failure={"else": word})
    journey = planned(first, second, limits=Limits(replans=1)).done("u.1").fails("b.1", refused("b.1"))
    answered(journey, None, number=2)
    if word is OnFailure.COMPENSATE:
        assert journey.phases() == {"u": "undoing", "b": "failed", "u!undo": "preparing"}
        journey.prepared("u!undo.1").succeeded("u!undo.1")
    assert journey.state.status is Status.FAILED
    assert (journey.state.undone, journey.state.left) == (
        (("u",), ()) if word is OnFailure.COMPENSATE else ((), ("u",))
    )
    assert journey.broken_rules() == ()


def test_effects_of_all_plans_are_undone_the_newest_first() -> None:
    journey = planned(undoable("u"), step("b", needs=("u",))).done("u.1").fails("b.1", refused("b.1"))
    doomed = step("doomed", needs=("v",), on_failure={"else": OnFailure.COMPENSATE, "unknown_vendor": OnFailure.SKIP})
    second = (undoable("v", needs=("u",)), replace(doomed, on_failure={"else": OnFailure.COMPENSATE}))
    answered(journey, numbered(2, *second[:1], undoable("u"), *second[1:]), number=2)
    journey.done("v.1").fails("doomed.1", refused("doomed.1", blame=Blame.POLICY))
    for name in ("v", "u"):
        journey.prepared(f"{name}!undo.1").succeeded(f"{name}!undo.1")
    assert (journey.state.status, journey.state.undone) == (Status.FAILED, ("v", "u"))
    assert journey.broken_rules() == ()


def test_the_same_plan_again_is_no_progress_and_a_human_may_grant_one_more() -> None:
    journey = answered(failed_at_b(), numbered(1, A, B, LAST), number=2)
    assert (journey.question().kind, journey.question().unit, journey.phase("b")) == (
        EscalationKind.LOOP,
        None,
        "waiting",
    )
    journey.decide(Decision.RETRY)
    assert (asked(journey).round, asked(journey).failed) == (3, "b")


def test_the_call_that_failed_is_no_progress_under_whatever_name() -> None:
    journey = answered(failed_at_b(), numbered(2, A, *REPLACED), number=2)
    journey.prepared("x.1", digest="b-digest")
    assert (journey.phase("x"), journey.question().kind) == ("escalated", EscalationKind.LOOP)
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.code, ask.rule) == ("loop", "no_progress")
    journey.decide(Decision.RETRY).prepared("x.2", digest="b-digest")
    assert journey.phase("x") == "calling"


def test_digests_count_on_over_plans() -> None:
    journey = planned(A, B, limits=Limits(replans=9, same_call=1)).prepared("a.1", digest="one").succeeded("a.1")
    journey.fails("b.1", refused("b.1"))
    answered(journey, numbered(2, A, step("x", needs=("a",))), number=2).prepared("x.1", digest="one")
    [ask] = journey.ordered(c.OpenEscalation)
    assert (ask.code, ask.rule) == ("loop", "same_call")


def test_the_money_for_another_plan_is_asked_for() -> None:
    journey = failed_at_b(models={"plan": 4}, budget=Budget(usd_micros=8))
    assert (journey.question().kind, journey.question().unit, journey.phase("b")) == (
        EscalationKind.BUDGET,
        None,
        "waiting",
    )
    journey.decide(Decision.RAISE_BUDGET, usd_micros=50)
    assert asked(journey).round == 2
    assert journey.broken_rules() == ()


def test_where_no_token_is_left_for_another_plan_the_plans_own_words_hold() -> None:
    journey = failed_at_b(budget=Budget(tokens=2))
    assert (journey.phase("b"), journey.question().kind) == ("escalated", EscalationKind.FAILED)


# --- approval ----------------------------------------------------------------------------------------------------


def approved(**fields: Any) -> Journey:
    """A model's plan of three steps is approved, and its second step has failed."""
    return failed_at_b_of(planned(A, B, LAST, approval=ApprovalMode.PLAN, **fields).decide(Decision.APPROVE))


def failed_at_b_of(journey: Journey) -> Journey:
    return journey.done("a.1").fails("b.1", refused("b.1"))


def test_another_plan_is_approved_anew_and_nothing_of_it_begins_before() -> None:
    journey = answered(approved(), numbered(2, A, *REPLACED), number=2)
    question = journey.question(2)
    assert (question.kind, question.digest, journey.phase("x")) == (EscalationKind.PLAN, "plan-2", "waiting")
    journey.decide(Decision.APPROVE, 2)
    assert journey.phase("x") == "preparing"


def test_kept_steps_end_while_the_other_plan_is_looked_at_and_begin_nothing() -> None:
    journey = planned(A, step("h"), approval=ApprovalMode.PLAN).decide(Decision.APPROVE)
    journey.prepared("h.1", gate=GATE).fails("a.1", refused("a.1"))
    answered(journey, numbered(2, step("h"), step("x", needs=("h",))), number=2)
    journey.decide(Decision.APPROVE, 2).succeeded("h.1")
    assert (journey.phase("h"), journey.phase("x")) == ("done", "waiting")
    journey.decide(Decision.APPROVE, 3)
    assert journey.phase("x") == "preparing"


def test_a_plan_of_kept_steps_alone_gives_its_output_only_when_it_is_approved() -> None:
    journey = answered(approved(), numbered(2, A), number=2)
    assert journey.ordered(c.BuildOutput) == []
    assert [type(order) for order in journey.decide(Decision.APPROVE, 2).last] == [c.BuildOutput]


def test_a_rejected_plan_of_what_is_left_is_replaced_by_another_that_keeps_the_same() -> None:
    journey = answered(approved(), numbered(2, A, *REPLACED), number=2)
    journey.decide(Decision.REJECT, 2, note="not x")
    order = asked(journey)
    assert (order.rejected, order.note, order.kept, order.failed, order.context.plan) == (
        True,
        "not x",
        ("a",),
        "b",
        "plan-2",
    )
    answered(journey, numbered(3, A, step("y", needs=("a",))), number=3)
    assert (journey.question(3).digest, journey.phases()) == ("plan-3", {"a": "done", "y": "waiting"})
    journey.decide(Decision.REJECT, 3)
    assert journey.state.status is Status.FAILED
    assert journey.broken_rules() == ()


def test_a_planner_that_fails_after_a_no_leaves_nothing_standing_and_a_human_is_asked() -> None:
    journey = answered(approved(), numbered(2, A, *REPLACED), number=2)
    journey.decide(Decision.REJECT, 2).tell(absent("no_model"))
    assert (journey.question(3).kind, journey.question(3).unit) == (EscalationKind.FAILED, None)
    journey.decide(Decision.RETRY, 3)
    assert asked(journey).kept == ("a",)


def test_a_kept_step_that_fails_while_a_plan_is_looked_at_asks_for_one_more_when_it_is_approved() -> None:
    journey = planned(A, step("h"), approval=ApprovalMode.PLAN).decide(Decision.APPROVE)
    journey.prepared("h.1", gate=GATE).fails("a.1", refused("a.1"))
    answered(journey, numbered(2, step("h"), step("x")), number=2)
    journey.decide(Decision.APPROVE, 2).tell(refused("h.1"))
    assert (journey.ordered(c.ProposePlan), journey.phase("h")) == ([], "waiting")
    journey.decide(Decision.APPROVE, 3)
    assert (asked(journey).failed, journey.phase("x")) == ("h", "waiting")


# --- the end in the middle of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["calls", "asked", "checked", "approval", "rest", "loop"])
def test_a_cancel_in_every_phase_of_it_ends_the_process_and_calls_what_failed_failed(phase: str) -> None:
    journey = beside() if phase == "calls" else approved() if phase == "approval" else failed_at_b()
    match phase:
        case "checked":
            journey.tell(e.PlanProposed(at=0, plan=ref("said"), round=2))
        case "approval":
            answered(journey, numbered(2, A, *REPLACED), number=2)
        case "rest":
            journey.tell(absent("unreachable"))
        case "loop":
            answered(journey, numbered(1, A, B), number=2)
        case _:
            pass
    journey.cancel()
    if phase == "calls":
        assert journey.phase("a") == "failed"
        journey.tell(e.CallLost(at=0, call="c.1"))
    elif phase != "approval":
        assert journey.phase("b") == "failed"
    assert journey.state.status is Status.CANCELLED
    assert journey.broken_rules() == ()


def test_a_question_about_another_plan_may_be_aborted() -> None:
    journey = answered(failed_at_b(), numbered(1, A, B, LAST), number=2).decide(Decision.ABORT)
    assert (journey.state.status, journey.phase("b")) == (Status.FAILED, "failed")


def test_an_end_that_comes_before_the_plan_was_asked_for_asks_for_none() -> None:
    journey = planned(A, step("c", on_failure={"else": OnFailure.FAIL})).prepared("c.1").fails("a.1", refused("a.1"))
    journey.tell(refused("c.1", blame=Blame.POLICY))
    assert (journey.state.status, journey.ordered(c.ProposePlan)) == (Status.FAILED, [])


def test_a_process_that_is_set_aside_asks_for_no_plan_until_it_goes_on() -> None:
    journey = beside().tell(e.DecisionsDrifted(at=0, row=1)).succeeded("c.1")
    assert journey.ordered(c.ProposePlan) == []
    journey.decide(Decision.RETRY)
    assert asked(journey).kept == ("c",)
