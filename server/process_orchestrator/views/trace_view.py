"""Renders journal rows as a trace: one entry per event, in words and figures. Pure; bodies are read by the use cases.

Which call an agent answered is told by the CallPrepared before it, so a page is rendered with the rows before it at
hand. Texts of agents appear in summaries as one harmless line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from process_orchestrator.checking.masking import cut, encoded_bytes
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Outcome, Stage
from process_orchestrator.core.keys import step_of_unit, unit_of_call
from process_orchestrator.core.money import usd
from process_orchestrator.views.escalation_view import assurance_label
from process_orchestrator.views.formats import one_line, timestamp
from process_orchestrator.views.models import CutView, TraceEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from process_orchestrator.core.facts.specs import Gate, PlanFacts
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.ports import JournalRow

Kind: TypeAlias = Literal["process", "plan", "call", "escalation", "timer"]

KINDS: Final = ("process", "plan", "call", "escalation", "timer")


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """An event with its seq."""

    seq: int
    event: e.Event


@dataclass(frozen=True, kw_only=True)
class EntryBodies:
    """Bodies of one entry, masked but not cut."""

    input: Any = None
    output: Any = None
    detail: Any = None


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What a call's later events do not repeat: its agent, by call id; the plan, for its contract; the questions."""

    plan: PlanFacts | None = None
    agents: dict[str, str] = field(default_factory=dict[str, str])
    state: Process | None = None


def numbered(rows: Iterable[JournalRow]) -> Iterator[Numbered]:
    """The events of some rows, each with its seq."""
    for row in rows:
        first = row.seq - len(row.events) + 1
        for offset, event in enumerate(row.events):
            yield Numbered(seq=first + offset, event=event)


def calls_of(state: Process, events: Iterable[Numbered]) -> Calls:
    """What is known of the calls that `events` prepared."""
    agents = {each.event.call: each.event.agent.name for each in events if isinstance(each.event, e.CallPrepared)}
    return Calls(plan=state.plan, agents=agents, state=state)


def kind_of(event: e.Event) -> Kind:
    """The part of a process's life that an event belongs to."""
    match event:
        case e.PlanProposed() | e.PlanChecked() | e.StageFailed(stage=Stage.PLAN):
            return "plan"
        case e.EscalationOpened() | e.EscalationResolved() | e.BriefWritten() | e.StageFailed(stage=Stage.BRIEF):
            return "escalation"
        case e.TimerFired():
            return "timer"
        case (
            e.MapOpened()
            | e.CallPrepared()
            | e.StepSkipped()
            | e.CallSucceeded()
            | e.CallFailed()
            | e.CallLost()
            | e.ChildFinished()
            | e.ItemsCollected()
            | e.StageFailed(stage=Stage.MAP | Stage.COLLECT)
        ):
            return "call"
        case _:
            return "process"


def unit_of(event: e.Event, state: Process | None = None) -> str | None:
    """The unit that an event is about, where it is about one."""
    match event:
        case e.CallPrepared() | e.CallSucceeded() | e.CallFailed() | e.CallLost() | e.ChildFinished():
            return unit_of_call(event.call)
        case e.StepSkipped():
            return event.unit
        case e.MapOpened() | e.ItemsCollected() | e.StageFailed():
            return event.step
        case e.TimerFired():
            return _unit_of_timer(event.timer, state)
        case e.EscalationOpened() | e.EscalationResolved() | e.BriefWritten():
            asked = state.escalations.get(event.escalation) if state else None
            return asked.unit if asked else None
        case _:
            return None


def _unit_of_timer(timer: str, state: Process | None) -> str | None:
    owner = timer.rpartition("/")[0]
    asked = state.escalations.get(owner) if state else None
    if asked is not None:
        return asked.unit
    return unit_of_call(owner) or None


def about(event: e.Event, step: str, state: Process) -> bool:
    """Whether an event concerns a step, or one unit of it (`lines[3]`)."""
    unit = unit_of(event, state)
    return unit is not None and (unit == step or step_of_unit(unit) == step)


