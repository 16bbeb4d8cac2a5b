"""The core's one door: `apply` takes a state and an event, and returns the next state and the commands that follow.

Pure, total, deterministic. It only finds the rule; rules live in `unit` (the life of a unit), `stage` (intake, plan,
output), `resolve` (human decisions), `settle` (failures), `ending` (fail-fast and cancel), `compensate` (undoing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import (
    briefs,
    budget,
    compensate,
    deadlines,
    drift,
    ending,
    escalate,
    replan,
    resolve,
    stage,
    status,
)
from process_orchestrator.core.admit import admit
from process_orchestrator.core.draft import drafted
from process_orchestrator.core.facts.events import (
    BriefWritten,
    CancelRequested,
    DecisionsDrifted,
    EngineResumed,
    EscalationOpened,
    EscalationResolved,
    Event,
    OutputBuilt,
    PlanChecked,
    PlanProposed,
    ProcessStarted,
    StageFailed,
    TaskClassified,
    TimerFired,
)
from process_orchestrator.core.facts.state import Process, Transition
from process_orchestrator.core.unit import NEXT, subject

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import ProcessSpec


def apply(state: Process | None, event: Event) -> Transition:
    """What one event leads to. A stale event changes nothing but `seq`.

    Raises ValueError where the first event is not ProcessStarted: there is no state to return.
    """
    if state is None:
        if not isinstance(event, ProcessStarted):
            raise ValueError("the first event of a process is ProcessStarted")
        draft = drafted(_unstarted(event.spec, at=event.at), at=event.at)
        stage.start(draft)
    elif state.finished:
        return _stale(state)
    else:
        draft = drafted(state, at=event.at)
        if not _applied(draft, event):
            return _stale(state)
    _conclude(draft)
    return draft.transition()


def _unstarted(spec: ProcessSpec, *, at: int) -> Process:
    return Process(spec=spec, seq=0, now=at, created_at=at, updated_at=at)


def _stale(state: Process) -> Transition:
    return Transition(state=replace(state, seq=state.seq + 1))


def _applied(draft: Draft, event: Event) -> bool:
    """Apply an event by its rule; False where it is stale. A deadline that has passed is a decision."""
    if isinstance(event, TimerFired) and (question := deadlines.question_of(draft, event.timer)) is not None:
        decided = deadlines.passed(draft, question)
        if decided is None:
            return True
        event = decided
    if isinstance(event, EscalationResolved):
        if admit(draft.before, event) is not None:
            return False
        if event.escalation == draft.set_aside:
            drift.decided(draft, event)
            return True
        if draft.escalations[event.escalation].unit is None:
            resolve.about_process(draft, event)
            return True
    unit = subject(draft, event)
    if unit is None:
        return _applied_to_process(draft, event)
    rule = NEXT.get((unit.phase, type(event)))
    if rule is None:
        return False
    rule.do(draft, unit, event)
    return True


def _applied_to_process(draft: Draft, event: Event) -> bool:
    """Events about the process as a whole. Children, deadlines and waits will have their rules here."""
    match event:
        case EscalationOpened():
            return briefs.packaged(draft, event)
        case CancelRequested():
            return ending.cancel(draft, event.reason)
        case OutputBuilt():
            return stage.output_built(draft, event)
        case StageFailed():
            return stage.failed(draft, event)
        case TaskClassified():
            return stage.classified(draft, event)
        case PlanProposed():
            return stage.proposed(draft, event)
        case PlanChecked():
            return stage.checked(draft, event)
        case BriefWritten():
            return briefs.written(draft, event)
        case TimerFired():
            return stage.waited(draft, event)
        case DecisionsDrifted():
            return drift.noticed(draft)
        case EngineResumed():
            return _resumed(draft)
        case _:
            return False


def _resumed(draft: Draft) -> bool:
    """Another engine has taken over from one that ended in the midst of its work."""
    counted = draft.leave_out_outage()
    stage.resumed(draft)
    return briefs.resumed(draft) or counted


def _conclude(draft: Draft) -> None:
    """What holds after every event: who can be paid goes; an ending process undoes, then ends, once no call is live."""
    if draft.budget_waiting:
        budget.let_in(draft)  # may itself begin the end, where a call that waited is refused for good
    if draft.replanning.failure is not None and replan.is_due(draft):
        stage.propose_again(draft)
    if draft.ending:
        if not draft.live_calls:
            compensate.go_on(draft)
    elif draft.escalations_waiting:
        escalate.let_in(draft)
    if not draft.finished:
        draft.status, draft.why = status.standing(draft)
