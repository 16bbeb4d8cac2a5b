"""An MCP agent over stdio that books under keys and does as its caller's script says: `books.py DB`.

The n-th call about one `ref` does the n-th word of `script`. Every call and every booking stands in its own SQLite
file. A booking under a key that it has seen is the same booking; one without a key is a new one each time.
Standard library only.
"""

import json
import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from typing import Any

LATE_S = 2.5
SLOW_S = 0.5
DATABASE = sys.argv[1]
TABLES = """
CREATE TABLE IF NOT EXISTS call (number INTEGER PRIMARY KEY, ref TEXT, key TEXT, word TEXT);
CREATE TABLE IF NOT EXISTS booking (number INTEGER PRIMARY KEY, ref TEXT, key TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS landed (ref TEXT);
"""
writing = threading.Lock()


def send(message: dict[str, Any]) -> None:
    with writing:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def answer(number: int, value: Any) -> None:
    send({"id": number, "result": {"content": [], "isError": False, "structuredContent": value}})


def refuse(number: int, words: str) -> None:
    send({"id": number, "result": {"content": [{"type": "text", "text": words}], "isError": True}})


def word_of(given: dict[str, Any]) -> str:
    """Write the call down; what this call is to do."""
    with closing(sqlite3.connect(DATABASE)) as books, books:
        seen = books.execute("SELECT count(*) FROM call WHERE ref = ?", (given["ref"],)).fetchone()[0]
        word = given["script"][min(seen, len(given["script"]) - 1)]
        books.execute(
            "INSERT INTO call (ref, key, word) VALUES (?, ?, ?)", (given["ref"], given.get("request_id"), word)
        )
    return word


def book(given: dict[str, Any]) -> dict[str, Any]:
    with closing(sqlite3.connect(DATABASE)) as books, books:
        key = given.get("request_id")
        books.execute("INSERT INTO booking (ref, key) VALUES (?, ?) ON CONFLICT (key) DO NOTHING", (given["ref"], key))
        last = "SELECT max(number) FROM booking WHERE ref = ? AND key IS ?"
        return {"id": books.execute(last, (given["ref"], key)).fetchone()[0]}


def carry_out(number: int, given: dict[str, Any]) -> None:
    match word_of(given):
        case "book":
            answer(number, book(given))
        case "slow":
            time.sleep(SLOW_S)
            answer(number, book(given))
        case "late":  # long after the deadline, and says so to nobody who still listens
            time.sleep(LATE_S)
            answer(number, book(given))
            with closing(sqlite3.connect(DATABASE)) as books, books:
                books.execute("INSERT INTO landed VALUES (?)", (given["ref"],))
        case "silent":
            book(given)
        case "break":
            answer(number, {"id": f"number {book(given)['id']}"})
        case "die":
            book(given)
            os._exit(3)
        case "busy":
            refuse(number, "busy: try again")
        case _:
            book(given)
            refuse(number, "boom")


def main() -> None:
    with closing(sqlite3.connect(DATABASE)) as books, books:
        books.executescript(TABLES)
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if number is None:
            continue
        if method == "initialize":
            about = {"name": "books", "version": "1"}
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": about}
            send({"id": number, "result": result})
        elif method == "tools/call":
            given = message["params"]["arguments"]
            threading.Thread(target=carry_out, args=(number, given), daemon=True).start()
        elif method == "ping":
            send({"id": number, "result": {}})
        else:
            send({"id": number, "error": {"code": -32601, "message": "no such method"}})


main()
