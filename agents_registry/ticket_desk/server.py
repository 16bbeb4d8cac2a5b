"""Ticket desk: an agent that keeps support tickets. An MCP server on stdio over its own SQLite file.

Keeps the contracts `ticket.read` and `ticket.update`. A change is made under a request key: the same key with the same
change gives the first answer again, with another change it is refused as a conflict. Every change stays on record.
A tool error that begins with a code of the contract (`unknown_ticket:`, `conflict:`, `busy:`) means that nothing was
done.

The database is made and seeded on first use with invented tickets.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, NotRequired

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import StringConstraints
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

BUSY_WAIT_S: Final = 2.0
TicketId = Annotated[str, StringConstraints(pattern=r"^T-[0-9]{4,8}$")]
DraftId = Annotated[str, StringConstraints(pattern=r"^D-[0-9]{6,12}$")]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Status = Literal["answered", "handed_over", "closed"]

SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS ticket (
    ticket_id TEXT PRIMARY KEY,
    customer_email TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    order_id TEXT,
    status TEXT NOT NULL DEFAULT 'open'
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS change (
    request_id TEXT PRIMARY KEY,
    ticket_id TEXT NOT NULL REFERENCES ticket,
    status TEXT NOT NULL,
    draft_id TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT
""",
)
SEED: Final = (
    (
        "T-2001",
        "ana@example.com",
        "Where is my tent?",
        "Hello, I ordered the Ridge 2 tent on 9 November (order SO-1042) and it has not arrived. When will it come?",
        "SO-1042",
    ),
    (
        "T-2002",
        "ben@example.org",
        "Kettle leaks",
        "The kettle from order SO-1043 leaks at the spout. I want my money back.",
        "SO-1043",
    ),
    (
        "T-2003",
        "chiara@example.net",
        "Wet feet",
        "How do I waterproof my leather boots, and how often should I do it?",
        None,
    ),
    (
        "T-2004",
        "dirk@example.com",
        "I have moved",
        "My order SO-1045 is not shipped yet. Please send it to Lindenweg 7, 04109 Leipzig, Germany.",
        "SO-1045",
    ),
    (
        "T-2005",
        "emi@example.org",
        "Stove does not light",
        "The Ember stove does not light in the cold. What can I do?",
        "SO-1046",
    ),
    (
        "T-2006",
        "farid@example.net",
        "Backpack",
        "Where is my order SO-1074? I leave on Friday and need the backpack.",
        "SO-1074",
    ),
)
FIND: Final = "SELECT customer_email, subject, message, order_id, status FROM ticket WHERE ticket_id = ?"
BY_KEY: Final = "SELECT ticket_id, status, draft_id, changed_at FROM change WHERE request_id = ?"
RECORD: Final = "INSERT INTO change (request_id, ticket_id, status, draft_id, changed_at) VALUES (?, ?, ?, ?, ?)"
CHANGE: Final = "UPDATE ticket SET status = ? WHERE ticket_id = ?"


class Ticket(TypedDict):
    """One ticket as it stands."""

    ticket_id: str
    customer_email: str
    subject: str
    message: str
    order_id: NotRequired[str]
    status: str


class Changed(TypedDict):
    """One change of a ticket."""

    ticket_id: str
    ticket_status: str
    changed_at: str


desk = MCPServer("ticket-desk", version="1.0.0", log_level="WARNING")


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def read_ticket(ticket_id: TicketId) -> Ticket:
    """Read one ticket."""
    with _transaction() as tickets:
        row = tickets.execute(FIND, (ticket_id,)).fetchone()
    if row is None:
        raise ToolError(f"unknown_ticket: there is no ticket {ticket_id}")
    customer_email, subject, message, order_id, status = row
    ticket: Ticket = {
        "ticket_id": ticket_id,
        "customer_email": customer_email,
        "subject": subject,
        "message": message,
        "status": status,
    }
    return ticket if order_id is None else {**ticket, "order_id": order_id}


@desk.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True))
def update_ticket(request_id: RequestId, ticket_id: TicketId, status: Status, draft_id: DraftId) -> Changed:
    """Set a ticket's status under a request key and note the draft that answers it."""
    with _transaction() as tickets:
        made = tickets.execute(BY_KEY, (request_id,)).fetchone()
        if made is None:
            if tickets.execute(FIND, (ticket_id,)).fetchone() is None:
                raise ToolError(f"unknown_ticket: there is no ticket {ticket_id}")
            made = (ticket_id, status, draft_id, _now())
            tickets.execute(RECORD, (request_id, *made))
            tickets.execute(CHANGE, (status, ticket_id))
    *before, changed_at = made
    if before != [ticket_id, status, draft_id]:
        raise ToolError("conflict: this key has made another change; nothing was changed now")
    return {"ticket_id": ticket_id, "ticket_status": status, "changed_at": changed_at}


@contextmanager
def _transaction() -> Generator[sqlite3.Connection]:
    """One transaction, committed to disk on the way out. Opened anew for each call: threads share nothing."""
    path = Path(os.environ.get("TICKET_DB", "tickets.db"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)) as tickets:
        try:
            tickets.execute("PRAGMA synchronous = FULL")  # an answer given is an answer kept, also after a power cut
            tickets.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            raise ToolError("busy: the tickets are locked by another writer; nothing was done") from problem
        for statement in SCHEMA:
            tickets.execute(statement)
        if not tickets.execute("SELECT 1 FROM ticket LIMIT 1").fetchone():
            columns = "(ticket_id, customer_email, subject, message, order_id)"
            tickets.executemany(f"INSERT INTO ticket {columns} VALUES (?, ?, ?, ?, ?)", SEED)  # noqa: S608
        yield tickets
        tickets.execute("COMMIT")  # without it, on an error, closing rolls back


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    desk.run("stdio")
