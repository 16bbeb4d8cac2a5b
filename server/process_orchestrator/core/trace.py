"""The journal told as facts: one entry per event, with whom and what it is about, and what it cost.

Pure, and without words: texts and bodies are the views'. An entry can be told from any part of a journal, given the
state that the whole leads to: nothing that an entry needs of it is ever taken back. `normalised` is what must be equal
on every host.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.core import keys
from process_orchestrator.core.codes import classify
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Blame, Decision, Effect, Fact, Ref, Stage
from process_orchestrator.core.process import apply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import Usage
    from process_orchestrator.core.ports import JournalRow

OK: Final = "ok"


class EntryKind(StrEnum):
    """Which part of a process's life an event belongs to."""

    PROCESS = "process"
    PLAN = "plan"
    CALL = "call"
    ESCALATION = "escalation"
    TIMER = "timer"


class Entry(Fact, kw_only=True):
    """One event as a trace shows it. `verdict` is ok or the code of a failure."""

    seq: int
    at: int
    event: str
    kind: EntryKind
    unit: str | None = None
    step: str | None = None
    call: str | None = None
    agent: str | None = None
    why_agent: str | None = None
    contract: str | None = None  # name@version
    escalation: str | None = None
    decision: Decision | None = None
    ms: int | None = None
    tokens: int | None = None
    usd_micros: int | None = None
    verdict: str = OK
    blame: Blame | None = None
    pointer: str | None = None
    input: Ref | None = None
    output: Ref | None = None
    detail: Ref | None = None


_KINDS: Final[Mapping[type[e.Event], EntryKind]] = {
    e.PlanProposed: EntryKind.PLAN,
    e.PlanChecked: EntryKind.PLAN,
    e.MapOpened: EntryKind.CALL,
    e.CallPrepared: EntryKind.CALL,
    e.StepSkipped: EntryKind.CALL,
    e.CallSucceeded: EntryKind.CALL,
    e.CallFailed: EntryKind.CALL,
    e.CallLost: EntryKind.CALL,
    e.ChildFinished: EntryKind.CALL,
    e.ItemsCollected: EntryKind.CALL,
    e.EscalationOpened: EntryKind.ESCALATION,
    e.EscalationResolved: EntryKind.ESCALATION,
    e.BriefWritten: EntryKind.ESCALATION,
    e.TimerFired: EntryKind.TIMER,
}

_STAGE_KINDS: Final[Mapping[Stage, EntryKind]] = {
    Stage.PLAN: EntryKind.PLAN,
    Stage.MAP: EntryKind.CALL,
    Stage.COLLECT: EntryKind.CALL,
    Stage.BRIEF: EntryKind.ESCALATION,
}


def kind_of(event: e.Event) -> EntryKind:
    """The part of a process's life that an event belongs to."""
    if isinstance(event, e.StageFailed):
        return _STAGE_KINDS.get(event.stage, EntryKind.PROCESS)
    return _KINDS.get(type(event), EntryKind.PROCESS)


class Numbered(Fact, kw_only=True):
    """An event with its seq."""

    seq: int
    event: e.Event


def numbered(rows: Iterable[JournalRow]) -> Iterator[Numbered]:
    """The events of some rows, each with its seq."""
    for row in rows:
        first = row.seq - len(row.events) + 1
        for offset, event in enumerate(row.events):
            yield Numbered(seq=first + offset, event=event)


def entries(rows: Iterable[JournalRow]) -> Iterator[Entry]:
    """The trace of a process, from its whole journal, oldest first."""
    events = tuple(numbered(rows))
    state: Process | None = None
    for each in events:
        state = apply(state, each.event).state
    agents = agents_of(events)
    return (entry(each, state=state, agents=agents) for each in events)


def agents_of(events: Iterable[Numbered]) -> dict[str, str]:
    """The agent of each call that was prepared, by the call's id: its later events do not repeat it."""
    prepared = (each.event for each in events if isinstance(each.event, e.CallPrepared))
    return {event.call: event.agent.name for event in prepared if event.agent.name}  # a wait step calls nobody


def normalised(rows: Iterable[JournalRow]) -> tuple[Entry, ...]:
    """The trace without what differs between hosts and runs: clocks, times, and engines that took over."""
    kept = (entry for entry in entries(rows) if entry.event != e.EngineResumed.__name__)
    return tuple(replace(entry, seq=seq, at=0, ms=None) for seq, entry in enumerate(kept, start=1))


def entry(each: Numbered, *, state: Process | None, agents: Mapping[str, str]) -> Entry:
    """One event told. What `state` does not know (any more, or yet) is left unsaid."""
    event = each.event
    said = _said(event, state)
    unit, call = said.get("unit"), said.get("call")
    told = Entry(
        seq=each.seq,
        at=event.at,
        event=type(event).__name__,
        kind=kind_of(event),
        step=keys.step_of_unit(unit) if unit is not None else None,
        agent=agents.get(call) if call is not None else None,
        contract=_contract(state, unit),
    )
    return replace(told, **said)


def about(event: e.Event, step: str, state: Process) -> bool:
    """Whether an event concerns a step, or one unit of it (`lines[3]`)."""
    unit = _said(event, state).get("unit")
    return unit is not None and step in (unit, keys.step_of_unit(unit))


