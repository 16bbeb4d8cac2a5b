"""How times, money and sizes read in every view: one form everywhere, sortable and exact. Not for other languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

MICROS_PER_USD: Final = 1_000_000
_ANSI_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)
_CONTROL: Final = re.compile(
    # C0, C1, bidirectional overrides and isolates, and marks that hide text from a reader
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)


def timestamp(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, from epoch milliseconds."""
    moment = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def usd(micros: int) -> str:
    """Plain decimal dollars with two to six places: 4200 reads "0.0042", 2000000 reads "2.00"."""
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    whole, fraction = divmod(rest, MICROS_PER_USD)
    digits = f"{fraction:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def micros(amount: object) -> int | None:
    """Micro-dollars of an amount given as a number or as a decimal string; None where it is no exact, finite amount."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        return None
    try:
        value = Decimal(str(amount).strip()) * MICROS_PER_USD
        return int(value) if value == value.to_integral_value() else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def one_line(text: str, *, limit: int = 300) -> str:
    """Foreign text as one harmless line: no terminal control, no hidden characters, at most `limit` characters."""
    line = " ".join(harmless(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def harmless(text: str) -> str:
    """Foreign text without terminal control and hidden characters; line breaks and tabs stay."""
    return _CONTROL.sub("", _ANSI_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
