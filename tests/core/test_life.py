"""A process that goes well: order, sources, items, defaults, output."""

from __future__ import annotations

import pytest

from core.journeys import ALPHA, CONTRACT, GATE, PROCESS, Journey, failed, mapped, plan_of, ref, step, writing
from process_orchestrator.core.facts import commands as c
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import RetryFacts
from process_orchestrator.core.facts.values import Blame, Decision, Phase, Stage, Status, Why
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.process import apply
from process_orchestrator.core.status import settled, shown_phase


def test_a_chain_runs_in_order_and_hands_on_what_each_step_needs() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)), step("c", needs=("b",))))
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1"]
    journey.prepared("a.1")
    [invoke] = journey.ordered(c.InvokeAgent)
    assert (invoke.key, invoke.agent, invoke.contract, invoke.input) == (
        f"{PROCESS}/a/g1",
        ALPHA,
        CONTRACT,
        ref("a-in"),
    )
    journey.succeeded("a.1")
    [prepare] = journey.ordered(c.PrepareCall)
    assert prepare.call == "b.1"
    assert prepare.context.sources == {"a": c.Source(status=Phase.DONE, output=ref("a.1-out"))}
    journey.done("b.1").done("c.1")
    [build] = journey.ordered(c.BuildOutput)
    assert list(build.context.sources) == ["a", "b", "c"]
    journey.tell(e.OutputBuilt(at=0, output=ref("output")))
    assert journey.last == (c.Finish(process=PROCESS, status=Status.COMPLETED, output=ref("output")),)
    assert (journey.state.status, journey.state.why, journey.state.output) == (Status.COMPLETED, None, ref("output"))
    assert journey.broken_rules() == ()


def test_steps_without_needs_begin_together_and_a_join_waits_for_all() -> None:
    journey = Journey(plan_of(step("a"), step("b"), step("join", needs=("a", "b"))))
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["a.1", "b.1"]
    journey.done("a.1")
    assert journey.phase("join") == "waiting"
    journey.done("b.1")
    assert journey.phase("join") == "preparing"


def test_one_step_may_let_several_begin() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)), step("c", needs=("a",)))).done("a.1")
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["b.1", "c.1"]


def test_a_plan_without_steps_builds_its_output_at_once() -> None:
    journey = Journey(plan_of())
    assert [type(order) for order in journey.last] == [c.BuildOutput]


def test_a_process_is_queued_until_anything_but_its_start_is_known() -> None:
    journey = Journey(plan_of(step("a")))
    assert (journey.state.status, journey.state.why) == (Status.QUEUED, Why.QUEUE)
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert journey.state.status == Status.QUEUED
    journey.prepared("a.1")
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.AGENT)
    journey.succeeded("a.1")
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.ENGINE)


def test_an_engine_that_takes_over_orders_nothing_and_moves_nobody() -> None:
    journey = Journey(plan_of(step("a"))).prepared("a.1")
    before = journey.state
    journey.passes(60_000)
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert (journey.state.seq, journey.last, journey.phase("a")) == (before.seq + 1, (), "calling")
    assert (journey.state.status, journey.state.why) == (before.status, before.why)


def test_an_engine_that_takes_over_where_nothing_is_under_way_changes_nothing_but_seq() -> None:
    journey = Journey(plan_of(step("a")))
    before = journey.state
    journey.passes(60_000)
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert (journey.state.seq, journey.state.now, journey.state.status) == (before.seq + 1, before.now, Status.QUEUED)


def test_time_without_an_engine_counts_in_no_total() -> None:
    retry = RetryFacts(max_attempts=3, on=("transient",), initial_ms=1000, jitter=False)
    calling = step("a", attempt_ms=1000, total_ms=10_000, retry=retry)
    journey = Journey(plan_of(calling, step("b", needs=("a",)))).prepared("a.1")
    began = journey.state.running_since
    assert began is not None
    journey.passes(3_600_000)
    journey.tell(e.EngineResumed(at=0, engine=2))
    assert journey.state.running_since == began + 3_600_000
    assert (journey.unit("a").waited_ms, journey.unit("b").waited_ms) == (3_600_000, 0)
    journey.tell(failed("a.1"))
    assert journey.phase("a") == "backoff"


