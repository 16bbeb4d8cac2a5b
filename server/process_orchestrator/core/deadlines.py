"""Deadlines of questions: somebody is reminded at half of the time, and at its end a timer decides: never to approve.

One timer per open question, kept nowhere but in the question itself. These timers are no work of the process: it waits
for a human all the while. What a decision does is `resolve`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from process_orchestrator.core import keys, orders
from process_orchestrator.core.facts.commands import StopTimer
from process_orchestrator.core.facts.events import EscalationResolved
from process_orchestrator.core.facts.values import Assurance, Decision

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Escalation

BY: Final = "deadline"
CHANNEL: Final = "timer"
_TO_ROLE: Final = "role:"


def given(draft: Draft, escalation: Escalation) -> Escalation:
    """The question with its deadline, counted from now; a plan may set none."""
    time_ms = draft.plan.deadline_ms if draft.plan is not None else None
    if time_ms is None:
        return escalation
    return replace(escalation, remind_at=draft.now + time_ms // 2, reminded_at=None, deadline_at=draft.now + time_ms)


def start(draft: Draft, escalation: Escalation) -> None:
    """Order the question's timer started, if it has one."""
    timer = orders.escalation_timer(draft, escalation)
    if timer is not None:
        draft.order(timer)


def stop(draft: Draft, escalation: Escalation) -> None:
    """Order the question's timer stopped, if it has one."""
    timer = orders.escalation_timer(draft, escalation)
    if timer is not None:
        draft.order(StopTimer(process=draft.spec.process_id, timer=timer.timer))


def question_of(draft: Draft, timer: str) -> Escalation | None:
    """The open question that waits for just this timer."""
    escalation = draft.escalations.get(keys.owner_of_timer(timer))
    if escalation is None or not escalation.open:
        return None
    live = orders.escalation_timer(draft, escalation)
    return escalation if live is not None and live.timer == timer else None


def passed(draft: Draft, escalation: Escalation) -> EscalationResolved | None:
    """What follows when a question's timer has fired: a reminder, another role, or a decision, which is returned."""
    if escalation.remind_at is not None:
        going_on = replace(escalation, remind_at=None, reminded_at=draft.now)
    elif (role := _role(draft)) is not None and not escalation.passed_on:
        version = escalation.version + 1
        going_on = replace(given(draft, escalation), role=role, passed_on=True, version=version)
    else:
        return _decision(draft, escalation)
    draft.put_escalation(going_on)
    if going_on.package is None and going_on.role != escalation.role:  # its package is to be made for the new role
        draft.order(orders.open_escalation(draft, going_on))
    start(draft, going_on)
    return None


def _role(draft: Draft) -> str | None:
    """The role that a question passes to at its first deadline."""
    word = draft.plan.on_deadline if draft.plan is not None else ""
    return word.removeprefix(_TO_ROLE) if word.startswith(_TO_ROLE) else None


def _decision(draft: Draft, escalation: Escalation) -> EscalationResolved:
    """Reject, or abort where the plan says so or nothing can be rejected."""
    aborts = draft.plan is not None and draft.plan.on_deadline == Decision.ABORT
    rejects = not aborts and Decision.REJECT in escalation.decisions
    return EscalationResolved(
        at=draft.now,
        escalation=escalation.id,
        version=escalation.version,
        decision=Decision.REJECT if rejects else Decision.ABORT,
        by=BY,
        channel=CHANNEL,
        assurance=Assurance.A0,
        request_id=keys.timer_id(escalation.id, keys.TimerKind.DEADLINE),
    )
