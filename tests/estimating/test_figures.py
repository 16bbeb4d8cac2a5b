"""The figures of a calculation: read exactly, refused where they cannot be meant."""

from fractions import Fraction
from typing import Any

import pytest

from process_orchestrator.checking.estimating.figures import NAMES, Figures, read_figures
from process_orchestrator.core.errors import RefusedError


def test_figures_are_read_by_the_decimal_that_is_written() -> None:
    found = read_figures(
        {
            "calls": "3",
            "context_tokens": 2000,
            "output_tokens": 500.0,
            "rate_usd_per_mtok": 0.1,
            "manual_review_share": "0.06",
            "review_usd": "1.50",
            "cases": 500,
        }
    )
    assert found == Figures(
        calls=3,
        context_tokens=2000,
        output_tokens=500,
        rate=Fraction(1, 10),
        manual_review_share=Fraction(6, 100),
        review_usd_micros=1_500_000,
        cases=500,
    )


def test_what_is_not_given_is_no_figure() -> None:
    assert read_figures(dict.fromkeys(NAMES)) == Figures()
    assert not Figures().anything
    assert read_figures({"manual_review_share": 0}).anything


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "value",
    [
        -1,
        "-0.5",
        "many",
        "",
        True,
        [],
        {},
        float("nan"),
        float("inf"),
        "1e999999",
        "9" * 50,
        10**400,
        "1,5",
        1e300,
    ],
    ids=repr,
)
def test_no_figure_is_taken_that_cannot_be_meant(name: str, value: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        read_figures({name: value})
    assert refused.value.code == "BAD_ARGUMENT"
    assert refused.value.pointer == f"/{name}"
    assert name in refused.value.message
    assert refused.value.do.startswith("give ")
    assert len(refused.value.message) < 120


@pytest.mark.parametrize(
    ("name", "value", "do"),
    [
        ("manual_review_share", 6, "give a share from 0 to 1: 6 of 100 cases are 0.06."),
        ("manual_review_share", "6 %", "give a share from 0 to 1: 6 of 100 cases are 0.06."),
        ("calls", 1.5, "give a whole number from 0 to 1000000."),
        ("cases", 0, "give a whole number from 1 to 1000000000."),
        ("review_usd", "0.0000001", "give US dollars from 0 to 1000000 with at most six decimals, such as 1.50."),
        (
            "rate_usd_per_mtok",
            "0.1234567890123",
            "give US dollars per million tokens, from 0 to 1000000, such as 0.60.",
        ),
    ],
)
def test_a_refusal_says_what_to_write(name: str, value: Any, do: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_figures({name: value})
    assert refused.value.do == do
