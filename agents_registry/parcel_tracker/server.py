"""Parcel tracker: an HTTP service over its own SQLite file, as a carrier offers one.

Keeps the contract `shipment.track` with `GET /parcels/{tracking_number}`: 200 with the last scan, 404 for a number that
was never given out, 400 for what is none. `GET /health` answers once the database is there. Loopback only, read only,
JSON only. The database is made and seeded on first start with invented parcels.
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
from urllib.parse import unquote, urlsplit

Answer: TypeAlias = tuple[HTTPStatus, dict[str, Any]]

TRACKING_NUMBER: Final = re.compile(r"TN-[0-9]{8,12}")
BUSY_WAIT_S: Final = 5.0

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS parcel (
    tracking_number TEXT PRIMARY KEY,
    carrier TEXT NOT NULL,
    state TEXT NOT NULL,
    place TEXT NOT NULL,
    since TEXT NOT NULL,
    expected_on TEXT
) STRICT
"""
SEED: Final = (
    ("TN-40010041", "Kurier Nord", "delivered", "Maribor", "2026-06-24", None),
    ("TN-40010042", "Kurier Nord", "delayed", "Leipzig hub", "2026-11-17", "2026-11-25"),
    ("TN-40010043", "Kurier Nord", "delivered", "Rotterdam", "2026-11-05", None),
    ("TN-40010044", "Alpenpost", "in_transit", "Bolzano", "2026-11-19", "2026-11-23"),
    ("TN-40010045", "Kurier Nord", "label_printed", "Leipzig warehouse", "2026-11-19", "2026-11-26"),
    ("TN-40010046", "Kurier Nord", "delivered", "Malmo", "2026-11-02", None),
    ("TN-40010047", "Kurier Nord", "lost", "Cologne hub", "2026-11-08", None),
)


class Parcels:
    """The parcels that were given out. Opens its database for each question: threads share nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")  # two starts at once: one seeds, the other finds it seeded
            database.execute(SCHEMA)
            if not database.execute("SELECT 1 FROM parcel LIMIT 1").fetchone():
                database.executemany("INSERT INTO parcel VALUES (?, ?, ?, ?, ?, ?)", SEED)
            database.execute("COMMIT")

    def track(self, tracking_number: str) -> Answer:
        """Say where one parcel was seen last."""
        if not TRACKING_NUMBER.fullmatch(tracking_number):
            return HTTPStatus.BAD_REQUEST, {
                "error": "invalid",
                "message": "a tracking number is TN- and 8 to 12 digits",
            }
        question = "SELECT carrier, state, place, since, expected_on FROM parcel WHERE tracking_number = ?"
        with closing(self._open()) as database:
            row = database.execute(question, (tracking_number,)).fetchone()
        if row is None:
            return HTTPStatus.NOT_FOUND, {"error": "unknown_shipment", "message": "this number was never given out"}
        carrier, state, place, since, expected_on = row
        shipment = {"tracking_number": tracking_number, "carrier": carrier, "state": state, "place": place}
        shipment |= {"since": since} if expected_on is None else {"since": since, "expected_on": expected_on}
        return HTTPStatus.OK, {"shipment": shipment}

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=BUSY_WAIT_S, isolation_level=None)


class Handler(BaseHTTPRequestHandler):
    """Answers GET; every other method is refused by the standard library with 501."""

    parcels: ClassVar[Parcels]
    protocol_version = "HTTP/1.1"
    server_version = "parcel-tracker/1.0"
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
        """Log nothing: a tracking number is as good as an address."""

    def _answer(self) -> Answer:
        match urlsplit(self.path).path.split("/"):
            case ["", "health"]:
                return HTTPStatus.OK, {"status": "ok"}
            case ["", "parcels", tracking_number]:
                try:
                    return self.parcels.track(unquote(tracking_number))
                except sqlite3.OperationalError as problem:
                    return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "busy", "message": str(problem)}
            case _:
                return HTTPStatus.BAD_REQUEST, {"error": "bad_path", "message": "ask for /parcels/TRACKING_NUMBER"}


class Server(ThreadingHTTPServer):
    """A thread for each connection."""

    request_queue_size = 128  # the default of 5 makes a burst of callers wait a second for TCP to try again


def main() -> None:
    """Serve on a loopback port until killed."""
    parser = argparse.ArgumentParser(description="Parcel tracker over HTTP, loopback only.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--db", type=Path, default=Path(os.environ.get("PARCEL_DB", "parcels.db")))
    arguments = parser.parse_args()
    Handler.parcels = Parcels(arguments.db)
    Server(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
