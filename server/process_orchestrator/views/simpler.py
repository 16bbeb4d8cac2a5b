"""What one direct call would be instead of a process: its price, its time, and what is lost by it. Pure.

Only said where the verdict is `single_call`. What is lost is told from the step's own facts: a promise that the process
did not make is not lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.checking.plans.fit import called
from process_orchestrator.core.facts.values import Effect, Idempotency
from process_orchestrator.core.money import usd
from process_orchestrator.views.definition_models import Simpler
from process_orchestrator.views.formats import counted

if TYPE_CHECKING:
    from process_orchestrator.core.facts.specs import PlanFacts, StepFacts


def instead_of(plan: PlanFacts | None, *, usd_micros: int | None = None, ms: int | None = None) -> list[Simpler]:
    """What would do instead of a plan, as its check found it; nothing where orchestration is worth it."""
    if plan is None or plan.fit is None or not plan.fit.simpler:
        return []
    step = called(plan)
    lost = [] if step is None else loses(step)
    return [
        Simpler(
            what=what,
            est_usd=None if usd_micros is None else usd(usd_micros),
            est_ms=ms,
            loses=lost,
        )
        for what in plan.fit.simpler
    ]


def loses(step: StepFacts) -> list[str]:
    """What the process does for this one call."""
    lost = ["the check of input and output against the contract", "the record of what was called and what came back"]
    if step.retry.max_attempts > 1:
        lost.append(f"up to {counted(step.retry.max_attempts, 'attempt')} where it fails for a while")
    if len(step.agents) > 1:
        lost.append(f"{counted(len(step.agents) - 1, 'other agent')} where this one cannot be reached")
    if step.effect in {Effect.WRITE, Effect.IRREVERSIBLE} and step.idempotency is Idempotency.KEYED:
        lost.append("one effect however often it is asked for (the idempotency key)")
    if step.undo is not None:
        lost.append("the undo of what it did")
    return [*lost, "a person who is asked where it fails for good", "the budget"]
