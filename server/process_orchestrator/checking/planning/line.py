"""Where the line is, for a plan that somebody wrote: readings that one contract of the same map gives in one call.

`plans.fit` judges a plan by its own steps. What its type's map would allow instead, it does not know; that is said
here, of plans that only read: what a plan changes is what its author meant, and no schema tells whether another call
means it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from process_orchestrator.checking.planning.single_call import single_call
from process_orchestrator.checking.plans.fit import SINGLE_CALL
from process_orchestrator.core.facts.specs import Fit, PlanFacts, StepFacts
from process_orchestrator.core.facts.values import Effect, StepKind

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.plans.compile import CompiledProcess
    from process_orchestrator.checking.plans.plan_map import Definitions
    from process_orchestrator.core.facts.values import Assurance


def drawn(
    compiled: CompiledProcess, process_type: ProcessType, *, registry: Definitions, server_floor: Assurance
) -> CompiledProcess:
    """The compiled plan of a type with the line drawn by its map too; as it is where that says no more."""
    facts = compiled.facts
    if facts is None or facts.fit is None or facts.fit.verdict == SINGLE_CALL or not _only_reads(facts):
        return compiled
    without = replace(process_type, plan=None)
    instead = single_call(without, registry=registry, server_floor=server_floor)
    if instead is None or instead.facts is None or instead.facts.fit is None:
        return compiled
    contract = instead.facts.steps[0].contract
    name = contract.name if contract is not None else ""
    reason = f"{name} of its map gives in one call what the {len(facts.steps)} steps read"
    return _with(compiled, facts, Fit(verdict=SINGLE_CALL, reasons=(reason,), simpler=instead.facts.fit.simpler))


def _only_reads(facts: PlanFacts) -> bool:
    return all(_reads(step) for step in facts.steps)


def _reads(step: StepFacts) -> bool:
    plain = step.kind is StepKind.CALL and step.repeat is None and step.wait_ms is None and not step.human
    return plain and step.effect in {Effect.NONE, Effect.READ}


def _with(compiled: CompiledProcess, facts: PlanFacts, fit: Fit) -> CompiledProcess:
    """The same with another verdict, in the definition that a process pins too."""
    changed = replace(facts, fit=fit)
    before, after = (msgspec.json.encode(each, order="sorted") for each in (facts, changed))
    definitions = tuple(
        replace(body, sha256=sha256(after).hexdigest(), data=after) if body.data == before else body
        for body in compiled.definitions
    )
    return replace(compiled, facts=changed, definitions=definitions)
