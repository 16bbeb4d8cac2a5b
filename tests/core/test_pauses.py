"""Steps that wait, and steps that are repeated until a condition holds."""

from __future__ import annotations

from typing import Any

import pytest

from core.journeys import GATE, PROCESS, Journey, failed, plan_of, ref, refused, repeated, step, waiting, writing
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Blame, Decision, OnFailure, Phase, Status, Why
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.status import shown_phase


def holds(journey: Journey, unit: str) -> Journey:
    """The performer found that the condition holds over what the round before gave."""
    return journey.tell(e.StepSkipped(at=0, unit=unit, reason="until"))


def test_a_wait_begins_a_timer_and_is_done_when_it_fires() -> None:
    journey = Journey(plan_of(waiting("pause", ms=30_000), step("b", needs=("pause",)))).prepared("pause.1")
    assert journey.last == (c.StartTimer(process=PROCESS, timer="pause.1/wait", fire_at=31_000),)
    assert (journey.state.status, journey.state.why, journey.phase("pause")) == (
        Status.RUNNING,
        Why.TIMER,
        "backoff",
    )
    journey.passes(30_000)
    journey.timer("pause.1/wait")
    assert journey.phases() == {"pause": "done", "b": "preparing"}
    assert (journey.unit("pause").output, journey.state.live_timers, journey.state.calls) == (ref("pause-in"), (), 0)
    journey.done("b.1").tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.broken_rules() == ()


def test_a_wait_whose_condition_is_false_is_skipped() -> None:
    journey = Journey(plan_of(waiting("pause"), step("b", needs=("pause",))))
    journey.tell(e.StepSkipped(at=0, unit="pause", reason="condition"))
    assert journey.phases() == {"pause": "skipped", "b": "preparing"}


def test_a_wait_whose_condition_cannot_be_told_goes_to_a_human_who_may_only_try_again_or_leave_it() -> None:
    journey = Journey(plan_of(waiting("pause"))).tell(refused("pause.1", "condition_error", blame=Blame.PLANNER))
    assert journey.question().decisions == (Decision.RETRY, Decision.SKIP, Decision.ABORT)
    journey.decide(Decision.RETRY).prepared("pause.2").timer("pause.2/wait")
    assert journey.phase("pause") == "done"


def test_a_cancel_stops_a_wait() -> None:
    journey = Journey(plan_of(waiting("pause"))).prepared("pause.1").cancel()
    assert journey.ordered(c.StopTimer) == [c.StopTimer(process=PROCESS, timer="pause.1/wait")]
    assert (journey.phase("pause"), journey.state.status) == ("skipped", Status.CANCELLED)


def test_a_repeated_step_is_called_until_its_condition_holds_and_waits_in_between() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=10_000), step("b", needs=("poll",))))
    [first] = journey.ordered(c.PrepareCall)
    assert (first.call, first.unit, first.step, first.round, first.last_output) == (
        "poll#1.1",
        "poll#1",
        "poll",
        1,
        None,
    )
    journey.prepared("poll#1.1")
    [call] = journey.ordered(c.InvokeAgent)
    assert (call.call, call.key) == ("poll#1.1", f"{PROCESS}/poll#1/g1")
    journey.succeeded("poll#1.1")
    [second] = journey.ordered(c.PrepareCall)
    assert (second.call, second.round, second.last_output) == ("poll#2.1", 2, ref("poll#1.1-out"))
    journey.prepared("poll#2.1")
    assert journey.last == (c.StartTimer(process=PROCESS, timer="poll#2.1/wait", fire_at=11_000),)
    assert (journey.phases()["poll#2"], journey.state.why, journey.phase("poll")) == ("backoff", Why.TIMER, "calling")
    journey.passes(10_000)
    journey.timer("poll#2.1/wait")
    [again] = journey.ordered(c.InvokeAgent)
    assert again.key == f"{PROCESS}/poll#2/g1"
    holds(journey.succeeded("poll#2.1"), "poll#3")
    assert journey.phases() == {
        "poll": "done",
        "poll#1": "done",
        "poll#2": "done",
        "poll#3": "skipped",
        "b": "preparing",
    }
    assert (journey.unit("poll").output, journey.state.calls) == (ref("poll#2.1-out"), 2)
    journey.done("b.1").tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.broken_rules() == ()


