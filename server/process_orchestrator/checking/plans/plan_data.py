"""Where data goes in a plan that should not go there, and what is made that nobody uses.

A contract says what of it is sensitive, and how much (`data.sensitivity`): what keeps a contract is trusted with data
up to the contract's own level. Follows marks as views mask them, see `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Agent, Contract, Plan, ProcessType, Serve
from process_orchestrator.checking.documents.model_agents import KIND
from process_orchestrator.checking.plans.checked_plan import CheckedStep
from process_orchestrator.checking.plans.followed import Reached, Scheme, follow, reached, told_to_models
from process_orchestrator.checking.plans.plan_flow import StepFault
from process_orchestrator.checking.plans.plan_map import ContractMap, Definitions
from process_orchestrator.checking.values.bindings import Read, references
from process_orchestrator.core.facts.values import Effect

LEVELS: Final = ("public", "internal", "confidential", "restricted")
"""From `data.sensitivity`, the least first."""

UNNAMED: Final = "confidential"
"""The level of what a contract marks sensitive without naming one."""

SOURCES_MAX: Final = 200
"""Calls that mark something, each followed by itself for its level, at 10 ms in a plan of 30 parts. What a model reads
is found for all of them at once."""

_QUIET: Final = (Effect.NONE, Effect.READ)


def exposed(
    steps: tuple[CheckedStep, ...], plan: Plan, process_type: ProcessType, registry: Definitions
) -> Iterator[tuple[str, StepFault]]:
    """Sensitive data that is bound into a model, an error, or into a contract of a lower level, a warning.

    In the plan itself and in the processes that it starts, as it starts them.
    """
    scheme = Scheme(
        plan=plan,
        name=process_type.name,
        contracts={each.step.id: each.contract for each in steps if each.contract is not None},
        children={each.step.id: _scheme(each.child, registry) for each in steps if each.child is not None},
        models=frozenset(each.step.id for each in steps if _by_model(each.agents)),
    )
    sources = tuple(_marked(scheme))
    if not sources:
        return
    index = {each.step.id: each.index for each in steps}
    for each in told_to_models(scheme):
        message = f"{_names(each.places)} of the input{_inside(each)} is sensitive, and a model closes this step"
        fix = "bind what is not sensitive, or let another agent serve the contract"
        yield "error", StepFault("SENSITIVE_TO_MODEL", f"/plan/steps/{index[each.way[0]]}/in", message, fix)
    bare, least = _bare(scheme), _least(scheme)
    for way, source in sources[:SOURCES_MAX]:
        if level_of(source) <= least:
            continue
        for each, taker in _below(scheme, bare, way, source):
            says = f"is {taker.sensitivity}" if taker.sensitivity else "names no sensitivity"
            marked_by = f"is sensitive in {source.name} ({_word(source)})"
            message = f"{_names(each.places)}{_inside(each)} {marked_by}; {taker.name} {says}"
            fix = (
                f"write data: {{sensitivity: {_word(source)}}} into {taker.name} if its agents may see it, or bind less"
            )
            yield "warning", StepFault("BELOW_CLEARANCE", f"/plan/steps/{index[each.way[0]]}/in", message, fix)


def _scheme(process_type: ProcessType, registry: Definitions) -> Scheme:
    """The plan of a type that is started, with all that it starts. Only sound types may be, without a circle."""
    plan = process_type.plan
    assert plan is not None  # see `sub_process.child_of`
    listed = ContractMap(process_type, registry)
    contracts: dict[str, Contract] = {}
    models: set[str] = set()
    children: dict[str, Scheme] = {}
    for step in plan.steps:
        contract = listed.contract(step.contract)[0] if step.contract is not None else None
        child = registry.process(step.process) if step.process is not None else None
        if contract is not None:
            contracts[step.id] = contract
            serving = registry.serving(contract)
            models |= (
                {step.id} if _by_model([pair for pair in serving if step.agent in (None, pair[0].name)]) else set()
            )
        elif child is not None:
            children[step.id] = _scheme(child, registry)
    return Scheme(plan=plan, name=process_type.name, contracts=contracts, children=children, models=frozenset(models))


def _by_model(agents: Iterable[tuple[Agent, Serve]]) -> bool:
    return any(agent.transport.kind == KIND for agent, _ in agents)


def _marked(scheme: Scheme, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Contract]]:
    """Every contract that marks anything, by the way to the step that calls it."""
    for step, contract in scheme.contracts.items():
        if contract.sensitive:
            yield (*way, step), contract
    for step, child in scheme.children.items():
        yield from _marked(child, (*way, step))


def _below(scheme: Scheme, bare: Scheme, way: tuple[str, ...], source: Contract) -> Iterator[tuple[Reached, Contract]]:
    """Who gets what one contract marks and is not trusted with it. What stays inside one part is told there."""
    alone = _only(bare, way, source)
    for each in reached(alone, follow(alone)):
        within = len(way) > 1 and each.way[0] == way[0]
        taker = _contract_at(scheme, each.way)
        if each.way != way and not within and level_of(taker) < level_of(source):
            yield each, taker


def _least(scheme: Scheme) -> int:
    """The lowest level of any contract: what is marked at that level goes nowhere below it."""
    own = [level_of(contract) for contract in scheme.contracts.values()]
    return min([*own, *(_least(child) for child in scheme.children.values())], default=len(LEVELS))


def _contract_at(scheme: Scheme, way: tuple[str, ...]) -> Contract:
    for step in way[:-1]:
        scheme = scheme.children[step]
    return scheme.contracts[way[-1]]


def _bare(scheme: Scheme) -> Scheme:
    """The scheme without any marks."""
    contracts = {step: replace(contract, sensitive=()) for step, contract in scheme.contracts.items()}
    children = {step: _bare(child) for step, child in scheme.children.items()}
    return Scheme(plan=scheme.plan, name=scheme.name, contracts=contracts, children=children, models=scheme.models)


def _only(bare: Scheme, way: tuple[str, ...], source: Contract) -> Scheme:
    """A bare scheme with the marks of one call; all that is not on the way to it is shared."""
    contracts, children, head = bare.contracts, bare.children, way[0]
    if len(way) == 1:
        contracts = {**contracts, head: source}
    else:
        children = {**children, head: _only(children[head], way[1:], source)}
    return Scheme(plan=bare.plan, name=bare.name, contracts=contracts, children=children, models=bare.models)


def _inside(each: Reached) -> str:
    """Where a step of a part stands."""
    return f" of step `{each.step}` in {each.scheme.name}" if len(each.way) > 1 else ""


def level_of(contract: Contract) -> int:
    """A contract that says nothing of sensitive data is trusted with none."""
    if contract.sensitivity is None and not contract.sensitive:
        return -1
    return LEVELS.index(_word(contract))


def _word(contract: Contract) -> str:
    return contract.sensitivity or UNNAMED


def _names(places: tuple[str, ...]) -> str:
    return " and ".join(f"`{place or '/'}`" for place in places[:3])


def unused(steps: tuple[CheckedStep, ...], result: Read) -> Iterator[tuple[str, StepFault]]:
    """Steps that change nothing and whose output nobody waits for. What a person does is never nothing."""
    bound = {found.bound.step for found in references(result.value)}
    needed = {name for each in steps for name in each.needs}
    for each in steps:
        if each.step.id in bound | needed or each.human:
            continue
        if each.contract is None or each.contract.effect not in _QUIET:
            continue
        message = f"nobody uses what step `{each.step.id}` gives, and {each.contract.name} changes nothing"
        fix = f"bind `$.steps.{each.step.id}.output…`, name it in `after`, or remove the step"
        yield "warning", StepFault("UNUSED_STEP", f"/plan/steps/{each.index}", message, fix)
