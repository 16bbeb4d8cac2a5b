"""What earlier runs say of the next: which of them count, and how often the interval is right, whatever they cost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace as change
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from estimating.kinds import REPORTS
from estimating.simulated import CALLER, World, runs, simulated
from estimating.test_calculator import run
from process_orchestrator.checking.estimating.against import Against, against, record
from process_orchestrator.checking.estimating.calculator import Question
from process_orchestrator.checking.estimating.history import (
    RUNS_MAX,
    History,
    Past,
    Run,
    Span,
    duration,
    history_of,
    interval,
    predicted,
    run_of,
)
from process_orchestrator.checking.estimating.shape import StepShape
from process_orchestrator.core.ports import Host, ProcessQuery
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.usecases import run_history
from process_orchestrator.usecases.run_history import RunHistory
from process_orchestrator.views.models import SubmitRequest

Draw = Callable[[random.Random], int]


def ends(low: int, likely: int, high: int) -> Span:
    return Span(Fraction(low), Fraction(likely), Fraction(high))


# --- the interval ------------------------------------------------------------------------------------------------

DISTRIBUTIONS: dict[str, Draw] = {
    "even": lambda draw: draw.randint(0, 10**9),
    "a long tail": lambda draw: round(draw.lognormvariate(8, 1.2)),
    "two humps": lambda draw: draw.randint(0, 10**6) + (10**9 if draw.random() < 0.3 else 0),
    "most are the least": lambda draw: 1000 if draw.random() < 0.6 else 1000 + round(draw.expovariate(0.001)),
    "a few steps": lambda draw: 2000 + 200 * min(20, round(draw.lognormvariate(1.2, 0.7))),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("before", [20, 60, 200])
def test_nine_of_ten_later_runs_fall_into_it(name: str, before: int) -> None:
    draw, cost = random.Random(f"{name} {before}"), DISTRIBUTIONS[name]
    held = tries = 0
    for _ in range(120):
        low, high = interval([cost(draw) for _ in range(before)])
        later = [cost(draw) for _ in range(20)]
        held += sum(low <= each <= high for each in later)
        tries += len(later)
    assert 0.86 <= held / tries <= 0.95


def test_what_every_run_costs_is_a_point() -> None:
    assert interval([7] * 20) == (7, 7)
    assert interval([7] * 19 + [9]) == (7, 7)
    assert interval([7] * 17 + [9] * 3) == (7, 9)
    assert interval([5]) == (5, 5)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_it_spans_values_that_were_there_and_nine_tenths_of_them(values: list[int]) -> None:
    low, high = interval(values)
    assert low in values
    assert high in values
    assert 10 * sum(low <= each <= high for each in values) >= 9 * len(values)


def test_of_spans_that_hold_enough_it_is_the_shortest() -> None:
    assert interval([0, *range(100, 139), 1000]) == (100, 138)  # 39 of 41
    assert interval([0, *range(100, 119), 1000]) == (0, 1000)  # of 21 none can be left out


# --- which runs count --------------------------------------------------------------------------------------------


def test_what_was_not_over_yet_was_not_known() -> None:
    runs = [run(number, 1000) for number in range(30)]
    assert [len(history_of(runs, version="1.0.0", before=at).runs) for at in (4, 5, 14, 15, 295)] == [0, 1, 1, 2, 30]
    assert len(history_of(runs, version="1.0.0").runs) == 30


def test_only_the_newest_count() -> None:
    runs = [run(number, number) for number in range(RUNS_MAX + 50)]
    found = history_of(runs[::-1], version="1.0.0")
    assert [found.runs[0].usd_micros, found.runs[-1].usd_micros] == [50, RUNS_MAX + 49]


def test_other_versions_count_while_this_one_has_too_few_runs() -> None:
    old = [run(number, 1000) for number in range(30)]
    new = [run(100 + number, 5000, version="2.0.0") for number in range(25)]
    few, own = Past([*old, *new[:5]]).history("2.0.0"), Past([*old, *new]).history("2.0.0")
    assert (len(few.runs), few.other_versions) == (35, ("1.0.0",))
    assert (len(own.runs), own.other_versions) == (25, ())
    assert predicted(own, items={}) == ends(5000, 5000, 5000)
    assert not Past([]).history("2.0.0").enough


def test_a_run_is_told_from_its_last_state_and_a_cancelled_one_is_none() -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        (outcome,) = await runs(orchestrator, host, world, 1)
        request = SubmitRequest(process_type="release_report", input=REPORTS.given(0))
        going = await orchestrator.submit(request, caller=CALLER)
        on_its_way = await host.state(going.process_id)
        await orchestrator.cancel(going.process_id, "no more of it", caller=CALLER)
        ended = await host.wait(going.process_id, since=on_its_way.seq + 99, timeout_s=60)
        return await host.state(outcome.ended.process_id), on_its_way, ended

    state, on_its_way, cancelled = simulated(REPORTS, work)
    found = run_of(state)
    assert found is not None
    assert (found.status, found.calls, found.person) == ("completed", state.calls, False)
    assert set(found.steps) == {"status", "log", "diff", "write"}
    assert sum(each.calls for each in found.steps.values()) == found.calls >= 4
    assert (found.started_at, found.ended_at) == (state.created_at, state.updated_at)
    assert run_of(on_its_way) is None
    assert cancelled.status == "cancelled"
    assert run_of(cancelled) is None
    assert run_of(replace(state, spec=replace(state.spec, redrives="p_1"))) is None


# --- estimate against actual -------------------------------------------------------------------------------------


def no_steps(_: Run) -> tuple[StepShape, ...]:
    return ()


def test_each_run_is_judged_by_what_went_before_it() -> None:
    runs = [run(number, 1000 + number % 7) for number in range(40)] + [run(40, 9_999, status="failed", person=True)]
    found = record(runs, "1.0.0", of=runs, steps_of=no_steps)
    assert (found.runs, found.judged) == (41, 21)
    assert found.inside == 20
    assert found.inside_share == Fraction(20, 21)
    assert found.person_share == found.failed_share == Fraction(1, 41)
    early = record(runs[:20], "1.0.0", of=runs[:20], steps_of=no_steps)
    assert (early.judged, early.inside_share, early.inside_time_share) == (0, None, None)


@pytest.mark.parametrize(
    ("spent", "more", "held"),
    [(2000, {}, "held"), (1999, {}, ""), (6001, {}, ""), (10**6, {"price": None}, "held")],
)
def test_a_run_beside_its_estimate(spent: int, more: dict[str, Any], held: str) -> None:
    step = StepShape(id="a", what="x.y", price=2000, calls_agent=True, tries=3)
    found = against(Question(steps=(change(step, **more),)), spent_usd_micros=spent)
    assert isinstance(found, Against)
    assert found.held is bool(held)
    assert not found.looked_up


def test_the_time_of_a_run_is_its_time_at_work() -> None:
    runs = tuple(run(number, 0, running_ms=100) for number in range(20))
    assert duration(History(runs=runs)) == ends(100, 100, 100)


def test_of_long_runs_only_the_newest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(orchestrator: Orchestrator, world: World, host: Host) -> Any:
        await runs(orchestrator, host, world, 6)
        states = [await host.state(row.process_id) for row in (await host.processes(ProcessQuery(limit=9))).items]
        monkeypatch.setattr(run_history, "EVENTS_IN_ALL_MAX", sum(state.seq for state in states[:3]))
        newest = await RunHistory(host).runs("release_report", principal=None)
        monkeypatch.setattr(run_history, "EVENTS_IN_ALL_MAX", 1)
        one = await RunHistory(host).runs("release_report", principal="local")
        none = await RunHistory(host).runs("release_report", principal="somebody else")
        return [state.spec.process_id for state in states], newest, one, none

    ids, newest, one, none = simulated(REPORTS, work)
    assert [each.process_id for each in newest] == ids[:3]
    assert [each.process_id for each in one] == ids[:1]
    assert none == ()