def test_without_a_pause_the_next_round_is_called_at_once() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=0))).done("poll#1.1").prepared("poll#2.1")
    assert [order.call for order in journey.ordered(c.InvokeAgent)] == ["poll#2.1"]


def test_a_repeated_step_whose_condition_to_begin_is_false_is_skipped_whole() -> None:
    journey = Journey(plan_of(repeated("poll"), step("b", needs=("poll",))))
    journey.tell(e.StepSkipped(at=0, unit="poll#1", reason="condition", output=ref("default")))
    assert journey.phases() == {"poll": "skipped", "poll#1": "skipped", "b": "preparing"}
    assert journey.unit("poll").output == ref("default")


def test_the_first_round_is_never_skipped_by_a_condition_over_a_round_before_it() -> None:
    journey = holds(Journey(plan_of(repeated("poll"))), "poll#1")
    assert (journey.phase("poll"), journey.unit("poll#1").until_met) == ("skipped", False)


def used_up(**fields: Any) -> Journey:
    journey = Journey(plan_of(repeated("poll", most=2, every_ms=0, **fields)))
    return journey.done("poll#1.1").done("poll#2.1").prepared("poll#3.1")


def test_rounds_that_are_used_up_are_a_loop_that_the_plan_settles() -> None:
    journey = used_up(on_failure={"else": OnFailure.FAIL})
    failing = journey.state.failing
    assert failing is not None
    assert (failing.code, failing.rule, failing.blame, failing.unit) == ("loop", "repeat.max", Blame.POLICY, "poll#3")
    assert (journey.state.status, journey.state.calls, journey.phase("poll")) == (Status.FAILED, 2, "failed")
    assert journey.broken_rules() == ()


def test_rounds_that_are_used_up_may_leave_the_step_with_its_default() -> None:
    journey = used_up(on_failure={"loop": OnFailure.SKIP, "else": OnFailure.FAIL}, has_default=True)
    [order] = journey.ordered(c.PrepareCall)
    assert (order.unit, order.default_only) == ("poll#3", True)
    journey.tell(e.StepSkipped(at=0, unit="poll#3", reason="default", output=ref("default")))
    assert (journey.phase("poll"), journey.unit("poll").output) == ("skipped", ref("default"))


def test_a_human_who_says_go_on_allows_as_many_rounds_again() -> None:
    journey = used_up()
    assert journey.question().decisions[0] is Decision.RETRY
    journey.decide(Decision.RETRY).done("poll#3.2").done("poll#4.1")
    assert journey.unit("poll").rounds_max == 4
    journey.prepared("poll#5.1")
    assert journey.question(2).unit == "poll#5"
    holds(journey.decide(Decision.RETRY, 2), "poll#5")
    assert (journey.phase("poll"), journey.unit("poll").output) == ("done", ref("poll#4.1-out"))


def test_a_retry_of_one_failed_round_allows_no_more_rounds_and_does_not_wait_again() -> None:
    journey = Journey(plan_of(repeated("poll", most=3, every_ms=10_000))).done("poll#1.1").prepared("poll#2.1")
    journey.timer("poll#2.1/wait").tell(refused("poll#2.1")).decide(Decision.RETRY).prepared("poll#2.2")
    assert [order.call for order in journey.ordered(c.InvokeAgent)] == ["poll#2.2"]
    assert journey.unit("poll").rounds_max == 3


def test_a_round_that_fails_for_a_moment_is_tried_again_under_the_rules_of_its_contract() -> None:
    journey = Journey(plan_of(repeated("poll"))).fails("poll#1.1", failed("poll#1.1"))
    assert journey.phase("poll#1") == "backoff"
    journey.timer("poll#1.1/retry")
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["poll#1.2"]


def test_one_approval_covers_all_rounds_with_the_same_arguments() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=0)))
    journey.prepared("poll#1.1", gate=GATE, digest="d").decide(Decision.APPROVE).succeeded("poll#1.1")
    journey.prepared("poll#2.1", gate=GATE, digest="d")
    assert [order.call for order in journey.ordered(c.InvokeAgent)] == ["poll#2.1"]
    journey.succeeded("poll#2.1").prepared("poll#3.1", gate=GATE, digest="other")
    assert journey.phase("poll#3") == "asking"
    assert shown_phase(journey.unit("poll")) is Phase.ASKING
    assert journey.broken_rules() == ()


