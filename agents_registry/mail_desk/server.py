"""Mail desk: an agent that drafts answers to customers. An MCP server on stdio that writes files and cannot send.

Keeps the contract `mail.draft`. A draft is made under a request key: the same key with the same facts gives the first
draft again, with others it is refused as a conflict. The text is put together from the facts by `wording`; a draft
stands in the folder as `D-000001.eml`, ready to be opened in any mail program.

The database decides which draft a key has; a file that a crash kept from being written is written when the key comes
again. A tool error that begins with a code of the contract means that nothing was drafted.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Annotated, Any, Final

from facts import AddressChange, Article, Decision, Email, Order, Refund, Shipment
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field, StringConstraints
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK
from wording import Wording, worded

BUSY_WAIT_S: Final = 2.0
FROM: Final = "support@shop.example"
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Articles = Annotated[list[Article], Field(min_length=1, max_length=3)]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS draft (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    request_sha256 TEXT NOT NULL
) STRICT
"""
INSERT: Final = "INSERT INTO draft (request_id, request_sha256) VALUES (?, ?) ON CONFLICT (request_id) DO NOTHING"
BY_KEY: Final = "SELECT id, request_sha256 FROM draft WHERE request_id = ?"


class Draft(TypedDict):
    """A draft that was written."""

    draft_id: str
    outcome: str
    answer: str
    file: str


desk = MCPServer("mail-desk", version="1.0.0", log_level="WARNING")


@desk.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True))
def draft_mail(  # noqa: PLR0913 - one argument per field of the contract
    *,
    request_id: RequestId,
    customer_email: Email,
    order: Order | None = None,
    shipment: Shipment | None = None,
    refund: Refund | None = None,
    articles: Articles | None = None,
    address_change: AddressChange | None = None,
    decision: Decision | None = None,
) -> Draft:
    """Write an answer to a customer as a draft, from at least one fact; sends nothing."""
    given = {
        "order": order,
        "shipment": shipment,
        "refund": refund,
        "articles": articles,
        "address_change": address_change,
        "decision": decision,
    }
    facts: dict[str, Any] = {name: fact for name, fact in given.items() if fact is not None}
    if not facts:
        raise ToolError(f"invalid: a draft tells at least one of {', '.join(given)}")
    wording = worded(facts)
    message = _message(customer_email, wording)
    request = json.dumps([customer_email, facts], sort_keys=True)
    sha256 = hashlib.sha256(request.encode()).hexdigest()
    with _transaction() as drafts:
        drafts.execute(INSERT, (request_id, sha256))
        number, drafted_sha256 = drafts.execute(BY_KEY, (request_id,)).fetchone()
    if drafted_sha256 != sha256:
        raise ToolError("conflict: this key has drafted another mail; nothing was written now")
    draft_id = f"D-{number:06d}"
    file = _folder() / f"{draft_id}.eml"
    if not file.exists():  # one that is there is left as it is: a person may have worked on it
        _write(file, message)
    return {"draft_id": draft_id, "outcome": wording.outcome, "answer": wording.text, "file": file.name}


def _message(to: str, wording: Wording) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = FROM
    message["To"] = to
    message["Subject"] = wording.subject
    message["X-Unsent"] = "1"  # mail programs open it as a draft
    message.set_content(wording.text)
    return message.as_bytes()


def _write(file: Path, message: bytes) -> None:
    """Write a draft's file, whole or not at all, also where two calls write it at once."""
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as part:
        part.write(message)
    Path(part.name).replace(file)


def _folder() -> Path:
    folder = Path(os.environ.get("DRAFTS", "drafts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _transaction() -> Generator[sqlite3.Connection]:
    """One write transaction, committed to disk on the way out. Opened anew for each call: threads share nothing."""
    path = _folder() / "drafts.db"
    with closing(sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)) as drafts:
        try:
            drafts.execute("PRAGMA synchronous = FULL")  # an answer given is an answer kept, also after a power cut
            drafts.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            raise ToolError("busy: the drafts are locked by another writer; nothing was done") from problem
        drafts.execute(SCHEMA)
        yield drafts
        drafts.execute("COMMIT")  # without it, on an error, closing rolls back


if __name__ == "__main__":
    desk.run("stdio")
