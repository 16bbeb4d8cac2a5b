"""A plan with all that its check found out: of each step who closes it, its values, and what it gives to others.

Data alone. `plan_check` fills it; `fit` and `compile` read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from process_orchestrator.checking.bindings import Value, references
from process_orchestrator.checking.definitions import Agent, Contract, Problem, ProcessType, Serve, Step
from process_orchestrator.checking.plan_document import Types
from process_orchestrator.checking.plan_flow import waited
from process_orchestrator.checking.plan_rows import PlanRow
from process_orchestrator.checking.plan_values import Produced, list_shape
from process_orchestrator.checking.projection import Shape
from process_orchestrator.core.facts.values import OnFailure


@dataclass(slots=True, kw_only=True)
class CheckedStep:
    """A step with everything found out about it."""

    index: int
    step: Step
    contract: Contract | None = None
    child: ProcessType | None = None  # the process that it starts
    agents: tuple[tuple[Agent, Serve], ...] = ()
    values: dict[str, Value] = field(default_factory=dict[str, Value])
    needs: dict[str, None] = field(default_factory=dict[str, None])  # ordered
    binds: dict[str, None] = field(default_factory=dict[str, None])  # steps whose output must be there
    types: Types = field(default_factory=dict[str, Any])
    undo_types: Types = field(default_factory=dict[str, Any])  # of the contract's `undo.in`

    @property
    def closes(self) -> Contract | ProcessType | None:
        """What says what the step takes and gives; None for a step that only waits, or where it is not known."""
        return self.contract if self.contract is not None else self.child

    @property
    def human(self) -> bool:
        """Whether a person closes the step."""
        return bool(self.agents) and self.agents[0][0].transport.kind == "human"


@dataclass(slots=True, kw_only=True)
class CheckedPlan:
    """The outcome of the check. `steps` are complete only where no problem is an error."""

    steps: tuple[CheckedStep, ...] = ()
    types: Types = field(default_factory=dict[str, Any])  # of the plan's output
    problems: tuple[Problem, ...] = ()
    rows: tuple[PlanRow, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the plan may run."""
        return not any(problem.level == "error" for problem in self.problems)


def label(definition: Contract | ProcessType) -> str:
    return f"{definition.name}@{definition.version}"


def output_of(each: CheckedStep, default: Shape | None) -> Produced | None:
    """What bindings may see of a step's output; None where that is not known."""
    if each.closes is not None:
        return _produced(each, each.closes, default)
    if each.step.wait_s is None:
        return None
    found = waited(each.step)
    shape = found.declared if default is None else Shape.union([found.declared, default])
    return Produced(label=found.label, part=found.part, declared=found.declared, shape=shape)


def _produced(each: CheckedStep, contract: Contract | ProcessType, default: Shape | None) -> Produced:
    """What a step gives: what its contract, or the process it starts, declares; or its default.

    A condition that looks at the item skips items, not the map; the default is then an item's.
    """
    step, declared = each.step, Shape.of(contract.output)
    own = declared if default is None else Shape.union([declared, default])
    if step.for_each is None:
        return Produced(label=label(contract), part="output", declared=declared, shape=own)
    when = each.values.get("/when")
    by_item = when is not None and any(found.bound.root in {"item", "index"} for found in references(when))
    holes = step.item_failure == "skip" or OnFailure.SKIP in step.on_failure.values() or (by_item and default is None)
    promised = list_shape(declared, holes=holes)
    if by_item:
        return Produced(label=label(contract), part="output", declared=promised, shape=list_shape(own, holes=holes))
    shape = promised if default is None else Shape.union([promised, default])
    return Produced(label=label(contract), part="output", declared=promised, shape=shape)
