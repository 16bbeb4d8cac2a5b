"""What an invoice says, field by field, and how a document fails to say it.

Shapes and small readers shared by the XML and the plain-text side; nothing here knows a format. Amounts are read as
decimals and leave as floats: the only place where digits could be lost is the last.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final, NotRequired

from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

LINES_MAX: Final = 100
NAME_CHARS_MAX: Final = 200
DESCRIPTION_CHARS_MAX: Final = 300

DECIMAL: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,10})?")
TAX_ID: Final = re.compile(r"[A-Z0-9]{4,20}")
IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
CURRENCY: Final = re.compile(r"[A-Z]{3}")


class Vendor(TypedDict):
    """Who asks for the money."""

    name: str
    tax_id: str
    iban: NotRequired[str]


class Line(TypedDict):
    """One position. `amount` is net of tax, after the line's own discounts."""

    description: str
    quantity: float
    unit_price: float
    amount: float


class Invoice(TypedDict):
    """One invoice. `total` is net plus tax, before anything already paid. Dates are ISO 8601."""

    invoice_number: str
    issue_date: str
    due_date: NotRequired[str]
    currency: str
    vendor: Vendor
    lines: list[Line]
    net: float
    tax: float
    total: float


class DocumentError(Exception):
    """A document that gives no invoice. `code` is one that the contract declares; the message quotes no document."""

    code: str = "unreadable_document"


class UnreadableError(DocumentError):
    """No invoice in it, or not well-formed, or forbidden XML."""


class IncompleteError(DocumentError):
    """An invoice, but a field that must be there is missing or makes no sense."""

    code = "incomplete_document"


class UnsupportedError(DocumentError):
    """A business document, but no invoice."""

    code = "unsupported_document"


def clean(text: str | None, *, limit: int) -> str:
    """One line without control characters, at most `limit` characters; empty for nothing."""
    words = "".join(c if c.isprintable() else " " for c in text or "").split()
    return " ".join(words)[:limit].rstrip()


def required(value: str, field: str) -> str:
    """Return the value itself, or say which field is missing."""
    if not value:
        raise IncompleteError(f"the invoice has no {field}")
    return value


def amount(text: str | None, field: str) -> Decimal:
    """Read a decimal number as XML writes it."""
    written = (text or "").strip()
    if not DECIMAL.fullmatch(written):
        raise IncompleteError(f"{field} is missing or no number")
    return Decimal(written)


def iso_date(text: str, field: str) -> str:
    """Read a date of the calendar, as YYYY-MM-DD."""
    try:
        return date.fromisoformat(text.strip()[:10]).isoformat()
    except ValueError:
        raise IncompleteError(f"{field} is missing or no date") from None


def vendor(*, name: str, tax_id: str, iban: str) -> Vendor:
    """Make a vendor of what was found; an account that is no IBAN is left out."""
    identity = re.sub(r"[\s./-]", "", tax_id).upper()
    if not TAX_ID.fullmatch(identity):
        raise IncompleteError("the vendor's tax id is missing or not readable")
    found: Vendor = {"name": required(name, "vendor name"), "tax_id": identity}
    account = re.sub(r"\s", "", iban).upper()
    if IBAN.fullmatch(account):
        found["iban"] = account
    return found


def currency_code(text: str) -> str:
    """Read an ISO 4217 code."""
    code = text.strip().upper()
    if not CURRENCY.fullmatch(code):
        raise IncompleteError("the currency is missing or no three-letter code")
    return code


def line(*, description: str, quantity: Decimal, unit_price: Decimal, line_amount: Decimal) -> Line:
    """One line, its numbers as floats."""
    return {
        "description": required(description, "description on one of its lines"),
        "quantity": float(quantity),
        "unit_price": float(unit_price),
        "amount": float(line_amount),
    }


def lines_within_limit(lines: list[Line]) -> list[Line]:
    """At least one line, at most LINES_MAX."""
    if not lines:
        raise IncompleteError("the invoice has no lines")
    if len(lines) > LINES_MAX:
        raise UnsupportedError(f"the invoice has {len(lines)} lines, at most {LINES_MAX} are read")
    return lines
