"""The figures of a calculation as they were given: read exactly, refused where they cannot be meant.

Not what they are worth together: that is `calculator`. Amounts come as JSON numbers or decimal text; a float is read by
the decimal that it prints, so that 0.1 is a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final

from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.money import usd_micros

CALLS_MAX: Final = 1_000_000
TOKENS_MAX: Final = 100_000_000
CASES_MAX: Final = 1_000_000_000
USD_MAX: Final = 1_000_000
DIGITS_MAX: Final = 12
"""Decimals of a rate or share: more is a slip, and would make every sum long."""
CHARACTERS_MAX: Final = 40

NAMES: Final = (
    "calls",
    "context_tokens",
    "output_tokens",
    "rate_usd_per_mtok",
    "manual_review_share",
    "review_usd",
    "cases",
)
"""The figures by their names in tools and commands, in the order of the formula."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was given; None was not. `rate` is micro-dollars per token, which is US dollars per million of them."""

    calls: int | None = None
    context_tokens: int | None = None
    output_tokens: int | None = None
    rate: Fraction | None = None
    manual_review_share: Fraction | None = None
    review_usd_micros: int | None = None
    cases: int = 1

    @property
    def of_models(self) -> bool:
        """Whether any figure speaks of what models are asked."""
        return any(each is not None for each in (self.calls, self.context_tokens, self.output_tokens, self.rate))

    @property
    def anything(self) -> bool:
        """Whether there is anything to calculate with."""
        return self.of_models or self.manual_review_share is not None or self.review_usd_micros is not None


def read_figures(given: Mapping[str, Any]) -> Figures:
    """The figures among `given`; what is None counts as not given. Raises RefusedError BAD_ARGUMENT."""
    return Figures(
        calls=_whole(given, "calls", most=CALLS_MAX),
        context_tokens=_whole(given, "context_tokens", most=TOKENS_MAX),
        output_tokens=_whole(given, "output_tokens", most=TOKENS_MAX),
        rate=_rate(given),
        manual_review_share=_share(given),
        review_usd_micros=_amount(given, "review_usd"),
        cases=_whole(given, "cases", most=CASES_MAX, least=1) or 1,
    )


def _whole(given: Mapping[str, Any], name: str, *, most: int, least: int = 0) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    number = _decimal(value)
    if number is None or number != number.to_integral_value() or not least <= number <= most:
        raise _bad(name, value, f"give a whole number from {least} to {most}")
    return int(number)


def _rate(given: Mapping[str, Any]) -> Fraction | None:
    name, value = "rate_usd_per_mtok", given.get("rate_usd_per_mtok")
    if value is None:
        return None
    number = _decimal(value)
    if number is None or not 0 <= number <= USD_MAX or _too_fine(number):
        raise _bad(name, value, f"give US dollars per million tokens, from 0 to {USD_MAX}, such as 0.60")
    return Fraction(number)


def _share(given: Mapping[str, Any]) -> Fraction | None:
    name, value = "manual_review_share", given.get("manual_review_share")
    if value is None:
        return None
    number = _decimal(value)
    if number is None or not 0 <= number <= 1 or _too_fine(number):
        raise _bad(name, value, "give a share from 0 to 1: 6 of 100 cases are 0.06")
    return Fraction(number)


def _amount(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    micros = None if _decimal(value) is None else usd_micros(value)
    if micros is None or not 0 <= micros <= USD_MAX * 1_000_000:
        raise _bad(name, value, f"give US dollars from 0 to {USD_MAX} with at most six decimals, such as 1.50")
    return micros


def _too_fine(number: Decimal) -> bool:
    exponent = number.normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent > DIGITS_MAX


def _decimal(value: Any) -> Decimal | None:
    """A finite number, of a JSON number or its text; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, int) and abs(value) > CASES_MAX * USD_MAX:
        return None  # a number of a million digits would be printed to be read
    text = str(value).strip()
    if len(text) > CHARACTERS_MAX:
        return None
    try:
        number = Decimal(text)
    except (InvalidOperation, ValueError):
        return None
    # An exponent as in 1e999999 is a number of that many digits once it is added to another.
    return number if number.is_finite() and abs(number.adjusted()) <= CHARACTERS_MAX else None


def _bad(name: str, value: Any, do: str) -> RefusedError:
    shown = value if isinstance(value, int | float | str) and not isinstance(value, bool) else type(value).__name__
    said = str(shown)[:CHARACTERS_MAX] if not isinstance(shown, int) or abs(shown) < 10**CHARACTERS_MAX else "too large"
    return RefusedError("BAD_ARGUMENT", f"{name} is no such figure: {said}.", do=f"{do}.", pointer=f"/{name}")
