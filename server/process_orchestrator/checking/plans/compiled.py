"""Pinned contracts and plans, ready to run: conditions compiled, bindings resolved by closures, validators built.

Everything is made from pinned definition bodies alone, so a process that has started never looks at files again.
Evaluates and checks; calls nobody and knows no process state but the `Scope` it is given. Not thread-safe: one
compiler per event loop.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from process_orchestrator.checking.documents.definitions import Condition, Contract
from process_orchestrator.checking.documents.shape import pinned_contract
from process_orchestrator.checking.plans.plan_document import (
    ApprovalRule,
    PinnedAgent,
    PlanDocument,
    PlannedStep,
    PlannedUndo,
    Types,
    decode_plan,
)
from process_orchestrator.checking.plans.plan_flow import UNTIL, UNTIL_ROOTS
from process_orchestrator.checking.plans.sensitivity import Sensitivity
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.projection import Shape
from process_orchestrator.checking.schemas.validate import Validator, ValueProblem
from process_orchestrator.checking.schemas.value_types import ValueType, type_of
from process_orchestrator.checking.values.bindings import (
    ROOTS,
    Bound,
    Computed,
    Record,
    Resolve,
    Scope,
    StepScope,
    Value,
    blame_of,
    computed_in,
    missing,
    part_at,
    path_text,
    read_value,
    references,
    resolver,
)
from process_orchestrator.checking.values.expressions import Expression
from process_orchestrator.core.errors import BindingError, ExpressionError
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.values import ApprovalMode, Assurance, Blame, ContractPin, Effect, Fact
from process_orchestrator.core.ports import DefinitionBody

__all__ = [
    "ABSENT",
    "BindingError",
    "CompiledContract",
    "CompiledPlan",
    "CompiledStep",
    "CompiledUndo",
    "Compiler",
    "ConditionFailure",
    "PinnedAgent",
    "Scope",
    "StepScope",
]

Json = Any
Made = TypeVar("Made")

CONTRACTS_MAX: Final = 256
"""Compiled contracts kept."""

PLANS_MAX: Final = 64
"""Compiled plans kept."""


class ConditionFailure(Fact, frozen=True, kw_only=True):
    """A `requires` or `ensures` that does not hold. `error`: it could not be evaluated, and why."""

    id: str
    expr: str
    message: str
    error: str | None = None


class Compiler:
    """Compiles pinned definitions, each at first need, and keeps the latest used of them by sha256."""

    def __init__(self) -> None:
        self._contracts: OrderedDict[str, CompiledContract] = OrderedDict()
        self._plans: OrderedDict[str, CompiledPlan] = OrderedDict()

    def contract(self, body: DefinitionBody) -> CompiledContract:
        """The contract of a `contract` definition."""
        return _kept(self._contracts, body.sha256, CONTRACTS_MAX, lambda: CompiledContract(pinned_contract(body.data)))

    def plan(self, body: DefinitionBody) -> CompiledPlan:
        """The plan of a `plan` definition."""
        return _kept(self._plans, body.sha256, PLANS_MAX, lambda: CompiledPlan(decode_plan(body.data)))


def _kept(cache: OrderedDict[str, Made], sha256: str, most: int, make: Callable[[], Made]) -> Made:
    found = cache.get(sha256)
    if found is None:
        found = cache[sha256] = make()
        if len(cache) > most:
            cache.popitem(last=False)
    else:
        cache.move_to_end(sha256)
    return found


class CompiledContract:
    """A contract that values can be held against. Raises SchemaError or ExpressionError where it does not compile."""

    __slots__ = ("_ensures", "_output", "_requires", "contract", "input_problems")

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.input_problems = Validator(contract.input).problems
        """How arguments break the input schema; empty where they keep it."""
        self._output = Validator(contract.output)
        given, answered = condition_variables(contract)
        self._requires = _conditions(contract.requires, given)
        self._ensures = _conditions(contract.ensures, answered)

    def output_problems(self, answer: Json) -> tuple[ValueProblem, ...]:
        """How an answer breaks the output schema; empty where it keeps it. The fault programme plants a fault here."""
        return self._output.problems(answer)

    def requires_failed(self, arguments: Json) -> ConditionFailure | None:
        """The first `requires` that valid arguments do not fulfil."""
        return _first_failed(self._requires, {"input": arguments}) if self._requires else None

    def ensures_failed(self, arguments: Json, answer: Json) -> ConditionFailure | None:
        """The first `ensures` that a valid answer to these arguments does not fulfil."""
        return _first_failed(self._ensures, {"input": arguments, "output": answer}) if self._ensures else None


def condition_variables(contract: Contract) -> tuple[dict[str, ValueType], dict[str, ValueType]]:
    """The variables of `requires` and `approval`, and those of `ensures`."""
    given = {"input": type_of(Shape.of(contract.input))}
    return given, given | {"output": type_of(Shape.of(contract.output))}


def _conditions(
    conditions: tuple[Condition, ...], variables: Mapping[str, ValueType]
) -> tuple[tuple[Condition, Expression], ...]:
    return tuple((each, Expression(each.expr, variables, condition=True)) for each in conditions)


def _first_failed(
    conditions: tuple[tuple[Condition, Expression], ...], values: Mapping[str, Json]
) -> ConditionFailure | None:
    for condition, expression in conditions:
        try:
            if expression.holds(values):
                continue
            error = None
        except ExpressionError as raised:
            error = raised.message
        told = f"`{condition.id}` does not hold: {condition.expr[:200]}"
        message = told if error is None else f"`{condition.id}` cannot be evaluated: {error}"
        return ConditionFailure(id=condition.id, expr=condition.expr, message=message[:300], error=error)
    return None


def _condition_holds(expression: Expression | None, values: Mapping[str, Json], what: str) -> bool:
    if expression is None:
        return True
    try:
        return expression.holds(values)
    except ExpressionError as error:
        message = f"The condition of the {what} cannot be evaluated: {error.message}"
        raise BindingError("condition_error", message, blame=Blame.PLANNER) from None


class CompiledPlan:
    """A plan whose values can be resolved."""

    __slots__ = ("_input", "_output", "_result", "_steps", "document", "marks")

    def __init__(self, document: PlanDocument) -> None:
        self.document = document
        self.marks: Sensitivity | None = None  # where sensitive data goes in it, once somebody has asked
        self._steps = {each.step.id: CompiledStep(each) for each in document.steps}
        self._input, self._output = Validator(document.input), Validator(document.output)
        result = read_value(document.result, pointer="/output").value
        self._result = result, resolver(result, _expressions(result, document.types), within="/output")

    @property
    def steps(self) -> tuple[CompiledStep, ...]:
        """The steps in the order of the plan."""
        return tuple(self._steps.values())

    def step(self, step_id: str) -> CompiledStep:
        """A step of the plan. Raises KeyError."""
        return self._steps[step_id]

    def output(self, scope: Scope) -> Json:
        """The process's output. Absent properties are left out. Raises BindingError."""
        return _present(*self._result, scope, "/output")

    def input_problems(self, value: Json) -> tuple[ValueProblem, ...]:
        """How a process input breaks the type's input schema."""
        return self._input.problems(value)

    def output_problems(self, value: Json) -> tuple[ValueProblem, ...]:
        """How a process output breaks the type's output schema."""
        return self._output.problems(value)


