"""Projections: the rows of listings as pure folds of core state. What is written here can always be rebuilt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from process_orchestrator.core.facts.commands import StartTimer, StopTimer
from process_orchestrator.core.facts.events import TimerFired
from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.ports import EscalationRow, ProcessRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.core.facts.commands import Command
    from process_orchestrator.core.facts.events import Event
    from process_orchestrator.core.facts.state import Escalation, Process


def process_row(state: Process) -> ProcessRow:
    """A process as listings show it."""
    spec = state.spec
    return ProcessRow(
        process_id=spec.process_id,
        process_type=spec.type.name if spec.type else None,
        label=spec.label,
        principal=spec.principal,
        status=state.status.value,
        why=state.why.value if state.why else None,
        version=state.seq,
        steps_done=state.steps_done,
        steps_total=len(state.plan.steps) if state.plan else 0,
        usd_micros=state.usd_micros,
        input_sha256=spec.input.sha256 if spec.input else None,
        created_at=state.created_at,
        updated_at=state.updated_at,
    )


def columns(row: ProcessRow, *, due: bool) -> tuple[object, ...]:
    """What is stored of it: whether it is set aside is no fold, and stands elsewhere."""
    return (*msgspec.structs.astuple(row)[:-1], due)


def escalation_row(state: Process, escalation: Escalation) -> EscalationRow:
    """An escalation as listings show it."""
    return EscalationRow(
        escalation_id=escalation.id,
        process_id=state.spec.process_id,
        process_type=state.spec.type.name if state.spec.type else None,
        step=escalation.step,
        kind=escalation.kind.value,
        role=escalation.role,
        status=escalation_status(escalation),
        opened_at=escalation.opened_at,
        deadline_at=escalation.deadline_at,
    )


def escalation_status(escalation: Escalation) -> str:
    if escalation.open:
        return "open"
    return "withdrawn" if escalation.withdrawn else "resolved"


def is_due(state: Process) -> bool:
    """Whether an engine has something to do for a process, besides keeping its timers."""
    if state.status in (Status.QUEUED, Status.RUNNING):
        return True
    return any(
        escalation.brief_due or (escalation.open and escalation.package is None)
        for escalation in state.escalations.values()
    )


def changed_escalations(before: Process | None, after: Process) -> tuple[Escalation, ...]:
    """Escalations that are new or have changed. Unchanged ones are the same object: the core shares what it keeps."""
    if before is not None and before.escalations is after.escalations:
        return ()
    known = before.escalations if before else {}
    return tuple(
        escalation
        for key, escalation in after.escalations.items()
        if known.get(key) is not escalation and known.get(key) != escalation
    )


def must_project(before: Process | None, after: Process, escalations: tuple[Escalation, ...]) -> bool:
    """Whether the turn from `before` to `after` writes the process's row: status, why or an escalation changed."""
    return before is None or before.status != after.status or before.why != after.why or bool(escalations)


@dataclass(slots=True, eq=False)
class Listed:
    """What the listings say of one process, told from its events alone: what `verify` compares and `rebuild` writes."""

    process: tuple[ProcessRow, bool] | None = None  # its row, and whether an engine has something to do for it
    escalations: dict[str, EscalationRow] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)

    def event(self, event: Event, commands: Sequence[Command]) -> None:
        """One event, and the commands that followed: timers start and end with it."""
        if isinstance(event, TimerFired):
            self.timers.pop(event.timer, None)
        for command in commands:
            if isinstance(command, StartTimer):
                self.timers[command.timer] = command.fire_at
            elif isinstance(command, StopTimer):
                self.timers.pop(command.timer, None)

    def turn(self, before: Process | None, after: Process) -> None:
        """The end of a turn: its rows are written where something in them changed."""
        changed = changed_escalations(before, after)
        for escalation in changed:
            self.escalations[escalation.id] = escalation_row(after, escalation)
        if must_project(before, after, changed):
            self.process = process_row(after), is_due(after)
