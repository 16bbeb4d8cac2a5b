"""The calculator: figures, the shape of a plan, history and prices in; low, likely, high, and what is assumed, out.

    cases * (sum of calls * (context_tokens + output_tokens) * rate_usd_per_mtok / 1e6
             + sum of contract prices + manual_review_share * review_usd)

Low has no retries and no optional steps, high every retry and every optional step. A figure that is not given comes
from history where there is enough of it, else from contracts and prices of models, else it is said to be assumed or
unknown; what has no price makes the sum a lower bound, never smaller. Exact until the last line, which rounds to whole
micro-dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from process_orchestrator.checking.estimating.figures import Figures
from process_orchestrator.checking.estimating.history import (
    NOTHING,
    RUNS_LEAST,
    History,
    Span,
    duration,
    predicted,
    step_calls,
    step_span,
)
from process_orchestrator.checking.estimating.shape import StepShape, flat

NAMED_MAX: Final = 5
PER_MTOK: Final = 1_000_000
NO_FIGURES: Final = Figures()
NONE_YET: Final = History()

Price = tuple[int, int]
"""What a model costs, in micro-dollars per million tokens in and out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShape:
    """A stage that asks a model: how often, and how many tokens in and out a question takes, likely and at most."""

    stage: str
    tier: str
    low: int
    likely: Fraction
    high: int
    tokens: tuple[int, int]
    tokens_high: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be calculated. `most_usd_micros`: the plan is yet to be made, and may cost what its budget allows."""

    figures: Figures = NO_FIGURES
    steps: tuple[StepShape, ...] = ()
    stages: tuple[StageShape, ...] = ()
    most_usd_micros: int | None = None
    history: History = NONE_YET
    prices: Mapping[str, Price | None] = field(default_factory=dict[str, "Price | None"])
    single: str | None = None  # the step that would do alone
    this_plan: bool = False  # the price of these very steps is asked for, not what runs of any plan took


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One step or stage: how often it calls, what that costs, in micro-dollars."""

    name: str
    what: str
    agent: str | None
    calls: Span
    usd_micros: Span
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a case costs, in micro-dollars and exact; `person_share` of the cases needs a person.

    `lower_bound`: some price is unknown, the sums are without it. `runs` is how many earlier ones were looked at.
    """

    parts: tuple[Part, ...] = ()
    case: Span = NOTHING
    cases: int = 1
    single_call: Fraction | None = None
    person_share: Fraction | None = None
    lower_bound: bool = False
    runs: int = 0
    looked_up: bool = False  # the sums are those of earlier runs
    duration_ms: Span | None = None
    assumptions: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()

    @property
    def total(self) -> Span:
        """What all cases cost."""
        return self.case.times(self.cases)


class _Said:
    """What is assumed and what is unknown, each once, in the order in which it was found."""

    def __init__(self) -> None:
        self.assumed: dict[str, None] = {}
        self.unknown: dict[str, None] = {}

    def assume(self, *texts: str) -> None:
        self.assumed.update(dict.fromkeys(texts))

    def miss(self, *texts: str) -> None:
        self.unknown.update(dict.fromkeys(texts))


def estimate(question: Question) -> Estimate:
    """The whole answer. Total: whatever was asked, something is said, and what is missing is named."""
    said, figures = _Said(), question.figures
    looked_up = question.history.enough and not (figures.of_models or question.this_plan)
    parts = [_part(each, question, said, looked_up=looked_up) for each in question.steps]
    parts += [_stage(each, question, said) for each in question.stages]
    share = _share(question, said)
    if looked_up:
        case = _by_history(question, said)
    else:
        _say_too_few(question, said)
        case = _sum(parts) + _models(question, said) + _reviews(share, figures)
        if question.most_usd_micros is not None:
            case = Span(case.low, case.likely, max(case.likely, Fraction(question.most_usd_micros)))
    return Estimate(
        parts=tuple(parts),
        case=case,
        cases=figures.cases,
        single_call=_single(question),
        person_share=None if share is None else share.likely,
        lower_bound=bool(said.unknown),
        runs=len(question.history.runs),
        looked_up=looked_up,
        duration_ms=duration(question.history) if question.history.enough else None,
        assumptions=tuple(said.assumed),
        unknowns=tuple(said.unknown),
    )


# --- history -----------------------------------------------------------------------------------------------------


def _by_history(question: Question, said: _Said) -> Span:
    """What earlier runs took, set right for the lists whose length the input tells."""
    history, figures = question.history, question.figures
    items = {each.id: each.items.likely for each in question.steps if each.by_input and each.items_known}
    review = figures.review_usd_micros or 0
    given = figures.manual_review_share
    found = predicted(history, items=items, review=0 if given is not None else review)
    said.assume(f"cost, calls and time are those of the last {len(history.runs)} runs; nine of ten fall between")
    if history.other_versions:
        said.assume(f"among them runs of version {_named(history.other_versions)}: this one has too few of its own")
    if history.unknown_runs:
        said.miss(f"in {history.unknown_runs} of {len(history.runs)} runs a call named no price")
    return found if given is None else found + _all(given * review)


def _say_too_few(question: Question, said: _Said) -> None:
    if question.history.runs and not question.history.enough:
        number = len(question.history.runs)
        said.assume(f"{number} runs so far: from {RUNS_LEAST} on history is used instead of contracts")


# --- steps and stages --------------------------------------------------------------------------------------------


def _part(each: StepShape, question: Question, said: _Said, *, looked_up: bool) -> Part:
    """One step: as it was, where runs had it, else by its contract."""
    history = question.history
    if looked_up and any(each.id in run.steps for run in history.runs):
        return Part(
            name=each.id,
            what=each.what,
            agent=each.agent,
            calls=step_calls(history, each.id),
            usd_micros=step_span(history, each.id),
        )
    said.assume(*each.assumed)
    if each.conditional and each.items.high and not each.person:
        said.assume(f"step {each.id} runs, which its condition decides")
    missed = _Said()
    cost, calls = _cost(each, question, missed), _calls(each)
    said.assume(*missed.assumed)
    said.miss(*missed.unknown)
    return Part(name=each.id, what=each.what, agent=each.agent, calls=calls, usd_micros=cost, known=not missed.unknown)


def _calls(each: StepShape) -> Span:
    """How often a step calls somebody. A wait calls nobody, a person is asked once an item."""
    if each.below is not None:
        below = NOTHING
        for inner in each.below:
            below += _calls(inner)
        return _by(below, _times(each))
    return _times(each) if each.calls_agent else NOTHING


def _times(each: StepShape) -> Span:
    low = 0 if each.conditional else each.items.low
    return Span(Fraction(low), Fraction(each.items.likely), Fraction(each.items.high * each.rounds * each.tries))


def _by(one: Span, number: Span) -> Span:
    return Span(one.low * number.low, one.likely * number.likely, one.high * number.high)


def _cost(each: StepShape, question: Question, said: _Said) -> Span:
    if each.below is not None:
        below = NOTHING
        for inner in each.below:
            below += _cost(inner, question, said)
        return _by(below, _times(each))
    price = _price(each, question, said)
    return NOTHING if price is None else _times(each).times(price)


def _price(each: StepShape, question: Question, said: _Said) -> Fraction | None:
    """What one call of a step costs; None where nobody says."""
    if not each.calls_agent:
        return Fraction(each.price or 0)
    if each.tier is not None and (question.figures.of_models or each.price is None):
        if question.figures.calls is not None:
            return Fraction(0)  # among the calls that were given
        return _tokens_cost(each.tokens, each.tier, question, said, of=each.what)
    if each.price is None:
        said.miss(f"what a call of {each.what} costs: its contract names no price")
        return None
    return Fraction(each.price)


def _stage(each: StageShape, question: Question, said: _Said) -> Part:
    """A stage of our own that asks a model."""
    calls = Span(Fraction(each.low), each.likely, Fraction(each.high))
    part = Part(name=each.stage, what=f"model {each.tier}", agent=None, calls=calls, usd_micros=NOTHING)
    if question.figures.calls is not None:
        return part
    of = f"stage {each.stage}"
    likely = _tokens_cost(each.tokens, each.tier, question, said, of=of)
    high = _tokens_cost(each.tokens_high, each.tier, question, _Said(), of=of)
    if likely is None or high is None:
        return replace(part, known=False)
    return replace(part, usd_micros=Span(calls.low * likely, calls.likely * likely, calls.high * high))


def _tokens_cost(
    tokens: tuple[int, int] | None, tier: str, question: Question, said: _Said, *, of: str
) -> Fraction | None:
    """What one call of a model costs: by the figures that were given, else by its contract and its tier's price."""
    figures = question.figures
    taken = tokens or (None, None)
    context = figures.context_tokens if figures.context_tokens is not None else taken[0]
    output = figures.output_tokens if figures.output_tokens is not None else taken[1]
    if context is None or output is None:
        said.miss(f"how many tokens a call of {of} takes (cost.model_tokens, or context_tokens and output_tokens)")
        return None
    if figures.rate is not None:
        return (context + output) * figures.rate
    price = question.prices.get(tier)
    if price is None:
        said.miss(f"what model {tier} costs, which {of} asks (price in the settings, or rate_usd_per_mtok)")
        return None
    said.assume(f"a call of {of} takes {context} tokens in and {output} out")
    return Fraction(context * price[0] + output * price[1], PER_MTOK)


