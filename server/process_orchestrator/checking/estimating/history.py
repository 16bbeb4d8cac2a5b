"""What earlier runs of a type took, and the interval in which the next one should end.

A run is told from its last state alone, so history is no table of its own: whoever can read states has it. The interval
is one of prediction: of n runs that went before, it spans so many that nine of ten later ones should fall into it,
whatever the shape of their costs is, as long as they come from the same source (split conformal prediction; of all
spans that hold as many it is the shortest, so that a cost that most runs share is no interval around it).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, NamedTuple

from process_orchestrator.core.facts.values import Fact, Status

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Process, Unit

RUNS_LEAST: Final = 20
"""Runs of a type from which on history is used."""
RUNS_MAX: Final = 200
"""Runs that are looked at, the newest: prices and agents change."""
SHARE: Final = Fraction(9, 10)
"""Share of later runs that an interval is made to hold."""


Exact = Fraction | int


class Span(NamedTuple):
    """Low, likely and high of one figure."""

    low: Fraction
    likely: Fraction
    high: Fraction

    def __add__(self, other: object) -> Span:
        if not isinstance(other, Span):
            return NotImplemented
        return Span(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: Fraction | int) -> Span:
        """The span of that many."""
        return Span(self.low * factor, self.likely * factor, self.high * factor)


NOTHING: Final = Span(Fraction(0), Fraction(0), Fraction(0))


class StepRun(Fact, kw_only=True):
    """What one step took in one run. `items`: of a mapped step, None where its list was never opened."""

    calls: int = 0
    usd_micros: int = 0
    items: int | None = None


class Run(Fact, kw_only=True):
    """One run that is over. Times are epoch milliseconds, `running_ms` is without the time that people took."""

    process_id: str
    version: str
    type_sha256: str
    plan_sha256: str | None
    principal: str
    started_at: int
    ended_at: int
    status: str
    usd_micros: int
    tokens: int
    calls: int
    unknown_calls: int
    running_ms: int
    person: bool  # whether anybody was asked anything
    steps: dict[str, StepRun] = {}


COUNTED: Final = (Status.COMPLETED, Status.FAILED)
"""How a run ends that says what a case costs. What a person cancelled says when they did."""


def run_of(state: Process) -> Run | None:
    """The run that a process was; None for one that goes on, was cancelled, had no type or took up another's work."""
    if state.status not in COUNTED or state.spec.type is None or state.spec.redrives is not None:
        return None
    return Run(
        process_id=state.spec.process_id,
        version=state.spec.type.version,
        type_sha256=state.spec.type.sha256,
        plan_sha256=state.plan.sha256 if state.plan is not None else None,
        principal=state.spec.principal,
        started_at=state.created_at,
        ended_at=state.updated_at,
        status=state.status.value,
        usd_micros=state.usd_micros,
        tokens=state.tokens,
        calls=state.calls,
        unknown_calls=state.unknown_calls,
        running_ms=state.running_ms,
        person=state.escalations_opened > 0,
        steps=_steps(state.units.values()),
    )


def _steps(units: Iterable[Unit]) -> dict[str, StepRun]:
    calls: dict[str, int] = {}
    spent: dict[str, int] = {}
    items: dict[str, int] = {}
    for unit in units:
        calls[unit.step] = calls.get(unit.step, 0) + unit.calls_total
        spent[unit.step] = spent.get(unit.step, 0) + unit.usd_micros
        if unit.count is not None:
            items[unit.step] = unit.count
    return {step: StepRun(calls=calls[step], usd_micros=spent[step], items=items.get(step)) for step in calls}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Runs of one type that were over before a moment, the newest last. `other_versions` are among them."""

    runs: tuple[Run, ...] = ()
    other_versions: tuple[str, ...] = field(default=())

    @property
    def enough(self) -> bool:
        """Whether they say more than contracts do."""
        return len(self.runs) >= RUNS_LEAST

    @property
    def person_share(self) -> Fraction | None:
        """The share of runs in which a person was asked; None where there are too few."""
        return Fraction(sum(run.person for run in self.runs), len(self.runs)) if self.enough else None

    @property
    def unknown_runs(self) -> int:
        """Runs whose cost is a lower bound."""
        return sum(run.unknown_calls > 0 for run in self.runs)


class Past:
    """Runs of one type by the moment when each was over: what was known when."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._all = sorted(runs, key=lambda run: (run.ended_at, run.process_id))
        self._of: dict[str, list[Run]] = {}
        for run in self._all:
            self._of.setdefault(run.version, []).append(run)

    def history(self, version: str, *, before: int | None = None) -> History:
        """The history of a version at a moment, of all versions where that one has too few runs.

        `before` is epoch milliseconds: what ended later was not known then.
        """
        same, known = _until(self._of.get(version, []), before), _until(self._all, before)
        if len(same) >= RUNS_LEAST or len(same) == len(known):
            return History(runs=tuple(same))
        return History(runs=tuple(known), other_versions=tuple(sorted({run.version for run in known} - {version})))