def test_the_first_event_must_be_a_start() -> None:
    with pytest.raises(ValueError, match="ProcessStarted"):
        apply(None, e.EngineResumed(at=0, engine=1))


def test_the_clock_never_runs_backwards() -> None:
    journey = Journey(plan_of(step("a")))
    journey.passes(-500)
    journey.prepared("a.1")
    assert journey.state.now == 1000


def test_running_time_counts_without_the_time_that_waits_for_a_human() -> None:
    journey = Journey(plan_of(step("a", human=True), step("b", needs=("a",))))
    journey.passes(10)
    journey.prepared("a.1")
    assert (journey.state.status, journey.state.running_ms) == (Status.WAITING_HUMAN, 0)
    journey.passes(5000)
    journey.decide(journey.question().decisions[0])
    journey.passes(70)
    journey.done("b.1")
    journey.passes(30)
    journey.tell(e.OutputBuilt(at=0, output=ref("output")))
    assert (journey.state.running_ms, journey.state.running_since) == (100, None)


def test_what_agents_bill_is_summed_and_an_unknown_price_is_counted_as_unknown() -> None:
    journey = Journey(plan_of(step("a"), step("b")))
    journey.prepared("a.1").succeeded("a.1", usd_micros=40).prepared("b.1").succeeded("b.1", usd_micros=None)
    state = journey.state
    assert (state.usd_micros, state.tokens, state.calls, state.unknown_calls) == (40, 4, 2, 1)
    assert (journey.unit("b").unknown_calls, journey.unit("a").usd_micros) == (1, 40)


def test_a_condition_that_is_false_skips_the_step_with_its_default() -> None:
    journey = Journey(plan_of(step("a", has_default=True), step("b", needs=("a",))))
    journey.tell(e.StepSkipped(at=0, unit="a", reason="condition", output=ref("default")))
    [prepare] = journey.ordered(c.PrepareCall)
    assert prepare.context.sources == {"a": c.Source(status=Phase.SKIPPED, output=ref("default"))}


def test_output_that_cannot_be_built_fails_the_process_and_blames_the_planner() -> None:
    journey = Journey(plan_of(writing("a"))).done("a.1")
    journey.tell(e.StageFailed(at=0, stage=Stage.OUTPUT, code="output_mismatch", blame=Blame.AGENT))
    assert journey.state.status == Status.FAILED
    assert journey.state.failing is not None
    assert (journey.state.failing.code, journey.state.failing.blame) == ("output_mismatch", Blame.PLANNER)
    assert journey.state.left == ("a",)
    assert journey.last == (c.Finish(process=PROCESS, status=Status.FAILED, code="output_mismatch"),)


# --- mapped steps ------------------------------------------------------------------------------------------------


def test_a_map_lets_its_items_in_a_few_at_a_time_and_collects_them_in_order() -> None:
    journey = Journey(plan_of(mapped("lines", parallel=2), step("b", needs=("lines",))))
    assert [type(order) for order in journey.last] == [c.OpenMap]
    journey.opened("lines", 3)
    assert [(order.call, order.item) for order in journey.ordered(c.PrepareCall)] == [
        ("lines[0].1", 0),
        ("lines[1].1", 1),
    ]
    journey.done("lines[1].1")
    assert journey.phases() == {
        "lines": "calling",
        "b": "waiting",
        "lines[0]": "preparing",
        "lines[1]": "done",
        "lines[2]": "preparing",
    }
    journey.done("lines[0].1").done("lines[2].1")
    outputs = tuple(ref(f"lines[{item}].1-out") for item in range(3))
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=outputs),)
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list")))
    [prepare] = journey.ordered(c.PrepareCall)
    assert prepare.context.sources == {"lines": c.Source(status=Phase.DONE, output=ref("list"))}
    assert journey.unit("lines").items_done == 3
    assert journey.broken_rules() == ()


