"""The most that a plan may call and cost, held against the budget of its type, before anything runs.

Every attempt of every item of every round is counted, and a started process with its own whole budget. What no contract
says (a price, the length of a list) makes the sum unknown, never smaller. Human tasks cost nothing; undoing is not
counted: it is nobody's plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.plans.checked_plan import CheckedStep
from process_orchestrator.checking.plans.plan_flow import StepFault
from process_orchestrator.checking.plans.sub_process import budget_of
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.core.money import usd

REFUSE: Final = "refuse"
_NAMED_MAX: Final = 3


class WorstCase(Fact, frozen=True, kw_only=True):
    """The most that a plan may call and cost; None where that is not known, and why."""

    calls: int | None = 0
    usd_micros: int | None = 0
    unknown: tuple[str, ...] = ()


class _Spent(NamedTuple):
    """What one step may take. `least` calls are made if nothing fails; None: nobody says."""

    least: int
    calls: int | None
    usd_micros: int | None
    unknown: tuple[str, ...]


def worst_case(steps: Iterable[CheckedStep]) -> WorstCase:
    """The sum over all steps."""
    spent = [_spent(each) for each in steps]
    calls = [each.calls for each in spent if each.calls is not None]
    prices = [each.usd_micros for each in spent if each.usd_micros is not None]
    return WorstCase(
        calls=sum(calls) if len(calls) == len(spent) else None,
        usd_micros=sum(prices) if len(prices) == len(spent) else None,
        unknown=tuple(dict.fromkeys(reason for each in spent for reason in each.unknown)),
    )


def budget_faults(steps: tuple[CheckedStep, ...], process_type: ProcessType) -> Iterator[tuple[str, StepFault]]:
    """Where the budget cannot be kept, each with its level: an error where it never can, else a warning."""
    budget, spent = budget_of(process_type), [_spent(each) for each in steps]
    least = sum(each.least for each in spent)
    known = sum(each.calls or 0 for each in spent)
    price = sum(each.usd_micros or 0 for each in spent)
    if least > budget.calls:
        message = f"the plan makes at least {least} calls, and its budget allows {budget.calls}"
        yield "error", StepFault("OVER_BUDGET", "/budget/calls", message, f"write budget: {{calls: {least}}} or more")
    elif known > budget.calls:
        message = (
            f"with every retry and the longest lists the plan makes {known} calls; its budget allows {budget.calls}"
        )
        fix = f"write budget: {{calls: {known}}}, fewer attempts (`retry`), or `maxItems` where a list is declared"
        yield "warning", StepFault("OVER_BUDGET", "/budget/calls", message, fix)
    if price > budget.usd_micros:
        message = f"the plan may cost {usd(price)} USD; its budget is {usd(budget.usd_micros)}: it would stop and ask"
        yield "warning", StepFault("OVER_BUDGET", "/budget/usd", message, f"write budget: {{usd: {usd(price)}}}")
    unpriced = [each for each in steps if _unpriced(each)]
    if budget.unknown == REFUSE and unpriced:
        names = ", ".join(dict.fromkeys(each.contract.name for each in unpriced if each.contract is not None))
        message = f"nobody says what {names} costs, and `budget.unknown: refuse` forbids such calls"
        fix = "write cost: {per_call_usd: …} into the contract, or remove `unknown: refuse`"
        yield "error", StepFault("UNKNOWN_PRICE", f"/plan/steps/{unpriced[0].index}/contract", message, fix)


def _unpriced(each: CheckedStep) -> bool:
    return each.contract is not None and not each.human and each.contract.price_usd_micros is None


def _spent(each: CheckedStep) -> _Spent:
    step = each.step
    if each.closes is None:
        return _Spent(0, 0, 0, ())
    rounds = 1 if step.repeat is None else int(step.repeat["max"])
    items, fewest = (1, 1) if step.for_each is None else (each.count.most, each.count.least)
    unknown = () if items is not None else (f"the list of step {step.id} has no maxItems",)
    tries = _tries(each)
    calls = None if items is None else items * rounds * tries
    price = _price(each)
    if price is None and each.contract is not None:
        unknown += (f"{each.contract.name} names no price",)
    least = 0 if step.when is not None else fewest
    return _Spent(least, calls, None if calls is None or price is None else calls * price, unknown)


def _tries(each: CheckedStep) -> int:
    if each.contract is None or each.human:
        return 1
    most = each.contract.retry.max_attempts
    return min(most, int((each.step.retry or {}).get("max_attempts", most)))


def _price(each: CheckedStep) -> int | None:
    """What one call may bill; a started process at most its own budget."""
    if each.contract is not None:
        return 0 if each.human else each.contract.price_usd_micros
    return budget_of(each.child).usd_micros if each.child is not None else 0


def told(found: WorstCase) -> str:
    """The worst case in one sentence."""
    calls = "an unknown number of calls" if found.calls is None else f"{found.calls} calls"
    cost = "at an unknown price" if found.usd_micros is None else f"for {usd(found.usd_micros)} USD"
    reasons = "; ".join(found.unknown[:_NAMED_MAX])
    more = len(found.unknown) - _NAMED_MAX
    return f"At most {calls} {cost}{f' ({reasons}' if reasons else ''}{f' and {more} more' if more > 0 else ''}" + (
        ")." if reasons else "."
    )