def call_of(event: e.Event) -> str | None:
    match event:
        case e.CallPrepared() | e.CallSucceeded() | e.CallFailed() | e.CallLost() | e.ChildFinished():
            return event.call
        case _:
            return None


def trace_entry(each: Numbered, calls: Calls, bodies: EntryBodies | None = None) -> TraceEntry:
    """One event as an entry; bodies are cut at 4 KB each and the rest named."""
    event, given = each.event, bodies or EntryBodies()
    unit, call = unit_of(event, calls.state), call_of(event)
    place = f"process://{calls.state.spec.process_id}/steps/{unit}" if calls.state and unit else ""
    shown: dict[str, Any] = {}
    cuts: list[CutView] = []
    for part in ("input", "output", "detail"):
        value = getattr(given, part)
        if value is None:
            continue
        shown[part], was_cut = cut(value)
        if was_cut:
            uri = f"{place}/input" if part == "input" else f"{place}/output"
            cuts.append(CutView(field=part, bytes=encoded_bytes(value), uri=uri))
    return TraceEntry(
        seq=each.seq,
        at=timestamp(event.at),
        event=type(event).__name__,
        kind=kind_of(event),
        step=step_of_unit(unit) if unit else None,
        call=call,
        agent=calls.agents.get(call) if call else None,
        why_agent=(event.why_agent or None) if isinstance(event, e.CallPrepared) else None,
        contract=_contract(unit, calls.plan),
        summary=summary(event, calls),
        cut=cuts or None,
        **_figures(event),
        **shown,
    )


def _contract(unit: str | None, plan: PlanFacts | None) -> str | None:
    step = next((each for each in plan.steps if each.id == step_of_unit(unit)), None) if plan and unit else None
    if step is None or unit is None:
        return None
    pin = step.undo.contract if unit.endswith("!undo") and step.undo else step.contract
    return f"{pin.name}@{pin.version}" if pin else None


def _figures(event: e.Event) -> dict[str, Any]:
    """Time, tokens, cost, verdict and blame, for the events that carry them."""
    match event:
        case e.CallSucceeded():
            return {**_spent(event.usd_micros, event.tokens), "ms": event.ms, "verdict": "ok"}
        case e.CallFailed():
            figures = {**_spent(event.usd_micros, event.tokens), "ms": event.ms}
            return {**figures, "verdict": event.code, "blame": event.blame.value}
        case e.CallLost():
            return {"verdict": "lost", "blame": "transport"}
        case e.ChildFinished():
            return {**_spent(event.usd_micros, None), "verdict": event.code or "ok"}
        case e.StageFailed():
            figures = {**_spent(event.usage.usd_micros, event.usage.tokens), "ms": event.usage.ms}
            return {**figures, "verdict": event.code, "blame": event.blame.value}
        case e.PlanChecked():
            return {"verdict": "ok" if event.ok else "refused"}
        case e.TaskClassified() | e.PlanProposed() | e.BriefWritten():
            return {**_spent(event.usage.usd_micros, event.usage.tokens), "ms": event.usage.ms}
        case _:
            return {}


def _spent(usd_micros: int | None, tokens: int | None) -> dict[str, Any]:
    return {"cost_usd": usd(usd_micros) if usd_micros is not None else None, "tokens": tokens}


# --- summaries ---------------------------------------------------------------------------------------------------


def summary(event: e.Event, calls: Calls) -> str:
    """One event in one line."""
    match event:
        case e.CallPrepared() | e.CallSucceeded() | e.CallFailed() | e.CallLost() | e.ChildFinished():
            return _call_summary(event, calls)
        case e.MapOpened() | e.StepSkipped() | e.ItemsCollected():
            return _step_summary(event)
        case e.EscalationOpened() | e.EscalationResolved() | e.BriefWritten():
            return _escalation_summary(event, calls)
        case e.StageFailed():
            return one_line(
                f"Stage {event.stage.value} failed: {event.code}, blame {event.blame.value}. {event.message or ''}"
            )
        case e.TimerFired():
            return f"Timer {event.timer} fired."
        case _:
            return _process_summary(event)


