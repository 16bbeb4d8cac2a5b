"""Reads an invoice that is plain text, as printed or mailed: labels with values, and a table of lines.

Knows English and German labels, dates as 2026-11-03, 03.11.2026 or 3 November 2026, and numbers with either decimal
mark. It guesses nothing: what it cannot find is reported missing, and a person decides.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Final

import fields

ROW_CHARS_MAX: Final = 250  # keeps every pattern below cheap
ROWS_MAX: Final = 5_000

NUMBER: Final = r"-?\d(?:[.,' ]?\d){0,17}"
MONEY: Final = re.compile(rf"(?:[€$£]|[A-Z]{{3}})?\s?({NUMBER})(?:\s?(?:[€$£]|[A-Z]{{3}}))?")
QUANTITY: Final = re.compile(rf"({NUMBER})\s?(?:x|pcs|h|hrs|Stk\.?)?")
POSITION: Final = re.compile(r"\d{1,3}[.)]?")
LABELS: Final = {
    "number": r"(?:invoice|rechnung)(?:\s*(?:no\.?|number|nr\.?|nummer|#)|s-?(?:nr\.?|nummer))",
    "issued": r"(?:invoice |issue |rechnungs)?(?:date|datum)",
    "due": r"(?:payment )?due(?: date)?|payable by|fällig(?: am)?|zahlbar bis",
    "currency": r"currency|währung",
    "tax_id": r"vat(?: |-)?(?:id|no\.?|number|reg\.? no\.?)|tax(?: |-)?(?:id|no\.?|number)|ust-?id(?:-?nr\.?)?",
    "iban": r"iban",
    "vendor": r"vendor|supplier|from|lieferant",
    "net": r"net(?: amount| total)?|sub-?total|total excl\.? (?:vat|tax)|netto(?:betrag)?|zwischensumme",
    "tax": r"(?:vat|tax|mwst\.?|ust\.?)(?: amount)?(?:\s*\(?\d{1,2}(?:[.,]\d)?\s?%\)?)?",
    "total": r"(?:grand |invoice )?total(?: incl\.? (?:vat|tax))?|amount due|gesamt(?:betrag)?|summe",
}
LABELLED: Final = {
    name: re.compile(rf"(?:{label})\s*(?::|\s{{2,}}|(?<=[.#])\s)\s*(?P<value>\S.*)", re.IGNORECASE)
    for name, label in LABELS.items()
}
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read(document: str) -> fields.Invoice:
    """Read the labelled fields and the table.

    Raises UnreadableError when nothing says that this is an invoice, IncompleteError when a field is missing.
    """
    rows = [row.replace("\t", "    ")[:ROW_CHARS_MAX].strip() for row in document.splitlines()[:ROWS_MAX]]
    found = _labelled(rows)
    if "number" not in found or "total" not in found:
        raise fields.UnreadableError("the text has no invoice number and no total, so it is no invoice")
    invoice: fields.Invoice = {
        "invoice_number": fields.clean(found["number"], limit=64),
        "issue_date": _date(found.get("issued", ""), "the issue date"),
        "currency": fields.currency_code(found.get("currency", "") or _currency_of(found["total"])),
        "vendor": fields.vendor(
            name=found.get("vendor", "") or _letterhead(rows),
            tax_id=found.get("tax_id", ""),
            iban=found.get("iban", ""),
        ),
        "lines": fields.lines_within_limit(_lines(rows)),
        "net": float(_money(found.get("net", ""), "the net total")),
        "tax": float(_money(found.get("tax", ""), "the tax")),
        "total": float(_money(found["total"], "the total")),
    }
    if "due" in found:
        invoice["due_date"] = _date(found["due"], "the due date")
    return invoice


def _labelled(rows: list[str]) -> dict[str, str]:
    """Collect the first value of each label; a row of the table is never one."""
    found: dict[str, str] = {}
    for row in rows:
        if _line(row):
            continue
        for name, pattern in LABELLED.items():
            match = pattern.fullmatch(row)
            if match and name not in found:
                found[name] = fields.clean(match["value"], limit=fields.NAME_CHARS_MAX)
                break
    return found


def _lines(rows: list[str]) -> list[fields.Line]:
    return [line for line in map(_line, rows) if line]


def _line(row: str) -> fields.Line | None:
    """Read a row of the table: cells apart by two spaces or more, the last three quantity, unit price, amount."""
    cells = re.split(r"\s{2,}", row)
    if len(cells) > 4 and POSITION.fullmatch(cells[0]):
        del cells[0]
    if len(cells) < 4:
        return None
    *words, quantity, unit_price, line_amount = cells
    counted = QUANTITY.fullmatch(quantity)
    if not (counted and MONEY.fullmatch(unit_price) and MONEY.fullmatch(line_amount)):
        return None
    return fields.line(
        description=fields.clean(" ".join(words), limit=fields.DESCRIPTION_CHARS_MAX),
        quantity=_number(counted[1], "a quantity"),
        unit_price=_money(unit_price, "a unit price"),
        line_amount=_money(line_amount, "a line amount"),
    )


def _letterhead(rows: list[str]) -> str:
    """Take the first row with words in it: that is where vendors print their name."""
    first = next((row for row in rows if any(c.isalpha() for c in row)), "")
    return fields.clean(first, limit=fields.NAME_CHARS_MAX)


def _money(text: str, field: str) -> Decimal:
    match = MONEY.fullmatch(text.strip())
    if not match:
        raise fields.IncompleteError(f"{field} is missing or no amount")
    return _number(match[1], field)


def _number(text: str, field: str) -> Decimal:
    """Read a number with either decimal mark.

    Two different marks: the last one is decimal. One mark, once, with other than three digits after it: decimal.
    Everything else groups thousands. A wrong guess cannot pass: the totals would not add up.
    """
    digits = re.sub(r"[ ']", "", text)
    marks = [c for c in digits if c in ".,"]
    decimal_mark = ""
    if len(set(marks)) == 2 or (len(marks) == 1 and len(digits) - digits.index(marks[0]) != 4):
        decimal_mark = marks[-1]
    for mark in ".,":
        digits = digits.replace(mark, "." if mark == decimal_mark else "")
    return fields.amount(digits, field)


def _currency_of(total: str) -> str:
    """Currency as it stands beside the total."""
    signs = {"€": "EUR", "$": "USD", "£": "GBP"}
    code = re.search(r"\b[A-Z]{3}\b", total)
    return code[0] if code else next((signs[c] for c in total if c in signs), "")


def _date(text: str, field: str) -> str:
    """ISO, 03.11.2026, or 3 November 2026. Slashes are not read: they mean day first here and month first there."""
    dotted = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text)
    worded = re.fullmatch(r"(\d{1,2})\.? ([A-Za-z]{3})[a-z]*\.? (\d{4})", text)
    try:
        if dotted:
            return date(int(dotted[3]), int(dotted[2]), int(dotted[1])).isoformat()
        if worded and worded[2].lower() in MONTHS:
            return date(int(worded[3]), MONTHS.index(worded[2].lower()) + 1, int(worded[1])).isoformat()
    except ValueError:
        raise fields.IncompleteError(f"{field} is no date of the calendar") from None
    return fields.iso_date(text, field)
