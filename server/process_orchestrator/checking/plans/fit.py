"""Where the line is: whether a plan needs orchestration at all, or is one call of one agent.

`single_call` where the plan is one step without approval, map, wait or state between steps; it still runs by contract.
A rule over the checked plan, said to authors by `check` and to callers in the verdict.
"""

from __future__ import annotations

from typing import Any

from process_orchestrator.checking.plans.checked_plan import CheckedPlan, CheckedStep
from process_orchestrator.checking.values.bindings import read_value, references
from process_orchestrator.core.facts.specs import Fit, PlanFacts, StepFacts
from process_orchestrator.core.facts.values import Effect

Json = Any

SINGLE_CALL = "single_call"
ORCHESTRATE = "orchestrate"

_NAMED_MAX = 5


def fit_of(checked: CheckedPlan, *, output: Json = None) -> Fit:
    """The verdict on a checked plan, with its reasons in words. `output` is the plan's own, as written.

    Steps that change nothing and that nobody reads are no reason for anything.
    """
    needed = _needed(checked.steps, output)
    reasons = tuple(_reasons(needed))
    if reasons:
        return Fit(verdict=ORCHESTRATE, reasons=reasons)
    step, idle = needed[0], [each.step.id for each in checked.steps if each is not needed[0]]
    beside = (f"{_names(idle)} changes nothing and is read by nobody",) if idle else ()
    if step.step.process is not None:
        started = step.step.process.partition("@")[0]
        return Fit(
            verdict=SINGLE_CALL,
            reasons=(f"the plan is one run of process type {started}", *beside),
            simpler=(f"start process type {started} directly",),
        )
    agent = step.agents[0][0].name if step.agents else "an agent"
    contract = step.contract.name if step.contract else step.step.id
    return Fit(
        verdict=SINGLE_CALL,
        reasons=(f"the plan is one call of {contract}", *beside),
        simpler=(_direct(contract, agent),),
    )


def called(plan: PlanFacts) -> StepFacts | None:
    """The step that a plan of one call is about; None where it is another process, or more than one call."""
    if plan.fit is None:
        return None
    direct = {
        _direct(step.contract.name, step.agents[0].name): step for step in plan.steps if step.contract and step.agents
    }
    return next((direct[each] for each in plan.fit.simpler if each in direct), None)


def _direct(contract: str, agent: str) -> str:
    return f"call {contract} of agent {agent} directly"


def _needed(steps: tuple[CheckedStep, ...], output: Json) -> tuple[CheckedStep, ...]:
    """The steps without those that read, ask nobody, and whose output nobody uses; all of them where none is left.

    A step that others come after, although they read nothing of it, may be there to end the process early.
    """
    kept = list(steps)
    while True:
        used = {name for each in kept for name in each.needs}
        used |= {found.bound.step for found in references(read_value(output).value) if found.bound.step is not None}
        idle = [each for each in kept if each.step.id not in used and _idle(each)]
        if not idle or len(idle) == len(kept):
            return tuple(kept)
        kept = [each for each in kept if each not in idle]


def _idle(each: CheckedStep) -> bool:
    """Whether a step does nothing but answer."""
    reads = each.contract is not None and each.contract.effect in {Effect.NONE, Effect.READ}
    return reads and not (each.human or _approved(each))


def _reasons(steps: tuple[CheckedStep, ...]) -> list[str]:
    reasons: list[str] = []
    if len(steps) > 1:
        tied = [each.step.id for each in steps if each.needs]
        between = f", {len(tied)} of them depending on others" if tied else " in one process"
        reasons.append(f"{len(steps)} steps{between}")
        changing = [each.step.id for each in steps if _changes(each)]
        if changing:
            reasons.append(f"effects to control: {_names(changing)}")
    for word, chosen in (
        ("approval by a person", [each.step.id for each in steps if _approved(each)]),
        ("a person closes", [each.step.id for each in steps if each.human]),
        ("once for each item of a list", [each.step.id for each in steps if each.step.for_each is not None]),
        ("waiting", [each.step.id for each in steps if each.step.wait_s is not None or each.step.repeat is not None]),
        ("run only under a condition", [each.step.id for each in steps if each.step.when is not None]),
    ):
        if chosen:
            reasons.append(f"{word}: {_names(chosen)}")
    return reasons


def _approved(each: CheckedStep) -> bool:
    return each.step.approval is not None or (each.contract is not None and each.contract.approval is not None)


def _changes(each: CheckedStep) -> bool:
    return each.contract is not None and each.contract.effect in {Effect.WRITE, Effect.IRREVERSIBLE}


def _names(names: list[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(names[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
