"""What a process may not pass: calls, tokens, time, money. Asked before every call; nothing is done about it here.

Money alone can be raised by a human, so it stands apart: a call that lacks it waits, see `budget`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from process_orchestrator.core.draft import Draft
    from process_orchestrator.core.facts.specs import ChildFacts
    from process_orchestrator.core.facts.state import Unit

REFUSE: Final = "refuse"
UNKNOWN: Final = "budget.unknown"


def exhausted(draft: Draft) -> str | None:
    """The rule by which this process makes no call any more."""
    return "budget.calls" if draft.calls >= draft.spec.limits.calls else used_up(draft)


def used_up(draft: Draft) -> str | None:
    """The rule by which this process asks nobody any more, no agent and no model."""
    # None allowed is not all used up: agents that need no model may be called until the first token is spent.
    if draft.tokens >= max(draft.spec.budget.tokens, 1):
        return "budget.tokens"
    if draft.ran_ms() >= draft.spec.limits.total_ms:
        return "budget.total_s"
    return None


def forbidden(draft: Draft, unit: Unit) -> str | None:
    """The rule by which the prepared call of a unit may not be made, whatever comes free."""
    if unit.reserve_usd_micros is None and draft.spec.budget.unknown == REFUSE:
        return UNKNOWN
    return exhausted(draft)


def fits(draft: Draft, usd_micros: int) -> bool:
    """Whether so much fits beside what is spent and held back."""
    return draft.usd_micros + draft.reserved_usd_micros + usd_micros <= draft.spec.budget.usd_micros


def affords(draft: Draft, unit: Unit) -> bool:
    """Whether the worst case of the prepared call fits beside what is spent and held back. Unknown counts nothing."""
    return fits(draft, _needed(draft, unit))


def out_of_reach(draft: Draft, unit: Unit) -> bool:
    """Whether the prepared call would not fit even if all that is held back came free."""
    return draft.usd_micros + _needed(draft, unit) > draft.spec.budget.usd_micros


def allotment(draft: Draft, child: ChildFacts) -> int:
    """What a child may spend: its type's own budget, or what is left here where that is less."""
    left = draft.spec.budget.usd_micros - draft.usd_micros - draft.reserved_usd_micros
    return max(0, min(child.budget.usd_micros, left))


def _needed(draft: Draft, unit: Unit) -> int:
    """The least that must be left: a call's worst case; for a child anything at all, it keeps to what it is given."""
    child = draft.facts(unit).child
    if child is not None:
        return min(child.budget.usd_micros, 1)
    return unit.reserve_usd_micros or 0