class CompiledUndo:
    """How the effect of a step is taken back."""

    __slots__ = ("_approval", "_arguments", "_document", "agents", "contract", "key_field")

    def __init__(self, undo: PlannedUndo) -> None:
        value = read_value(undo.input, roots=("input", "output")).value
        self._document = undo
        self._arguments = value, resolver(value, _expressions(value, undo.types))
        self._approval = None if undo.approval is None else _contract_rule(undo.approval)
        self.contract, self.agents, self.key_field = undo.contract, undo.agents, undo.key_field

    def arguments(self, call_input: Json, call_output: Json) -> Json:
        """The arguments of the undoing call, from input and output of the call that it undoes. Raises BindingError."""
        return _present(*self._arguments, Scope(input=call_input, output=call_output), "")

    def gate(self, arguments: Json, *, mode: ApprovalMode = ApprovalMode.POLICY) -> Gate | None:
        """The approval that this undo needs: the undo contract's, or that of submit's `every_step`."""
        effects = self._document.effect in {Effect.WRITE, Effect.IRREVERSIBLE}
        wanted = mode is ApprovalMode.EVERY_STEP and effects
        if wanted or (self._approval is not None and self._approval(Scope(), arguments)):
            return Gate(role=self._document.gate_role, min_assurance=self._document.gate_level)
        return None