def test_a_map_without_items_is_collected_at_once() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 0)
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=()),)
    assert (journey.state.status, journey.state.why) == (Status.RUNNING, Why.ENGINE)


def test_a_map_whose_condition_is_false_is_skipped_whole() -> None:
    journey = Journey(plan_of(mapped("lines"), step("b", needs=("lines",))))
    journey.tell(e.StepSkipped(at=0, unit="lines", reason="condition"))
    assert journey.phases() == {"lines": "skipped", "b": "preparing"}


def test_a_skipped_item_is_a_hole_in_the_list() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 2)
    journey.tell(e.StepSkipped(at=0, unit="lines[0]", reason="condition")).done("lines[1].1")
    assert journey.last == (c.CollectItems(process=PROCESS, step="lines", outputs=(None, ref("lines[1].1-out"))),)


def test_a_parallel_of_nothing_still_lets_one_item_in() -> None:
    journey = Journey(plan_of(mapped("lines", parallel=0))).opened("lines", 2)
    assert [order.call for order in journey.ordered(c.PrepareCall)] == ["lines[0].1"]


def test_a_map_with_more_items_than_allowed_goes_to_a_human_and_may_be_opened_again() -> None:
    journey = Journey(plan_of(mapped("lines")), limits=Limits(map_items=3)).opened("lines", 4)
    failure = journey.unit("lines").failure
    assert failure is not None
    assert (failure.code, failure.rule, failure.blame) == ("over_budget", "map_items", Blame.POLICY)
    assert [decision.value for decision in journey.question().decisions] == ["retry", "skip", "abort"]
    journey.decide(journey.question().decisions[0])
    assert [type(order) for order in journey.last] == [c.OpenMap]
    journey.opened("lines", 3)
    assert journey.phase("lines[0]") == "preparing"


def test_a_list_that_cannot_be_collected_goes_to_a_human_and_may_be_collected_again() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 1).done("lines[0].1")
    journey.tell(e.StageFailed(at=0, stage=Stage.COLLECT, step="lines", code="too_large", blame=Blame.AGENT))
    assert journey.phase("lines") == "escalated"
    journey.decide(journey.question().decisions[0])
    assert journey.ordered(c.CollectItems)[0].outputs == (ref("lines[0].1-out"),)
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list")))
    assert (journey.phase("lines"), journey.unit("lines").failure) == ("done", None)


def test_a_list_that_cannot_be_opened_is_settled_as_the_plan_says() -> None:
    journey = Journey(
        plan_of(mapped("lines", on_failure={"missing_binding": "skip", "else": "fail"}, has_default=True))
    )
    journey.tell(e.StageFailed(at=0, stage=Stage.MAP, step="lines", code="missing_binding", blame=Blame.PLANNER))
    [prepare] = journey.ordered(c.PrepareCall)
    assert (prepare.default_only, prepare.item) == (True, None)
    journey.tell(e.StepSkipped(at=0, unit="lines", reason="default", output=ref("default")))
    assert (journey.phase("lines"), journey.unit("lines").output) == ("skipped", ref("default"))


def test_a_map_shows_that_an_item_asks_or_is_escalated() -> None:
    journey = Journey(plan_of(mapped("lines", human=True))).opened("lines", 2)
    assert shown_phase(journey.unit("lines")) == Phase.CALLING
    journey.prepared("lines[0].1")
    assert shown_phase(journey.unit("lines")) == Phase.ESCALATED
    journey.decide(journey.question().decisions[0])
    assert shown_phase(journey.unit("lines")) == Phase.CALLING
    assert shown_phase(journey.unit("lines[0]")) == Phase.DONE


def test_a_map_shows_that_an_item_must_be_approved() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 1).prepared("lines[0].1", gate=GATE)
    assert shown_phase(journey.unit("lines")) == Phase.ASKING


