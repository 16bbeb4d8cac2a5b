"""The calculator: the formula to the last micro-dollar, bounds by contracts, history in their place, gaps by name."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.estimating.calculator import Estimate, Question, StageShape, estimate, whole
from process_orchestrator.checking.estimating.figures import Figures, read_figures
from process_orchestrator.checking.estimating.history import History, Run, Span, StepRun
from process_orchestrator.checking.estimating.shape import Number, StepShape
from process_orchestrator.views.estimate_view import answer, estimate_view

READ = StepShape(id="read", what="invoice.extract", agent="desk", price=2000, calls_agent=True)
ASKS_MODEL = StepShape(id="draft", what="mail.draft", agent="writer", price=None, calls_agent=True, tier="mid")
STAGE = StageShape(
    stage="plan", tier="strong", low=1, likely=Fraction(1), high=3, tokens=(1500, 350), tokens_high=(24_000, 2000)
)


def figures(**given: Any) -> Figures:
    return read_figures(given)


def of(*steps: StepShape, **rest: Any) -> Estimate:
    return estimate(Question(steps=steps, **rest))


def usd(span: Span) -> tuple[int, int, int]:
    return whole(span.low), whole(span.likely), whole(span.high)


def run(number: int, usd_micros: int, **rest: Any) -> Run:
    plain: dict[str, Any] = {
        "process_id": f"p_{number}",
        "version": "1.0.0",
        "type_sha256": "t",
        "plan_sha256": "p",
        "principal": "local",
        "started_at": number * 10,
        "ended_at": number * 10 + 5,
        "status": "completed",
        "usd_micros": usd_micros,
        "tokens": 0,
        "calls": 1,
        "unknown_calls": 0,
        "running_ms": 100 + number,
        "person": False,
        "steps": {"read": StepRun(calls=1, usd_micros=usd_micros)},
    }
    return Run(**{**plain, **rest})


# --- the formula -------------------------------------------------------------------------------------------------


def test_the_formula_is_kept_to_the_micro_dollar() -> None:
    found = of(
        figures=figures(
            calls=3,
            context_tokens=2000,
            output_tokens=500,
            rate_usd_per_mtok="0.60",
            manual_review_share="0.06",
            review_usd=4,
            cases=500,
        )
    )
    # 500 * (3 * 2500 * 0.60 / 1e6 + 0.06 * 4) = 500 * (0.0045 + 0.24)
    assert usd(found.case) == (244_500, 244_500, 244_500)
    assert usd(found.total) == (122_250_000, 122_250_000, 122_250_000)
    assert found.single_call is not None
    assert whole(found.single_call) == 1500
    assert not found.lower_bound
    assert answer(found) == "About 0.24 USD a case; 500 cases 122 USD; 6 % need a person."


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.decimals(0, 1000, places=6),
    st.decimals(0, 1, places=4),
    st.decimals(0, 10**5, places=6),
    st.integers(1, 10**6),
)
def test_no_figure_is_rounded_before_the_end(
    calls: int, context: int, output: int, rate: Any, share: Any, review: Any, cases: int
) -> None:
    found = of(
        figures=figures(
            calls=calls,
            context_tokens=context,
            output_tokens=output,
            rate_usd_per_mtok=str(rate),
            manual_review_share=str(share),
            review_usd=str(review),
            cases=cases,
        )
    )
    exact = cases * (calls * (context + output) * Fraction(rate) / 10**6 + Fraction(share) * Fraction(review))
    assert found.total.likely == exact * 10**6


def test_many_cases_of_next_to_nothing_are_something() -> None:
    found = of(figures=figures(calls=1, context_tokens=1, output_tokens=0, rate_usd_per_mtok="0.01", cases=1_000_000))
    assert usd(found.case) == (0, 0, 0)
    assert usd(found.total) == (10_000, 10_000, 10_000)


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        ({"calls": 3}, ["what a token costs (rate_usd_per_mtok)", "how many tokens a call takes"]),
        ({"calls": 3, "rate_usd_per_mtok": 1}, ["how many tokens a call takes (context_tokens, output_tokens)"]),
        ({"calls": 3, "rate_usd_per_mtok": 1, "context_tokens": 5}, ["output_tokens of a call"]),
        ({"context_tokens": 5, "output_tokens": 5, "rate_usd_per_mtok": 1}, ["how many calls of a model there are"]),
        ({"manual_review_share": 1}, ["what a review by a person costs (review_usd)"]),
        ({"review_usd": 1}, ["which share of the cases a person reviews (manual_review_share)"]),
    ],
)
def test_a_figure_that_lacks_is_named_and_the_sum_a_lower_bound(given: dict[str, Any], unknown: list[str]) -> None:
    found = of(figures=figures(**given))
    assert [text for text in unknown if not any(each.startswith(text) for each in found.unknowns)] == []
    assert found.lower_bound
    assert answer(found).startswith("At least ")


# --- by contracts ------------------------------------------------------------------------------------------------


def test_low_has_no_retry_and_no_optional_step_and_high_has_them_all() -> None:
    found = of(
        replace(READ, tries=3),
        replace(READ, id="more", conditional=True, rounds=4, price=100),
        replace(READ, id="lines", items=Number(1, 10, 50), items_known=False, price=10, assumed=("10 items",)),
    )
    assert usd(found.case) == (2000 + 0 + 10, 2000 + 100 + 100, 6000 + 400 + 500)
    assert found.assumptions[:1] == ("step more runs, which its condition decides",)
    assert "10 items" in found.assumptions
    assert not found.unknowns


def test_an_unknown_price_makes_the_sum_a_lower_bound_and_never_nothing() -> None:
    found = of(READ, replace(READ, id="odd", what="odd.thing", price=None))
    assert usd(found.case) == (2000, 2000, 2000)
    assert found.unknowns == ("what a call of odd.thing costs: its contract names no price",)
    assert [part.known for part in found.parts] == [True, False]
    assert answer(found) == "At least 0.002 USD a case; 0 % need a person."


def test_a_model_costs_its_tokens_at_the_price_of_its_tier() -> None:
    step = replace(ASKS_MODEL, tokens=(1000, 200))
    found = of(step, prices={"mid": (1_000_000, 4_000_000)})
    assert usd(found.case) == (1800, 1800, 1800)
    assert found.assumptions[0] == "a call of mail.draft takes 1000 tokens in and 200 out"
    unknown = of(step, prices={"mid": None})
    assert unknown.lower_bound
    assert unknown.unknowns == (
        "what model mid costs, which mail.draft asks (price in the settings, or rate_usd_per_mtok)",
    )
    assert of(ASKS_MODEL).unknowns[0].startswith("how many tokens a call of mail.draft takes")


def test_figures_stand_instead_of_what_contracts_and_prices_say() -> None:
    step = replace(ASKS_MODEL, tokens=(1000, 200))
    found = of(READ, step, figures=figures(rate_usd_per_mtok=2), prices={"mid": (1, 1)})
    assert usd(found.case) == (4400, 4400, 4400)
    counted = of(
        READ, step, figures=figures(calls=5, context_tokens=90, output_tokens=10, rate_usd_per_mtok=1), stages=(STAGE,)
    )
    assert usd(counted.case) == (2500, 2500, 2500)
    assert "the 5 calls that were given are all that models are asked" in counted.assumptions


def test_the_models_of_our_own_stages_are_counted() -> None:
    found = of(READ, stages=(STAGE,), prices={"strong": (1_000_000, 2_000_000)}, most_usd_micros=500_000)
    plan = found.parts[-1]
    assert (plan.name, plan.what) == ("plan", "model strong")
    assert usd(plan.usd_micros) == (2200, 2200, 3 * 28_000)
    assert usd(found.case) == (4200, 4200, 500_000)  # what the budget allows: the plan is not made yet


def test_a_started_process_is_counted_with_its_own_steps() -> None:
    below = (READ, replace(READ, id="second", price=500, conditional=True))
    whole_step = StepShape(id="child", what="process x", items=Number(2, 2, 2), below=below)
    found = of(whole_step)
    assert usd(found.case) == (4000, 5000, 5000)
    assert found.parts[0].calls == Span(Fraction(2), Fraction(4), Fraction(4))


# --- persons -----------------------------------------------------------------------------------------------------


def test_a_person_who_is_always_asked_is_needed_in_every_case() -> None:
    asks = replace(READ, gate=True)
    found = of(asks, figures=figures(review_usd=3))
    assert usd(found.case) == (3_002_000, 3_002_000, 3_002_000)
    assert answer(found) == "About 3.00 USD a case; every case needs a person."


def test_a_person_who_may_be_asked_is_in_high_alone_and_the_share_unknown() -> None:
    found = of(replace(READ, gate=None), figures=figures(review_usd=3))
    assert usd(found.case) == (2000, 2000, 3_002_000)
    assert found.person_share is None
    assert found.unknowns == ("which share of the cases needs a person at read (manual_review_share)",)
    assert not of(replace(READ, gate=None)).unknowns


# --- history -----------------------------------------------------------------------------------------------------


def test_from_twenty_runs_on_history_says_what_it_costs() -> None:
    runs = tuple(run(number, 1000 + number, person=number % 4 == 0) for number in range(1, 21))
    few = of(replace(READ, tries=3), history=History(runs=runs[:19]))
    assert usd(few.case) == (2000, 2000, 6000)
    assert "19 runs so far: from 20 on history is used instead of contracts" in few.assumptions
    found = of(replace(READ, tries=3), history=History(runs=runs))
    assert usd(found.case) == (1001, 1011, 1020)
    assert found.looked_up
    assert found.person_share == Fraction(1, 4)
    assert found.duration_ms == Span(Fraction(101), Fraction(221, 2), Fraction(120))
    assert usd(found.parts[0].usd_micros) == (1001, 1011, 1020)
    reviewed = of(READ, history=History(runs=runs), figures=figures(review_usd=1, manual_review_share="0.5"))
    assert usd(reviewed.case) == (501_001, 501_011, 501_020)


def test_runs_of_unknown_price_make_a_lower_bound_of_history_too() -> None:
    runs = tuple(run(number, 1000, unknown_calls=number % 2) for number in range(20))
    found = of(READ, history=History(runs=runs))
    assert found.lower_bound
    assert found.unknowns == ("in 10 of 20 runs a call named no price",)


def test_a_list_that_the_input_tells_is_not_estimated_by_lists_of_others() -> None:
    step = replace(READ, id="lines", by_input=True, items=Number(500, 500, 500))
    runs = tuple(
        run(number, 70 + 10 * number, steps={"lines": StepRun(calls=number, usd_micros=10 * number, items=number)})
        for number in range(1, 31)
    )
    found = of(step, history=History(runs=runs))
    assert usd(found.case) == (5070, 5070, 5070)
    unknown = replace(step, items=Number(0, 10, 100), items_known=False)
    assert usd(of(unknown, history=History(runs=runs)).case) == (80, 225, 360)


def test_what_models_are_asked_is_not_looked_up_where_it_was_given() -> None:
    runs = tuple(run(number, 10**6) for number in range(30))
    found = of(
        READ,
        history=History(runs=runs),
        figures=figures(calls=1, context_tokens=1, output_tokens=1, rate_usd_per_mtok=1),
    )
    assert usd(found.case) == (2002, 2002, 2002)


# --- the answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0"),
        (1, "0.000001"),
        (4_200, "0.0042"),
        (4_249, "0.0042"),
        (13_000, "0.013"),
        (99_600, "0.10"),
        (400_000, "0.40"),
        (999_999, "1.00"),
        (2_104_000, "2.10"),
        (20_600_000, "21"),
        (1_240_400_000, "1,240"),
    ],
)
def test_the_answer_names_two_digits_that_count(micros: int, shown: str) -> None:
    found = of(replace(READ, price=micros))
    assert answer(found).startswith(f"About {shown} USD")


def test_an_estimate_renders_whole() -> None:
    view = estimate_view(of(READ, figures=figures(cases=3)), verdict=None)
    assert view.payload()["total_usd"] == {"low": "0.006", "likely": "0.006", "high": "0.006"}
    assert view.payload()["steps"][0]["calls"] == {"low": 1.0, "likely": 1.0, "high": 1.0}
