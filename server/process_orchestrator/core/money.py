"""Money as text and back. Inside, money is always a whole number of micro-dollars; a float never carries it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

MICROS_PER_USD: Final = 1_000_000


def usd(micros: int) -> str:
    """Plain decimal dollars with two to six places: 4200 reads "0.0042", 2000000 reads "2.00"."""
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    whole, fraction = divmod(rest, MICROS_PER_USD)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def usd_micros(amount: object) -> int | None:
    """Micro-dollars of a number or a decimal string; None where it is no finite amount of whole micro-dollars."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        return None
    try:
        value = Decimal(str(amount).strip()) * MICROS_PER_USD
        return int(value) if value == value.to_integral_value() else None
    except (InvalidOperation, ValueError, OverflowError):
        return None
