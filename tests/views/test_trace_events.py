"""Every event has a kind and a line of its own, whether or not the state still knows what it is about."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.paged import paged
from process_orchestrator.core.facts.specs import Fit, Gate, PlanFacts, ProcessSpec, StepFacts
from process_orchestrator.core.facts.state import Process, Unit
from process_orchestrator.core.facts.values import (
    AgentPin,
    Assurance,
    Blame,
    Decision,
    Effect,
    FailureClass,
    Outcome,
    Ref,
    Stage,
    Status,
    StepKind,
    TypePin,
    Usage,
)
from process_orchestrator.core.ports import JournalRow
from process_orchestrator.core.trace import Numbered, kind_of, numbered
from process_orchestrator.views.trace_view import Known, trace_entry

REF = Ref(sha256="0" * 64, bytes=12)
GATE = Gate(role="approver", min_assurance=Assurance.A2)
PIN = TypePin(name="booking", version="1.0.0", sha256="1" * 64)
PLAN = PlanFacts(sha256="2" * 64, steps=(StepFacts(id="post", kind=StepKind.CALL),), fit=Fit(verdict="orchestrate"))
AGENT = AgentPin(name="ledger", sha256="3" * 64)
USAGE = Usage(usd_micros=1500, tokens=30, ms=7)

EVENTS: list[tuple[Any, str, str, str]] = [
    (
        e.ProcessStarted(at=1, spec=ProcessSpec(principal="ana", request_sha256="", type=PIN)),
        "process",
        "Started booking 1.0.0 for ana, classified by caller, budget 1.00 USD.",
        "ok",
    ),
    (
        e.ProcessStarted(at=1, spec=ProcessSpec(principal="ana", request_sha256="")),
        "process",
        "Started a task without a type yet for ana, classified by caller, budget 1.00 USD.",
        "ok",
    ),
    (
        e.EscalationResolved(
            at=1, escalation="p.e1", decision=Decision.APPROVE, by="ana", channel="passphrase", assurance=Assurance.A2, note="ok\x1b[2J", request_id="r"
        ),
        "escalation",
        "p.e1: approve by ana (passphrase, A2-local). Note: ok",
        "ok",
    ),
    (e.CancelRequested(at=1, by="ana", reason="stop\nit", request_id="r"), "process", "Cancel requested by ana: stop it", "ok"),
    (e.TimerFired(at=1, timer="post.1/retry"), "timer", "Timer post.1/retry fired.", "ok"),
    (e.CallLost(at=1, call="post.1"), "call", "post.1: lost; no answer came. It is unknown whether it took effect.", "lost"),
    (e.ChildFinished(at=1, call="post.1", status=Status.COMPLETED), "call", "post.1: its process ended completed.", "ok"),
    (
        e.EngineResumed(at=1, engine=3),
        "process",
        "Engine 3 took over; unanswered calls are sent again under their keys.",
        "ok",
    ),
    (
        e.TaskClassified(at=1, process_type=PIN, input=REF, by="model", usage=USAGE),
        "process",
        "Classified as booking 1.0.0 by model.",
        "ok",
    ),
    (e.PlanProposed(at=1, plan=REF, round=2), "plan", "A model proposed a plan (round 2).", "ok"),
    (e.PlanChecked(at=1, ok=True, plan=PLAN, report=REF), "plan", "The plan of 1 steps fits its contracts.", "ok"),
    (e.PlanChecked(at=1, ok=False, report=REF), "plan", "The plan does not fit its contracts.", "refused"),
    (e.MapOpened(at=1, step="post", count=3, digest="d", gate=GATE), "call", "post: 3 items. Needs approval by approver (A2).", "ok"),
    (
        e.CallPrepared(at=1, call="post.1", agent=AGENT, input=REF, digest="d"),
        "call",
        "post.1: arguments keep None, for ledger.",
        "ok",
    ),
    (e.StepSkipped(at=1, unit="post", reason="condition"), "call", "post: skipped, its condition is false; it has no output.", "ok"),
    (e.StepSkipped(at=1, unit="post", reason="default", output=REF), "call", "post: skipped; its default stands in.", "ok"),
    (e.CallSucceeded(at=1, call="post.1", output=REF, ms=7, usd_micros=1500), "call", "post.1: answered in 7 ms; the output keeps None.", "ok"),
    (
        e.CallFailed(
            at=1,
            call="post.1",
            code="output_mismatch",
            class_=FailureClass.CONTRACT,
            blame=Blame.AGENT,
            outcome=Outcome.UNKNOWN,
            pointer="/total",
            rule="type",
            message="wanted number",
        ),
        "call",
        "post.1: output_mismatch at /total (type), blame agent. It is unknown whether it took effect. wanted number",
        "output_mismatch",
    ),
    (e.ItemsCollected(at=1, step="post", output=REF), "call", "post: all items are settled.", "ok"),
    (e.OutputBuilt(at=1, output=REF), "process", "The output was built (12 bytes) and keeps the process type's schema.", "ok"),
    (e.EscalationOpened(at=1, escalation="p.e1", package=REF), "escalation", "p.e1: asked a person.", "ok"),
    (
        e.StageFailed(at=1, stage=Stage.PLAN, code="no_model", blame=Blame.POLICY, message="none is set up", usage=USAGE),
        "plan",
        "Stage plan failed: no_model, blame policy. none is set up",
        "no_model",
    ),
    (e.StageFailed(at=1, stage=Stage.MAP, code="missing_binding", blame=Blame.PLANNER, step="post"), "call", "Stage map failed: missing_binding, blame planner.", "missing_binding"),
    (e.StageFailed(at=1, stage=Stage.BRIEF, code="no_model", blame=Blame.POLICY), "escalation", "Stage brief failed: no_model, blame policy.", "no_model"),
    (e.StageFailed(at=1, stage=Stage.INTAKE, code="no_model", blame=Blame.POLICY), "process", "Stage intake failed: no_model, blame policy.", "no_model"),
    (
        e.DecisionsDrifted(at=1, row=3, was=("InvokeAgent post.1",)),
        "process",
        "Set aside: at seq 3 the journal says InvokeAgent post.1; this version decides nothing.",
        "ok",
    ),
    (e.BriefWritten(at=1, escalation="p.e1", brief=REF, usage=USAGE), "escalation", "p.e1: a model added a paragraph.", "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "kind", "summary", "verdict"), EVENTS, ids=lambda value: type(value).__name__)
def test_an_event_reads_as_one_line(event: Any, kind: str, summary: str, verdict: str) -> None:
    entry = trace_entry(Numbered(seq=4, event=event), Known())

    assert (entry.seq, entry.event, entry.kind) == (4, type(event).__name__, kind)
    assert (entry.summary, entry.verdict) == (summary.replace("None", str(entry.contract)), verdict)
    assert kind_of(event) == kind


def test_every_event_is_in_the_table() -> None:
    assert {type(event) for event, *_ in EVENTS} == set(get_args(e.Event))


def test_figures_stand_where_the_event_has_them() -> None:
    succeeded = next(event for event, *_ in EVENTS if isinstance(event, e.CallSucceeded))
    prepared = trace_entry(Numbered(seq=1, event=succeeded), Known(agents={"post.1": "ledger"}))

    assert (prepared.ms, prepared.cost_usd, prepared.tokens, prepared.agent) == (7, "0.0015", None, "ledger")
    assert (prepared.step, prepared.call) == ("post", "post.1")


def test_the_events_of_a_row_are_numbered_up_to_its_seq() -> None:
    events = tuple(msgspec.structs.replace(EVENTS[4][0], at=at) for at in range(3))

    assert [each.seq for each in numbered([JournalRow(seq=7, at=0, events=events)])] == [5, 6, 7]


def test_what_was_billed_beyond_the_declared_price_is_told() -> None:
    succeeded = next(event for event, *_ in EVENTS if isinstance(event, e.CallSucceeded))
    spec = ProcessSpec(process_id="p_x", principal="ana", request_sha256="r")
    unit = Unit(id="post", step="post", overbilled=("post.1",))
    state = Process(spec=spec, seq=3, now=1, created_at=1, updated_at=1, units=paged([("post", unit)]))

    entry = trace_entry(Numbered(seq=3, event=succeeded), Known(state=state))

    assert (entry.blame, entry.verdict) == ("agent", "ok")
    assert entry.summary.endswith("It billed more than its contract declares.")


@pytest.mark.parametrize(
    ("effect", "words"),
    [(Effect.READ, "It only reads: nothing was changed."), (Effect.WRITE, "It is unknown whether it took effect.")],
)
def test_of_a_call_without_answer_it_is_said_whether_it_could_change_anything(effect: Effect, words: str) -> None:
    plan = PlanFacts(sha256="2" * 64, steps=(StepFacts(id="post", kind=StepKind.CALL, effect=effect),))
    spec = ProcessSpec(principal="ana", request_sha256="", plan=plan)
    state = Process(spec=spec, plan=plan, seq=3, now=1, created_at=1, updated_at=1)
    timeout = e.CallFailed(
        at=1, call="post.1", code="timeout", class_=FailureClass.TIMEOUT, blame=Blame.TRANSPORT, outcome=Outcome.UNKNOWN
    )
    for event in (timeout, e.CallLost(at=1, call="post.1")):
        assert trace_entry(Numbered(seq=3, event=event), Known(state=state)).summary.endswith(words)