def _models(question: Question, said: _Said) -> Span:
    """Calls * (context_tokens + output_tokens) * rate, where the number of calls was given."""
    figures = question.figures
    asked = any(each.tier is not None for each in flat(question.steps)) or bool(question.stages)
    if figures.calls is None:
        if figures.of_models and not asked:
            missing = "how many calls of a model there are (calls)"
            said.miss(missing) if not question.steps else said.assume("no model is asked: figures of models count 0")
        return NOTHING
    if asked:
        said.assume(f"the {figures.calls} calls that were given are all that models are asked")
    one = _one_call(figures, said)
    return NOTHING if one is None or not figures.calls else _all(figures.calls * one)


def _one_call(figures: Figures, said: _Said) -> Fraction | None:
    """What one call of a model costs by the figures alone."""
    if figures.calls == 0:
        return Fraction(0)
    if figures.rate is None:
        said.miss("what a token costs (rate_usd_per_mtok)")
    if figures.context_tokens is None and figures.output_tokens is None:
        said.miss("how many tokens a call takes (context_tokens, output_tokens)")
        return None
    for name, given in (("context_tokens", figures.context_tokens), ("output_tokens", figures.output_tokens)):
        if given is None:
            said.miss(f"{name} of a call")
    tokens = (figures.context_tokens or 0) + (figures.output_tokens or 0)
    return None if figures.rate is None else tokens * figures.rate


