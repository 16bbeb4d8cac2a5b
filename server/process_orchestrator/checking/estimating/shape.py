"""What a plan can call: of each step how often, at which price, and whether at all, as far as anybody can say before.

Told from the plan as it is pinned, so that the same is said when it is submitted and once it is over. Nothing is added
up here, and nothing is run: the input decides the length of a list or a condition only where both look at it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.documents.definitions import Agent, Contract
from process_orchestrator.checking.plans.compile import tightened
from process_orchestrator.checking.plans.compiled import CompiledPlan, CompiledStep
from process_orchestrator.checking.plans.plan_document import PlannedStep
from process_orchestrator.checking.plans.plan_values import ANY_NUMBER, Count, count_of, list_shape
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.projection import Shape, project
from process_orchestrator.checking.values.bindings import Bound, Scope, Value, read_value, references
from process_orchestrator.core.errors import BindingError

ITEMS_LIKELY: Final = 10
"""Items of a list of which nobody says how long it is, in the likely case."""
ITEMS_HIGH: Final = 100
"""The same in the highest case, where no `maxItems` is declared."""
DEPTH_MAX: Final = 8
"""Processes started within one another that are looked into."""

Serving = Callable[[Contract], Sequence[Agent]]
"""Who keeps a contract, in the order in which they are asked."""
TierOf = Callable[[str], str | None]
"""The tier of the model that an agent is; None for any other agent."""


class Number(NamedTuple):
    """How often, at least, likely and at most."""

    low: int
    likely: int
    high: int


ONCE: Final = Number(1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShape:
    """One step: `items` by `rounds` calls if nothing fails, each tried `tries` times at most.

    `price` is that of a call in micro-dollars, None where nobody says; `tokens` what a call of a model takes, in and
    out. `conditional` steps may be skipped. `below` is the plan of the process that the step starts.
    """

    id: str
    what: str
    agent: str | None = None
    items: Number = ONCE
    items_known: bool = True  # by the input or because there is no list
    by_input: bool = False  # the list is one of the input's
    rounds: int = 1
    tries: int = 1
    conditional: bool = False
    price: int | None = 0
    calls_agent: bool = False
    tier: str | None = None
    tokens: tuple[int, int] | None = None
    person: bool = False  # closed by a person
    gate: bool | None = False  # asks for approval: True always, None under a condition
    below: tuple[StepShape, ...] | None = None
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """What a plan is read with: the plans and contracts that it pins, by their sha256."""

    plans: Mapping[str, CompiledPlan]
    contracts: Mapping[str, Contract]
    tier_of: TierOf = field(default=lambda _agent: None)


def plan_shape(plan: CompiledPlan, pinned: Pinned, value: Any = ABSENT, *, depth: int = 0) -> tuple[StepShape, ...]:
    """The steps of a plan in its order. `value` is the process input, ABSENT where it is not known."""
    outputs: dict[str, Shape] = {}
    shapes: list[StepShape] = []
    for each in plan.document.steps:
        count = _count(each, plan, outputs)
        shapes.append(_step(each, plan.step(each.step.id), count, pinned, value, depth=depth))
        outputs[each.step.id] = _output(each, count, pinned)
    return tuple(shapes)


def map_shape(contracts: Iterable[Contract], serving: Serving) -> tuple[StepShape, ...]:
    """The steps of a plan that is yet to be made: each contract of the map, once or not at all."""
    return tuple(_offered(contract, serving(contract)) for contract in contracts)


def _offered(contract: Contract, agents: Sequence[Agent]) -> StepShape:
    first = agents[0] if agents else None
    person = first is not None and first.transport.kind == "human"
    gate = False if contract.approval is None else True if contract.approval.when is None else None
    return StepShape(
        id=contract.name,
        what=contract.name,
        agent=first.name if first is not None else None,
        conditional=True,
        tries=1 if person else contract.retry.max_attempts * max(1, len(agents)),
        price=0 if person else contract.price_usd_micros,
        calls_agent=not person,
        tier=first.transport.tier if first is not None else None,
        tokens=contract.model_tokens,
        person=person,
        gate=gate,
    )


def _step(
    each: PlannedStep, compiled: CompiledStep, count: Count, pinned: Pinned, value: Any, *, depth: int
) -> StepShape:
    step = each.step
    items, known, assumed = _items(each, compiled, count, value)
    runs = _runs(each, compiled, value)
    if runs is False:
        items, assumed = Number(0, 0, 0), [f"step {step.id} is left out: the input does not fulfil its condition"]
    rounds = 1 if step.repeat is None else int(step.repeat["max"])
    if rounds > 1:
        assumed.append(f"step {step.id} is done once; at most {rounds} times")
    shape: dict[str, Any] = {
        "id": step.id,
        "items": items,
        "items_known": known,
        "by_input": step.for_each is not None and _only_input(_value(step.for_each)),
        "rounds": rounds,
        "conditional": runs is None,
        "gate": _gate(each),
    }
    contract = pinned.contracts.get(each.contract.sha256) if each.contract is not None else None
    if contract is None:
        return _other(each, shape, assumed, pinned, depth=depth)
    tier = pinned.tier_of(each.agents[0].name) if each.agents else None
    attempts = 1 if each.human else tightened(contract.retry, step.retry).max_attempts * max(1, len(each.agents))
    return StepShape(
        **shape,
        what=contract.name,
        agent=each.agents[0].name if each.agents else None,
        tries=attempts,
        price=0 if each.human else contract.price_usd_micros,
        calls_agent=not each.human,
        tier=tier,
        tokens=contract.model_tokens,
        person=each.human,
        assumed=tuple(assumed),
    )


def _other(each: PlannedStep, shape: dict[str, Any], assumed: list[str], pinned: Pinned, *, depth: int) -> StepShape:
    """A step that waits, or starts a process; its child's input is made while it runs, so it is not known here."""
    child = each.child
    if child is None:
        return StepShape(**shape, what="waits" if each.step.wait_s is not None else "unknown", assumed=tuple(assumed))
    plan = pinned.plans.get(child.plan)
    below = plan_shape(plan, pinned, depth=depth + 1) if plan is not None and depth < DEPTH_MAX else None
    return StepShape(
        **shape,
        what=f"process {child.type.name}",
        price=child.usd_micros if below is None else 0,
        below=below,
        assumed=tuple(assumed),
    )


