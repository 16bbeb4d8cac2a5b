"""Estimate against actual: 200 runs of each shipped type, each estimated before it was submitted.

Bounds without and with every retry would hold all of them, and say nothing; so an interval that holds too many fails
as one that holds too few. What is said of a run rests on the runs before it alone, since the rest has not happened.
"""

from decimal import Decimal
from typing import Any

import pytest

from estimating.kinds import INVOICES, REPORTS, TICKETS
from estimating.simulated import Kind, Outcome, World, runs, simulated
from process_orchestrator.core.ports import Host
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.estimate_models import HistoryRow

RUNS = 200
LEAST, MOST = 0.85, 0.95


def lived(kind: Kind, *, seed: int = 1) -> tuple[list[Outcome], HistoryRow]:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        outcomes = await runs(orchestrator, host, world, RUNS)
        history = await orchestrator.history(kind.process_type)
        return outcomes, history.types[0]

    return simulated(kind, work, seed=seed)


def costs_as_said(outcome: Outcome) -> bool:
    said = outcome.said.case_usd
    return Decimal(said.low) <= Decimal(outcome.ended.cost.spent_usd) <= Decimal(said.high)


def takes_as_long(outcome: Outcome) -> bool:
    said = outcome.said.duration_ms
    assert said is not None
    return said.low <= outcome.running_ms <= said.high


def share(outcomes: list[Outcome], holds: Any) -> float:
    return sum(holds(each) for each in outcomes) / len(outcomes)


def judged(outcomes: list[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.said.duration_ms is not None]


@pytest.mark.slow
@pytest.mark.behaviour("estimate")
def test_what_is_said_of_invoices_holds_for_nine_of_ten() -> None:
    outcomes, row = lived(INVOICES)
    statuses = {each.ended.status for each in outcomes}
    assert statuses == {"completed", "failed"}
    assert 0.1 < sum(each.asked_person for each in outcomes) / RUNS < 0.4
    assert len({each.ended.cost.spent_usd for each in outcomes}) > 30
    assert LEAST <= share(outcomes, costs_as_said) <= MOST  # all 200, the first 20 by contracts
    assert LEAST <= share(judged(outcomes), costs_as_said) <= MOST
    assert LEAST <= share(judged(outcomes), takes_as_long) <= MOST
    # What was said then is what is made of the journal now.
    assert (row.runs, row.judged) == (RUNS, RUNS - 20)
    assert row.inside == sum(costs_as_said(each) for each in judged(outcomes))


@pytest.mark.slow
@pytest.mark.behaviour("estimate")
def test_what_is_said_of_reports_holds_too_and_what_is_free_is_a_point() -> None:
    outcomes, row = lived(REPORTS)
    assert {(each.said.case_usd.low, each.said.case_usd.high) for each in outcomes} == {("0.00", "0.00")}
    assert share(outcomes, costs_as_said) == 1.0  # nobody bills, and nothing else is ever said
    assert LEAST <= share(judged(outcomes), takes_as_long) <= MOST
    assert row.inside_time == sum(takes_as_long(each) for each in judged(outcomes))


@pytest.mark.slow
@pytest.mark.behaviour("estimate")
def test_what_is_said_of_tickets_holds_although_no_plan_is_known_before() -> None:
    outcomes, row = lived(TICKETS)
    assert {each.ended.status for each in outcomes} >= {"completed"}
    assert {each.ended.planned_by for each in outcomes} == {"model"}
    assert {each.said.planned_by for each in outcomes} == {None}
    assert len({each.ended.cost.spent_usd for each in outcomes}) > 8
    assert LEAST <= share(outcomes, costs_as_said) <= MOST  # all 200, the first 20 by the map
    assert LEAST <= share(judged(outcomes), costs_as_said) <= MOST
    assert LEAST <= share(judged(outcomes), takes_as_long) <= MOST
    assert row.inside == sum(costs_as_said(each) for each in judged(outcomes))
