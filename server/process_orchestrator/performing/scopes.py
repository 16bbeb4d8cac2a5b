"""What the bindings of a step see: the process input, earlier outputs, the item of a map. Built from stored bodies."""

from __future__ import annotations

from typing import Any, Final

from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.compiled import ABSENT, CompiledStep, Scope, StepScope
from process_orchestrator.core.facts.commands import PlanContext
from process_orchestrator.performing.body_cache import BodyCache

MAPS_KEPT: Final = 16
"""Evaluated lists of maps: each item of a map needs its own element, and evaluating the list anew for each would make
a map quadratic."""


class Scopes:
    """Builds scopes. Values in them are shared and not to be changed."""

    def __init__(self, bodies: BodyCache) -> None:
        self._bodies = bodies
        self._items: Recent[list[Any]] = Recent(MAPS_KEPT)

    async def of(self, context: PlanContext) -> Scope:
        """The scope of a step that is no item."""
        steps: dict[str, StepScope] = {}
        for step, source in context.sources.items():
            output = ABSENT if source.output is None else await self._bodies.value(source.output)
            steps[step] = StepScope(status=source.status, output=output, code=source.code)
        value = ABSENT if context.input is None else await self._bodies.value(context.input)
        return Scope(input=value, steps=steps)

    def items(self, step: CompiledStep, context: PlanContext, scope: Scope) -> list[Any]:
        """The evaluated list of a map. Raises BindingError."""
        # All that `for_each` may look at: status and code of a step too, not its output alone.
        sources = (
            f"{name}:{s.status}:{s.code or ''}:{'' if s.output is None else s.output.sha256}"
            for name, s in context.sources.items()
        )
        input_sha256 = "" if context.input is None else context.input.sha256
        key = "/".join((context.plan, step.step.id, input_sha256, *sources))
        kept = self._items.get(key)
        return kept if kept is not None else self._items.put(key, step.items(scope))

    def of_item(self, step: CompiledStep, context: PlanContext, scope: Scope, index: int) -> Scope:
        """The scope of one item of a map. Raises BindingError."""
        return Scope(input=scope.input, steps=scope.steps, item=self.items(step, context, scope)[index], index=index)