def test_an_item_that_waits_for_a_human_keeps_its_place() -> None:
    journey = Journey(plan_of(mapped("lines", human=True, parallel=1))).opened("lines", 2).prepared("lines[0].1")
    assert "lines[1]" not in journey.state.units
    assert (journey.state.status, journey.state.why) == (Status.WAITING_HUMAN, Why.HUMAN)
    journey.decide(journey.question().decisions[0])
    assert journey.phase("lines[1]") == "preparing"


# --- late and strange events -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        e.CallSucceeded(at=0, call="a.1", output=ref("x"), ms=1),  # not called yet
        e.CallSucceeded(at=0, call="a.2", output=ref("x"), ms=1),  # another call
        e.CallSucceeded(at=0, call="nobody.1", output=ref("x"), ms=1),
        e.CallLost(at=0, call="a.1"),
        e.CallPrepared(at=0, call="lines.0", agent=ALPHA, input=ref("x"), digest="d"),  # a map has no call of its own
        e.MapOpened(at=0, step="a", count=1, digest="d"),  # no map
        e.MapOpened(at=0, step="nobody", count=1, digest="d"),
        e.ItemsCollected(at=0, step="lines", output=ref("x")),  # not opened yet
        e.StageFailed(at=0, stage=Stage.MAP, step="a", code="x", blame=Blame.US),
        e.StageFailed(at=0, stage=Stage.COLLECT, step="lines", code="x", blame=Blame.US),
        e.StageFailed(at=0, stage=Stage.OUTPUT, code="x", blame=Blame.US),
        e.StageFailed(at=0, stage=Stage.MAP, code="x", blame=Blame.US),
        e.OutputBuilt(at=0, output=ref("x")),
        e.TimerFired(at=0, timer="a.1/retry"),
        e.TimerFired(at=0, timer=""),
        e.StepSkipped(at=0, unit="b", reason="condition"),  # waits for its needs
        e.StepSkipped(at=0, unit="nobody", reason="condition"),
        e.ChildFinished(at=0, call="a.1", status=Status.COMPLETED),
        e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("x")),
        e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", brief=ref("x")),
        e.PlanProposed(at=0, plan=ref("x"), round=1),
        e.PlanChecked(at=0, ok=True, report=ref("x")),
    ],
    ids=lambda event: f"{type(event).__name__}-{getattr(event, 'call', getattr(event, 'step', ''))}",
)
def test_an_event_that_nothing_waits_for_changes_nothing_but_seq(event: e.Event) -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)), mapped("lines")))
    before = journey.state
    journey.tell(event)
    assert journey.last == ()
    assert {**{name: getattr(before, name) for name in before.__struct_fields__}, "seq": 2} == {
        name: getattr(journey.state, name) for name in before.__struct_fields__
    }


def test_a_second_start_and_events_after_the_end_change_nothing() -> None:
    journey = Journey(plan_of(step("a")))
    journey.tell(journey.events[0])
    assert journey.last == ()
    journey.cancel()
    ended = journey.state
    journey.succeeded("a.1").cancel()
    assert (journey.last, journey.state.status, journey.state.seq) == ((), ended.status, ended.seq + 2)


def test_a_late_answer_is_not_applied() -> None:
    journey = Journey(plan_of(writing("a"))).prepared("a.1").tell(e.CallLost(at=0, call="a.1"))
    journey.succeeded("a.1")
    assert journey.phase("a") == "backoff"
    journey.timer("a.1/retry").prepared("a.2").succeeded("a.1")
    assert journey.phase("a") == "calling"


def test_a_process_is_settled_where_only_a_human_or_nobody_moves_it() -> None:
    journey = Journey(plan_of(step("a")))
    assert not settled(journey.state)
    journey.prepared("a.1", gate=GATE)
    assert settled(journey.state)
    journey.decide(Decision.ABORT)
    assert settled(journey.state)


def test_a_state_cannot_be_written_although_its_draft_can() -> None:
    state = Journey(plan_of(step("a"))).state
    with pytest.raises(AttributeError):
        state.seq = 7
    assert state.seq == 1
