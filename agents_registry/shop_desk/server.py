"""Shop desk: an agent that knows customers and orders. An MCP server on stdio over its own SQLite file.

Keeps the contracts `customer.find`, `order.find` and `address.change`. An order that is asked for with somebody else's
e-mail address is as unknown as one that does not exist: whoever guesses order numbers learns nothing. A new address is
set, not added, so setting it again changes nothing.

The database is made and seeded on first use with invented customers and orders.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Final, NotRequired

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import ConfigDict, StringConstraints, with_config
from seed import CUSTOMERS, ITEMS, ORDERS
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

BUSY_WAIT_S: Final = 2.0
CustomerId = Annotated[str, StringConstraints(pattern=r"^C-[0-9]{4,8}$")]
OrderId = Annotated[str, StringConstraints(pattern=r"^SO-[0-9]{4,8}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,100}$")]

SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS customer (
    customer_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    since TEXT NOT NULL,
    address TEXT            -- JSON: street, postcode, city, country
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS purchase (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL REFERENCES customer,
    ordered_on TEXT NOT NULL,
    status TEXT NOT NULL,
    total REAL NOT NULL,
    currency TEXT NOT NULL,
    tracking_number TEXT NOT NULL
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS item (
    order_id TEXT NOT NULL REFERENCES purchase,
    name TEXT NOT NULL,
    quantity INTEGER NOT NULL
) STRICT
""",
)
FIND: Final = """
SELECT order_id, customer_id, name, email, ordered_on, status, total, currency, tracking_number
FROM purchase JOIN customer USING (customer_id)
WHERE (:order_id IS NULL OR order_id = :order_id) AND (:email IS NULL OR email = :email)
ORDER BY ordered_on DESC, order_id DESC
LIMIT 1
"""
CONTENTS: Final = "SELECT name, quantity FROM item WHERE order_id = ? ORDER BY rowid"
OPEN_ORDERS: Final = """
SELECT order_id FROM purchase WHERE customer_id = ? AND status IN ('paid', 'packed') ORDER BY order_id LIMIT 50
"""


class Customer(TypedDict):
    """One customer."""

    customer_id: str
    customer_name: str
    customer_email: str
    customer_since: str


class Item(TypedDict):
    """Something bought."""

    name: str
    quantity: int


class Order(TypedDict):
    """One order."""

    order_id: str
    customer_id: str
    customer_name: str
    customer_email: str
    ordered_on: str
    status: str
    items: list[Item]
    total: float
    currency: str
    tracking_number: str


class FoundOrder(TypedDict):
    """The order that was asked for."""

    order: Order


@with_config(ConfigDict(extra="forbid"))
class Address(TypedDict):
    """Where parcels go."""

    street: Annotated[str, StringConstraints(min_length=3, max_length=120)]
    postcode: Annotated[str, StringConstraints(min_length=3, max_length=12)]
    city: Annotated[str, StringConstraints(min_length=2, max_length=80)]
    country: NotRequired[Annotated[str, StringConstraints(min_length=2, max_length=60)]]


class AddressChange(TypedDict):
    """Whose address is another now, and which orders go there."""

    customer_id: str
    redirected: str


class ChangedAddress(TypedDict):
    """What was changed."""

    address_change: AddressChange


desk = MCPServer("shop-desk", version="1.0.0", log_level="WARNING")


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def find_customer(customer_email: Email) -> Customer:
    """Find a customer by e-mail address; upper and lower case do not matter."""
    question = "SELECT customer_id, name, email, since FROM customer WHERE email = ?"
    with _transaction() as shop:
        row = shop.execute(question, (customer_email.lower(),)).fetchone()
    if row is None:
        raise ToolError("unknown_customer: nobody has this e-mail address")
    customer_id, name, email, since = row
    return {"customer_id": customer_id, "customer_name": name, "customer_email": email, "customer_since": since}


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def find_order(order_id: OrderId | None = None, customer_email: Email | None = None) -> FoundOrder:
    """Look up an order by its id, or the newest of a customer."""
    if order_id is None and customer_email is None:
        raise ToolError("invalid: an order is found by order_id, by customer_email, or by both")
    asked = {"order_id": order_id, "email": customer_email and customer_email.lower()}
    with _transaction() as shop:
        row = shop.execute(FIND, asked).fetchone()
        items = shop.execute(CONTENTS, (row[0],)).fetchall() if row else []
    if row is None:
        raise ToolError("unknown_order: there is no such order, or it is not this customer's")
    number, customer_id, name, email, ordered_on, status, total, currency, tracking_number = row
    return {
        "order": {
            "order_id": number,
            "customer_id": customer_id,
            "customer_name": name,
            "customer_email": email,
            "ordered_on": ordered_on,
            "status": status,
            "items": [{"name": item, "quantity": quantity} for item, quantity in items],
            "total": total,
            "currency": currency,
            "tracking_number": tracking_number,
        }
    }


@desk.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True))
def change_address(customer_id: CustomerId, new_address: Address) -> ChangedAddress:
    """Set a customer's delivery address; what is not shipped yet goes there."""
    change = "UPDATE customer SET address = ? WHERE customer_id = ?"
    with _transaction() as shop:
        if not shop.execute(change, (json.dumps(new_address, sort_keys=True), customer_id)).rowcount:
            raise ToolError(f"unknown_customer: there is no customer {customer_id}")
        redirected = ", ".join(order_id for (order_id,) in shop.execute(OPEN_ORDERS, (customer_id,)))
    return {"address_change": {"customer_id": customer_id, "redirected": redirected}}


@contextmanager
def _transaction() -> Generator[sqlite3.Connection]:
    """One transaction, committed to disk on the way out. Opened anew for each call: threads share nothing."""
    path = Path(os.environ.get("SHOP_DB", "shop.db"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_WAIT_S, isolation_level=None)) as shop:
        try:
            shop.execute("PRAGMA synchronous = FULL")  # an answer given is an answer kept, also after a power cut
            shop.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as problem:
            raise ToolError("busy: the shop is locked by another writer; nothing was done") from problem
        for statement in SCHEMA:
            shop.execute(statement)
        if not shop.execute("SELECT 1 FROM customer LIMIT 1").fetchone():
            _seed(shop)
        yield shop
        shop.execute("COMMIT")  # without it, on an error, closing rolls back


def _seed(shop: sqlite3.Connection) -> None:
    shop.executemany("INSERT INTO customer (customer_id, name, email, since) VALUES (?, ?, ?, ?)", CUSTOMERS)
    shop.executemany("INSERT INTO purchase VALUES (?, ?, ?, ?, ?, ?, ?)", ORDERS)
    shop.executemany("INSERT INTO item VALUES (?, ?, ?)", ITEMS)


if __name__ == "__main__":
    desk.run("stdio")
