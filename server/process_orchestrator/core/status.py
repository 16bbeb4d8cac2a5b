"""Where a process stands, and what it waits for, told from its counters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.core import budget, keys
from process_orchestrator.core.facts.values import Phase, Stage, Status, Why

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Process, Unit

_BY_MODEL: Final = frozenset({Stage.INTAKE, Stage.PLAN})


def standing(draft: Draft) -> tuple[Status, Why | None]:
    """Status and reason of a process that has not ended.

    Until anything but its start is known it is queued: nothing of it may have begun.
    """
    if draft.set_aside is not None:
        return Status.WAITING_HUMAN, Why.HUMAN
    if draft.stage is None and not draft.units_busy and draft.escalations_open:
        only_money = draft.escalations_open == 1 and _asks_for_money(draft)
        return Status.WAITING_HUMAN, Why.BUDGET if only_money else Why.HUMAN
    if draft.before.seq == 0:
        return Status.QUEUED, Why.QUEUE
    return Status.RUNNING, _running_why(draft)


def _asks_for_money(draft: Draft) -> bool:
    return draft.thinking.wants_money is not None or budget.asked(draft) is not None


def _running_why(draft: Draft) -> Why:
    if draft.cancelling:
        return Why.CANCEL
    if draft.live_calls:
        return Why.AGENT
    if draft.stage in _BY_MODEL:
        return draft.thinking.why or Why.MODEL
    if draft.live_timers and draft.units_busy == len(draft.live_timers):  # all that is live waits for a timer
        waiting = draft.units[keys.unit_of_call(keys.owner_of_timer(draft.live_timers[0]))]
        return waiting.why or Why.TIMER
    return Why.ENGINE


def settled(state: Process) -> bool:
    """Whether a process has ended or goes on only when a human decides."""
    return state.finished or state.status is Status.WAITING_HUMAN


def shown_phase(unit: Unit) -> Phase:
    """The word of `steps[].status`: a mapped step asks or is escalated as soon as one of its items is."""
    if unit.phase is not Phase.CALLING:
        return unit.phase
    if unit.items_asking:
        return Phase.ASKING
    return Phase.ESCALATED if unit.items_escalated else Phase.CALLING
