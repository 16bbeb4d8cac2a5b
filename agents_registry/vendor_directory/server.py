"""Vendor directory: an HTTP service over its own SQLite file, one of the agents of the payables example.

Keeps the contract `vendor.lookup` with `GET /vendors/{tax_id}?iban=…`: 200 with the vendor, 404 for a stranger, 423
for a vendor that is blocked, 400 for what is no tax id or account. It says whether the given bank account is the one on
file and never gives that account away. `GET /health` answers once the database is there. Loopback only, read only,
JSON only.

The database is made and seeded on first start with invented vendors; the accounts are the sample numbers of the IBAN
registry.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

Answer: TypeAlias = tuple[HTTPStatus, dict[str, Any]]

TAX_ID: Final = re.compile(r"[A-Z0-9]{4,20}")
IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
BUSY_WAIT_S: Final = 5.0

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS vendor (
    vendor_id TEXT PRIMARY KEY,
    tax_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    iban TEXT NOT NULL,
    payment_terms_days INTEGER NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0
) STRICT
"""
SEED: Final = (
    ("V-1001", "DE811122334", "Holm & Falk Office Supply GmbH", "DE89370400440532013000", 30, 0),
    ("V-1002", "ATU67891234", "Alpenblick Catering GmbH", "AT611904300234573201", 14, 0),
    ("V-1003", "FR11223344556", "Dupont Imprimerie SARL", "FR1420041010050500013M02606", 30, 0),
    ("V-1004", "SE556012345601", "Lindqvist Bookbinding AB", "SE4550000000058398257466", 30, 0),
    ("V-1005", "NL004455667B01", "Van Dijk Machinery B.V.", "NL91ABNA0417164300", 45, 0),
    ("V-1006", "ESB11223344", "Castellana Muebles S.L.", "ES9121000418450200051332", 30, 1),
)


class Directory:
    """The vendors on file. Opens its database for each question: threads share nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")  # two starts at once: one seeds, the other finds it seeded
            database.execute(SCHEMA)
            if not database.execute("SELECT 1 FROM vendor LIMIT 1").fetchone():
                columns = "(vendor_id, tax_id, name, iban, payment_terms_days, blocked)"
                database.executemany(f"INSERT INTO vendor {columns} VALUES (?, ?, ?, ?, ?, ?)", SEED)  # noqa: S608
            database.execute("COMMIT")

    def look_up(self, tax_id: str, iban: str | None) -> Answer:
        """Find one vendor and compare accounts. `iban` is None where the invoice names none."""
        if not TAX_ID.fullmatch(tax_id):
            return HTTPStatus.BAD_REQUEST, {"error": "bad_tax_id", "message": "a tax id is 4 to 20 letters and digits"}
        if iban is not None and not IBAN.fullmatch(iban):
            message = "an iban is a country, two digits, and 11 to 30 letters and digits"
            return HTTPStatus.BAD_REQUEST, {"error": "bad_iban", "message": message}
        with closing(self._open()) as database:
            row = database.execute(
                "SELECT vendor_id, name, iban, payment_terms_days, blocked FROM vendor WHERE tax_id = ?", (tax_id,)
            ).fetchone()
        if row is None:
            return HTTPStatus.NOT_FOUND, {"error": "unknown_vendor", "message": f"no vendor has the tax id {tax_id}"}
        vendor_id, name, account, payment_terms_days, blocked = row
        if blocked:
            return HTTPStatus.LOCKED, {"error": "blocked_vendor", "message": f"{name} ({vendor_id}) is blocked"}
        found = {"vendor_id": vendor_id, "name": name, "payment_terms_days": payment_terms_days}
        return HTTPStatus.OK, found | {"bank_account": _compared(given=iban, on_file=account)}

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_WAIT_S, isolation_level=None)


class Handler(BaseHTTPRequestHandler):
    """Answers GET; every other method is refused by the standard library with 501."""

    directory: ClassVar[Directory]
    protocol_version = "HTTP/1.1"
    server_version = "vendor-directory/1.0"
    timeout = 30  # seconds that an idle or trickling connection may hold a thread
    disable_nagle_algorithm = True  # head and body are two writes; waiting for the first one's receipt costs 40 ms

    def do_GET(self) -> None:
        status, body = self._answer()
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Log nothing: request lines carry bank accounts."""

    def _answer(self) -> Answer:
        url = urlsplit(self.path)
        match url.path.split("/"):
            case ["", "health"]:
                return HTTPStatus.OK, {"status": "ok"}
            case ["", "vendors", tax_id]:
                given = parse_qs(url.query, keep_blank_values=True).get("iban")
                iban = None if given is None else re.sub(r"\s", "", given[0]).upper()
                try:
                    return self.directory.look_up(unquote(tax_id), iban)
                except sqlite3.OperationalError as problem:
                    return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "busy", "message": str(problem)}
            case _:
                return HTTPStatus.BAD_REQUEST, {"error": "bad_path", "message": "ask for /vendors/TAX_ID"}


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 128  # the default of 5 makes a burst of callers wait a second for TCP to try again


def _compared(*, given: str | None, on_file: str) -> str:
    if not given:
        return "not_given"
    return "matches" if given == on_file else "differs"


def main() -> None:
    """Serve on a loopback port until killed."""
    parser = argparse.ArgumentParser(description="Vendor directory over HTTP, loopback only.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--db", type=Path, default=Path(os.environ.get("VENDOR_DB", "vendors.db")))
    arguments = parser.parse_args()
    Handler.directory = Directory(arguments.db)
    Server(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
