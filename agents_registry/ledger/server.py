"""Ledger: an agent that books invoices. An MCP server on stdio over its own SQLite file.

Keeps the contracts `ledger.post` and `ledger.void`. What makes it safe to call again:

- `post_invoice` takes a request key. The same key with the same invoice gives the first answer again, also when many
  calls arrive at once; the same key with another invoice is refused as a conflict. The database's unique constraint
  decides, not this program.
- `void_invoice` changes a posting once; voiding it again gives the first answer.

A posting is never deleted. A tool error that begins with a code of the contract (`conflict:`, `not_found:`, `busy:`)
means that nothing was done.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Strict
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

BUSY_WAIT_S: Final = 2.0
KEY_CHARS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 300
INVOICE_NUMBER_CHARS_MAX: Final = 64
VENDOR_ID: Final = r"V-[0-9]{4,8}"
CURRENCY: Final = r"[A-Z]{3}"
Amount = Annotated[float, Strict()]
"""A number and nothing that could be read as one: `true` is no amount."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS posting (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    request_sha256 TEXT NOT NULL,
    invoice_number TEXT NOT NULL,
    vendor_id TEXT NOT NULL,
    issue_date TEXT NOT NULL,
    due_date TEXT,
    currency TEXT NOT NULL,
    net TEXT NOT NULL,      -- amounts are decimal digits: SQLite has no exact type for money
    tax TEXT NOT NULL,
    total TEXT NOT NULL,
    booked_at TEXT NOT NULL,
    voided_at TEXT,
    void_reason TEXT
) STRICT
"""
INSERT: Final = """
INSERT INTO posting (request_id, request_sha256, invoice_number, vendor_id, issue_date, due_date, currency, net, tax,
                     total, booked_at)
VALUES (:request_id, :sha256, :invoice_number, :vendor_id, :issue_date, :due_date, :currency, :net, :tax, :total, :now)
ON CONFLICT (request_id) DO NOTHING
"""
BY_KEY: Final = """
SELECT id, request_sha256, invoice_number, total, currency, booked_at FROM posting WHERE request_id = ?
"""
VOID: Final = "UPDATE posting SET voided_at = ?, void_reason = ? WHERE id = ? AND voided_at IS NULL"


class Posting(TypedDict):
    """One booked invoice."""

    id: str
    invoice_number: str
    total: float
    currency: str
    booked_at: str


class Voided(TypedDict):
    """One voided posting."""

    id: str
    voided_at: str


ledger = MCPServer("ledger", version="1.0.0", log_level="WARNING")


@ledger.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True))
def post_invoice(  # noqa: PLR0913 - one argument per field of the contract
    *,
    request_id: str,
    invoice_number: str,
    vendor_id: str,
    issue_date: str,
    currency: str,
    net: Amount,
    tax: Amount,
    total: Amount,
    due_date: str | None = None,
) -> Posting:
    """Book one invoice under a request key; the same key never books twice."""
    _text(request_id, "request_id", KEY_CHARS_MAX)
    amounts = {"net": _money(net, "net"), "tax": _money(tax, "tax"), "total": _money(total, "total")}
    if amounts["net"] + amounts["tax"] != amounts["total"]:
        raise ToolError("unbalanced: net and tax do not make the total")
    invoice = {
        "invoice_number": _text(invoice_number, "invoice_number", INVOICE_NUMBER_CHARS_MAX),
        "vendor_id": _code(vendor_id, "vendor_id", VENDOR_ID),
        "issue_date": _date(issue_date, "issue_date"),
        "due_date": None if due_date is None else _date(due_date, "due_date"),
        "currency": _code(currency, "currency", CURRENCY),
        **{field: str(value) for field, value in amounts.items()},
    }
    sha256 = hashlib.sha256(json.dumps(invoice, sort_keys=True).encode()).hexdigest()
    with _transaction() as books:
        books.execute(INSERT, invoice | {"request_id": request_id, "sha256": sha256, "now": _now()})
        number, booked_sha256, *booked = books.execute(BY_KEY, (request_id,)).fetchone()
    if booked_sha256 != sha256:
        raise ToolError(f"conflict: this key has booked another invoice as {_id(number)}; nothing was booked now")
    booked_number, booked_total, booked_currency, booked_at = booked
    return {
        "id": _id(number),
        "invoice_number": booked_number,
        "total": float(booked_total),
        "currency": booked_currency,
        "booked_at": booked_at,
    }


@ledger.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True))
def void_invoice(id: str, reason: str = "") -> Voided:  # noqa: A002 - the contract's field
    """Void one posting; voiding it again changes nothing."""
    if len(reason) > TEXT_CHARS_MAX:
        raise ToolError(f"invalid: reason must have at most {TEXT_CHARS_MAX} characters")
    match = re.fullmatch(r"L-([0-9]{6,12})", id)
    if not match:
        raise ToolError("not_found: a posting's id looks like L-000001")
    number = int(match[1])
    with _transaction() as books:
        books.execute(VOID, (_now(), reason, number))
        row = books.execute("SELECT voided_at FROM posting WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise ToolError(f"not_found: there is no posting {_id(number)}")
    return {"id": _id(number), "voided_at": row[0]}


@contextmanager
def _transaction() -> Generator[sqlite3.Connection]:
    """One write transaction, committed to disk on the way out. Opened anew for each call: threads share nothing."""
    path = Path(os.environ.get("LEDGER_DB", "ledger.db"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)) as books:
        try:
            books.execute("PRAGMA synchronous = FULL")  # an answer given is an answer kept, also after a power cut
            books.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            raise ToolError("busy: the books are locked by another writer; nothing was done") from problem
        books.execute(SCHEMA)
        yield books
        books.execute("COMMIT")  # without it, on an error, closing rolls back


def _text(value: str, field: str, limit: int = TEXT_CHARS_MAX) -> str:
    if not 0 < len(value) <= limit:
        raise ToolError(f"invalid: {field} must have 1 to {limit} characters")
    return value


def _code(value: str, field: str, pattern: str) -> str:
    if not re.fullmatch(pattern, _text(value, field)):
        raise ToolError(f"invalid: {field} must look like {pattern}")
    return value


def _date(value: str, field: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ToolError(f"invalid: {field} must be a date like 2026-11-03") from None


def _money(value: float, field: str) -> Decimal:
    """Amount in the digits that were written: 0.1 stays 0.1. Three decimals at most, as some currencies have."""
    if not math.isfinite(value) or round(value, 3) != value:
        raise ToolError(f"invalid: {field} must be an amount with at most three decimals")
    return Decimal(repr(value))


def _id(number: int) -> str:
    return f"L-{number:06d}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    ledger.run("stdio")
