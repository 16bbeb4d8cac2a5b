"""A plan with all that its check found out: of each step who closes it, its values, and what it gives to others.

Data alone. `plan_check` fills it; `fit` and `compile` read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from process_orchestrator.checking.documents.definitions import (
    Agent,
    Condition,
    Contract,
    Problem,
    ProcessType,
    Serve,
    Step,
)
from process_orchestrator.checking.plans.opposites import opposite
from process_orchestrator.checking.plans.plan_document import Types
from process_orchestrator.checking.plans.plan_flow import waited
from process_orchestrator.checking.plans.plan_rows import PlanRow
from process_orchestrator.checking.plans.plan_values import ANY_NUMBER, Count, Produced, list_shape
from process_orchestrator.checking.schemas.containing import written_alike
from process_orchestrator.checking.schemas.projection import Presence, Shape
from process_orchestrator.checking.values.bindings import Value, references
from process_orchestrator.core.facts.values import OnFailure

_WORD: Final = re.compile(r"\w+")


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
    count: Count = ANY_NUMBER  # of the items of a mapped step
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
    return replace(found, shape=_or(found.declared, default), presence=_presence(each, default))


def _produced(each: CheckedStep, closes: Contract | ProcessType, default: Shape | None) -> Produced:
    """What a step gives: what its contract, or the process it starts, declares; or its default.

    A condition that looks at the item skips items, not the map; the default is then an item's.
    """
    step, declared = each.step, Shape.of(closes.output)
    given = Produced(
        label=label(closes),
        part="output",
        declared=declared,
        shape=_or(declared, default),
        presence=_presence(each, default),
        examples=_examples(closes),
        sha256=closes.source.sha256,
        tied=tied_by(closes.ensures, "output") if isinstance(closes, Contract) else frozenset(),
    )
    if step.for_each is None:
        return given
    by_item = _by_item(each)
    holes = step.item_failure == "skip" or OnFailure.SKIP in step.on_failure.values() or (by_item and default is None)
    promised = list_shape(declared, holes=holes, count=each.count)
    shape = list_shape(given.shape, holes=holes, count=each.count) if by_item else _or(promised, default)
    tied = frozenset(("",)) if given.tied else given.tied
    return replace(given, declared=promised, shape=shape, examples=tuple([body] for body in given.examples), tied=tied)


def tied_by(conditions: Iterable[Condition], side: str) -> frozenset[str]:
    """The words of conditions, among them every property of that side that they speak of; "" for the whole side."""
    found: set[str] = set()
    for each in conditions:
        found.update(_WORD.findall(each.expr))
        if re.search(rf"\b{side}\b(?!\s*\.\s*[a-zA-Z_])", each.expr):
            found.add("")
    return frozenset(found - {side})


def _or(declared: Shape, default: Shape | None) -> Shape:
    return declared if default is None else Shape.union([declared, default])


def _examples(closes: Contract | ProcessType) -> tuple[Any, ...]:
    """Bodies that the definition shows."""
    shown = closes.examples if isinstance(closes, Contract) else ()
    return tuple(example["output"] for example in shown if "output" in example)


def _by_item(each: CheckedStep) -> bool:
    when = each.values.get("/when")
    return when is not None and any(found.bound.root in {"item", "index"} for found in references(when))


def _presence(each: CheckedStep, default: Shape | None) -> Presence:
    """Whether there is an output at all: a step that is skipped without a default has none.

    What may be skipped of a map are its items, which leave holes, unless its condition is asked once for the whole.
    """
    step = each.step
    if default is not None:
        return Presence.ALWAYS
    asked = step.when is not None and not (step.for_each is not None and _by_item(each))
    fails = step.for_each is None and OnFailure.SKIP in step.on_failure.values()
    return Presence.MAYBE if asked or fails else Presence.ALWAYS


def there_with(
    each: CheckedStep, known: Mapping[str, CheckedStep], outputs: Mapping[str, Produced | None]
) -> Mapping[str, Produced | None]:
    """What the arguments of a step may see of others: there is all that runs under its own condition.

    What a condition looks at does not change, so one that is written twice holds twice, or not at all.
    """
    if each.step.when is None or _by_item(each):
        return outputs
    found = dict(outputs)
    for name, given in outputs.items():
        other = known[name]
        if given is None or other.step.when is None or OnFailure.SKIP in other.step.on_failure.values():
            continue
        if written_alike(other.step.when, each.step.when) and not _by_item(other):
            found[name] = replace(given, presence=Presence.ALWAYS)
    return found


def with_alternatives(each: CheckedStep, given: Produced | None, known: Mapping[str, CheckedStep]) -> Produced | None:
    """What a step gives, with the names of the steps that run exactly where this one does not."""
    if given is None or not _is_branch(each):
        return given
    when = each.values["/when"]
    others = (name for name, other in known.items() if _is_branch(other) and opposite(when, other.values["/when"]))
    return replace(given, otherwise=frozenset(others))


def _is_branch(each: CheckedStep) -> bool:
    """Whether a step has an output wherever its condition holds."""
    return "/when" in each.values and OnFailure.SKIP not in each.step.on_failure.values() and not _by_item(each)
