"""Spending: what a call may take is held back before it is made, and settled by what it billed.

A call that does not fit waits in a queue. What others hold back may come free, and then the queue is tried again in
order; what only a human can help is asked about, one question at a time. Which bounds there are stands in `bounds`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import bounds, calling, escalate, failures, settle
from process_orchestrator.core.facts.events import CallFailed, CallLost
from process_orchestrator.core.facts.values import EscalationKind, Outcome, Phase, Why

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import CallSucceeded
    from process_orchestrator.core.facts.state import Unit


def call_or_wait(draft: Draft, unit: Unit) -> None:
    """Make the prepared call if the process may call at all, and as soon as the money for it is there."""
    rule = bounds.forbidden(draft, unit)
    if rule is not None:
        settle.settle_by_plan(draft, unit, failures.of_code("over_budget", unit, rule=rule))
    elif draft.budget_waiting or not bounds.affords(draft, unit):  # who waits already has the first turn, see `let_in`
        draft.put(replace(unit, phase=Phase.ESCALATED, wants=EscalationKind.BUDGET, escalation=None, why=Why.BUDGET))
        draft.budget_waiting += (unit.id,)
    else:
        calling.invoke(draft, unit)


def let_in(draft: Draft) -> None:
    """Make the calls that wait for money, in order, as far as it goes; then ask, where only that helps.

    A call that what others hold back may yet help keeps its turn: nobody behind it takes that money. One that is out
    of reach holds up nobody.
    """
    waiting, draft.budget_waiting = draft.budget_waiting, ()
    left: list[str] = []
    held_up = False
    for name in waiting:
        unit = draft.units[name]
        if unit.escalation is None and not held_up and bounds.affords(draft, unit) and not draft.ending:
            call_or_wait(draft, unit)
        else:
            left.append(name)
            held_up = held_up or not bounds.out_of_reach(draft, unit)
    if not draft.ending:
        draft.budget_waiting = tuple(left)
        _ask(draft)


def _ask(draft: Draft) -> None:
    """Ask about the first call that is out of reach, unless one is asked about already or no question has a place."""
    if asked(draft) is not None or escalate.full(draft):
        return
    for name in draft.budget_waiting:
        unit = draft.units[name]
        if bounds.out_of_reach(draft, unit):
            escalate.open_question(draft, unit, EscalationKind.BUDGET)
            return


def asked(draft: Draft) -> str | None:
    """The open question about money, if there is one."""
    questions = (draft.units[name].escalation for name in draft.budget_waiting)
    return next((question for question in questions if question is not None), None)


def raise_cap(draft: Draft, usd_micros: int) -> None:
    """Add to the budget; who waits is tried again in order, see `let_in`."""
    budget = draft.spec.budget
    draft.spec = replace(draft.spec, budget=replace(budget, usd_micros=budget.usd_micros + usd_micros))


def settled(draft: Draft, unit: Unit, event: CallSucceeded | CallFailed | CallLost) -> Unit:
    """The unit whose call is over, its reserve given back and its bill paid in full."""
    reserve = unit.reserve_usd_micros
    paid, tokens = billed(event, reserve), None if isinstance(event, CallLost) else event.tokens
    draft.call_over(unit)
    draft.calls -= _unasked(event)
    draft.bill(usd_micros=paid, tokens=tokens)
    too_much = paid is not None and reserve is not None and paid > reserve
    return replace(
        unit,
        usd_micros=unit.usd_micros + (paid or 0),
        tokens=unit.tokens + (tokens or 0),
        unknown_calls=unit.unknown_calls + (paid is None),
        overbilled=(*unit.overbilled, event.call) if too_much else unit.overbilled,
    )


def billed(event: CallSucceeded | CallFailed | CallLost, reserve: int | None) -> int | None:
    """What a call cost; where nobody says and it may have been billed, its whole reserve. None: nobody knows."""
    if not isinstance(event, CallLost) and event.usd_micros is not None:
        return event.usd_micros
    nothing_done = isinstance(event, CallFailed) and event.outcome is Outcome.NOT_DONE
    return 0 if _unasked(event) or (nothing_done and reserve is not None) else reserve


def _unasked(event: CallSucceeded | CallFailed | CallLost) -> bool:
    """Whether no agent was asked: that was no call, and nobody could bill it."""
    return isinstance(event, CallFailed) and event.code in settle.UNASKED and event.outcome is Outcome.NOT_DONE
