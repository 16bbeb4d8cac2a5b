"""What stands between a prepared call and its agent: an approval, a human who is the agent, the limit of calls.

The reserve of a budget is asked for here too, once budgets reserve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core import calling, escalate, settle
from process_orchestrator.core.codes import classify
from process_orchestrator.core.facts.state import Failure
from process_orchestrator.core.facts.values import EscalationKind

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def proceed(draft: Draft, unit: Unit) -> None:
    """Make the prepared call, or ask first."""
    if _asks(draft, unit):
        escalate.ask(draft, unit, EscalationKind.APPROVAL)
    elif draft.facts(unit).human:
        escalate.ask(draft, unit, EscalationKind.TASK)
    elif draft.calls >= draft.spec.limits.calls:
        settle.settle_by_plan(draft, unit, policy_failure("over_budget", unit))
    else:
        calling.invoke(draft, unit)


def _asks(draft: Draft, unit: Unit) -> bool:
    if unit.gate is None or unit.approved_digest == unit.digest:
        return False
    # The approval of a whole map covers its items: their sources cannot change any more.
    return unit.item is None or draft.units[unit.step].approved_digest is None


def policy_failure(code: str, unit: Unit | None) -> Failure:
    """A failure that no agent caused: a rule or a human stopped the unit, or the whole process."""
    facts = classify(code)
    return Failure(
        code=code,
        blame=facts.blame,
        class_=facts.class_,
        outcome=facts.outcome,
        step=unit.step if unit is not None else None,
    )