def test_an_input_that_a_human_wrote_serves_the_rounds_that_follow() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=0))).fails("poll#1.1", refused("poll#1.1"))
    journey.decide(Decision.RETRY_WITH_INPUT).done("poll#1.2")
    [order] = journey.ordered(c.PrepareCall)
    assert (order.call, order.override) == ("poll#2.1", ref("human-data"))


def test_an_output_that_a_human_gave_for_a_round_is_the_steps_if_the_condition_holds_over_it() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=0))).fails("poll#1.1", refused("poll#1.1"))
    journey.decide(Decision.USE_OUTPUT)
    [order] = journey.ordered(c.PrepareCall)
    assert order.last_output == ref("human-data")
    holds(journey, "poll#2")
    assert (journey.unit("poll").output, journey.unit("poll").author) == (ref("human-data"), "ana")


def test_rounds_that_wrote_are_named_among_what_is_left() -> None:
    journey = Journey(plan_of(writing("send", repeat=repeated("x").repeat))).done("send#1.1").cancel()
    assert journey.state.left == ("send#1",)


def test_the_limit_of_calls_holds_for_rounds_too() -> None:
    journey = Journey(
        plan_of(repeated("poll", every_ms=0, on_failure={"else": OnFailure.FAIL})), limits=Limits(calls=1)
    )
    journey.done("poll#1.1").prepared("poll#2.1")
    assert journey.state.failing is not None
    assert journey.state.failing.code == "over_budget"


@pytest.mark.parametrize("call", ["poll.0", "poll.1"])
def test_nothing_is_answered_for_the_step_of_rounds_itself(call: str) -> None:
    journey = Journey(plan_of(repeated("poll")))
    before = journey.state
    journey.tell(e.CallSucceeded(at=0, call=call, output=ref("x"), ms=1)).tell(
        e.StepSkipped(at=0, unit="poll", reason="until")
    )
    assert journey.state.units == before.units


def test_time_that_a_plan_says_to_wait_counts_towards_no_total() -> None:
    plan = plan_of(waiting("pause", ms=7_200_000), step("b", needs=("pause",)))
    journey = Journey(plan, limits=Limits(total_ms=1000)).prepared("pause.1")
    journey.passes(7_200_000)
    journey.timer("pause.1/wait").passes(999)
    journey.prepared("b.1")
    assert (journey.phase("b"), journey.state.why) == ("calling", Why.AGENT)


def test_time_between_two_rounds_counts_towards_no_total_and_that_in_them_does() -> None:
    journey = Journey(plan_of(repeated("poll", every_ms=50_000)), limits=Limits(total_ms=1000)).prepared("poll#1.1")
    journey.passes(600)
    journey.succeeded("poll#1.1").prepared("poll#2.1").passes(50_000)
    journey.timer("poll#2.1/wait")
    assert journey.phase("poll#2") == "calling"
    journey.passes(400)
    journey.succeeded("poll#2.1").prepared("poll#3.1").passes(50_000)
    journey.timer("poll#3.1/wait")
    failure = journey.unit("poll#3").failure
    assert failure is not None
    assert (failure.code, failure.rule) == ("over_budget", "budget.total_s")


def test_a_pause_beside_work_does_not_stop_the_clock_of_the_work() -> None:
    plan = plan_of(waiting("pause", ms=50_000), step("a"), step("b", needs=("a",)))
    journey = Journey(plan, limits=Limits(total_ms=1000)).prepared("pause.1").prepared("a.1")
    journey.passes(1000)
    journey.succeeded("a.1").prepared("b.1")
    assert journey.phase("b") == "escalated"


def test_the_wait_before_a_call_is_tried_again_counts() -> None:
    journey = (
        Journey(plan_of(step("a"), step("b")), limits=Limits(total_ms=1000)).fails("a.1", failed("a.1")).done("b.1")
    )
    journey.passes(5000)
    journey.timer("a.1/retry").prepared("a.2")
    assert journey.phase("a") == "escalated"
