"""Renders the facts of a trace in words, with the bodies that are asked for. Pure; bodies are read by the use cases.

What an entry is about, whom it names and what it cost is told by `core.trace`. Texts of agents appear in summaries as
one harmless line.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from process_orchestrator.checking.documents.masking import cut, encoded_bytes
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Outcome
from process_orchestrator.core.money import usd
from process_orchestrator.core.redriven import taken_over
from process_orchestrator.core.trace import entry, only_reads, overbilled
from process_orchestrator.views.escalation_view import assurance_label
from process_orchestrator.views.formats import one_line, timestamp
from process_orchestrator.views.models import CutView, TraceEntry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_orchestrator.core.facts.specs import Gate
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.trace import Entry, Numbered


@dataclass(frozen=True, kw_only=True)
class EntryBodies:
    """Bodies of one entry, masked but not cut."""

    input: Any = None
    output: Any = None
    detail: Any = None
    report: Any = None  # of a check of a plan: told in the summary


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an event does not repeat: the state that the journal leads to, and the agent of each call by its id."""

    state: Process | None = None
    agents: Mapping[str, str] = field(default_factory=dict[str, str])


def trace_entry(each: Numbered, known: Known, bodies: EntryBodies | None = None) -> TraceEntry:
    """One event as an entry; bodies are cut at 4 KB each and the rest named."""
    told = entry(each, state=known.state, agents=known.agents)
    bodies = bodies or EntryBodies()
    return TraceEntry(
        seq=told.seq,
        at=timestamp(told.at),
        event=told.event,
        kind=told.kind.value,
        step=told.step,
        call=told.call,
        agent=told.agent,
        why_agent=told.why_agent,
        contract=told.contract,
        ms=told.ms,
        tokens=told.tokens,
        cost_usd=usd(told.usd_micros) if told.usd_micros is not None else None,
        verdict=told.verdict,
        blame=told.blame.value if told.blame is not None else None,
        summary=summary(each.event, told, known.state, report=bodies.report),
        **_shown(told, known.state, bodies),
    )


def _shown(told: Entry, state: Process | None, bodies: EntryBodies) -> dict[str, Any]:
    """The bodies as far as they fit, and of each that was cut where the whole is read."""
    place = f"process://{state.spec.process_id}/steps/{told.unit}" if state and told.unit else ""
    shown: dict[str, Any] = {}
    cuts: list[CutView] = []
    for part in ("input", "output", "detail"):
        value = getattr(bodies, part)
        if value is None:
            continue
        shown[part], was_cut = cut(value)
        if was_cut:
            uri = f"{place}/input" if part == "input" else f"{place}/output"
            cuts.append(CutView(field=part, bytes=encoded_bytes(value), uri=uri))
    return {**shown, "cut": cuts or None}


SUMMARY_CHARACTERS: Final = 500
PROBLEMS_TOLD: Final = 2
VERDICTS: Final = ("always", "sometimes", "never", "unknown")

_TOO_MUCH: Final = " It billed more than its contract declares."


def _billed_too_much(event: e.Event, state: Process | None) -> bool:
    return isinstance(event, e.CallSucceeded | e.CallFailed) and overbilled(event.call, state)


# --- summaries ---------------------------------------------------------------------------------------------------


