"""Where the line is: whether a plan needs orchestration at all, or is one call of one agent.

`single_call` where the plan is one step without approval, map, wait or state between steps; it still runs by contract.
A rule over the checked plan, said to authors by `check` and to callers in the verdict.
"""

from __future__ import annotations

from process_orchestrator.checking.plans.checked_plan import CheckedPlan, CheckedStep
from process_orchestrator.core.facts.specs import Fit
from process_orchestrator.core.facts.values import Effect

SINGLE_CALL = "single_call"
ORCHESTRATE = "orchestrate"

_NAMED_MAX = 5


def fit_of(checked: CheckedPlan) -> Fit:
    """The verdict on a checked plan, with its reasons in words."""
    reasons = tuple(_reasons(checked.steps))
    if reasons:
        return Fit(verdict=ORCHESTRATE, reasons=reasons)
    step = checked.steps[0]
    if step.step.process is not None:
        started = step.step.process.partition("@")[0]
        return Fit(
            verdict=SINGLE_CALL,
            reasons=(f"the plan is one run of process type {started}",),
            simpler=(f"start process type {started} directly",),
        )
    agent = step.agents[0][0].name if step.agents else "an agent"
    contract = step.contract.name if step.contract else step.step.id
    return Fit(
        verdict=SINGLE_CALL,
        reasons=(f"the plan is one call of {contract}",),
        simpler=(f"call {contract} of agent {agent} directly",),
    )


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
