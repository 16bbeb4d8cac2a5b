"""The journal told as facts: one entry per event, with whom and what it is about, and what it cost.

Pure, and without words: texts and bodies are the views'. `normalised` is what must be equal on every host.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from process_orchestrator.core import keys
from process_orchestrator.core.codes import classify
from process_orchestrator.core.facts import events as e
from process_orchestrator.core.facts.values import Blame, Decision, Fact, Ref, Stage
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


def entries(rows: Iterable[JournalRow]) -> Iterator[Entry]:
    """The trace of a process, from its whole journal, oldest first: what a later event leaves unsaid stands earlier."""
    state: Process | None = None
    agents: dict[str, str] = {}
    for row in rows:
        for event in row.events:
            state = apply(state, event).state
            if isinstance(event, e.CallPrepared):
                agents[event.call] = event.agent.name
            yield _entry(event, state=state, agents=agents)


def normalised(rows: Iterable[JournalRow]) -> tuple[Entry, ...]:
    """The trace without what differs between hosts and runs: clocks, times, and engines that took over."""
    kept = (entry for entry in entries(rows) if entry.event != e.EngineResumed.__name__)
    return tuple(replace(entry, seq=seq, at=0, ms=None) for seq, entry in enumerate(kept, start=1))


def _entry(event: e.Event, *, state: Process, agents: Mapping[str, str]) -> Entry:
    said = _said(event)
    call = said.get("call")
    escalation = state.escalations.get(said.get("escalation") or "")
    unit = escalation.unit if escalation is not None else said.get("unit")
    entry = Entry(
        seq=state.seq,
        at=event.at,
        event=type(event).__name__,
        kind=kind_of(event),
        step=keys.step_of_unit(unit) if unit is not None else None,
        agent=agents.get(call) if call is not None else None,
        contract=_contract(state, unit),
    )
    return replace(entry, **{**said, "unit": unit})


def _contract(state: Process, unit: str | None) -> str | None:
    known = state.units.get(unit) or state.units.get(keys.step_of_unit(unit)) if unit is not None else None
    if known is None or state.plan is None:
        return None
    pin = state.plan.steps[known.place].contract
    return f"{pin.name}@{pin.version}" if pin is not None else None


def _said(event: e.Event) -> dict[str, Any]:
    """The fields of an entry that its event says itself."""
    match event:
        case e.CallPrepared():
            return {**_of_call(event.call), "why_agent": event.why_agent or None, "input": event.input}
        case e.CallSucceeded():
            return {**_of_call(event.call), **_spent(event), "ms": event.ms, "output": event.output}
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
            return _of_call(keys.owner_of_timer(event.timer))
        case _:
            return _said_of_process(event)


def _said_of_process(event: e.Event) -> dict[str, Any]:
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
            return {"escalation": event.escalation, "output": event.package}
        case e.EscalationResolved():
            return {"escalation": event.escalation, "decision": event.decision, "input": event.data}
        case e.BriefWritten():
            return {**_used(event.usage), "escalation": event.escalation, "output": event.brief}
        case e.StageFailed():
            failed = {"verdict": event.code, "blame": event.blame, "pointer": event.pointer, "detail": event.detail}
            return {**_used(event.usage), **failed, "unit": event.step, "escalation": event.escalation}
        case _:
            return {}


def _of_call(call: str) -> dict[str, Any]:
    return {"call": call, "unit": keys.unit_of_call(call)}


def _spent(event: e.CallSucceeded | e.CallFailed) -> dict[str, Any]:
    return {"usd_micros": event.usd_micros, "tokens": event.tokens}


def _used(usage: Usage) -> dict[str, Any]:
    return {"usd_micros": usage.usd_micros, "tokens": usage.tokens, "ms": usage.ms}