def _process_summary(event: e.Event) -> str:
    match event:
        case e.ProcessStarted(spec=spec):
            name = f"{spec.type.name} {spec.type.version}" if spec.type else "a task without a type yet"
            budget = usd(spec.budget.usd_micros)
            return f"Started {name} for {spec.principal}, classified by {spec.classified_by}, budget {budget} USD."
        case e.CancelRequested():
            return one_line(f"Cancel requested by {event.by}: {event.reason}")
        case e.EngineResumed():
            return f"Engine {event.engine} took over; unanswered calls are sent again under their keys."
        case e.TaskClassified():
            return f"Classified as {event.process_type.name} {event.process_type.version} by {event.by}."
        case e.PlanProposed():
            return f"A model proposed a plan (round {event.round})."
        case e.PlanChecked():
            steps = f" of {len(event.plan.steps)} steps" if event.plan else ""
            return f"The plan{steps} fits its contracts." if event.ok else "The plan does not fit its contracts."
        case e.OutputBuilt():
            return f"The output was built ({event.output.bytes} bytes) and keeps the process type's schema."
        case _:
            return type(event).__name__


def _call_summary(
    event: e.CallPrepared | e.CallSucceeded | e.CallFailed | e.CallLost | e.ChildFinished, calls: Calls
) -> str:
    contract = _contract(unit_of_call(event.call), calls.plan)
    match event:
        case e.CallPrepared():
            asks = _asks(event.gate)
            return f"{event.call}: arguments keep {contract}, for {event.agent.name}.{asks}"
        case e.CallSucceeded():
            return f"{event.call}: answered in {event.ms} ms; the output keeps {contract}."
        case e.CallFailed():
            where = f" at {event.pointer or '/'} ({event.rule})" if event.rule else ""
            unsure = " It is unknown whether it took effect." if event.outcome is Outcome.UNKNOWN else ""
            why = f" {event.message}" if event.message else ""
            return one_line(f"{event.call}: {event.code}{where}, blame {event.blame.value}.{unsure}{why}")
        case e.CallLost():
            return f"{event.call}: lost; no answer came, and it is unknown whether it took effect."
        case e.ChildFinished():
            return f"{event.call}: its process ended {event.status.value}."


def _asks(gate: Gate | None) -> str:
    return f" Needs approval by {gate.role} ({gate.min_assurance.value})." if gate else ""


def _step_summary(event: e.MapOpened | e.StepSkipped | e.ItemsCollected) -> str:
    match event:
        case e.MapOpened():
            asks = _asks(event.gate)
            return f"{event.step}: {event.count} items.{asks}"
        case e.StepSkipped():
            then = "its default stands in." if event.output else "it has no output."
            because = ", its condition is false" if event.reason == "condition" else ""
            return f"{event.unit}: skipped{because}; {then}"
        case e.ItemsCollected():
            return f"{event.step}: all items are settled."


def _escalation_summary(event: e.EscalationOpened | e.EscalationResolved | e.BriefWritten, calls: Calls) -> str:
    asked = calls.state.escalations.get(event.escalation) if calls.state else None
    about_step = f" about {asked.unit}" if asked and asked.unit else ""
    match event:
        case e.EscalationOpened():
            return f"{event.escalation}: asked {asked.role if asked else 'a person'}{about_step}" + (
                f" ({asked.kind.value})." if asked else "."
            )
        case e.EscalationResolved():
            proof = f"{event.channel}, {assurance_label(event.assurance, event.channel)}"
            note = f" Note: {event.note}" if event.note else ""
            return one_line(f"{event.escalation}: {event.decision.value}{about_step} by {event.by} ({proof}).{note}")
        case e.BriefWritten():
            return f"{event.escalation}: a model added a paragraph."
