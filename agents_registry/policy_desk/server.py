"""Policy desk: an agent that checks invoice lines against the spending policy. An MCP server on stdio with one tool.

Keeps the contract `policy.check`. The policy is the table below, read top to bottom: the first rule that speaks
against a line decides. It never refuses a line for good: what it does not allow, a person may.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Strict
from typing_extensions import TypedDict  # what the SDK wants below Python 3.12; it comes with the SDK

ROUNDING: Final = 0.05
DESCRIPTION_CHARS_MAX: Final = 300
LINE_LIMIT: Final = 25_000.0
CASH_EQUIVALENTS: Final = re.compile(
    r"\b(gift ?cards?|vouchers?|prepaid cards?|gutscheine?|geschenkkarten?)\b", re.IGNORECASE
)
ALCOHOL: Final = re.compile(r"\b(champagne|wines?|spirits|whisk(e)?y|beers?|wein|bier|sekt)\b", re.IGNORECASE)


Number = Annotated[float, Strict()]
"""A number and nothing that could be read as one: `true` is no amount."""


class Line(TypedDict):
    """One line of an invoice; `amount` is net of tax, after discounts."""

    description: str
    quantity: Number
    unit_price: Number
    amount: Number


class Verdict(TypedDict):
    """What the policy says of a line: which rule decided, and a sentence for people."""

    allowed: bool
    rule: str
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule. `speaks_against` tells whether it forbids the line unless a person agrees."""

    name: str
    speaks_against: Callable[[Line], bool]
    note: str


POLICY: Final = (
    Rule(
        name="line_arithmetic",
        speaks_against=lambda line: line["amount"] > line["quantity"] * line["unit_price"] + ROUNDING,
        note="The line costs more than quantity times unit price.",
    ),
    Rule(
        name="cash_equivalent",
        speaks_against=lambda line: bool(CASH_EQUIVALENTS.search(line["description"])),
        note="Gift cards and vouchers count as cash: a person has to agree.",
    ),
    Rule(
        name="alcohol",
        speaks_against=lambda line: bool(ALCOHOL.search(line["description"])),
        note="Alcohol is entertainment: a person has to agree.",
    ),
    Rule(
        name="line_limit",
        speaks_against=lambda line: line["amount"] > LINE_LIMIT,
        note=f"A single line above {LINE_LIMIT:,.0f} needs a person's agreement.",
    ),
)
STANDARD: Final[Verdict] = {
    "allowed": True,
    "rule": "standard",
    "note": "Nothing in the policy speaks against this line.",
}

desk = MCPServer("policy-desk", version="1.0.0", log_level="WARNING")


@desk.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False))
def check_line(line: Line, currency: str) -> Verdict:
    """Check one invoice line against the spending policy. Limits are in the invoice's own currency."""
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ToolError("currency must be a three-letter code")
    if not 1 <= len(line["description"]) <= DESCRIPTION_CHARS_MAX:
        raise ToolError(f"the description must have 1 to {DESCRIPTION_CHARS_MAX} characters")
    if not all(math.isfinite(line[field]) for field in ("quantity", "unit_price", "amount")):
        raise ToolError("the numbers of a line must be finite")
    for rule in POLICY:
        if rule.speaks_against(line):
            return {"allowed": False, "rule": rule.name, "note": rule.note}
    return STANDARD


if __name__ == "__main__":
    desk.run("stdio")
