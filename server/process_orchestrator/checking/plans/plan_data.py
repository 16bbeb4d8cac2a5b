"""Where data goes in a plan that should not go there, and what is made that nobody uses.

A contract says what of it is sensitive, and how much (`data.sensitivity`): what keeps a contract is trusted with data
up to the contract's own level. Follows marks as views mask them, see `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Contract, Plan
from process_orchestrator.checking.plans.checked_plan import CheckedStep
from process_orchestrator.checking.plans.plan_flow import StepFault
from process_orchestrator.checking.plans.sensitivity import sensitivity
from process_orchestrator.checking.values.bindings import Read, references
from process_orchestrator.core.facts.values import Effect

LEVELS: Final = ("public", "internal", "confidential", "restricted")
"""From `data.sensitivity`, the least first."""

UNNAMED: Final = "confidential"
"""The level of what a contract marks sensitive without naming one."""

_QUIET: Final = (Effect.NONE, Effect.READ)


def exposed(steps: tuple[CheckedStep, ...], plan: Plan) -> Iterator[tuple[str, StepFault]]:
    """Sensitive data that is bound into a model, an error, or into a contract of a lower level, a warning."""
    contracts = {each.step.id: each.contract for each in steps if each.contract is not None}
    marked = {name: contract for name, contract in contracts.items() if contract.sensitive}
    if not marked:
        return
    everything = sensitivity(plan, contracts)
    for each in steps:
        places = everything.of(each.step.id, "input")
        if places and any(agent.transport.kind == "model" for agent, _ in each.agents):
            message = f"{_names(places)} of its input is sensitive, and a model closes this step"
            fix = "bind what is not sensitive, or let another agent serve the contract"
            yield "error", StepFault("SENSITIVE_TO_MODEL", f"/plan/steps/{each.index}/in", message, fix)
    yield from _below_clearance(steps, plan, contracts, marked)


def _below_clearance(
    steps: tuple[CheckedStep, ...], plan: Plan, contracts: Mapping[str, Contract], marked: Mapping[str, Contract]
) -> Iterator[tuple[str, StepFault]]:
    for name, source in marked.items():
        found = sensitivity(plan, {step: _marked(contract, kept=step == name) for step, contract in contracts.items()})
        for each in steps:
            taker = each.contract
            places = found.of(each.step.id, "input")
            if taker is None or each.step.id == name or not places or _level(taker) >= _level(source):
                continue
            says = f"is {taker.sensitivity}" if taker.sensitivity else "names no sensitivity"
            message = f"{_names(places)} is sensitive in {source.name} ({_word(source)}); {taker.name} {says}"
            fix = (
                f"write data: {{sensitivity: {_word(source)}}} into {taker.name} if its agents may see it, or bind less"
            )
            yield "warning", StepFault("BELOW_CLEARANCE", f"/plan/steps/{each.index}/in", message, fix)


def _marked(contract: Contract, *, kept: bool) -> Contract:
    """The contract without its marks, unless they are the ones that are followed."""
    return contract if kept else replace(contract, sensitive=())


def _level(contract: Contract) -> int:
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
