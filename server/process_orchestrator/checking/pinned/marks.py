"""Where sensitive data goes in pinned plans: read once for each plan, from what a process pins alone.

What is masked in views and packages, and what may not be told to a model, is told by the same marks. Nothing is masked
or refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from process_orchestrator.checking.documents.definitions import Plan
from process_orchestrator.checking.documents.model_agents import model_promise
from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.followed import Scheme, follow

if TYPE_CHECKING:
    from process_orchestrator.checking.pinned.definitions import Pinned
    from process_orchestrator.checking.plans.sensitivity import Sensitivity, Tokens

SCHEMES_KEPT: Final = 64


class Marks:
    """The marks of pinned plans."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned
        self._schemes: Recent[Scheme] = Recent(SCHEMES_KEPT)
        self._entered: Recent[Sensitivity] = Recent(SCHEMES_KEPT)

    async def of(self, sha256: str) -> Sensitivity:
        """Of a plan and what the processes that it starts bring back."""
        plan = await self._pinned.plan(sha256)
        if plan.marks is None:
            plan.marks = follow(await self.scheme(sha256)).own
        return plan.marks

    async def started_with(self, sha256: str, entering: frozenset[Tokens]) -> Sensitivity:
        """Of a plan that a part follows, with what the whole knows of the part's input."""
        if not entering:
            return await self.of(sha256)
        key = f"{sha256} {sorted(entering)}"
        kept = self._entered.get(key)
        if kept is None:
            kept = self._entered.put(key, follow(await self.scheme(sha256), entering=entering).own)
        return kept

    async def scheme(self, sha256: str) -> Scheme:
        """A pinned plan with its contracts, and the plans of its parts."""
        return await self._schemes.of(sha256, self._scheme)

    async def _scheme(self, sha256: str) -> Scheme:
        document = (await self._pinned.plan(sha256)).document
        pins = {step.step.id: step.contract for step in document.steps if step.contract is not None}
        parts = {step.step.id: step.child.plan for step in document.steps if step.child is not None}
        by_model = [step for step in document.steps if any(model_promise(agent.bind) for agent in step.agents)]
        return Scheme(
            plan=Plan(steps=tuple(step.step for step in document.steps), output=document.result),
            name=document.type.name,
            contracts={step: (await self._pinned.contract(pin.sha256)).contract for step, pin in pins.items()},
            children={step: await self.scheme(plan) for step, plan in parts.items()},
            models=frozenset(step.step.id for step in by_model),
        )