def only_reads(call: str, state: Process | None) -> bool:
    """Whether a call changes nothing, whatever became of it. False where the state does not know its step."""
    unit = keys.unit_of_call(call)
    if state is None or state.plan is None or keys.is_undo(unit):
        return False
    name = keys.step_of_unit(unit)
    return any(step.id == name and step.effect in (Effect.NONE, Effect.READ) for step in state.plan.steps)


def _contract(state: Process | None, unit: str | None) -> str | None:
    if state is None or state.plan is None or unit is None:
        return None
    step = next((each for each in state.plan.steps if each.id == keys.step_of_unit(unit)), None)
    if step is None:
        return None
    if step.child is not None:
        return f"{step.child.type.name}@{step.child.type.version}"
    pin = step.undo.contract if step.undo is not None and keys.is_undo(unit) else step.contract
    return f"{pin.name}@{pin.version}" if pin is not None else None


def _said(event: e.Event, state: Process | None) -> dict[str, Any]:
    """The fields of an entry that its event says itself, and the unit that a question it names is about."""
    match event:
        case e.CallPrepared():
            return {**_of_call(event.call), "why_agent": event.why_agent or None, "input": event.input}
        case e.CallSucceeded():
            blamed = {"blame": Blame.AGENT} if overbilled(event.call, state) else {}
            return {**_of_call(event.call), **_spent(event), "ms": event.ms, "output": event.output, **blamed}
        case e.CallFailed():
            failed = {"verdict": event.code, "blame": event.blame, "pointer": event.pointer, "detail": event.detail}
            return {**_of_call(event.call), **_spent(event), "ms": event.ms, **failed}
        case e.CallLost():
            return {**_of_call(event.call), "verdict": "lost", "blame": classify("lost").blame}
        case e.ChildFinished():
            ended = {"usd_micros": event.usd_micros, "verdict": event.code or OK, "output": event.output}
            return {**_of_call(event.call), **ended}
        case e.StepSkipped():
            return {"unit": event.unit, "output": event.output}
        case e.MapOpened():
            return {"unit": event.step, "input": event.items}
        case e.ItemsCollected():
            return {"unit": event.step, "output": event.output}
        case e.TimerFired():
            owner = keys.owner_of_timer(event.timer)
            about_question = {**_of_question(owner, state), **_decided_by(event.timer, state)}
            return about_question or ({} if keys.is_stage(owner) else _of_call(owner))
        case _:
            return _said_of_process(event, state)


def _said_of_process(event: e.Event, state: Process | None) -> dict[str, Any]:
    match event:
        case e.ProcessStarted():
            return {"input": event.spec.input}
        case e.TaskClassified():
            return {**_used(event.usage), "input": event.input}
        case e.PlanProposed():
            return {**_used(event.usage), "output": event.plan}
        case e.PlanChecked():
            return {"verdict": OK if event.ok else "refused", "output": event.report}
        case e.OutputBuilt():
            return {"output": event.output}
        case e.EscalationOpened():
            return {**_of_question(event.escalation, state), "escalation": event.escalation, "output": event.package}
        case e.EscalationResolved():
            answer = {"decision": event.decision, "input": event.data}
            return {**_of_question(event.escalation, state), "escalation": event.escalation, **answer}
        case e.BriefWritten():
            brief = {"escalation": event.escalation, "output": event.brief}
            return {**_of_question(event.escalation, state), **_used(event.usage), **brief}
        case e.StageFailed():
            failed = {"verdict": event.code, "blame": event.blame, "pointer": event.pointer, "detail": event.detail}
            asked = _of_question(event.escalation or "", state).get("unit")
            about_what = {"unit": event.step or asked, "escalation": event.escalation}
            return {**about_what, **_used(event.usage), **failed}
        case _:
            return {}


def overbilled(call: str, state: Process | None) -> bool:
    """Whether a call billed more than was held back for it: its contract's price was broken, its answer was not."""
    unit = state.units.get(keys.unit_of_call(call)) if state is not None else None
    return unit is not None and call in unit.overbilled


def _of_question(escalation: str, state: Process | None) -> dict[str, Any]:
    asked = state.escalations.get(escalation) if state is not None else None
    return {"unit": asked.unit, "escalation": escalation} if asked is not None else {}


def _decided_by(timer: str, state: Process | None) -> dict[str, Any]:
    """The decision that a deadline took, if it took one: a first deadline may only have given it to another role."""
    asked = state.escalations.get(keys.owner_of_timer(timer)) if state is not None else None
    answer = asked.resolution if asked is not None else None
    return {"decision": answer.decision} if answer is not None and answer.request_id == timer else {}


def _of_call(call: str) -> dict[str, Any]:
    return {"call": call, "unit": keys.unit_of_call(call)}


def _spent(event: e.CallSucceeded | e.CallFailed) -> dict[str, Any]:
    return {"usd_micros": event.usd_micros, "tokens": event.tokens}


def _used(usage: Usage) -> dict[str, Any]:
    return {"usd_micros": usage.usd_micros, "tokens": usage.tokens, "ms": usage.ms}