def _until(runs: list[Run], before: int | None) -> list[Run]:
    """The last of those that were over."""
    end = len(runs) if before is None else bisect_right(runs, before, key=lambda run: run.ended_at)
    return runs[max(0, end - RUNS_MAX) : end]


def history_of(runs: Iterable[Run], *, version: str, before: int | None = None) -> History:
    """The history of a version at one moment, see `Past`."""
    return Past(runs).history(version, before=before)


def spent_on(run: Run, *, review: int = 0) -> int:
    """What a run cost with the price of the person it needed."""
    return run.usd_micros + (review if run.person else 0)


def predicted(history: History, *, items: Mapping[str, int], review: int = 0) -> Span:
    """What the next run costs. `items` are the lengths of lists that are known; the rest is as it was.

    Each run is set against what would have been said of it, with the lengths of its own lists; how far off that was is
    how far off the next may be. Without a known length that is the cost of the runs themselves.
    """
    runs = history.runs
    if not items:
        spent = [spent_on(run, review=review) for run in runs]
        return around(Fraction(sum(spent), len(spent)), spent)
    base, each = _base(history, items, review), _per_item(history, items)
    said = base + sum((each[step] * number for step, number in items.items()), Fraction(0))
    off: list[Fraction | int] = []
    for run in runs:
        would = base + sum((each[step] * _items_of(run, step, history) for step in items), Fraction(0))
        actual = spent_on(run, review=review)
        off.append(said * actual / would if would else actual)
    return around(said, off)


def around(likely: Fraction, values: Sequence[Exact]) -> Span:
    """A likely value in the interval of others; never outside of it."""
    low, high = interval(values)
    return Span(min(Fraction(low), likely), likely, max(Fraction(high), likely))


def interval(values: Sequence[Exact]) -> tuple[Exact, Exact]:
    """The shortest span of `values` in which the next should fall with `SHARE`; all of them where they are few.

    Of n values drawn alike, a span that holds m of them holds the next in m - 1 of n + 1 cases, and in more where its
    ends are values that come again: each such end counts half a value less.
    """
    counted = sorted(Counter(values).items())
    last, held = -1, 0  # what the span from `low` to counted[last] holds
    best: tuple[Exact, Exact, Exact] | None = None
    for low, often in counted:
        while last + 1 < len(counted) and (last < 0 or not _enough(held, len(values), often, counted[last][1])):
            last += 1
            held += counted[last][1]
        high = counted[last][0]
        if _enough(held, len(values), often, counted[last][1]) and (best is None or high - low < best[0]):
            best = high - low, low, high
        held -= often
    return (best[1], best[2]) if best is not None else (counted[0][0], counted[-1][0])


def _enough(held: int, number: int, low_often: int, high_often: int) -> bool:
    """Whether a span holds enough of so many values: those at its ends count less where they are alone."""
    alone = (low_often == 1) + (high_often == 1)
    return 2 * SHARE.denominator * held >= 2 * SHARE.numerator * (number + 1) + SHARE.denominator * alone


def step_span(history: History, step: str) -> Span:
    """What one step cost."""
    costs = [run.steps[step].usd_micros if step in run.steps else 0 for run in history.runs]
    return around(Fraction(sum(costs), len(costs)), costs)


def step_calls(history: History, step: str) -> Span:
    """How often one step called."""
    calls = [run.steps[step].calls if step in run.steps else 0 for run in history.runs]
    return around(Fraction(sum(calls), len(calls)), calls)


def duration(history: History) -> Span:
    """How long a run is at work, in milliseconds."""
    times = [run.running_ms for run in history.runs]
    return around(Fraction(sum(times), len(times)), times)


def _base(history: History, items: Mapping[str, int], review: int) -> Fraction:
    """What a run costs beside the steps whose lists are known."""
    rest = [
        spent_on(run, review=review) - sum(run.steps[step].usd_micros for step in items if step in run.steps)
        for run in history.runs
    ]
    return Fraction(sum(rest), len(rest))


def _per_item(history: History, items: Mapping[str, int]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for step in items:
        seen = [run.steps[step] for run in history.runs if step in run.steps and run.steps[step].items]
        number = sum(each.items or 0 for each in seen)
        found[step] = Fraction(sum(each.usd_micros for each in seen), number) if number else Fraction(0)
    return found


def _items_of(run: Run, step: str, history: History) -> Fraction:
    """The length of a run's list; where it ended before, the mean of the others."""
    own = run.steps.get(step)
    if own is not None and own.items is not None:
        return Fraction(own.items)
    known = [other.steps[step].items or 0 for other in history.runs if step in other.steps]
    return Fraction(sum(known), len(known)) if known else Fraction(0)
