"""The journal told as facts."""

from __future__ import annotations

from msgspec.structs import replace

from core.journeys import GATE, PROCESS, TYPE, Journey, mapped, parent, plan_of, ref, refused, step, writing
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.specs import Undo
from process_orchestrator.core.facts.values import (
    Blame,
    ContractPin,
    Decision,
    Effect,
    Idempotency,
    Stage,
    Status,
    Usage,
)
from process_orchestrator.core.ports import JournalRow
from process_orchestrator.core.trace import (
    Entry,
    Numbered,
    about,
    agents_of,
    entries,
    entry,
    kind_of,
    normalised,
    numbered,
    only_reads,
)


def rows_of(journey: Journey, *, per_row: int = 2) -> list[JournalRow]:
    events = journey.events
    return [
        JournalRow(seq=min(first + per_row, len(events)), at=0, events=tuple(events[first : first + per_row]))
        for first in range(0, len(events), per_row)
    ]


def traced(journey: Journey) -> list[Entry]:
    return list(entries(rows_of(journey)))


def test_a_trace_says_of_each_event_whom_and_what_it_is_about() -> None:
    journey = Journey(plan_of(step("a"), mapped("lines", needs=("a",))))
    journey.tell(e.EngineResumed(at=0, engine=2)).done("a.1").opened("lines", 1)
    journey.fails("lines[0].1", refused("lines[0].1", pointer="/x", detail=ref("evidence")))
    journey.tell(e.EscalationOpened(at=0, escalation=f"{PROCESS}.e1", package=ref("package")))
    journey.decide(Decision.RETRY).prepared("lines[0].2").tell(e.CallLost(at=0, call="lines[0].2"))
    journey.timer("lines[0].2/retry").tell(e.StepSkipped(at=0, unit="lines[0]", reason="condition"))
    journey.tell(e.ItemsCollected(at=0, step="lines", output=ref("list")))
    journey.tell(e.OutputBuilt(at=0, output=ref("output")))
    told = [
        (one.seq, one.event, one.kind.value, one.unit, one.step, one.call, one.agent, one.contract, one.verdict)
        for one in traced(journey)
    ]
    pin = "ledger.post@1.0.0"
    item = ("lines[0]", "lines")
    assert told == [
        (1, "ProcessStarted", "process", None, None, None, None, None, "ok"),
        (2, "EngineResumed", "process", None, None, None, None, None, "ok"),
        (3, "CallPrepared", "call", "a", "a", "a.1", "alpha", pin, "ok"),
        (4, "CallSucceeded", "call", "a", "a", "a.1", "alpha", pin, "ok"),
        (5, "MapOpened", "call", "lines", "lines", None, None, pin, "ok"),
        (6, "CallPrepared", "call", *item, "lines[0].1", "alpha", pin, "ok"),
        (7, "CallFailed", "call", *item, "lines[0].1", "alpha", pin, "unknown_vendor"),
        (8, "EscalationOpened", "escalation", *item, None, None, pin, "ok"),
        (9, "EscalationResolved", "escalation", *item, None, None, pin, "ok"),
        (10, "CallPrepared", "call", *item, "lines[0].2", "alpha", pin, "ok"),
        (11, "CallLost", "call", *item, "lines[0].2", "alpha", pin, "lost"),
        (12, "TimerFired", "timer", *item, "lines[0].2", "alpha", pin, "ok"),
        (13, "StepSkipped", "call", *item, None, None, pin, "ok"),
        (14, "ItemsCollected", "call", "lines", "lines", None, None, pin, "ok"),
        (15, "OutputBuilt", "process", None, None, None, None, None, "ok"),
    ]


def test_a_trace_holds_figures_and_references_but_no_bodies() -> None:
    journey = Journey(plan_of(step("a"))).fails(
        "a.1", refused("a.1", pointer="/x", detail=ref("evidence"), usd_micros=9)
    )
    journey.decide(Decision.USE_OUTPUT)
    started, prepared, failure, resolved = traced(journey)
    assert (started.input, prepared.input) == (ref("input"), ref("a-in"))
    assert (failure.ms, failure.usd_micros, failure.blame, failure.pointer, failure.detail) == (
        7,
        9,
        Blame.AGENT,
        "/x",
        ref("evidence"),
    )
    assert (resolved.escalation, resolved.decision, resolved.input) == (
        f"{PROCESS}.e1",
        Decision.USE_OUTPUT,
        ref("human-data"),
    )


