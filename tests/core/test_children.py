"""Steps that start a process: what the child is given, what its end means, what one budget for the tree is."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from core.journeys import CHILD_TYPE, GATE, PROCESS, Journey, mapped, parent, plan_of, ref, refused, step
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget, ProcessSpec
from process_orchestrator.core.facts.values import (
    AgentPin,
    ApprovalMode,
    Assurance,
    Blame,
    Decision,
    Effect,
    FailureClass,
    OnFailure,
    Status,
    Why,
)
from process_orchestrator.core.limits import Limits

CHILD = "p_" + base64.b32encode(hashlib.sha256(f"{PROCESS}/part/g1".encode()).digest()[:16]).decode().lower().rstrip(
    "="
)

CHILD_AGENT = AgentPin(name=CHILD_TYPE.name, sha256=CHILD_TYPE.sha256)


def started(plan_step: Any = None, **fields: Any) -> Journey:
    return Journey(plan_of(plan_step or parent("part")), **fields).prepared("part.1", digest="d")


def test_a_child_has_the_paragraphs_of_its_parent_and_no_model_for_what_it_is_given() -> None:
    journey = Journey(plan_of(parent("part")), models={"intake": 1, "plan": 2, "brief": 3}).prepared("part.1")
    [order] = journey.ordered(c.StartChild)
    assert order.spec.models == {"brief": 3}


def test_a_child_starts_with_the_input_of_its_step_under_an_id_that_its_key_gives() -> None:
    journey = started(lineage=("p_top",), budget=Budget(usd_micros=1000))
    [order] = journey.ordered(c.StartChild)
    assert order == c.StartChild(
        process=PROCESS,
        call="part.1",
        child=CHILD,
        spec=ProcessSpec(
            process_id=CHILD,
            principal="local",
            request_sha256="d",
            lineage=("p_top", PROCESS),
            parent_call="part.1",
            input=ref("part-in"),
            type=CHILD_TYPE,
            budget=Budget(usd_micros=100),
            limits=Limits(depth=3),
        ),
        plan="child-plan-facts",
        usd_micros=100,
    )
    state = journey.state
    assert (state.status, state.why, journey.phase("part")) == (Status.RUNNING, Why.AGENT, "calling")
    assert ("part.1" in state.live_calls, state.reserved_usd_micros, journey.unit("part").child) == (True, 100, CHILD)


def test_the_childs_output_is_the_steps_and_what_it_did_not_spend_comes_back() -> None:
    journey = started().ends("part.1", usd_micros=30, tokens=5, unknown_calls=1)
    state, unit = journey.state, journey.unit("part")
    assert (journey.phase("part"), unit.output, unit.usd_micros) == ("done", ref("part.1-out"), 30)
    assert (state.usd_micros, state.reserved_usd_micros, state.tokens, state.unknown_calls) == (30, 0, 5, 1)
    journey.tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.broken_rules() == ()


def test_a_childs_failure_is_the_steps_and_is_never_tried_again_by_itself() -> None:
    journey = started().ends(
        "part.1",
        Status.FAILED,
        code="busy",
        class_=FailureClass.TRANSIENT,
        blame=Blame.AGENT,
        message="its step post failed",
        left=("post",),
    )
    unit = journey.unit("part")
    assert unit.failure is not None
    assert (unit.failure.code, unit.failure.blame, unit.failure.message) == (
        "busy",
        Blame.AGENT,
        "its step post failed",
    )
    assert journey.phase("part") == "escalated"
    assert journey.question().decisions == (Decision.RETRY, Decision.SKIP, Decision.ABORT)
    journey.decide(Decision.RETRY).prepared("part.2")
    [again] = journey.ordered(c.StartChild)
    assert again.child != CHILD


def test_a_child_that_was_cancelled_by_others_is_a_failure_of_its_step() -> None:
    journey = started(parent("part", on_failure={"cancelled": OnFailure.SKIP, "else": OnFailure.FAIL}))
    journey.ends("part.1", Status.CANCELLED)
    failure = journey.unit("part").failure
    assert failure is not None
    assert (journey.phase("part"), failure.code, failure.blame) == ("skipped", "cancelled", Blame.POLICY)


def test_a_cancel_goes_down_and_waits_for_the_childs_end() -> None:
    journey = started().cancel()
    assert journey.ordered(c.CancelCall) == [c.CancelCall(process=PROCESS, call="part.1", child=CHILD)]
    assert (journey.state.finished, journey.state.why) == (False, Why.CANCEL)
    journey.tell(e.CallLost(at=0, call="part.1"))
    assert not journey.state.finished
    journey.ends("part.1", Status.CANCELLED)
    assert (journey.state.status, journey.phase("part"), journey.state.left) == (Status.CANCELLED, "skipped", ())


def test_what_a_cancelled_child_has_left_is_named() -> None:
    journey = started(parent("part", effect=Effect.WRITE)).cancel().ends("part.1", Status.CANCELLED, left=("post",))
    assert (journey.phase("part"), journey.state.left) == ("failed", ("part",))


def test_a_child_that_was_too_quick_for_a_cancel_is_done() -> None:
    journey = started(parent("part", effect=Effect.WRITE)).cancel().ends("part.1")
    assert (journey.state.status, journey.phase("part"), journey.state.left) == (Status.CANCELLED, "done", ("part",))


def test_fail_fast_cuts_children_off_too() -> None:
    plan = plan_of(parent("part"), step("a", on_failure={"else": OnFailure.FAIL}))
    journey = Journey(plan).prepared("part.1").fails("a.1", refused("a.1"))
    assert [order.child for order in journey.ordered(c.CancelCall)] == [CHILD]
    assert journey.ends("part.1", Status.CANCELLED).state.status is Status.FAILED


def test_children_share_one_budget_and_the_last_gets_what_is_left() -> None:
    plan = plan_of(parent("a", usd_micros=60), parent("b", usd_micros=60), parent("c", usd_micros=60))
    journey = Journey(plan, budget=Budget(usd_micros=100)).prepared("a.1")
    assert journey.ordered(c.StartChild)[0].usd_micros == 60
    journey.prepared("b.1")
    [second] = journey.ordered(c.StartChild)
    assert (second.usd_micros, second.spec.budget.usd_micros) == (40, 40)
    journey.prepared("c.1")
    assert (journey.ordered(c.StartChild), journey.state.escalations_open) == ([], 0)
    journey.ends("a.1", usd_micros=50)
    assert [(order.call, order.usd_micros) for order in journey.ordered(c.StartChild)] == [("c.1", 10)]
    journey.ends("b.1", usd_micros=40).ends("c.1", usd_micros=10)
    assert (journey.state.usd_micros, journey.state.reserved_usd_micros) == (100, 0)
    assert journey.broken_rules() == ()


def test_where_nothing_is_left_for_a_child_a_person_is_asked_for_money() -> None:
    journey = Journey(plan_of(parent("part")), budget=Budget(usd_micros=0)).prepared("part.1")
    assert journey.state.why is Why.BUDGET
    journey.decide(Decision.RAISE_BUDGET, usd_micros=5)
    assert [order.usd_micros for order in journey.ordered(c.StartChild)] == [5]


def test_a_child_that_may_spend_nothing_needs_no_money() -> None:
    journey = Journey(plan_of(parent("part", usd_micros=0)), budget=Budget(usd_micros=0)).prepared("part.1")
    assert [order.usd_micros for order in journey.ordered(c.StartChild)] == [0]


@pytest.mark.parametrize(("own", "childs", "above"), [(3, 1, 1), (1, 3, 1), (3, 3, 3)])
def test_a_child_that_would_be_too_deep_is_a_loop(own: int, childs: int, above: int) -> None:
    lineage = tuple(f"p_{number}" for number in range(above))
    plan = plan_of(parent("part", depth=childs, on_failure={"else": OnFailure.FAIL}))
    journey = Journey(plan, lineage=lineage, limits=Limits(depth=own)).prepared("part.1", gate=GATE)
    failing = journey.state.failing
    assert failing is not None
    assert (failing.code, failing.rule, failing.blame, journey.state.calls) == ("loop", "depth", Blame.POLICY, 0)


def test_a_child_as_deep_as_allowed_starts_and_hands_the_lower_depth_down() -> None:
    journey = Journey(plan_of(parent("part", depth=3)), lineage=("p_1",), limits=Limits(depth=2)).prepared("part.1")
    [order] = journey.ordered(c.StartChild)
    assert (order.spec.lineage, order.spec.limits.depth) == (("p_1", PROCESS), 2)


@pytest.mark.parametrize(
    ("mode", "given"),
    [
        (ApprovalMode.POLICY, ApprovalMode.POLICY),
        (ApprovalMode.EVERY_STEP, ApprovalMode.EVERY_STEP),
    ],
)
def test_a_child_is_approved_step_by_step_where_its_parent_is(mode: ApprovalMode, given: ApprovalMode) -> None:
    assert started(approval=mode).ordered(c.StartChild)[0].spec.approval is given


def test_a_parent_that_refuses_unknown_prices_refuses_them_below_it_too() -> None:
    journey = Journey(plan_of(parent("part")), budget=Budget(usd_micros=50, unknown="refuse"))
    journey.tell(
        e.CallPrepared(at=0, call="part.1", agent=CHILD_AGENT, input=ref("i"), digest="d", reserve_usd_micros=9)
    )
    assert journey.ordered(c.StartChild)[0].spec.budget.unknown == "refuse"


def test_the_start_of_a_child_can_be_approved_first() -> None:
    journey = Journey(plan_of(parent("part"))).prepared("part.1", gate=GATE)
    assert (journey.phase("part"), journey.state.reserved_usd_micros) == ("asking", 0)
    journey.decide(Decision.APPROVE, assurance=Assurance.A3)
    assert [order.child for order in journey.ordered(c.StartChild)] == [CHILD]
    journey.ends("part.1").tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.broken_rules() == ()


def test_a_list_may_be_gone_through_by_children() -> None:
    facts = parent("parts").child
    plan = plan_of(mapped("parts", contract=None, agents=(), child=facts, parallel=2))
    journey = Journey(plan).opened("parts", 2).prepared("parts[0].1").prepared("parts[1].1")
    ids = {journey.unit(f"parts[{item}]").child for item in (0, 1)}
    assert len(ids) == 2
    journey.ends("parts[0].1").ends("parts[1].1")
    [collect] = journey.ordered(c.CollectItems)
    assert collect.outputs == (ref("parts[0].1-out"), ref("parts[1].1-out"))


@pytest.mark.parametrize("kind", ["CallSucceeded", "CallFailed", "CallLost"])
def test_no_agent_answers_for_a_child(kind: str) -> None:
    events: dict[str, e.Event] = {
        "CallSucceeded": e.CallSucceeded(at=0, call="part.1", output=ref("x"), ms=1),
        "CallFailed": refused("part.1"),
        "CallLost": e.CallLost(at=0, call="part.1"),
    }
    journey = started()
    before = journey.state.units
    assert journey.tell(events[kind]).state.units == before


def test_no_child_ends_for_an_agent() -> None:
    journey = Journey(plan_of(step("a"))).prepared("a.1")
    before = journey.state.units
    assert journey.ends("a.1").state.units == before


def test_a_child_that_completed_without_an_output_did_not_complete() -> None:
    journey = started(parent("part", on_failure={"else": OnFailure.FAIL})).ends("part.1", output=None)
    assert journey.state.status is Status.FAILED


def test_what_a_child_left_stays_named_when_the_next_one_leaves_nothing() -> None:
    journey = started(parent("part", effect=Effect.WRITE)).ends("part.1", Status.FAILED, code="busy", left=("post",))
    journey.decide(Decision.RETRY).prepared("part.2").ends("part.2", Status.FAILED, code="busy")
    journey.decide(Decision.ABORT, 2)
    assert (journey.state.status, journey.state.left) == (Status.FAILED, ("part",))
    assert journey.broken_rules() == ()


def test_time_in_which_only_a_child_works_is_the_childs() -> None:
    plan = plan_of(parent("part"), step("b", needs=("part",)))
    journey = Journey(plan, limits=Limits(total_ms=1000)).prepared("part.1")
    journey.passes(50_000)
    journey.ends("part.1").passes(999)
    journey.prepared("b.1")
    assert [order.call for order in journey.ordered(c.InvokeAgent)] == ["b.1"]
    journey.passes(5)
    assert journey.cancel().succeeded("b.1").state.running_ms == 1004


def test_time_beside_a_child_counts_while_anything_else_works() -> None:
    plan = plan_of(parent("part"), step("a"), step("b", needs=("a",)))
    journey = Journey(plan, limits=Limits(total_ms=1000)).prepared("part.1").prepared("a.1")
    journey.passes(1000)
    journey.succeeded("a.1").prepared("b.1")
    assert journey.question().kind == "failed"
    assert journey.unit("b").failure.rule == "budget.total_s"  # type: ignore[union-attr]
