"""What stands between a prepared call and its agent: an approval, a human who is the agent, at last the budget.

Money is asked for just before the call, so nothing is held back while a human thinks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core import budget, calling, children, escalate
from process_orchestrator.core.facts.values import EscalationKind

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.state import Unit


def proceed(draft: Draft, unit: Unit) -> None:
    """Make the prepared call, or ask first."""
    step = draft.facts(unit)
    if step.child is not None and children.too_deep(draft, step.child):
        children.refuse_depth(draft, unit)
    elif unit.gate is not None and _asks(draft, unit):
        escalate.ask(draft, unit, EscalationKind.APPROVAL)
    elif step.human:
        escalate.ask(draft, unit, EscalationKind.TASK)
    elif unit.undoes is not None:  # taking an effect back is never refused for its number or its price
        calling.invoke(draft, unit)
    else:
        budget.call_or_wait(draft, unit)


def _asks(draft: Draft, unit: Unit) -> bool:
    """Whether a gate stands that no approval has opened yet."""
    if unit.approved_digest == unit.digest:
        return False
    # The approval of a whole map covers its items while their sources stand: not what a human put in their place.
    covered = unit.item is not None and unit.override is None
    return not covered or draft.units[unit.step].approved_digest is None