def test_planning_and_failed_stages_are_told() -> None:
    journey = Journey(None, type=None)
    used = Usage(usd_micros=3, tokens=4, ms=5)
    journey.tell(e.TaskClassified(at=0, process_type=TYPE, input=ref("found"), by="model", usage=used))
    journey.tell(e.PlanProposed(at=0, plan=ref("plan"), round=1, usage=used))
    journey.tell(e.PlanChecked(at=0, ok=False, report=ref("report")))
    journey.tell(e.StageFailed(at=0, stage=Stage.PLAN, code="timeout", blame=Blame.TRANSPORT, usage=used))
    journey.tell(e.BriefWritten(at=0, escalation=f"{PROCESS}.e1", brief=ref("brief"), usage=used))
    journey.tell(e.ChildFinished(at=0, call="a.1", status=Status.FAILED, code="aborted"))
    told = [(one.event, one.kind.value, one.verdict, one.usd_micros, one.ms) for one in traced(journey)][1:]
    assert told == [
        ("TaskClassified", "process", "ok", 3, 5),
        ("PlanProposed", "plan", "ok", 3, 5),
        ("PlanChecked", "plan", "refused", None, None),
        ("StageFailed", "plan", "timeout", 3, 5),
        ("BriefWritten", "escalation", "ok", 3, 5),
        ("ChildFinished", "call", "aborted", 0, None),
    ]


def test_a_human_step_without_a_contract_names_none() -> None:
    journey = Journey(plan_of(step("a", human=True, contract=None))).prepared("a.1")
    assert traced(journey)[1].contract is None


def test_a_failed_stage_belongs_to_what_it_was_for() -> None:
    kinds = {stage.value: kind_of(e.StageFailed(at=0, stage=stage, code="x", blame=Blame.US)).value for stage in Stage}
    assert kinds == {
        "intake": "process",
        "plan": "plan",
        "map": "call",
        "collect": "call",
        "output": "process",
        "brief": "escalation",
    }


def test_normalised_traces_are_equal_though_engines_and_clocks_differ() -> None:
    plain = Journey(plan_of(step("a"))).prepared("a.1", gate=GATE).decide(Decision.APPROVE).succeeded("a.1")
    other = Journey(plan_of(step("a"))).tell(e.EngineResumed(at=0, engine=1))
    other.passes(500)
    other.prepared("a.1", gate=GATE).tell(e.EngineResumed(at=0, engine=2)).decide(Decision.APPROVE).succeeded("a.1")
    assert normalised(rows_of(plain)) == normalised(rows_of(other, per_row=3))
    assert traced(plain) != traced(other)


def test_an_event_is_about_its_unit_and_about_the_step_of_that_unit() -> None:
    journey = Journey(plan_of(mapped("lines"))).opened("lines", 2).prepared("lines[1].1")
    prepared = e.CallSucceeded(at=0, call="lines[1].1", output=ref("out"), ms=1)
    state = journey.state
    assert [about(prepared, name, state) for name in ("lines[1]", "lines", "lines[0]", "line")] == [
        True,
        True,
        False,
        False,
    ]
    assert not about(e.CancelRequested(at=0, by="ana", reason="x", request_id="r"), "lines", state)


def test_an_undo_names_the_contract_that_undoes_and_what_no_plan_knows_names_none() -> None:
    plain = step("a")
    void = ContractPin(name="ledger.void", version="2.0.0", sha256="void-sha")
    undo = Undo(
        contract=void,
        agents=plain.agents,
        attempt_ms=1,
        total_ms=1,
        retry=plain.retry,
        idempotency=Idempotency.NATURAL,
    )
    state = Journey(plan_of(step("a", undo=undo))).state
    told = [
        entry(Numbered(seq=9, event=e.CallLost(at=0, call=call)), state=state, agents={}).contract
        for call in ("a.1", "a!undo.1", "gone.1")
    ]
    assert told == ["ledger.post@1.0.0", "ledger.void@2.0.0", None]


def test_a_step_that_starts_a_process_names_its_type_as_the_contract() -> None:
    state = Journey(plan_of(parent("a"))).state
    told = entry(Numbered(seq=9, event=e.CallLost(at=0, call="a.1")), state=state, agents={})
    assert told.contract == "part@1.0.0"


def test_a_page_of_a_journal_tells_what_the_whole_tells() -> None:
    journey = Journey(plan_of(step("a"), step("b", needs=("a",)))).done("a.1").prepared("b.1").succeeded("b.1")
    rows = rows_of(journey)
    agents = agents_of(numbered(rows))
    page = [entry(each, state=journey.state, agents=agents) for each in numbered(rows[1:])]
    assert page == traced(journey)[2:]


def test_a_call_that_billed_more_than_its_contract_declares_is_blamed_on_its_agent() -> None:
    journey = Journey(plan_of(step("a"), step("b"))).prepared("a.1", reserve_usd_micros=4)
    journey.succeeded("a.1", usd_micros=5).prepared("b.1", reserve_usd_micros=4).succeeded("b.1", usd_micros=4)
    told = [(one.call, one.verdict, one.blame) for one in traced(journey) if one.event == "CallSucceeded"]
    assert told == [("a.1", "ok", Blame.AGENT), ("b.1", "ok", None)]


def test_a_call_that_only_reads_changes_nothing_and_its_undo_would() -> None:
    plan = plan_of(step("a", effect=Effect.READ), step("b", effect=Effect.NONE), writing("c"))
    state = Journey(plan).state
    told = [only_reads(call, state) for call in ("a.1", "b.1", "c.1", "gone.1", "a!undo.1")]
    assert told == [True, True, False, False, False]
    assert not only_reads("a.1", None)
    assert not only_reads("a.1", replace(state, plan=None))
