"""The shipped types as they are simulated: their inputs and the answers of their agents, drawn by number of the run."""

import random
from typing import Any, Final

from estimating.simulated import Kind

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
