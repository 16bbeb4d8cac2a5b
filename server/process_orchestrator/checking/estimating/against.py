"""Estimate against actual: what would have been said of each run before it began, beside what it took.

Nothing is kept for it. What was known at a moment are the runs that were over by then and the plan that was pinned, and
the journal holds both for good: the same estimate is made again whenever it is asked for, of runs before any version of
this calculator too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from process_orchestrator.checking.estimating.calculator import Question, estimate
from process_orchestrator.checking.estimating.history import History, Past, Run, Span, duration, predicted
from process_orchestrator.checking.estimating.shape import StepShape


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """One run beside its estimate, in micro-dollars. `held`: it cost what was said."""

    said: Span
    spent_usd_micros: int
    lower_bound: bool
    looked_up: bool
    runs: int

    @property
    def held(self) -> bool:
        """Inside the interval; where a price was unknown, only more can be wrong, and that nobody can say."""
        spent = self.spent_usd_micros
        return self.said.low <= spent and (spent <= self.said.high or self.lower_bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the runs of one version took, and how many of those with a history before them were inside."""

    version: str
    runs: int
    mean_usd_micros: Fraction
    mean_calls: Fraction
    mean_ms: Fraction
    person_share: Fraction
    failed_share: Fraction
    unknown_runs: int
    judged: int
    inside: int
    inside_time: int

    @property
    def inside_share(self) -> Fraction | None:
        """Of the runs that were judged; None where none was."""
        return Fraction(self.inside, self.judged) if self.judged else None

    @property
    def inside_time_share(self) -> Fraction | None:
        """The same of how long they were at work."""
        return Fraction(self.inside_time, self.judged) if self.judged else None


def against(question: Question, *, spent_usd_micros: int) -> Against:
    """One run beside the estimate that its question gives."""
    found = estimate(question)
    return Against(
        said=found.case,
        spent_usd_micros=spent_usd_micros,
        lower_bound=found.lower_bound,
        looked_up=found.looked_up,
        runs=found.runs,
    )


def known_items(run: Run, steps: Iterable[StepShape]) -> dict[str, int]:
    """The lengths of the lists that the input told, as far as the run came to open them."""
    found = {each.id: run.steps[each.id].items for each in steps if each.by_input and each.id in run.steps}
    return {step: number for step, number in found.items() if number is not None}


def record(
    runs: Sequence[Run], version: str, *, of: Sequence[Run], steps_of: Callable[[Run], tuple[StepShape, ...]]
) -> Record:
    """How the runs `of` one version stand to what those of `runs` that went before them said."""
    number, past = len(of), Past(runs)
    judged = inside = inside_time = 0
    for run in of:
        history = past.history(version, before=run.started_at)
        if not history.enough:
            continue
        judged += 1
        said = predicted(history, items=known_items(run, steps_of(run)))
        inside += said.low <= run.usd_micros <= said.high
        inside_time += _in_time(run, history)
    return Record(
        version=version,
        runs=number,
        mean_usd_micros=Fraction(sum(run.usd_micros for run in of), number),
        mean_calls=Fraction(sum(run.calls for run in of), number),
        mean_ms=Fraction(sum(run.running_ms for run in of), number),
        person_share=Fraction(sum(run.person for run in of), number),
        failed_share=Fraction(sum(run.status == "failed" for run in of), number),
        unknown_runs=sum(run.unknown_calls > 0 for run in of),
        judged=judged,
        inside=inside,
        inside_time=inside_time,
    )


def _in_time(run: Run, history: History) -> bool:
    took = duration(history)
    return took.low <= run.running_ms <= took.high
