"""What a process of a type starts with, as far as it is known before anybody plans: plan, pins, budget, limits.

The one answer for all who start one: submit, a human's choice, intake. Pure; asks no model, stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from process_orchestrator.checking.planning.single_call import single_call
from process_orchestrator.checking.plans.compile import type_pin
from process_orchestrator.checking.plans.sub_process import budget_of, limits_of
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.facts.specs import Budget
from process_orchestrator.core.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_orchestrator.checking.documents.definitions import ProcessType
    from process_orchestrator.checking.loading.registry import Registry
    from process_orchestrator.checking.schemas.validate import ValueProblem
    from process_orchestrator.core.facts.specs import PlanFacts
    from process_orchestrator.core.facts.values import Assurance, TypePin
    from process_orchestrator.core.ports import DefinitionBody

Json = Any


@dataclass(frozen=True, kw_only=True)
class Startable:
    """A type that may be started, and all that is pinned with it.

    `facts` is its fixed plan, or the one contract that closes it; None: it has to be planned. `problem` is set where it
    may not be started: its plan has errors.
    """

    process_type: ProcessType
    facts: PlanFacts | None
    definitions: tuple[DefinitionBody, ...]
    problem: str | None = None

    @property
    def pin(self) -> TypePin:
        return type_pin(self.process_type)

    @property
    def budget(self) -> Budget:
        return budget_of(self.process_type)

    @property
    def limits(self) -> Limits:
        return limits_of(self.process_type)

    @property
    def plan_document(self) -> DefinitionBody:
        """The document of its plan, which `facts` names. Raises StopIteration where it has to be planned."""
        facts = self.facts
        return next(each for each in self.definitions if facts is not None and each.sha256 == facts.sha256)

    def input_problems(self, value: Json) -> tuple[ValueProblem, ...]:
        """How an input breaks the type's schema."""
        return Validator(self.process_type.input).problems(value)


def startable(process_type: ProcessType, registry: Registry, *, server_floor: Assurance) -> Startable:
    """What a process of this type starts with. The line is drawn here: one contract that closes it needs no planner."""
    compiled = registry.plan(process_type, server_floor=server_floor)
    errors = [each for each in compiled.problems if each.level == "error"]
    if process_type.plan is not None and (compiled.facts is None or errors):
        problem = f"{errors[0].file}:{errors[0].line}: {errors[0].message}" if errors else "it has no plan"
        return Startable(process_type=process_type, facts=None, definitions=compiled.definitions, problem=problem)
    if process_type.plan is None:
        compiled = single_call(process_type, registry=registry, server_floor=server_floor) or compiled
    return Startable(process_type=process_type, facts=compiled.facts, definitions=compiled.definitions)


def newest_of(registry: Registry) -> tuple[ProcessType, ...]:
    """Of each process type the newest version, by name."""
    newest = {each.name: each for each in reversed(registry.processes)}
    return tuple(each for _, each in sorted(newest.items()))


def widest(types: Sequence[ProcessType]) -> tuple[Budget, Limits]:
    """The most that any of these types allows: what a process may have whose type is not known yet."""
    budgets, limits = (
        [budget_of(each) for each in types] or [Budget()],
        [limits_of(each) for each in types] or [Limits()],
    )
    refuses = all(each.unknown == "refuse" for each in budgets)
    budget = Budget(
        usd_micros=max(each.usd_micros for each in budgets),
        calls=max(each.calls for each in budgets),
        tokens=max(each.tokens for each in budgets),
        total_ms=max(each.total_ms for each in budgets),
        unknown="refuse" if refuses else "allow",
    )
    return budget, Limits(
        steps=max(each.steps for each in limits),
        replans=max(each.replans for each in limits),
        same_call=max(each.same_call for each in limits),
        depth=max(each.depth for each in limits),
        calls=budget.calls,
        total_ms=budget.total_ms,
    )
