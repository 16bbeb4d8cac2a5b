"""What stands between a prepared call and its agent: an approval, a human who is the agent, the limit of calls.

The reserve of a budget is asked for here too, once budgets reserve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core import calling, escalate, failures, settle
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
        settle.settle_by_plan(draft, unit, failures.of_code("over_budget", unit))
    else:
        calling.invoke(draft, unit)


def _asks(draft: Draft, unit: Unit) -> bool:
    if unit.gate is None or unit.approved_digest == unit.digest:
        return False
    # The approval of a whole map covers its items while their sources stand: not what a human put in their place.
    covered = unit.item is not None and unit.override is None
    return not covered or draft.units[unit.step].approved_digest is None
