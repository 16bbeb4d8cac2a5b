"""Fail-fast, cancel, and what is told of effects that remain."""

from __future__ import annotations

import pytest

from core.journeys import GATE, PROCESS, Journey, failed, mapped, plan_of, refused, step, writing
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Blame, Decision, Effect, Idempotency, OnFailure, Outcome, Status, Why

FAIL = {"else": OnFailure.FAIL}


def busy_process() -> Journey:
    """One unit in each live phase, beside one that waits."""
    plan = plan_of(
        step("preparing"),
        step("calling"),
        step("backoff"),
        step("asking"),
        step("escalated"),
        step("task", human=True),
        mapped("lines"),
        step("waiting", needs=("calling",)),
        step("doomed", on_failure=FAIL),
    )
    journey = Journey(plan).prepared("calling.1").fails("backoff.1", failed("backoff.1", jitter=500))
    journey.prepared("asking.1", gate=GATE).fails("escalated.1", refused("escalated.1")).prepared("task.1")
    return journey.opened("lines", 1).prepared("lines[0].1")


def test_a_cancel_skips_what_has_not_begun_and_waits_for_what_calls() -> None:
    journey = busy_process().cancel()
    assert journey.phases() == {
        "preparing": "skipped",
        "calling": "calling",
        "backoff": "skipped",
        "asking": "skipped",
        "escalated": "failed",
        "task": "skipped",
        "lines": "skipped",
        "waiting": "skipped",
        "doomed": "skipped",
        "lines[0]": "calling",
    }
    assert journey.last == (
        c.StopTimer(process=PROCESS, timer="backoff.1/retry"),
        c.CancelCall(process=PROCESS, call="calling.1"),
        c.CancelCall(process=PROCESS, call="lines[0].1"),
    )
    state = journey.state
    assert (state.status, state.why, state.cancel_reason) == (Status.RUNNING, Why.CANCEL, "no longer needed")
    assert [one.withdrawn for one in state.escalations.values()] == [True, True, True]
    assert [one.version for one in state.escalations.values()] == [2, 2, 2]
    journey.succeeded("calling.1")
    assert not journey.state.finished
    journey.tell(e.CallLost(at=0, call="lines[0].1"))
    assert journey.last == (c.Finish(process=PROCESS, status=Status.CANCELLED, code="cancelled"),)
    assert (journey.phase("calling"), journey.phase("lines[0]")) == ("done", "failed")
    assert journey.broken_rules() == ()


def test_fail_fast_stops_everything_else_and_names_the_first_failure() -> None:
    journey = busy_process().fails("doomed.1", refused("doomed.1", pointer="/vendor", rule="enum"))
    assert journey.state.failing is not None
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.AGENT)
    journey.tell(refused("calling.1", "another")).tell(failed("lines[0].1"))
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="unknown_vendor", unit="doomed"),)
    failing = journey.state.failing
    assert (failing.code, failing.step, failing.call, failing.pointer) == (
        "unknown_vendor",
        "doomed",
        "doomed.1",
        "/vendor",
    )
    assert (journey.phase("doomed"), journey.phase("calling"), journey.phase("lines[0]")) == (
        "failed",
        "skipped",
        "skipped",
    )
    assert journey.broken_rules() == ()


def test_a_call_that_was_cut_off_may_have_had_its_effect() -> None:
    journey = Journey(plan_of(writing("a"), step("b"))).prepared("a.1").cancel()
    journey.tell(failed("a.1", "cancelled", outcome=Outcome.UNKNOWN))
    assert (journey.phase("a"), journey.state.left, journey.state.status) == ("failed", ("a",), Status.CANCELLED)


def test_nothing_new_begins_once_a_process_is_ending() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)))).prepared("a.1").cancel().succeeded("a.1")
    assert journey.ordered(c.PrepareCall) == []
    assert (journey.phase("a"), journey.phase("b"), journey.state.status) == ("done", "skipped", Status.CANCELLED)


def test_a_second_cancel_changes_nothing() -> None:
    journey = Journey(plan_of(step("a"))).prepared("a.1").cancel().cancel()
    assert (journey.last, journey.state.cancelling) == ((), True)


def test_a_cancel_of_a_failing_process_leaves_it_failing() -> None:
    journey = Journey(plan_of(step("a"), step("b", on_failure=FAIL))).prepared("a.1")
    journey.fails("b.1", refused("b.1")).cancel().succeeded("a.1")
    assert journey.state.status == Status.FAILED


def test_an_abort_ends_the_process_by_the_humans_word() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)))).fails("a.1", refused("a.1")).decide(Decision.ABORT)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="aborted", unit="a"),)
    assert journey.state.failing is not None
    assert journey.state.failing.blame == Blame.POLICY
    assert journey.question().resolution == journey.events[-1]
    assert journey.question().withdrawn is False


@pytest.mark.parametrize("decision", [Decision.ABORT, Decision.REJECT])
def test_a_call_that_was_never_approved_is_skipped_or_failed_but_never_made(decision: Decision) -> None:
    journey = Journey(plan_of(writing("a"))).prepared("a.1", gate=GATE).decide(decision)
    assert journey.phase("a") == {"abort": "skipped", "reject": "failed"}[decision.value]
    assert (journey.state.status, journey.state.left) == (Status.FAILED, ())


def test_what_is_left_names_effects_that_are_or_may_be_there_and_nothing_else() -> None:
    plan = plan_of(
        writing("written"),
        step("read"),
        writing("unsure", idempotency=Idempotency.UNSAFE),
        writing("untouched", needs=("read",)),
        mapped("lines", effect=Effect.WRITE, idempotency=Idempotency.NATURAL),
    )
    journey = Journey(plan).done("written.1").done("read.1")
    journey.prepared("unsure.1").tell(e.CallLost(at=0, call="unsure.1"))
    journey.opened("lines", 2).done("lines[0].1").cancel()
    assert journey.state.left == ("written", "unsure", "lines[0]")


def test_a_cancel_while_the_output_is_built_ends_at_once() -> None:
    journey = Journey(plan_of(step("a"))).done("a.1").cancel()
    assert journey.state.status == Status.CANCELLED


def test_a_map_that_is_being_collected_is_stopped_like_any_other() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 0).cancel()
    assert (journey.phase("lines"), journey.unit("lines").collecting) == ("skipped", False)
