"""Money as text and back."""

from __future__ import annotations

import pytest

from process_orchestrator.core.facts.values import Money
from process_orchestrator.core.money import usd, usd_micros


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0.00"),
        (4200, "0.0042"),
        (2_000_000, "2.00"),
        (1, "0.000001"),
        (-1_500_000, "-1.50"),
        (123_456_789, "123.456789"),
    ],
)
def test_micro_dollars_read_as_plain_dollars(micros: int, text: str) -> None:
    assert usd(micros) == text
    assert usd_micros(text) == micros


@pytest.mark.parametrize(("amount", "micros"), [(2, 2_000_000), (0.1, 100_000), (" 1.50 ", 1_500_000), ("1e-6", 1)])
def test_numbers_and_decimal_strings_are_read(amount: object, micros: int) -> None:
    assert usd_micros(amount) == micros


@pytest.mark.parametrize("amount", [True, None, [], "", "ten", "0.0000001", "NaN", "inf", float("nan"), float("inf")])
def test_what_is_no_finite_amount_of_whole_micro_dollars_is_none(amount: object) -> None:
    assert usd_micros(amount) is None


def test_what_is_short_is_what_a_call_needs_beyond_what_is_spent_and_held_back() -> None:
    money = Money(needed_usd_micros=5, spent_usd_micros=7, reserved_usd_micros=2, cap_usd_micros=10)
    assert money.short_usd_micros == 4
