"""Of two budgets or limits what both allow. A process whose type is found later may not get more than it asked for."""

from __future__ import annotations

from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.limits import Limits


def lower_budget(asked: Budget, allowed: Budget) -> Budget:
    """The lower of everything; what is to be done about unknown prices is said by the stricter."""
    return Budget(
        usd_micros=min(asked.usd_micros, allowed.usd_micros),
        calls=min(asked.calls, allowed.calls),
        tokens=min(asked.tokens, allowed.tokens),
        total_ms=min(asked.total_ms, allowed.total_ms),
        unknown="refuse" if "refuse" in (asked.unknown, allowed.unknown) else allowed.unknown,
    )


def lower_limits(asked: Limits, allowed: Limits) -> Limits:
    """The lower of every limit."""
    return Limits(
        **{name: min(getattr(asked, name), getattr(allowed, name)) for name in Limits.__struct_fields__},
    )
