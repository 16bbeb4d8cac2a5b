"""Where the line is, of any type: by its own plan, by the one call that closes it, or by its map. Asks no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from process_orchestrator.checking.planning.single_call import single_call
from process_orchestrator.checking.plans.fit import ORCHESTRATE
from process_orchestrator.core.facts.specs import Fit

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.core.facts.values import Assurance


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The verdict on a type, and the plan that it is about. `planned_by` None: a model would have to make one."""

    fit: Fit
    compiled: CompiledProcess
    planned_by: str | None


def verdict_of(process_type: ProcessType, *, registry: Registry, server_floor: Assurance) -> Line:
    """Whether orchestration is worth it; of a plan with errors `compiled` says what is wrong."""
    compiled = registry.plan(process_type, server_floor=server_floor)
    if process_type.plan is not None:
        fit = compiled.facts.fit if compiled.facts is not None else None
        return Line(fit=fit or Fit(verdict=ORCHESTRATE), compiled=compiled, planned_by="fixed")
    alone = single_call(process_type, registry=registry, server_floor=server_floor)
    if alone is not None and alone.facts is not None and alone.facts.fit is not None:
        return Line(fit=alone.facts.fit, compiled=alone, planned_by="single_call")
    number = len(process_type.contracts)
    reason = f"no single one of the {number} contracts of its map closes it: a plan must be made of them"
    return Line(fit=Fit(verdict=ORCHESTRATE, reasons=(reason,)), compiled=compiled, planned_by=None)