def _items(each: PlannedStep, compiled: CompiledStep, count: Count, value: Any) -> tuple[Number, bool, list[str]]:
    """How many items, whether that is known, and what was assumed."""
    step = each.step
    if step.for_each is None:
        return ONCE, True, []
    if value is not ABSENT and _only_input(_value(step.for_each)):
        try:
            found = len(compiled.items(Scope(input=value)))
        except BindingError:
            found = None
        if found is not None:
            return Number(found, found, found), True, []
    if count.most is not None and count.most == count.least:
        return Number(count.least, count.least, count.least), True, []
    high = count.most if count.most is not None else max(ITEMS_HIGH, count.least)
    likely = min(max(ITEMS_LIKELY, count.least), high)
    said = f"at most {high} by its maxItems" if count.most is not None else f"{high} at most, since nothing bounds it"
    return Number(count.least, likely, high), False, [f"step {step.id} runs over {likely} items ({said})"]


def _runs(each: PlannedStep, compiled: CompiledStep, value: Any) -> bool | None:
    """Whether a step runs: None where only the run will tell."""
    when = each.step.when
    if when is None:
        return True
    if value is ABSENT or compiled.looks_at_item or not _only_input(_value(when)):
        return None
    try:
        return compiled.applies(Scope(input=value))
    except BindingError:
        return None


def _gate(each: PlannedStep) -> bool | None:
    """Whether a person approves the call: None where a condition decides."""
    if each.by_model:
        return True
    rules = [rule for rule in (each.contract_approval, each.step_approval) if rule is not None]
    if not rules:
        return False
    return True if any(rule.when is None for rule in rules) else None


def _count(each: PlannedStep, plan: CompiledPlan, outputs: Mapping[str, Shape]) -> Count:
    """How long the list of a mapped step may be by the schema that it is read from."""
    if each.step.for_each is None:
        return ANY_NUMBER
    value = _value(each.step.for_each)
    if not isinstance(value, Bound):
        return ANY_NUMBER
    source = Shape.of(plan.document.input) if value.root == "input" else outputs.get(value.step or "")
    if source is None or (value.root == "steps" and value.part != "output"):
        return ANY_NUMBER
    return count_of(project(source, value.segments).shape)


def _output(each: PlannedStep, count: Count, pinned: Pinned) -> Shape:
    """What a later step may run over: what the step's contract or process gives, as a list where it is mapped."""
    contract = pinned.contracts.get(each.contract.sha256) if each.contract is not None else None
    child = pinned.plans.get(each.child.plan) if each.child is not None else None
    schema: Any = contract.output if contract is not None else child.document.output if child is not None else True
    return Shape.of(schema) if each.step.for_each is None else list_shape(Shape.of(schema), holes=True, count=count)


def _value(written: Any) -> Value:
    return read_value(written).value


def _only_input(value: Value) -> bool:
    """Whether a value is made of the process input alone."""
    return all(found.bound.root == "input" for found in references(value))


def flat(steps: Iterable[StepShape]) -> Iterable[StepShape]:
    """Every step, those of started processes too."""
    for each in steps:
        yield each
        yield from flat(each.below or ())
