"""The shipped types as they are simulated: their inputs and the answers of their agents, drawn by number of the run."""

import random
from copy import deepcopy
from functools import cache
from typing import Any, Final

from domains.planned import CUSTOMER, MOVE, ORDER, OUTPUT, PERSON, REFUND, SEARCH, TRACK, Chosen, draft
from estimating.simulated import Kind, shipped
from llm.scripted import Said, ScriptedModel
from process_orchestrator.core.facts.values import Tier
from process_orchestrator.llm.port import Prompt

Json = Any

DATE: Final = "2026-11-02"


def _lines(number: int) -> list[dict[str, Json]]:
    """Lists of many lengths: mostly short, now and then long."""
    draw = random.Random(f"lines {number}")
    length = max(1, min(100, round(draw.lognormvariate(1.6, 0.9))))
    amounts = [round(draw.uniform(1, 90), 2) for _ in range(length)]
    return [
        {"description": f"Item {place}", "quantity": 1.0, "unit_price": amount, "amount": amount}
        for place, amount in enumerate(amounts)
    ]


def _invoice(number: int) -> Json:
    lines = _lines(number)
    net = round(sum(line["amount"] for line in lines), 2)
    return {
        "invoice_number": f"I-{number}",
        "issue_date": DATE,
        "currency": "EUR",
        "vendor": {"name": "Holm & Falk", "tax_id": "DE811122334"},
        "lines": lines,
        "net": net,
        "tax": 0.0,
        "total": net,
    }


def _payables(contract: str, given: dict[str, Json], number: int) -> Json:
    draw = random.Random(f"payables {number} {contract}")
    match contract:
        case "invoice.extract":
            return _invoice(number)
        case "vendor.lookup":
            account = draw.choices(["matches", "not_given", "differs"], [60, 36, 4])[0]
            return {"vendor_id": "V-1001", "name": "Holm & Falk", "payment_terms_days": 30, "bank_account": account}
        case "policy.check":
            allowed = random.Random(f"line {number} {given['line']['description']}").random() > 0.01
            return {"allowed": allowed, "rule": "standard", "note": "As the policy says."}
        case "review":
            return {"accepted": draw.random() < 0.8, "comment": "seen"}
        case "ledger.post":
            booked = {name: given[name] for name in ("invoice_number", "total", "currency")}
            return {"id": "L-000001", **booked, "booked_at": "2026-11-05T09:30:00Z"}
        case _:
            raise AssertionError(contract)


INVOICES: Final = Kind(
    process_type="invoice_approval", given=lambda number: {"document": f"Invoice {number}"}, answer=_payables
)


def _repository(contract: str, given: dict[str, Json], number: int) -> Json:
    del given
    commits = random.Random(f"commits {number}").randint(0, 40)
    if contract != "release.write":
        return {"text": f"{contract} {number}"}
    return {
        "markdown": "# Report",
        "commits": commits,
        "groups": [{"kind": "feat", "title": "Features", "count": commits}] if commits else [],
        "breaking": 0,
        "branch": "main",
        "clean": True,
    }


REPORTS: Final = Kind(
    process_type="release_report",
    given=lambda number: {"repo_path": f"/srv/git/shop{number}"},
    answer=_repository,
)


# --- the support desk, whose plans a model makes ------------------------------------------------------------------

PLANS: Final[dict[str, tuple[Chosen, ...]]] = {
    "zeta": (ORDER, TRACK, draft("order", "shipment")),
    "yotta": (ORDER, draft("order")),
    "exa": (SEARCH, draft("articles")),
    "peta": (ORDER, REFUND, draft("refund", "order")),
    "tera": (CUSTOMER, MOVE, draft("address_change")),
    "giga": (PERSON, draft("decision")),
}
"""What is asked, by a word that stands in no prompt of ours, and the plan that the scripted model makes of it."""
OFTEN: Final = (30, 20, 20, 15, 8, 7)
ADDRESS: Final = {"street": "Lindenweg 7", "postcode": "04109", "city": "Leipzig"}


def _asked(number: int) -> str:
    return random.Random(f"asked {number}").choices(list(PLANS), OFTEN)[0]


def _ticket(number: int) -> Json:
    draw, word = random.Random(f"ticket {number}"), _asked(number)
    told = " ".join(["please"] * draw.randint(1, 120))
    given: dict[str, Json] = {"message": f"{word} {told}", "customer_email": f"c{number}@example.com"}
    if word in {"zeta", "yotta", "peta"}:
        given["order_id"] = f"SO-{10_000 + number}"
    return {**given, "new_address": ADDRESS} if word == "tera" else given


@cache
def _shown(contract: str) -> Json:
    """The output of a contract's first example."""
    found = shipped().contract(contract)
    assert found is not None
    return next(example["output"] for example in found.examples if "output" in example)


def _support(contract: str, given: dict[str, Json], number: int) -> Json:
    """What the contract shows, made to speak of what was asked."""
    if contract == "person_ask":
        return _shown("person.ask")
    shown = deepcopy(_shown(contract))
    match contract:
        case "order.find":
            total = round(random.Random(f"total {number}").uniform(5, 70), 2)
            shown["order"] |= {"order_id": given["order_id"], "total": total}
        case "shipment.track":
            shown["shipment"] |= {"tracking_number": given["tracking_number"]}
        case "address.change":
            shown["address_change"] |= {"customer_id": given["customer_id"]}
        case "refund.issue":
            shown["refund"] |= {name: given[name] for name in ("order_id", "amount", "currency")}
        case "mail.draft":
            weight = {"refund": "refunded", "decision": "decided", "address_change": "address_changed"}
            weight |= {"shipment": "delivery_explained", "articles": "article_sent", "order": "order_explained"}
            shown["outcome"] = next(word for fact, word in weight.items() if fact in given)
        case _:
            pass
    return shown


def _plans(prompt: Prompt, draw: random.Random) -> Json:
    """The plan for what is asked, with nothing but what the schema leaves to a choice."""
    told = "\n".join(message.content for message in prompt.messages)
    word = next(word for word in PLANS if f"{word} please" in told)
    items = prompt.schema["properties"]["steps"]["items"]
    offered: dict[str, Json] = {}  # what may be chosen of each step; None: it is named, and that is all
    for branch in items.get("anyOf", [items]):
        if branch.get("type") == "string":
            offered |= dict.fromkeys(branch["enum"] if "enum" in branch else [branch["const"]])
            continue
        names = branch["properties"]["id"]
        for name in names.get("enum", [names.get("const")]):
            offered[name] = branch["properties"].get("in", {}).get("properties", {})
    chosen = [
        name if offered[name] is None else {"id": name, "in": {each: given.get(each) for each in offered[name]}}
        for name, given in PLANS[word]
        if name in offered  # what is done is kept, and not offered again
    ]
    output = prompt.schema["properties"].get("output", {}).get("properties", {})
    return Said(  # what models write of the same is never of one length
        data={"steps": chosen, "output": {name: OUTPUT.get(name) for name in output}},
        tokens_in=round(draw.uniform(800, 1400)),
        tokens_out=round(draw.lognormvariate(4.3, 0.5)),
    )


def _planning() -> ScriptedModel:
    draw = random.Random("planning")
    return ScriptedModel(lambda prompt: _plans(prompt, draw), tiers=(Tier.STRONG,))


TICKETS: Final = Kind(
    process_type="resolve_ticket",
    given=_ticket,
    answer=_support,
    model=_planning,
)