class CompiledStep:
    """A step whose values can be resolved. All methods raise BindingError where a value cannot be made."""

    __slots__ = (
        *(
            "_approval",
            "_blame",
            "_default",
            "_document",
            "_for_each",
            "_input",
            "_items",
            "_shown",
            "_until",
            "_when",
        ),
        *("agents", "arguments", "child", "contract", "effect", "human", "key_field", "looks_at_item", "step", "undo"),
    )

    def __init__(self, document: PlannedStep) -> None:
        self._document, self.step = document, document.step
        self.contract: ContractPin | None = document.contract
        self.agents: tuple[PinnedAgent, ...] = document.agents
        self.child = document.child
        self.effect, self.human, self.key_field = document.effect, document.human, document.key_field
        self.undo = None if document.undo is None else CompiledUndo(document.undo)
        step, types = document.step, document.types
        self._input = read_value({} if step.input is None else step.input, pointer="/in").value
        written = msgspec.json.encode(step.when)
        self.looks_at_item = b"$.item" in written or b"$.index" in written  # of a map: asked for each item
        self._when = _optional(step.when, "/when", types, condition=True)
        self._for_each = _optional(step.for_each, "/for_each", types)
        self._items = self._for_each[0] if self._for_each is not None else None
        self._blame = blame_of(self._input, items=self._items)
        self.arguments: Resolve = _arguments(
            self._input, _expressions(self._input, types), document.required, items=self._items
        )
        """Makes the arguments of the call under a scope, before the engine fills the idempotency field."""
        until = None if step.repeat is None else step.repeat["until"]
        self._until = _optional(until, UNTIL, types, condition=True, roots=UNTIL_ROOTS)
        self._default = None if step.default is msgspec.UNSET else _value(step.default, "/default", types)
        self._approval = _approval_conditions(document, types)
        self._shown = _shown(document, types)

    @property
    def closes_sha256(self) -> str:
        """The definition of what the step calls or starts: half of the digest of a call."""
        pin = self.contract if self.contract is not None else self.child.type if self.child is not None else None
        return pin.sha256 if pin is not None else ""

    def applies(self, scope: Scope) -> bool:
        """Whether `when` holds; a step without one always applies."""
        return self._when is None or _truth(*self._when, scope, "/when")

    def is_over(self, scope: Scope) -> bool:
        """Whether `repeat.until` holds over a round's output, which `scope` has as `$.output`."""
        return self._until is None or _truth(*self._until, scope, UNTIL)

    def items(self, scope: Scope) -> list[Json]:
        """The list that a mapped step runs over."""
        if self._for_each is None:
            raise BindingError("missing_binding", "The step has no `for_each`.", blame=Blame.PLANNER)
        value, resolve = self._for_each
        found = _present(value, resolve, scope, "/for_each")
        if not isinstance(found, list):
            message = f"`{_text(value)}` is no list to run over."
            raise BindingError("missing_binding", message, blame=blame_of(value))
        return found

    def default(self, scope: Scope) -> Json:
        """The output of the step where it is skipped, or ABSENT where it has no default."""
        return ABSENT if self._default is None else _present(*self._default, scope, "/default")

    def gate(self, scope: Scope, arguments: Json, *, mode: ApprovalMode = ApprovalMode.POLICY) -> Gate | None:
        """The approval that this call needs: the contract's, the step's, that of submit's `every_step`.

        A plan that a model made and no person has approved asks before everything irreversible.
        """
        wanted = mode is ApprovalMode.EVERY_STEP and self.effect in {Effect.WRITE, Effect.IRREVERSIBLE}
        wanted = wanted or (self._document.by_model and mode is not ApprovalMode.PLAN)
        if wanted or (self._approval and any(holds(scope, arguments) for holds in self._approval)):
            return Gate(role=self._document.gate_role, min_assurance=self._document.gate_level)
        return None

    def shown(self, scope: Scope) -> tuple[tuple[str, Json], ...]:
        """What the approval names under `show`, with the path it was read from; absent values are left out."""
        found = ((path, resolve(scope)) for path, resolve in self._shown)
        return tuple((path, value) for path, value in found if value is not ABSENT)

    def blame(self, pointer: str) -> Blame:
        """Whose fault the argument at a pointer is: caller where it comes from `$.input` alone, else planner."""
        return self._blame if not pointer else blame_of(self._made_at(pointer), items=self._items)

    def origins(self, pointer: str) -> tuple[Bound, ...]:
        """The bindings that made the argument at a pointer, as far as it can be told; of an item also its list's."""
        found = [reference.bound for reference in references(self._made_at(pointer))]
        if self._items is not None and any(each.root == "item" for each in found):
            found += [reference.bound for reference in references(self._items)]
        return tuple(found)

    @property
    def origins_of_items(self) -> tuple[Bound, ...]:
        """The bindings that made the list that a mapped step runs over."""
        return () if self._items is None else tuple(reference.bound for reference in references(self._items))

    def _made_at(self, pointer: str) -> Value:
        tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
        return part_at(self._input, tokens)

    @property
    def level(self) -> Assurance:
        """The assurance that an approval of this step needs."""
        return self._document.gate_level


