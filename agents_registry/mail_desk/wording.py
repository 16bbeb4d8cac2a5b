"""What a draft says: plain sentences made of the facts it was given, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Fact = Any  # as the contract says: an object, or for `articles` a list
GREETING: Final = "Hello,"
CLOSING: Final = "Kind regards\nThe support team"

SHIPMENT_STATES: Final[Mapping[str, str]] = {
    "label_printed": "The label is printed and the parcel waits in our warehouse.",
    "in_transit": "The parcel is on its way.",
    "delayed": "The parcel is delayed. We are sorry for that.",
    "out_for_delivery": "The parcel is in the delivery van.",
    "delivered": "The carrier says that the parcel was delivered.",
    "lost": "The parcel is lost. We are sorry for that and will settle it with you.",
}
ORDER_STATES: Final[Mapping[str, str]] = {
    "paid": "It is paid and will be packed next.",
    "packed": "It is packed and will be handed to the carrier next.",
    "shipped": "It is on its way to you.",
    "delivered": "It was delivered.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One kind of fact: what its paragraph says, what the subject says, and which outcome it stands for."""

    name: str
    outcome: str
    subject: str
    paragraph: Callable[[Fact], str]


def _decision(fact: Fact) -> str:
    return str(fact["reply"]).strip()


def _refund(fact: Fact) -> str:
    return (
        f"We have refunded {fact['amount']:.2f} {fact['currency']} for your order {fact['order_id']} (refund"
        f" {fact['refund_id']}). It goes to the means of payment you used and arrives within five working days."
    )


def _address(fact: Fact) -> str:
    changed = "We have changed your delivery address as you asked."
    if not fact["redirected"]:
        return f"{changed} No open order is affected; it holds from your next order on."
    return f"{changed} These orders will go there: {fact['redirected']}."


def _shipment(fact: Fact) -> str:
    seen = f"{fact['carrier']} scanned it last on {fact['since']} ({fact['place']})."
    expected = f" It is expected on {fact['expected_on']}." if "expected_on" in fact else ""
    return f"{SHIPMENT_STATES[fact['state']]} {seen}{expected} Tracking number: {fact['tracking_number']}."


def _articles(fact: Fact) -> str:
    best, *others = fact
    more = "".join(f"\n- {article['title']} ({article['source']})" for article in others)
    return f"{best['excerpt']}\n\nFrom our article: {best['title']} ({best['source']})." + (
        f"\nThese may help as well:{more}" if others else ""
    )


def _order(fact: Fact) -> str:
    items = ", ".join(f"{item['quantity']} x {item['name']}" for item in fact["items"])
    total = f"{fact['total']:.2f} {fact['currency']}"
    return f"Your order {fact['order_id']} of {fact['ordered_on']} ({items}; {total}): {ORDER_STATES[fact['status']]}"


PARTS: Final = (
    Part(name="refund", outcome="refunded", subject="Your refund", paragraph=_refund),
    Part(name="decision", outcome="decided", subject="Your request", paragraph=_decision),
    Part(name="address_change", outcome="address_changed", subject="Your new address", paragraph=_address),
    Part(name="shipment", outcome="delivery_explained", subject="Your parcel", paragraph=_shipment),
    Part(name="articles", outcome="article_sent", subject="Your question", paragraph=_articles),
    Part(name="order", outcome="order_explained", subject="Your order", paragraph=_order),
)
"""The weightiest first: it names the outcome and comes first in the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """A draft in words."""

    outcome: str
    subject: str
    text: str


def worded(facts: Mapping[str, Fact]) -> Wording:
    """Put facts into words, by name of the argument. At least one is there."""
    told = [part for part in PARTS if part.name in facts]
    paragraphs = [GREETING, *(part.paragraph(facts[part.name]) for part in told), CLOSING]
    return Wording(outcome=told[0].outcome, subject=told[0].subject, text="\n\n".join(paragraphs) + "\n")