# --- persons -----------------------------------------------------------------------------------------------------


def _share(question: Question, said: _Said) -> Span | None:
    """The share of cases that need a person; None where nobody says."""
    figures, history = question.figures, question.history
    if figures.review_usd_micros is None and figures.manual_review_share is not None:
        said.miss("what a review by a person costs (review_usd)")
    if figures.manual_review_share is not None:
        return _all(figures.manual_review_share)
    found = history.person_share
    if found is not None:
        if figures.review_usd_micros is None and found:
            said.assume("the time of people is not counted: review_usd is not given")
        return _all(found)
    if not question.steps:
        if figures.review_usd_micros:
            said.miss("which share of the cases a person reviews (manual_review_share)")
        return None
    asking = [each for each in flat(question.steps) if each.items.high and (each.person or each.gate is not False)]
    if not asking:
        said.assume("nobody is asked: a person is only needed where something fails")
        return NOTHING
    if figures.review_usd_micros is None:
        said.assume("the time of people is not counted: review_usd is not given")
    if any(not each.conditional and (each.person or each.gate is True) and each.items.low for each in asking):
        return _all(Fraction(1))
    names = _named([each.id for each in asking])
    if figures.review_usd_micros:
        said.assume(f"low counts no person at {names}, high one in every case")
        said.miss(f"which share of the cases needs a person at {names} (manual_review_share)")
    else:
        said.assume(f"some cases need a person at {names}; how many is not known")
    return None


def _reviews(share: Span | None, figures: Figures) -> Span:
    review = figures.review_usd_micros or 0
    return Span(Fraction(0), Fraction(0), Fraction(review)) if share is None else share.times(review)


# --- parts -------------------------------------------------------------------------------------------------------


def _single(question: Question) -> Fraction | None:
    """What one direct call instead of all this costs; None where no single call would do, or its price is unknown."""
    figures = question.figures
    only = next((each for each in question.steps if each.id == question.single), None)
    if only is not None and not figures.of_models:
        return _price(only, question, _Said())
    if figures.rate is None or figures.context_tokens is None or figures.output_tokens is None:
        return None
    return (figures.context_tokens + figures.output_tokens) * figures.rate


def _all(value: Fraction) -> Span:
    return Span(value, value, value)


def _sum(parts: Iterable[Part]) -> Span:
    total = NOTHING
    for each in parts:
        total += each.usd_micros
    return total


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def whole(micros: Fraction) -> int:
    """Whole micro-dollars, a half upwards."""
    return int((micros + Fraction(1, 2)) // 1)
