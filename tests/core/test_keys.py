"""Ids that can be taken apart again, and the law of the idempotency key."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from core.journeys import ALPHA, BETA, PROCESS, TRANSIENT, Journey, broken, failed, plan_of, ref, refused, step, writing
from process_orchestrator.core import keys
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Decision, Effect, Idempotency, Outcome


def test_ids_are_derived() -> None:
    assert keys.item_id("lines", 3) == "lines[3]"
    assert keys.call_id("lines[3]", 2) == "lines[3].2"
    assert keys.key("p_x", "lines[3]", 1) == "p_x/lines[3]/g1"
    assert keys.escalation_id("p_x", 4) == "p_x.e4"
    assert [keys.timer_id("post.2", kind) for kind in keys.TimerKind] == [
        "post.2/retry",
        "post.2/deadline",
        "post.2/remind",
        "post.2/wait",
    ]


def test_ids_can_be_taken_apart() -> None:
    assert keys.unit_of_call("lines[3].2") == "lines[3]"
    assert keys.owner_of_timer("lines[3].2/retry") == "lines[3].2"
    assert [keys.step_of_unit(unit) for unit in ("post", "lines[3]", "poll#2", "post!undo")] == [
        "post",
        "lines",
        "poll",
        "post",
    ]


def keys_of(journey: Journey) -> list[str]:
    return [order.key for order in journey.orders if isinstance(order, c.InvokeAgent)]


def test_every_call_that_surely_did_nothing_is_followed_by_a_new_key() -> None:
    journey = Journey(plan_of(writing("a")))
    journey.fails("a.1", failed("a.1")).timer("a.1/retry").fails("a.2", failed("a.2")).timer("a.2/retry").done("a.3")
    assert keys_of(journey) == [f"{PROCESS}/a/g{number}" for number in (1, 2, 3)]


@pytest.mark.behaviour("P2-once")
def test_one_unknown_outcome_freezes_the_key_whatever_follows() -> None:
    """An agent that times out, then says busy, then books late: one key."""
    journey = Journey(plan_of(writing("a")))
    journey.fails("a.1", failed("a.1", "timeout", outcome=Outcome.UNKNOWN)).timer("a.1/retry")
    journey.fails("a.2", failed("a.2")).timer("a.2/retry").done("a.3")
    assert keys_of(journey) == [f"{PROCESS}/a/g1"] * 3
    assert journey.broken_rules() == ()


def test_a_key_is_frozen_from_the_first_unknown_outcome_on() -> None:
    journey = Journey(plan_of(writing("a")))
    journey.fails("a.1", failed("a.1")).timer("a.1/retry")
    journey.prepared("a.2").tell(e.CallLost(at=0, call="a.2")).timer("a.2/retry").prepared("a.3")
    assert keys_of(journey) == [f"{PROCESS}/a/g1", f"{PROCESS}/a/g2", f"{PROCESS}/a/g2"]


def test_a_retry_of_an_unknown_outcome_keeps_the_key_and_the_agent() -> None:
    journey = Journey(plan_of(writing("a", idempotency=Idempotency.UNSAFE, agents=(ALPHA, BETA))))
    journey.fails("a.1", broken("a.1")).decide(Decision.RETRY)
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.key, prepare.only_agent) == (f"{PROCESS}/a/g1", "alpha")


def test_a_human_may_answer_for_a_fresh_key() -> None:
    journey = Journey(plan_of(writing("a", idempotency=Idempotency.UNSAFE, agents=(ALPHA, BETA))))
    journey.fails("a.1", broken("a.1")).decide(Decision.RETRY, fresh_key=True)
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.key, prepare.only_agent) == (f"{PROCESS}/a/g2", None)
    journey.prepared("a.2")
    assert journey.broken_rules() == ()


def test_a_fresh_key_is_only_given_where_the_outcome_was_asked_about() -> None:
    journey = Journey(plan_of(writing("a"))).fails("a.1", broken("a.1"))
    assert journey.question().kind.value == "failed"
    journey.decide(Decision.RETRY, fresh_key=True)
    assert journey.ordered(c.PrepareCall)[0].key == f"{PROCESS}/a/g1"


def test_new_arguments_mean_a_new_key() -> None:
    journey = Journey(plan_of(writing("a"))).fails("a.1", refused("a.1")).decide(Decision.RETRY_WITH_INPUT)
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.key, prepare.override) == (f"{PROCESS}/a/g2", ref("human-data"))


def test_a_key_counts_as_used_from_the_call_on_and_a_new_one_as_unused() -> None:
    journey = Journey(plan_of(writing("a")))
    assert journey.unit("a").key_used is False
    journey.prepared("a.1")
    assert journey.unit("a").key_used is True
    journey.tell(failed("a.1")).timer("a.1/retry")
    assert journey.unit("a").key_used is False
    journey.fails("a.2", broken("a.2")).decide(Decision.RETRY)
    assert journey.unit("a").key_used is True


@pytest.mark.parametrize(
    ("effect", "idempotency", "expected"),
    [
        ("none", "unsafe", True),
        ("read", "keyed", True),
        ("write", "natural", True),
        ("write", "keyed", False),
        ("write", "unsafe", False),
        ("irreversible", "keyed", False),
        ("irreversible", "natural", True),
    ],
)
def test_what_may_be_repeated_at_any_agent(effect: str, idempotency: str, *, expected: bool) -> None:
    facts = step("a", effect=Effect(effect), idempotency=Idempotency(idempotency))
    assert keys.repeatable(facts) is expected


def test_a_read_is_not_bound_to_the_agent_that_was_lost() -> None:
    journey = Journey(plan_of(step("a", agents=(ALPHA, BETA), retry=replace(TRANSIENT, max_attempts=1))))
    journey.prepared("a.1").tell(e.CallLost(at=0, call="a.1"))
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.only_agent, prepare.tried, prepare.key) == (None, ("alpha",), f"{PROCESS}/a/g1")
