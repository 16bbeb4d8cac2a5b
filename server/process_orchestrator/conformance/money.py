"""Money in a journal: what is spent and held back, told from the events alone, and that nobody is asked without room.

Agents and models stand in one budget. What is held for a model whose engine ended is spent, as it may have been billed,
and held once more for as long as it is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core.facts.commands import ClassifyTask, Command, ProposePlan, WriteBrief
from process_orchestrator.core.facts.events import (
    BriefWritten,
    CallFailed,
    CallLost,
    CallPrepared,
    CallSucceeded,
    ChildFinished,
    EngineResumed,
    EscalationResolved,
    Event,
    PlanProposed,
    ProcessStarted,
    StageFailed,
    TaskClassified,
)
from process_orchestrator.core.facts.values import Decision, Outcome, Stage, Usage
from process_orchestrator.core.keys import is_undo, unit_of_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from process_orchestrator.conformance.seen import Seen
    from process_orchestrator.core.facts.state import Process


def money(event: Event, seen: Seen, before: Process | None, state: Process) -> Iterator[tuple[str, str]]:
    """Keep the books of money, told from what the events say of calls alone."""
    match event:
        case ProcessStarted():
            seen.cap, seen.models = event.spec.budget.usd_micros, event.spec.models
        case EscalationResolved(decision=Decision.RAISE_BUDGET, usd_micros=int(added)):
            asked = state.escalations.get(event.escalation)
            added = added if asked is not None and asked.resolution is event else 0
            seen.cap, seen.raised = seen.cap + added, seen.raised + added
        case CallPrepared():
            seen.reserves.setdefault(event.call, event.reserve_usd_micros)
        case CallSucceeded() | CallFailed() | CallLost() if event.call in seen.held:
            held = seen.held.pop(event.call)
            told = None if isinstance(event, CallLost) else event.usd_micros
            refused = isinstance(event, CallFailed) and event.outcome is Outcome.NOT_DONE
            seen.spent += told if told is not None else 0 if refused else held
        case ChildFinished() if event.call in seen.children and event.call in seen.held:
            del seen.held[event.call]
            seen.spent += event.usd_micros
        case TaskClassified() | PlanProposed() | StageFailed() | BriefWritten():
            _settle_model(event, seen)
        case EngineResumed() if before is not None:
            yield from _asked_again(seen, before, state)
        case _:
            pass
    if isinstance(event, TaskClassified | EscalationResolved) and event.budget is not None:
        cap = event.budget.usd_micros + seen.raised  # the type's own, and what humans have added
        seen.cap = cap if state.spec.budget.usd_micros == cap else seen.cap


def _asked_again(seen: Seen, before: Process, state: Process) -> Iterator[tuple[str, str]]:
    """Models whose engine has ended are asked once more, each for money that is there, or given up."""
    waited, waits = _waited_for(before), _waited_for(state)
    seen.spent += sum(seen.asked.get(work) or 0 for work in waited)
    for work in waited - waits:
        seen.asked.pop(work, None)
    held = sum(each or 0 for each in seen.asked.values()) + sum(seen.held.values())
    if waits and seen.spent + held > seen.cap:
        yield "cap", f"{sorted(waits)} asked again: {seen.spent} spent, {held} held, cap {seen.cap}"


def _waited_for(state: Process) -> set[str]:
    """Models' work that is under way."""
    briefs = {f"{Stage.BRIEF} {one.id}" for one in state.escalations.values() if one.brief_due}
    return briefs | ({state.stage.value} if state.stage is not None and state.thinking.held else set())


_NOBODY_ASKED: Final = frozenset({"no_model", "not_configured", "rate_limited", "unreachable"})


def _settle_model(event: TaskClassified | PlanProposed | StageFailed | BriefWritten, seen: Seen) -> None:
    """A model's work is over: what it billed is spent; where nobody says, all that it may have billed."""
    match event:
        case TaskClassified():
            work = Stage.INTAKE.value
        case PlanProposed():
            work = Stage.PLAN.value
        case BriefWritten():
            work = f"{Stage.BRIEF} {event.escalation}"
        case StageFailed():
            work = f"{Stage.BRIEF} {event.escalation}" if event.stage is Stage.BRIEF else event.stage.value
    ordered = work in seen.asked
    held = seen.asked.pop(work, None) or 0
    if event.usage.usd_micros is not None:
        seen.spent += event.usage.usd_micros if ordered or work in (Stage.MAP, Stage.COLLECT, Stage.OUTPUT) else 0
        return
    code = event.code if isinstance(event, StageFailed) else ""
    if code not in _NOBODY_ASKED and (event.usage != Usage() or code == "timeout"):
        seen.spent += held


def models(commands: Sequence[Command], seen: Seen) -> Iterator[tuple[str, str]]:
    """A model is asked only where there is one, and for money that is there."""
    for command in commands:
        match command:
            case ClassifyTask():
                stage, work = Stage.INTAKE.value, Stage.INTAKE.value
            case ProposePlan():
                stage, work = Stage.PLAN.value, Stage.PLAN.value
            case WriteBrief():
                stage, work = Stage.BRIEF.value, f"{Stage.BRIEF} {command.escalation}"
            case _:
                continue
        if stage not in seen.models:
            yield "model", f"{work} is ordered, and no model is set up for it"
        if work in seen.asked:
            yield "model", f"{work} is ordered twice"
        seen.asked[work] = seen.models.get(stage)
        held = sum(each or 0 for each in seen.asked.values()) + sum(seen.held.values())
        if seen.spent + held > seen.cap:
            yield "cap", f"{work} may cost {seen.asked[work]}: {seen.spent} spent, {held} held with it, cap {seen.cap}"


def hold(call: str, most: int, seen: Seen) -> Iterator[tuple[str, str]]:
    seen.held[call] = most
    if is_undo(unit_of_call(call)):  # what must be taken back waits for no money
        return
    held = sum(seen.held.values()) + sum(each or 0 for each in seen.asked.values())
    if seen.spent + held > seen.cap:
        others = held - most
        yield "cap", f"{call} may cost {most}: {seen.spent} spent, {others} held, cap {seen.cap}"
