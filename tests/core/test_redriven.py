"""A process that takes up an ended one: what was done is taken over, and done again only where that is harmless."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from core.journeys import (
    ALPHA,
    BETA,
    GATE,
    PROCESS,
    TRANSIENT,
    Journey,
    broken,
    failed,
    mapped,
    parent,
    plan_of,
    ref,
    repeated,
    step,
    writing,
)
from process_orchestrator import conformance
from process_orchestrator.conformance import violations
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Earlier
from process_orchestrator.core.facts.state import Process, Transition
from process_orchestrator.core.facts.values import Assurance, Decision, Effect, Idempotency, Status
from process_orchestrator.core.keys import child_id
from process_orchestrator.core.process import apply
from process_orchestrator.core.redriven import taken_over

OLD_KEY = "p_before/a/g1"


def before(**fields: Any) -> Earlier:
    """What the ended process did for the unit `a`: done, with the arguments that the plan makes."""
    given: dict[str, Any] = {
        "call": "a.1",
        "agent": ALPHA,
        "key": OLD_KEY,
        "digest": "a-digest",
        "planned": "a-digest",
        "output": ref("a-before"),
    }
    return Earlier(**(given | fields))


def redriven(*steps: Any, **earlier: Earlier) -> Journey:
    return Journey(plan_of(*steps), redrives="p_before", earlier=earlier)


def unsafe(name: str, **fields: Any) -> Any:
    given: dict[str, Any] = {"idempotency": Idempotency.UNSAFE}
    return writing(name, **(given | fields))


def natural(name: str, **fields: Any) -> Any:
    given: dict[str, Any] = {"idempotency": Idempotency.NATURAL}
    return writing(name, **(given | fields))


@pytest.mark.parametrize("kind", [step, writing, unsafe, natural])
def test_what_was_done_with_the_same_arguments_is_taken_over_without_a_call(kind: Any) -> None:
    journey = redriven(kind("a"), step("b", needs=("a",)), a=before()).prepared("a.1", gate=GATE)
    unit = journey.unit("a")
    assert (unit.phase.value, unit.output, unit.author) == ("done", ref("a-before"), "redrive of p_before")
    assert (unit.calls_total, unit.outcome_unknown) == (0, False)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["b.1"]
    assert journey.ordered(c.InvokeAgent) == []
    journey.done("b.1").tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.state.status.value == "completed"
    assert journey.broken_rules() == ()


def test_a_reading_step_with_other_arguments_is_called_again() -> None:
    journey = redriven(step("a"), a=before()).prepared("a.1", digest="other")
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [f"{PROCESS}/a/g1"]
    assert journey.broken_rules() == ()


def test_what_a_human_gave_in_place_of_the_plans_arguments_is_taken_over_where_the_plan_makes_the_same() -> None:
    journey = redriven(writing("a"), a=before(digest="by-hand")).prepared("a.1")
    assert journey.phase("a") == "done"


def test_a_step_that_was_left_out_is_left_out_again() -> None:
    kept = before(output=None, skipped=True, acted=False)
    journey = redriven(unsafe("a"), step("b", needs=("a",)), a=kept).prepared("a.1")
    assert journey.phase("a") == "skipped"
    assert not journey.unit("a").outcome_unknown
    assert journey.ordered(c.InvokeAgent) == []


def test_a_step_that_was_left_out_with_other_arguments_is_called() -> None:
    journey = redriven(unsafe("a"), a=before(output=None, skipped=True, acted=False)).prepared("a.1", digest="other")
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [f"{PROCESS}/a/g1"]
    assert journey.broken_rules() == ()


def test_a_key_of_this_process_whose_outcome_is_unknown_is_kept_whatever_an_earlier_process_did() -> None:
    journey = redriven(unsafe("a"), a=before(digest="other", planned="other", output=None, acted=False)).prepared("a.1")
    journey.tell(e.CallLost(at=0, call="a.1"))
    journey.decide(Decision.RETRY, assurance=Assurance.A3).prepared("a.2")
    assert [order.key for order in journey.orders if isinstance(order, c.InvokeAgent)] == [f"{PROCESS}/a/g1"] * 2
    assert journey.broken_rules() == ()


def test_a_keyed_effect_whose_outcome_is_unknown_is_repeated_under_its_old_key_at_its_old_agent() -> None:
    journey = redriven(writing("a", agents=(BETA, ALPHA)), a=before(output=None))
    (order,) = journey.ordered(c.PrepareCall)
    assert (order.key, order.only_agent) == (OLD_KEY, "alpha")
    journey.prepared("a.1")
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [OLD_KEY]
    journey.tell(broken("a.1"))
    assert journey.question().kind.value == "failed"
    journey.decide(Decision.RETRY).prepared("a.2").succeeded("a.2")
    assert [order.key for order in journey.orders if isinstance(order, c.InvokeAgent)] == [OLD_KEY, OLD_KEY]
    assert journey.phase("a") == "done"
    assert journey.broken_rules() == ()


def test_a_natural_effect_is_repeated_with_the_same_arguments_and_asked_about_with_others() -> None:
    assert redriven(natural("a"), a=before(output=None)).prepared("a.1").phase("a") == "calling"
    asked = redriven(natural("a"), a=before(output=None)).prepared("a.1", digest="other")
    assert asked.question().kind.value == "outcome_unknown"


@pytest.mark.parametrize(("kind", "digest"), [(unsafe, "a-digest"), (writing, "other")])
def test_an_effect_that_is_not_to_be_repeated_is_before_a_human_first(kind: Any, digest: str) -> None:
    journey = redriven(kind("a"), a=before(output=None)).prepared("a.1", digest=digest)
    assert (journey.phase("a"), journey.question().kind.value) == ("escalated", "outcome_unknown")
    assert [each.value for each in journey.question().decisions] == ["use_output", "retry", "skip", "abort"]
    failure = journey.unit("a").failure
    assert failure is not None
    assert (failure.code, failure.outcome.value, failure.call) == ("done_before", "unknown", "a.1")
    assert journey.orders == [order for order in journey.orders if not isinstance(order, c.InvokeAgent)]


def test_a_humans_retry_of_the_same_arguments_goes_under_the_old_key() -> None:
    journey = redriven(unsafe("a"), a=before(output=None)).prepared("a.1").decide(Decision.RETRY).prepared("a.2")
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [OLD_KEY]
    assert journey.broken_rules() == ()


@pytest.mark.parametrize(("digest", "fresh"), [("other", False), ("a-digest", True)])
def test_a_humans_retry_of_other_arguments_or_with_a_fresh_key_goes_under_a_key_of_its_own(
    digest: str, *, fresh: bool
) -> None:
    journey = redriven(writing("a", idempotency=Idempotency.UNSAFE), a=before(output=None)).prepared(
        "a.1", digest=digest
    )
    journey.decide(Decision.RETRY, fresh_key=fresh).prepared("a.2", digest=digest)
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [f"{PROCESS}/a/g1"]
    assert journey.broken_rules() == ()


def test_an_outcome_that_becomes_unknown_here_is_asked_about_as_ever() -> None:
    journey = redriven(unsafe("a"), a=before(output=None)).prepared("a.1").decide(Decision.RETRY).prepared("a.2")
    journey.tell(broken("a.2")).decide(Decision.RETRY, 2, fresh_key=True).prepared("a.3")
    assert [order.key for order in journey.ordered(c.InvokeAgent)] == [f"{PROCESS}/a/g1"]
    assert journey.broken_rules() == ()


def test_items_that_were_done_are_taken_over_and_the_others_called() -> None:
    earlier = {
        f"m[{item}]": before(call=f"m[{item}].1", digest=f"m[{item}]-digest", planned=f"m[{item}]-digest")
        for item in (0, 2)
    }
    journey = Journey(
        plan_of(mapped("m", effect=Effect.WRITE, parallel=2)), redrives="p_before", earlier=earlier
    ).opened("m", 3)
    journey.prepared("m[0].1").prepared("m[1].1").prepared("m[2].1")
    assert journey.phases() == {"m": "calling", "m[0]": "done", "m[1]": "calling", "m[2]": "done"}
    journey.succeeded("m[1].1")
    (order,) = journey.ordered(c.CollectItems)
    assert order.outputs == (ref("a-before"), ref("m[1].1-out"), ref("a-before"))
    assert journey.broken_rules() == ()


def test_an_effect_of_the_ended_process_that_was_not_settled_here_is_left() -> None:
    journey = redriven(step("z"), unsafe("a", needs=("z",)), a=before(output=None)).cancel()
    assert journey.state.left == ("a",)


def test_a_failed_preparation_keeps_what_is_known_of_the_earlier_call() -> None:
    journey = redriven(writing("a", retry=TRANSIENT), a=before())
    journey.tell(failed("a.1", "unreachable")).timer("a.1/retry").prepared("a.2")
    assert (journey.phase("a"), journey.unit("a").output) == ("done", ref("a-before"))


def _forgetful(state: Process | None, event: e.Event) -> Transition:
    """A core that does not read what was done earlier, but for the key."""
    if isinstance(event, e.ProcessStarted):
        event = replace(event, spec=replace(event.spec, earlier={}))
    told = apply(state, event)
    return replace(
        told,
        commands=tuple(replace(o, key=OLD_KEY) if isinstance(o, c.InvokeAgent) else o for o in told.commands),
    )


@pytest.mark.parametrize(("kind", "digest"), [(unsafe, "a-digest"), (writing, "other")])
def test_who_repeats_an_effect_by_itself_breaks_a_rule(monkeypatch: pytest.MonkeyPatch, kind: Any, digest: str) -> None:
    journey = redriven(kind("a"), a=before(output=None)).prepared("a.1", digest=digest)
    assert journey.broken_rules() == ()
    monkeypatch.setattr(conformance, "apply", _forgetful)
    assert [found.rule for found in violations(journey.events)] == ["repeat"]


def test_who_starts_a_process_again_by_itself_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    part = parent("part", effect=Effect.WRITE, idempotency=Idempotency.KEYED)
    journey = redriven(part, part=before(call="part.1", output=None)).prepared("part.1", digest="a-digest")
    assert journey.broken_rules() == ()
    monkeypatch.setattr(conformance, "apply", _forgetful)
    assert [found.rule for found in violations(journey.events)] == ["repeat"]


def test_a_call_that_was_taken_over_is_told_from_one_that_was_made() -> None:
    journey = redriven(step("a"), step("b", needs=("a",)), a=before()).prepared("a.1").done("b.1")
    told = {call: taken_over(journey.state, call) for call in ("a.1", "a.2", "b.1", "nobody.1")}
    assert told == {"a.1": True, "a.2": False, "b.1": False, "nobody.1": False}
    human = Journey(plan_of(unsafe("a"))).prepared("a.1").tell(broken("a.1")).decide(Decision.USE_OUTPUT)
    assert not taken_over(human.state, "a.1")


def test_a_round_that_may_have_acted_goes_on_under_its_old_key() -> None:
    acting = repeated("a", effect=Effect.WRITE, idempotency=Idempotency.KEYED)
    first = redriven(acting, **{"a#1": before(call="a#1.1", key="p_before/a#1/g1", output=None)})
    first.prepared("a#1.1", digest="a-digest")
    assert [order.key for order in first.ordered(c.InvokeAgent)] == ["p_before/a#1/g1"]
    later = redriven(acting, **{"a#2": before(call="a#2.1", key="p_before/a#2/g1", output=None)})
    later.done("a#1.1").prepared("a#2.1", digest="a-digest").timer("a#2.1/wait")
    assert [order.key for order in later.ordered(c.InvokeAgent)] == ["p_before/a#2/g1"]
    assert (first.broken_rules(), later.broken_rules()) == ((), ())


def test_a_process_that_was_started_and_left_effects_is_started_anew_only_by_a_human() -> None:
    part = parent("part", effect=Effect.WRITE, idempotency=Idempotency.KEYED)
    left = before(call="part.1", key="p_before/part/g1", digest="d", planned="d", output=None)
    journey = redriven(part, part=left).prepared("part.1", digest="d")
    assert (journey.ordered(c.StartChild), journey.question().kind.value) == ([], "outcome_unknown")
    journey.decide(Decision.RETRY).prepared("part.2", digest="d")
    [order] = journey.ordered(c.StartChild)
    assert order.child == child_id(f"{PROCESS}/part/g2")
    journey.ends("part.2", Status.FAILED, code="busy").decide(Decision.ABORT, 2)
    assert journey.state.left == ("part",)
    assert journey.broken_rules() == ()
