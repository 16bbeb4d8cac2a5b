"""Money: held back before a call, settled after it, asked for when it is short. And the bounds that nobody raises."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import (
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
    resolution,
    step,
    writing,
)
from process_orchestrator.core.admit import RAISE_USD_MICROS_MAX, admit
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.facts.values import (
    Assurance,
    Blame,
    Decision,
    EscalationKind,
    Idempotency,
    Money,
    OnFailure,
    Status,
    Why,
)
from process_orchestrator.core.limits import Limits

ONCE = replace(TRANSIENT, max_attempts=1)


def with_money(cap: int, *steps: Any, **fields: Any) -> Journey:
    """Steps that stand beside each other unless they say otherwise, and a cap of some micro-dollars."""
    budget = Budget(**({"usd_micros": cap} | fields.pop("budget", {})))
    return Journey(plan_of(*(steps or (step("a"), step("b"), step("c")))), budget=budget, **fields)


def books(journey: Journey) -> tuple[int, int]:
    """What is spent and what is held back."""
    return journey.state.usd_micros, journey.state.reserved_usd_micros


def called(journey: Journey) -> list[str]:
    return [order.call for order in journey.ordered(c.InvokeAgent)]


def test_a_call_holds_back_its_worst_case_and_pays_what_it_billed() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=6)
    assert books(journey) == (0, 6)
    assert books(journey.succeeded("a.1", usd_micros=4)) == (4, 0)
    assert journey.unit("a").usd_micros == 4


def test_a_call_that_does_not_fit_beside_what_is_held_back_waits_without_asking() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=6).prepared("b.1", reserve_usd_micros=5)
    assert (journey.phase("b"), called(journey), journey.state.budget_waiting) == ("escalated", [], ("b",))
    assert (journey.unit("b").why, journey.state.escalations, journey.state.status) == (Why.BUDGET, {}, Status.RUNNING)
    journey.succeeded("a.1", usd_micros=5)
    assert (called(journey), journey.phase("b"), journey.state.budget_waiting) == (["b.1"], "calling", ())
    assert books(journey) == (5, 5)


def test_the_last_micro_dollar_may_be_spent() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=4).prepared("b.1", reserve_usd_micros=6)
    assert (journey.phase("b"), books(journey)) == ("calling", (0, 10))


def test_who_waits_for_money_that_may_come_free_is_not_overtaken() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=6).prepared("b.1", reserve_usd_micros=5)
    journey.prepared("c.1", reserve_usd_micros=1)
    assert (called(journey), journey.state.budget_waiting) == ([], ("b", "c"))
    journey.succeeded("a.1", usd_micros=1)
    assert called(journey) == ["b.1", "c.1"]


def test_what_only_a_human_can_help_is_asked_at_once_and_holds_up_nobody() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=6).prepared("b.1", reserve_usd_micros=11)
    assert (journey.question().kind, journey.question().unit) == (EscalationKind.BUDGET, "b")
    assert journey.question().decisions == (Decision.RAISE_BUDGET, Decision.ABORT)
    assert journey.state.status is Status.RUNNING
    assert called(journey.prepared("c.1", reserve_usd_micros=4)) == ["c.1"]
    journey.succeeded("a.1", usd_micros=6).succeeded("c.1", usd_micros=4)
    assert (journey.state.status, journey.state.why) == (Status.WAITING_HUMAN, Why.BUDGET)


def test_the_question_says_how_the_budget_stood_when_it_was_asked() -> None:
    journey = with_money(10).done("a.1").prepared("b.1", reserve_usd_micros=5)
    journey.prepared("c.1", reserve_usd_micros=7)
    money = Money(needed_usd_micros=7, spent_usd_micros=5, reserved_usd_micros=5, cap_usd_micros=10)
    (order,) = journey.ordered(c.OpenEscalation)
    assert (order.money, journey.question().money) == (money, money)
    journey.succeeded("b.1")
    assert journey.question().money == money


def test_raising_the_budget_lets_the_waiting_calls_go_in_order_as_far_as_it_reaches() -> None:
    journey = with_money(1)
    for name in "abc":
        journey.prepared(f"{name}.1", reserve_usd_micros=4)
    assert (journey.state.budget_waiting, list(journey.state.escalations)) == (("a", "b", "c"), [f"{PROCESS}.e1"])
    journey.decide(Decision.RAISE_BUDGET, usd_micros=7)
    assert (called(journey), journey.state.spec.budget.usd_micros) == (["a.1", "b.1"], 8)
    assert (journey.phase("c"), len(journey.state.escalations)) == ("escalated", 1)
    journey.succeeded("a.1", usd_micros=4).succeeded("b.1", usd_micros=4)
    assert (journey.question(2).unit, journey.state.why) == ("c", Why.BUDGET)
    assert called(journey.decide(Decision.RAISE_BUDGET, 2, usd_micros=4)) == ["c.1"]
    assert journey.broken_rules() == ()


def test_an_amount_that_is_too_small_leads_to_the_next_question() -> None:
    journey = with_money(1).prepared("a.1", reserve_usd_micros=9).decide(Decision.RAISE_BUDGET, usd_micros=1)
    assert (journey.question(2).kind, journey.phase("a"), called(journey)) == (EscalationKind.BUDGET, "escalated", [])


def test_other_questions_leave_the_process_waiting_for_a_human() -> None:
    journey = with_money(1, step("a"), step("b"), step("c")).prepared("a.1", reserve_usd_micros=9)
    journey.prepared("b.1", gate=GATE).prepared("c.1", reserve_usd_micros=9)
    assert (journey.state.status, journey.state.why) == (Status.WAITING_HUMAN, Why.HUMAN)


def test_a_question_about_money_waits_for_a_free_place() -> None:
    journey = with_money(1, limits=Limits(open_escalations=1)).prepared("a.1", gate=GATE)
    journey.prepared("b.1", reserve_usd_micros=9).prepared("c.1", gate=GATE)
    assert (journey.state.escalations_open, journey.state.escalations_waiting) == (1, ("c",))
    journey.decide(Decision.REJECT)
    assert journey.state.failing is not None
    journey = with_money(1, limits=Limits(open_escalations=1)).prepared("a.1", gate=GATE)
    journey.prepared("b.1", reserve_usd_micros=9).decide(Decision.APPROVE)
    assert (journey.question(2).kind, journey.question(2).unit) == (EscalationKind.BUDGET, "b")


def test_a_call_that_billed_more_than_was_held_back_is_paid_in_full_and_nothing_starts_above_the_cap() -> None:
    journey = with_money(10, step("a"), step("b")).prepared("a.1", reserve_usd_micros=4)
    journey.succeeded("a.1", usd_micros=25)
    assert (books(journey), journey.unit("a").overbilled) == ((25, 0), ("a.1",))
    journey.prepared("b.1", reserve_usd_micros=0)
    assert (called(journey), journey.state.why) == ([], Why.BUDGET)
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(
    ("event", "spent"),
    [
        (e.CallLost(at=0, call="a.1"), 4),
        (broken("a.1"), 4),
        (replace(broken("a.1"), usd_micros=1), 1),
        (refused("a.1"), 0),
        (refused("a.1", usd_micros=3), 3),
        (e.CallSucceeded(at=0, call="a.1", output=ref("out"), ms=1), 4),
        (e.CallSucceeded(at=0, call="a.1", output=ref("out"), ms=1, usd_micros=0), 0),
    ],
)
def test_what_may_have_been_billed_counts_whole_where_nobody_says(event: e.Event, spent: int) -> None:
    journey = with_money(10, writing("a", retry=ONCE)).prepared("a.1", reserve_usd_micros=4).tell(event)
    assert (books(journey), journey.state.unknown_calls, journey.unit("a").usd_micros) == ((spent, 0), 0, spent)


@pytest.mark.parametrize("event", [e.CallLost(at=0, call="a.1"), broken("a.1"), refused("a.1")])
def test_a_call_of_unknown_price_counts_nothing_and_is_counted_as_such(event: e.Event) -> None:
    journey = with_money(0, writing("a", retry=ONCE)).prepared("a.1").tell(event)
    assert (books(journey), journey.state.unknown_calls) == ((0, 0), 1)


def test_every_try_holds_back_anew() -> None:
    journey = with_money(5, step("a")).prepared("a.1", reserve_usd_micros=3).tell(failed("a.1", usd_micros=3))
    journey.timer("a.1/retry").prepared("a.2", reserve_usd_micros=3)
    assert (journey.phase("a"), journey.question().kind, books(journey)) == ("escalated", EscalationKind.BUDGET, (3, 0))
    journey.decide(Decision.RAISE_BUDGET, usd_micros=1).succeeded("a.2", usd_micros=3)
    assert books(journey) == (6, 0)


def test_nothing_is_held_back_while_a_human_thinks() -> None:
    journey = with_money(10, writing("a"), step("b", human=True))
    journey.prepared("a.1", reserve_usd_micros=9, gate=GATE).prepared("b.1", reserve_usd_micros=9)
    assert books(journey) == (0, 0)
    assert books(journey.decide(Decision.APPROVE)) == (0, 9)


def test_an_approved_call_that_lacks_money_is_made_with_the_same_arguments_once_it_is_there() -> None:
    journey = with_money(1, writing("a")).prepared("a.1", reserve_usd_micros=9, gate=GATE).decide(Decision.APPROVE)
    assert (journey.phase("a"), journey.question(2).kind) == ("escalated", EscalationKind.BUDGET)
    journey.decide(Decision.RAISE_BUDGET, 2, usd_micros=8)
    (order,) = journey.ordered(c.InvokeAgent)
    assert (order.call, order.key) == ("a.1", f"{PROCESS}/a/g1")


def test_the_items_of_a_map_share_the_money() -> None:
    journey = with_money(10, mapped("a", parallel=4)).opened("a", 4)
    for item in range(4):
        journey.prepared(f"a[{item}].1", reserve_usd_micros=5)
    assert (books(journey), journey.state.budget_waiting) == ((0, 10), ("a[2]", "a[3]"))
    journey.succeeded("a[0].1", usd_micros=5)
    assert (journey.state.budget_waiting, journey.state.status) == (("a[2]", "a[3]"), Status.RUNNING)
    journey.succeeded("a[1].1", usd_micros=5)
    assert (journey.question().unit, journey.state.why, journey.unit("a").items_escalated) == ("a[2]", Why.BUDGET, 2)
    journey.decide(Decision.RAISE_BUDGET, usd_micros=10).succeeded("a[2].1").succeeded("a[3].1")
    assert journey.unit("a").collecting
    assert journey.broken_rules() == ()


def test_aborting_ends_the_wait_and_what_waited_is_skipped() -> None:
    journey = with_money(1).prepared("a.1", reserve_usd_micros=9).prepared("b.1", reserve_usd_micros=9)
    journey.decide(Decision.ABORT)
    assert (journey.state.status, journey.state.budget_waiting) == (Status.FAILED, ())
    assert set(journey.phases().values()) == {"skipped"}


def test_a_cancel_while_calls_are_under_way_gives_their_money_back_as_they_end() -> None:
    journey = with_money(10).prepared("a.1", reserve_usd_micros=6).prepared("b.1", reserve_usd_micros=6).cancel()
    assert (books(journey), journey.state.budget_waiting, journey.state.finished) == ((0, 6), (), False)
    assert (books(journey.tell(refused("a.1"))), journey.state.status) == ((0, 0), Status.CANCELLED)


def test_a_failure_that_ends_the_process_lets_no_waiting_call_go() -> None:
    ends = step("a", on_failure={"else": OnFailure.FAIL}, retry=ONCE)
    journey = (
        with_money(10, ends, step("b")).prepared("a.1", reserve_usd_micros=6).prepared("b.1", reserve_usd_micros=6)
    )
    journey.tell(refused("a.1"))
    assert (journey.state.status, called(journey), journey.phase("b")) == (Status.FAILED, [], "skipped")


@pytest.mark.parametrize("amount", [None, 0, -1, RAISE_USD_MICROS_MAX + 1])
def test_an_amount_that_is_none_does_not_enter(amount: int | None) -> None:
    journey = with_money(1).prepared("a.1", reserve_usd_micros=9)
    event = resolution(Decision.RAISE_BUDGET, usd_micros=amount, assurance=Assurance.A3)
    refusal = admit(journey.state, event)
    assert refusal is not None
    assert refusal.code == "BUDGET_INVALID"
    assert admit(journey.state, replace(event, usd_micros=1)) is None
    assert admit(journey.state, replace(event, usd_micros=RAISE_USD_MICROS_MAX)) is None


def test_raising_needs_the_level_of_the_step_and_aborting_needs_none() -> None:
    journey = with_money(1, step("a", decision_level=Assurance.A2)).prepared("a.1", reserve_usd_micros=9)
    weak = resolution(Decision.RAISE_BUDGET, usd_micros=9, assurance=Assurance.A1)
    refusal = admit(journey.state, weak)
    assert refusal is not None
    assert (refusal.code, refusal.required) == ("NEEDS_HUMAN", Assurance.A2)
    assert admit(journey.state, resolution(Decision.ABORT)) is None


# --- what nobody can raise ---------------------------------------------------------------------------------------


def stopped(journey: Journey) -> tuple[str, str | None, Blame]:
    failure = journey.state.escalations[f"{PROCESS}.e{journey.state.escalations_opened}"]
    unit = journey.unit(failure.unit or "")
    assert unit.failure is not None
    assert failure.decisions == (Decision.USE_OUTPUT, Decision.SKIP, Decision.ABORT)
    return unit.failure.code, unit.failure.rule, unit.failure.blame


def test_a_call_of_unknown_price_is_refused_where_the_budget_says_so() -> None:
    journey = with_money(10, budget={"unknown": "refuse"}).prepared("a.1")
    assert (stopped(journey), journey.state.calls) == (("over_budget", "budget.unknown", Blame.POLICY), 0)
    assert called(journey.prepared("b.1", reserve_usd_micros=0)) == ["b.1"]


def test_a_process_that_may_use_no_tokens_calls_agents_that_use_none() -> None:
    journey = with_money(10, budget={"tokens": 0}).prepared("a.1", reserve_usd_micros=1)
    assert called(journey) == ["a.1"]
    assert stopped(journey.done("a.1").prepared("b.1")) == ("over_budget", "budget.tokens", Blame.POLICY)


def test_no_call_starts_once_the_tokens_are_used_up() -> None:
    journey = with_money(10, budget={"tokens": 2}).done("a.1").prepared("b.1")
    assert stopped(journey) == ("over_budget", "budget.tokens", Blame.POLICY)


def test_a_budget_without_tokens_forbids_no_call_that_takes_none() -> None:
    assert called(with_money(10, budget={"tokens": 0}).prepared("a.1")) == ["a.1"]


def test_no_call_starts_once_all_calls_are_made() -> None:
    journey = with_money(10, limits=Limits(calls=1)).done("a.1").prepared("b.1")
    assert stopped(journey) == ("over_budget", "budget.calls", Blame.POLICY)


def test_only_time_in_running_counts_towards_the_total() -> None:
    journey = with_money(10, writing("a"), step("b", needs=("a",)), limits=Limits(total_ms=1000))
    journey.prepared("a.1", gate=GATE).passes(50_000)
    journey.decide(Decision.APPROVE).passes(999)
    assert called(journey.succeeded("a.1").prepared("b.1")) == ["b.1"]


def test_no_call_starts_once_the_time_is_used_up() -> None:
    journey = with_money(10, step("a"), step("b", needs=("a",)), limits=Limits(total_ms=1000)).prepared("a.1")
    journey.passes(1000)
    assert stopped(journey.succeeded("a.1").prepared("b.1")) == ("over_budget", "budget.total_s", Blame.POLICY)


def test_time_without_an_engine_counts_towards_no_total() -> None:
    journey = with_money(10, step("a"), step("b", needs=("a",)), limits=Limits(total_ms=1000)).prepared("a.1")
    journey.passes(5000)
    journey.tell(e.EngineResumed(at=0, engine=2)).passes(999)
    assert called(journey.succeeded("a.1").prepared("b.1")) == ["b.1"]


def test_a_bound_that_is_reached_while_a_call_waits_for_money_settles_it_by_plan() -> None:
    skips = step("b", on_failure={"over_budget": OnFailure.SKIP, "else": OnFailure.ESCALATE})
    journey = with_money(10, step("a"), skips, step("c"), budget={"tokens": 2}).prepared("a.1", reserve_usd_micros=6)
    journey.prepared("b.1", reserve_usd_micros=6).succeeded("a.1", usd_micros=1)
    assert (journey.phase("b"), journey.state.budget_waiting) == ("skipped", ())


def test_a_bound_that_ends_the_process_leaves_nobody_in_the_queue() -> None:
    fails = [step(name, on_failure={"else": OnFailure.FAIL}) for name in "bcd"]
    journey = with_money(10, step("a"), *fails, budget={"tokens": 2}).prepared("a.1", reserve_usd_micros=6)
    for name in "bcd":
        journey.prepared(f"{name}.1", reserve_usd_micros=6)
    journey.succeeded("a.1", usd_micros=1)
    assert (journey.state.status, journey.state.budget_waiting) == (Status.FAILED, ())
    assert [journey.phase(name) for name in "bcd"] == ["failed", "skipped", "skipped"]


def test_an_unsafe_call_that_is_lost_counts_whole_and_its_retry_needs_money_of_its_own() -> None:
    journey = with_money(6, writing("a", idempotency=Idempotency.UNSAFE)).prepared("a.1", reserve_usd_micros=4)
    journey.tell(e.CallLost(at=0, call="a.1")).decide(Decision.RETRY).prepared("a.2", reserve_usd_micros=4)
    assert (books(journey), journey.question(2).kind) == ((4, 0), EscalationKind.BUDGET)


def test_a_call_that_no_agent_was_asked_counts_neither_as_call_nor_as_unknown() -> None:
    journey = with_money(10, step("a"), limits=Limits(calls=2))
    for number in (1, 2, 3):
        call = f"a.{number}"
        journey.prepared(call).tell(failed(call, "circuit_open", blame=Blame.TRANSPORT, usd_micros=None))
        journey.timer(f"{call}/retry")
    journey.prepared("a.4")
    assert (called(journey), journey.state.calls, journey.state.unknown_calls) == (["a.4"], 1, 0)
    assert journey.broken_rules() == ()
