"""A model's paragraph beside a question: asked for when the question stands, and never waited for.

It is for money that is there and for questions that are open; whatever becomes of it, what was asked stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from process_orchestrator.core import bounds, escalate, orders, thinking
from process_orchestrator.core.facts.values import EscalationKind, Stage

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.events import BriefWritten, EscalationOpened, StageFailed
    from process_orchestrator.core.facts.state import Escalation
    from process_orchestrator.core.facts.values import Usage


def packaged(draft: Draft, event: EscalationOpened) -> bool:
    """Note the package of a question, and order a paragraph where a model writes them and nothing is short of money."""
    if not escalate.packaged(draft, event):
        return False
    escalation = draft.escalations[event.escalation]
    if _may_be_written(draft, escalation):
        worst = draft.spec.models[Stage.BRIEF]
        draft.reserved_usd_micros += worst or 0
        escalation = replace(escalation, brief_due=True, brief_usd_micros=worst)
        draft.put_escalation(escalation)
        draft.order(orders.write_brief(draft, escalation))
    return True


def _may_be_written(draft: Draft, escalation: Escalation) -> bool:
    """A process that is set aside orders nothing; calls that wait for money have the first turn."""
    models = draft.spec.models
    if Stage.BRIEF not in models or draft.budget_waiting or escalation.kind is EscalationKind.DRIFT:
        return False
    worst = models[Stage.BRIEF]
    return thinking.refused(draft, worst) is None and bounds.fits(draft, worst or 0)


def written(draft: Draft, event: BriefWritten) -> bool:
    """Note a model's prose. It adds no fact, so who has read the question without it still knows its version."""
    escalation = _over(draft, event.escalation, event.usage)
    if escalation is not None and escalation.open:
        draft.put_escalation(replace(escalation, brief=event.brief))
    return escalation is not None


def failed(draft: Draft, event: StageFailed) -> bool:
    """The package goes without prose."""
    return _over(draft, event.escalation or "", event.usage, code=event.code) is not None


def _over(draft: Draft, name: str, usage: Usage, *, code: str | None = None) -> Escalation | None:
    """The question whose paragraph is no longer waited for, its model paid; None where none was."""
    escalation = draft.escalations.get(name)
    if escalation is None or not escalation.brief_due:
        return None
    held = escalation.brief_usd_micros
    draft.reserved_usd_micros -= held or 0
    thinking.pay(draft, usage, held=held, code=code)
    escalation = replace(escalation, brief_due=False, brief_usd_micros=None)
    draft.put_escalation(escalation)
    return escalation


def resumed(draft: Draft) -> bool:
    """Another engine has it written anew: what the one before may have been billed is paid. Whether anything was due.

    Only for money that is there, and not for ever: else the question goes without.
    """
    due = [escalation for escalation in draft.escalations.values() if escalation.brief_due]
    for escalation in due:
        again = replace(escalation, brief_resumed=escalation.brief_resumed + 1)
        draft.bill(usd_micros=again.brief_usd_micros, tokens=None)
        if again.brief_resumed >= draft.spec.limits.deliveries or not bounds.fits(draft, 0):
            draft.reserved_usd_micros -= again.brief_usd_micros or 0
            again = replace(again, brief_due=False, brief_usd_micros=None)
        draft.put_escalation(again)
    return bool(due)


def stop(draft: Draft) -> None:
    """Wait for no paragraph any more; what each may cost is counted, as nobody will hear of it."""
    for escalation in tuple(draft.escalations.values()):
        if escalation.brief_due:
            draft.reserved_usd_micros -= escalation.brief_usd_micros or 0
            draft.bill(usd_micros=escalation.brief_usd_micros, tokens=None)
            draft.put_escalation(replace(escalation, brief_due=False, brief_usd_micros=None))
