"""An agent that quotes orders: an MCP server over stdio, without the SDK, so that it can misbehave below it.

QUOTES_BUG names what it does wrong; none, and it is sound. Every call that books is a line in the file QUOTES_LOG.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

Order = dict[str, Any]
BUG = os.environ.get("QUOTES_BUG", "")
LOG = os.environ.get("QUOTES_LOG", "")
booked: dict[str, Order] = {}


class RefusedError(Exception):
    pass


def check(order: Any) -> None:
    def must(condition: object, what: str) -> None:
        if not condition and BUG == "dies_of_invalid":
            os._exit(4)
        if not condition:
            raise RefusedError(f"bad_order: {what}")

    must(
        isinstance(order, dict) and set(order) <= {"key", "items", "currency", "note", "day", "discount"}, "properties"
    )
    must({"key", "items", "currency", "note"} <= set(order), "a property is missing")
    must(isinstance(order["key"], str) and 1 <= len(order["key"]) <= 100, "key")
    must(order["currency"] in ("EUR", "USD"), "currency")
    must(isinstance(order["note"], str) and len(order["note"]) <= 40, "note")
    must(isinstance(order["items"], list) and len(order["items"]) <= 5, "items")
    for item in order["items"]:
        must(isinstance(item, dict) and set(item) == {"sku", "quantity"}, "item")
        must(isinstance(item["sku"], str) and re.search(r"^[A-Z]{3}-[0-9]{2}\Z", item["sku"]), "sku")
        quantity = item["quantity"]
        low, high = (0 if BUG == "accepts_below" else 1), (99 if BUG == "refuses_the_maximum" else 100)
        whole = isinstance(quantity, (int, float)) and not isinstance(quantity, bool) and quantity == int(quantity)
        must(whole and low <= quantity <= high, "quantity")
    if "day" in order:
        must(isinstance(order["day"], str) and re.search(r"^\d{4}-\d\d-\d\d\Z", order["day"]), "day")
        try:
            time.strptime(order["day"], "%Y-%m-%d")
        except ValueError:
            raise RefusedError("bad_order: day") from None
    if "discount" in order:
        number = order["discount"]
        must(isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= 50, "discount")


def quote(order: Any) -> Order:
    if BUG != "accepts_anything":
        check(order)
    items, note = order["items"], order.get("note")
    if BUG == "error_for_valid" and "discount" in order:
        raise RefusedError("bad_order: no discounts")
    if BUG == "undeclared_error" and len(items) > 2:
        raise RefusedError("warehouse_closed: come again on Monday")
    if BUG == "crash_on_empty_list" and not items:
        os._exit(3)
    if BUG == "exception_on_long_text" and len(note) > 12:
        raise KeyError("note")
    if BUG == "late" and len(items) > 1:
        time.sleep(3)
    key = order.get("key", "")
    if key in booked and BUG not in ("ignores_the_key", "refuses_the_second"):
        return booked[key]
    if key in booked and BUG == "refuses_the_second":
        raise RefusedError("seen_before: this key was used")
    if LOG:
        with Path(LOG).open("a") as log:
            log.write(key + "\n")
    count = sum(1 for _ in items)
    made: Order = {
        "id": f"Q-{len(booked) + 1:06d}",
        "count": count + (1 if BUG == "off_by_one" and count > 1 else 0),
        "currency": order.get("currency"),
        "note": note,
        "total": float(sum(item["quantity"] for item in items)) if isinstance(items, list) else 0,
        "made_at": "2026-11-05T09:30:00Z",
    }
    if BUG == "wrong_type":
        made["total"] = str(made["total"])
    if BUG == "missing_field":
        del made["currency"]
    if BUG == "nan" and not items:
        made["total"] = float("nan")
    if BUG == "wrong_enum":
        made["currency"] = order["currency"].lower()
    if BUG == "leaks_null" and not note:
        made["note"] = None
    if BUG == "mangles_unicode":
        made["note"] = note.encode("ascii", "replace").decode()
    if BUG == "too_large" and len(items) > 1:
        made["note"] = note + "x" * 20_000
    if BUG == "extra_property":
        made["internal_margin"] = 0.4
    if BUG == "wrong_format":
        made["made_at"] = "05.11.2026 09:30"
    if BUG == "other_currency" and "discount" in order:
        made["currency"] = "USD" if order["currency"] == "EUR" else "EUR"
    if BUG == "forgets_the_id":
        made["id"] = ""
    booked[key] = made
    return made


def answered(order: Any) -> Order:
    try:
        text = json.dumps(quote(order))
        if BUG == "prose" and len(order["items"]) == 1:
            text = "Sure! Here is your quote: " + text
        if BUG == "key_twice":
            text = text[:-1] + ', "count": 1}'
        return {"content": [{"type": "text", "text": text}]}
    except RefusedError as refused:
        text = "busy: try again" if BUG == "refuses_as_busy" and str(refused).startswith("bad_order") else str(refused)
        return {"content": [{"type": "text", "text": text}], "isError": True}
    except Exception as error:  # noqa: BLE001  it tells what it broke on, as careless servers do
        return {"content": [{"type": "text", "text": f"{type(error).__name__}: {error}"}], "isError": True}


def main() -> None:
    if BUG == "starts_slowly":
        time.sleep(1)
    for line in sys.stdin:
        asked = json.loads(line)
        method, number = asked.get("method"), asked.get("id")
        if number is None:
            continue
        if method == "initialize":
            version = asked["params"]["protocolVersion"]
            result = {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "quotes", "version": "1"},
            }
        elif method == "tools/list":
            result = {"tools": [{"name": "quote", "inputSchema": {"type": "object"}}]}
        elif method == "tools/call":
            order = asked["params"].get("arguments", {})
            result = answered(order)
        else:
            refusal = {"code": -32601, "message": "no such method"}
            print(json.dumps({"jsonrpc": "2.0", "id": number, "error": refusal}), flush=True)
            continue
        print(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}), flush=True)


if __name__ == "__main__":
    main()