def summary(event: e.Event, told: Entry, state: Process | None, *, report: Any = None) -> str:
    """One event in one line. `report` is what the check of a plan found."""
    match event:
        case e.PlanChecked():
            return one_line(_checked(event, report if isinstance(report, dict) else {}), limit=SUMMARY_CHARACTERS)
        case e.CallPrepared() | e.CallSucceeded() | e.CallFailed() | e.CallLost() | e.ChildFinished():
            return _call_summary(event, told, state) + (_TOO_MUCH if _billed_too_much(event, state) else "")
        case e.MapOpened() | e.StepSkipped() | e.ItemsCollected():
            return _step_summary(event)
        case e.EscalationOpened() | e.EscalationResolved() | e.BriefWritten():
            return _escalation_summary(event, state)
        case e.StageFailed():
            asked = state.escalations.get(event.escalation or "") if state else None
            about = f" about {asked.unit}" if asked and asked.unit else ""
            return one_line(
                f"Stage {event.stage.value}{about} failed: {event.code}, blame {event.blame.value}. "
                f"{event.message or ''}"
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
            takes_up = f" Takes up {spec.redrives}." if spec.redrives is not None else ""
            started = f"Started {name} for {spec.principal}, classified by {spec.classified_by}, budget {budget} USD."
            asked = "".join(f" The task asks for {each.kind}: {one_line(each.quote)}." for each in spec.requirements)
            return started + takes_up + asked
        case e.CancelRequested():
            return one_line(f"Cancel requested by {event.by}: {event.reason}")
        case e.DecisionsDrifted():
            was, now = ", ".join(event.was) or "nothing", ", ".join(event.now) or "nothing"
            return one_line(f"Set aside: at seq {event.row} the journal says {was}; this version decides {now}.")
        case e.EngineResumed():
            return f"Engine {event.engine} took over; unanswered calls are sent again under their keys."
        case e.TaskClassified():
            budget = f" Budget {usd(event.budget.usd_micros)} USD." if event.budget is not None else ""
            return f"Classified as {event.process_type.name} {event.process_type.version} by {event.by}.{budget}"
        case e.PlanProposed():
            return f"A model proposed a plan (round {event.round})."
        case e.OutputBuilt():
            return f"The output was built ({event.output.bytes} bytes) and keeps the process type's schema."
        case _:
            return type(event).__name__


def _checked(event: e.PlanChecked, report: dict[str, Any]) -> str:
    """What the check of a plan says: its verdicts, or the first of what is wrong with it."""
    verdicts = Counter(str(row.get("verdict")) for row in report.get("bindings", ()))
    counts = ", ".join(f"{verdicts[word]} {word}" for word in VERDICTS if verdicts[word])
    if not event.ok:
        problems = report.get("problems", ())
        said = [f"{each.get('code')} at {each.get('pointer') or '/'}: {each.get('message')}" for each in problems]
        more = f" (and {len(said) - PROBLEMS_TOLD} more)" if len(said) > PROBLEMS_TOLD else ""
        return f"The plan does not fit its contracts{': ' if said else '.'}{'; '.join(said[:PROBLEMS_TOLD])}{more}"
    steps = f" of {len(event.plan.steps)} steps" if event.plan else ""
    bindings = f" (bindings: {counts})" if counts else ""
    dropped = [str(each.get("what")) for each in report.get("dropped", ())]
    without = f" Left out as needless: {', '.join(dropped)}." if dropped else ""
    fit = f" Verdict {event.fit.verdict}: {'; '.join(event.fit.reasons)}." if event.fit and event.fit.reasons else ""
    return f"The plan{steps} fits its contracts{bindings}.{without}{fit}"


def _call_summary(
    event: e.CallPrepared | e.CallSucceeded | e.CallFailed | e.CallLost | e.ChildFinished,
    told: Entry,
    state: Process | None,
) -> str:
    match event:
        case e.CallPrepared() if state is not None and taken_over(state, event.call):
            where = state.spec.redrives
            return f"{event.call}: the arguments of {where}; what was answered there is taken over, nobody is called."
        case e.CallPrepared():
            asks = _asks(event.gate)
            if not event.agent.name:
                return f"{event.call}: waits, and calls nobody."
            return f"{event.call}: arguments keep {told.contract}, for {event.agent.name}.{asks}"
        case e.CallSucceeded():
            return f"{event.call}: answered in {event.ms} ms; the output keeps {told.contract}."
        case e.CallFailed():
            where = f" at {event.pointer or '/'} ({event.rule})" if event.rule else ""
            unsure = f" {_unsure(event.call, state)}." if event.outcome is Outcome.UNKNOWN else ""
            why = f" {event.message}" if event.message else ""
            return one_line(f"{event.call}: {event.code}{where}, blame {event.blame.value}.{unsure}{why}")
        case e.CallLost():
            return f"{event.call}: lost; no answer came. {_unsure(event.call, state)}."
        case e.ChildFinished():
            why = f" ({event.code}: {event.message or 'no reason is told'})" if event.code else ""
            return one_line(f"{event.call}: its process ended {event.status.value}{why}.")


def _unsure(call: str, state: Process | None) -> str:
    """What is known of the effect of a call without an answer that counts."""
    if only_reads(call, state):
        return "It only reads: nothing was changed"
    return "It is unknown whether it took effect"


def _asks(gate: Gate | None) -> str:
    return f" Needs approval by {gate.role} ({gate.min_assurance.value})." if gate else ""


def _step_summary(event: e.MapOpened | e.StepSkipped | e.ItemsCollected) -> str:
    match event:
        case e.MapOpened():
            asks = _asks(event.gate)
            return f"{event.step}: {event.count} items.{asks}"
        case e.StepSkipped():
            if event.reason == "until":
                return f"{event.unit}: not needed; what the step was repeated for is there."
            then = "its default stands in." if event.output else "it has no output."
            because = ", its condition is false" if event.reason == "condition" else ""
            return f"{event.unit}: skipped{because}; {then}"
        case e.ItemsCollected():
            return f"{event.step}: all items are settled."


def _escalation_summary(
    event: e.EscalationOpened | e.EscalationResolved | e.BriefWritten, state: Process | None
) -> str:
    asked = state.escalations.get(event.escalation) if state else None
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
            return f"{event.escalation}: a model added a paragraph{about_step}."
