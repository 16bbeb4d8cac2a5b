"""Tasks of the support desk with plans that a scripted model proposes, in the form of real proposals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from process_orchestrator.llm.port import Prompt

Json = Any
Chosen = tuple[str, dict[str, Json]]
"""A step of a proposal: its id and its arguments; what may be left out may be missing here."""

TASKS: Final[list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "support_tasks.yaml").read_text(encoding="utf-8")
)["tasks"]

READ: Final[Chosen] = ("ticket_read", {"ticket_id": "$.input.ticket_id"})
CUSTOMER: Final[Chosen] = ("customer_find", {"customer_email": "$.input.customer_email"})
ORDER: Final[Chosen] = (
    "order_find",
    {"order_id": "$.input.order_id", "customer_email": "$.input.customer_email"},
)
TRACK: Final[Chosen] = ("shipment_track", {"tracking_number": "$.steps.order_find.output.order.tracking_number"})
REFUND: Final[Chosen] = (
    "refund_issue",
    {
        "order_id": "$.input.order_id",
        "amount": "$.steps.order_find.output.order.total",
        "currency": "$.steps.order_find.output.order.currency",
    },
)
SEARCH: Final[Chosen] = ("knowledge_search", {"message": "$.input.message"})
PERSON: Final[Chosen] = ("person_ask", {"message": "$.input.message"})
MOVE: Final[Chosen] = (
    "address_change",
    {"customer_id": "$.steps.customer_find.output.customer_id", "new_address": "$.input.new_address"},
)
ANSWERED: Final[Chosen] = (
    "ticket_update",
    {
        "ticket_id": "$.input.ticket_id",
        "status": {"const": "answered"},
        "draft_id": "$.steps.mail_draft.output.draft_id",
    },
)
FACTS: Final = {
    "order": "$.steps.order_find.output.order",
    "shipment": "$.steps.shipment_track.output.shipment",
    "refund": "$.steps.refund_issue.output.refund",
    "articles": "$.steps.knowledge_search.output.articles",
    "address_change": "$.steps.address_change.output.address_change",
    "decision": "$.steps.person_ask.output.decision",
}
OUTPUT: Final = {name: f"$.steps.mail_draft.output.{name}" for name in ("outcome", "draft_id", "answer")}


def draft(*facts: str, to: str = "$.input.customer_email") -> Chosen:
    """The last step of every answer, told these facts."""
    return ("mail_draft", {"customer_email": to, **{fact: FACTS[fact] for fact in facts}})


def proposed(prompt: Prompt, steps: Sequence[Chosen], **output: str) -> Json:
    """A proposal as the schema of the prompt wants it: only what is a choice, null for what is not said."""
    offered = _offered(prompt.schema)
    goal = {**OUTPUT, **output}
    return {
        "output": {name: goal.get(name) for name in _arguments(prompt.schema["properties"]["output"])},
        "steps": [
            {"id": name, "in": {each: given.get(each) for each in offered[name]}} if name in offered else name
            for name, given in steps
        ],
    }


def _offered(schema: dict[str, Json]) -> dict[str, tuple[str, ...]]:
    """The steps that a schema offers with a choice: their arguments, by their names. All others are named alone."""
    items = schema["properties"]["steps"]["items"]
    found: dict[str, tuple[str, ...]] = {}
    for branch in items.get("anyOf", [items]):
        if branch["type"] == "object":
            found |= dict.fromkeys(branch["properties"]["id"]["enum"], _arguments(branch["properties"]["in"]))
    return found


def _arguments(schema: dict[str, Json]) -> tuple[str, ...]:
    return tuple(schema.get("properties", {}))
