"""Cash desk: an agent that pays money back. An MCP server on stdio over its own SQLite file.

Keeps the contract `refund.issue`. What makes it safe to call again, and safe at all:

- A refund is made under a request key. The same key with the same refund gives the first answer again, also when many
  calls arrive at once; with another refund it is refused as a conflict. The database's unique constraint decides.
- All refunds of an order together never exceed what was paid, whoever asks and under whatever keys.

A tool error that begins with a code of the contract means that nothing was paid. The database is made and seeded on
first use with invented payments.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, Strict, StringConstraints
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

BUSY_WAIT_S: Final = 2.0
CENTS: Final = 100
OrderId = Annotated[str, StringConstraints(pattern=r"^SO-[0-9]{4,8}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Amount = Annotated[float, Strict(), Field(gt=0, le=100_000, allow_inf_nan=False)]

SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS payment (
    order_id TEXT PRIMARY KEY,
    cents INTEGER NOT NULL,
    currency TEXT NOT NULL
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS refund (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    order_id TEXT NOT NULL REFERENCES payment,
    cents INTEGER NOT NULL,
    currency TEXT NOT NULL,
    issued_at TEXT NOT NULL
) STRICT
""",
)
SEED: Final = (
    ("SO-1041", 1200, "EUR"),
    ("SO-1042", 21450, "EUR"),
    ("SO-1043", 3200, "EUR"),
    ("SO-1044", 14900, "EUR"),
    ("SO-1045", 12900, "EUR"),
    ("SO-1046", 5850, "EUR"),
    ("SO-1047", 9900, "EUR"),
)
BY_KEY: Final = "SELECT id, order_id, cents, currency, issued_at FROM refund WHERE request_id = ?"
PAID: Final = "SELECT cents, currency FROM payment WHERE order_id = ?"
RETURNED: Final = "SELECT coalesce(sum(cents), 0) FROM refund WHERE order_id = ?"
INSERT: Final = "INSERT INTO refund (request_id, order_id, cents, currency, issued_at) VALUES (?, ?, ?, ?, ?)"


class Refund(TypedDict):
    """One payment back."""

    refund_id: str
    order_id: str
    amount: float
    currency: str
    issued_at: str


class IssuedRefund(TypedDict):
    """The refund that was made."""

    refund: Refund


desk = MCPServer("cash-desk", version="1.0.0", log_level="WARNING")


@desk.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True))
def issue_refund(request_id: RequestId, order_id: OrderId, amount: Amount, currency: Currency) -> IssuedRefund:
    """Pay back an order, whole or in part, under a request key; the same key never pays twice."""
    cents = round(amount * CENTS)
    if cents / CENTS != amount:
        raise ToolError("invalid: an amount has at most two decimals")
    with _transaction() as books:
        if books.execute(BY_KEY, (request_id,)).fetchone() is None:
            _allowed(books, order_id=order_id, cents=cents, currency=currency)
            books.execute(INSERT, (request_id, order_id, cents, currency, _now()))
        number, *made, issued_at = books.execute(BY_KEY, (request_id,)).fetchone()
    if made != [order_id, cents, currency]:
        raise ToolError("conflict: this key has made another refund; nothing was paid now")
    refund: Refund = {
        "refund_id": f"R-{number:06d}",
        "order_id": order_id,
        "amount": amount,
        "currency": currency,
        "issued_at": issued_at,
    }
    return {"refund": refund}


def _allowed(books: sqlite3.Connection, *, order_id: str, cents: int, currency: str) -> None:
    """Raise ToolError where the money is not owed."""
    paid = books.execute(PAID, (order_id,)).fetchone()
    if paid is None:
        raise ToolError(f"unknown_payment: nothing was paid for {order_id}")
    if paid[1] != currency:
        raise ToolError(f"wrong_currency: {order_id} was paid in {paid[1]}")
    (returned,) = books.execute(RETURNED, (order_id,)).fetchone()
    if returned + cents > paid[0]:
        left = (paid[0] - returned) / CENTS
        raise ToolError(f"exceeds_payment: {left:.2f} {currency} of {order_id} can still be refunded")


@contextmanager
def _transaction() -> Generator[sqlite3.Connection]:
    """One write transaction, committed to disk on the way out. Opened anew for each call: threads share nothing."""
    path = Path(os.environ.get("CASH_DB", "cash.db"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)) as books:
        try:
            books.execute("PRAGMA synchronous = FULL")  # an answer given is an answer kept, also after a power cut
            books.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            raise ToolError("busy: the books are locked by another writer; nothing was done") from problem
        for statement in SCHEMA:
            books.execute(statement)
        books.executemany("INSERT INTO payment VALUES (?, ?, ?) ON CONFLICT DO NOTHING", SEED)
        yield books
        books.execute("COMMIT")  # without it, on an error, closing rolls back


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    desk.run("stdio")
