"""ProposePlan: answered by Planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.core.errors import ModelError
from process_orchestrator.core.facts.values import Stage

if TYPE_CHECKING:
    from process_orchestrator.core.facts.commands import CheckPlan, ProposePlan
    from process_orchestrator.core.ports import Performed
    from process_orchestrator.performing.stages.surroundings import StageParts


class Planner:
    def __init__(self, parts: StageParts) -> None:
        self._parts = parts

    async def propose(self, command: ProposePlan) -> Performed:
        return self._parts.failed(Stage.PLAN, ModelError("no_model", f"no model is set up for {command.process}"))

    async def check(self, command: CheckPlan) -> Performed:
        return self._parts.failed(Stage.PLAN, ModelError("no_model", f"no model is set up for {command.process}"))
