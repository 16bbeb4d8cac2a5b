"""Where the line is: a type without a fixed plan, one of whose contracts closes it, needs no planner.

A rule over definitions, asked before any model is paid. A contract closes a type where it takes what the input holds
and gives what the output wants, each property under its own name, and the static check proves that every value fits.
Where several do, which one is meant is no question of a rule: then none is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from process_orchestrator.checking.documents.definitions import Contract, Plan, ProcessType
from process_orchestrator.checking.planning.steps import made_step, step_name
from process_orchestrator.checking.plans.compile import CompiledProcess, compile_plan
from process_orchestrator.checking.plans.fit import SINGLE_CALL
from process_orchestrator.checking.plans.fitting import Verdict
from process_orchestrator.checking.schemas.paths import write_path
from process_orchestrator.checking.schemas.projection import Shape, names_of, required_names

if TYPE_CHECKING:
    from process_orchestrator.checking.plans.plan_map import Definitions
    from process_orchestrator.core.facts.values import Assurance


def single_call(process_type: ProcessType, *, registry: Definitions, server_floor: Assurance) -> CompiledProcess | None:
    """The compiled plan of the one contract that closes a type without a fixed plan; None where planning is needed."""
    if process_type.plan is not None:
        return None
    listed = {each.source.sha256: each for name in process_type.contracts if (each := registry.contract(name))}
    closing = [
        compiled
        for contract in listed.values()
        if _may_close(contract, process_type)
        and (compiled := _compiled(contract, process_type, registry=registry, server_floor=server_floor))
    ]
    return closing[0] if len(closing) == 1 else None


def _may_close(contract: Contract, process_type: ProcessType) -> bool:
    """Whether the names say so, and nothing asks for a person: what is required is given, and read."""
    if contract.approval is not None or contract.status != "active":
        return False
    given, taken = names_of(Shape.of(process_type.input)), names_of(Shape.of(contract.input))
    made = names_of(Shape.of(contract.output))
    needed = set(required_names(contract.input)) - {contract.key_field}
    # What the caller must give and the contract would not even read, and what a process may tell and the contract
    # never does, say that there is more to the task.
    reads_all = needed <= set(given) and set(required_names(process_type.input)) <= set(taken)
    gives_all = set(names_of(Shape.of(process_type.output))) <= set(made)
    return bool(required_names(process_type.output)) and reads_all and gives_all


def _compiled(
    contract: Contract, process_type: ProcessType, *, registry: Definitions, server_floor: Assurance
) -> CompiledProcess | None:
    step = step_name(contract.name)
    given, made = names_of(Shape.of(process_type.input)), names_of(Shape.of(contract.output))
    arguments = {
        name: write_path(("input", name))
        for name in names_of(Shape.of(contract.input))
        if name in given and name != contract.key_field
    }
    output = {
        name: write_path(("steps", step, "output", name))
        for name in names_of(Shape.of(process_type.output))
        if name in made
    }
    plan = Plan(
        steps=(made_step(step, contract=contract, arguments=arguments, process_type=process_type),), output=output
    )
    compiled = compile_plan(plan, process_type=process_type, registry=registry, server_floor=server_floor, strict=True)
    facts = compiled.facts
    if facts is None or facts.fit is None or facts.fit.verdict != SINGLE_CALL:
        return None
    return compiled if all(row.verdict == Verdict.ALWAYS.value for row in compiled.rows) else None