# Making the closures


def _expressions(value: Value, types: Types, *, condition: bool = False) -> dict[str, Expression]:
    return {
        each.pointer: Expression(each.text, types.get(each.pointer, {}), condition=condition and each is value)
        for each in computed_in(value)
    }


def _value(
    written: Json, pointer: str, types: Types, *, condition: bool = False, roots: tuple[str, ...] = ROOTS[:4]
) -> tuple[Value, Resolve]:
    value = read_value(written, pointer=pointer, roots=roots).value
    return value, resolver(value, _expressions(value, types, condition=condition), within=pointer)


def _optional(
    written: Json, pointer: str, types: Types, *, condition: bool = False, roots: tuple[str, ...] = ROOTS[:4]
) -> tuple[Value, Resolve] | None:
    return None if written is None else _value(written, pointer, types, condition=condition, roots=roots)


def _arguments(
    value: Value, expressions: Mapping[str, Expression], required: tuple[str, ...], *, items: Value | None
) -> Resolve:
    """One pass over the arguments; a missing one is left out unless the contract demands it."""
    if not isinstance(value, Record):
        whole = resolver(value, expressions, within="/in")
        return lambda scope: _present(value, whole, scope, "/in")
    parts = [
        (name, each, resolver(each, expressions, within="/in"), name in required) for name, each in value.properties
    ]

    def arguments(scope: Scope) -> Json:
        made: dict[str, Json] = {}
        for name, each, resolve, demanded in parts:
            found = resolve(scope)
            if found is not ABSENT:
                made[name] = found
            elif demanded:
                raise missing(each, within="/in", items=items)
        return made

    return arguments


def _present(value: Value, resolve: Resolve, scope: Scope, within: str) -> Json:
    found = resolve(scope)
    if found is ABSENT:
        raise missing(value, within=within)
    return found


def _truth(value: Value, resolve: Resolve, scope: Scope, within: str) -> bool:
    found = _present(value, resolve, scope, within)
    if found is True or found is False:
        return found
    message = f"`{_text(value)}` is neither true nor false."
    raise BindingError("condition_error", message, blame=blame_of(value))


def _text(value: Value) -> str:
    if isinstance(value, Bound):
        return path_text(value)
    return value.text[:100] if isinstance(value, Computed) else "it"


Holds = Callable[[Scope, Json], bool]


def _approval_conditions(document: PlannedStep, types: Types) -> tuple[Holds, ...]:
    """Each reason to ask: the contract's sees the arguments as `input`, the step's sees the scope."""
    found: list[Holds] = []
    if document.contract_approval is not None:
        found.append(_contract_rule(document.contract_approval))
    if document.step_approval is not None:
        found.append(_step_rule(document.step_approval, types))
    return tuple(found)


def _contract_rule(rule: ApprovalRule) -> Holds:
    expression = None if rule.when is None else Expression(rule.when["expr"], rule.variables, condition=True)
    return lambda _scope, arguments: _condition_holds(expression, {"input": arguments}, "contract's approval")


def _step_rule(rule: ApprovalRule, types: Types) -> Holds:
    if rule.when is None:
        return lambda _scope, _arguments: True
    value, resolve = _value(rule.when, "/approval/when", types, condition=True)
    return lambda scope, _arguments: _truth(value, resolve, scope, "/approval/when")


def _shown(document: PlannedStep, types: Types) -> tuple[tuple[str, Resolve], ...]:
    rule = document.step_approval
    if rule is None:
        return ()
    read = [_value(each, f"/approval/show/{index}", types) for index, each in enumerate(rule.show)]
    return tuple((_text(value), resolve) for value, resolve in read)
