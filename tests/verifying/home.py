"""A home with one contract, `order.quote`, and one agent whose bug is chosen."""

from pathlib import Path
from typing import Any

import yaml

from process_orchestrator.home import Home

PROGRAM = Path(__file__).parent / "agents" / "quotes.py"
TEXT = {"type": "string"}

CONTRACT: dict[str, Any] = {
    "contract": "order.quote",
    "version": "1.0.0",
    "summary": "Quote an order. The same key gives the same quote.",
    "input": {
        "type": "object",
        "additionalProperties": False,
        "required": ["key", "items", "currency", "note"],
        "properties": {
            "key": {"type": "string", "minLength": 1, "maxLength": 100},
            "items": {
                "type": "array",
                "maxItems": 5,
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["sku", "quantity"],
                    "properties": {
                        "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
                        "quantity": {"type": "integer", "minimum": 1, "maximum": 100},
                    },
                },
            },
            "currency": {"enum": ["EUR", "USD"]},
            "note": {"type": "string", "maxLength": 40},
            "day": {"type": "string", "format": "date"},
            "discount": {"type": "number", "minimum": 0, "maximum": 50},
        },
    },
    "output": {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "count", "currency", "note", "total", "made_at"],
        "properties": {
            "id": {"type": "string", "pattern": "^Q-[0-9]{6}$"},
            "count": {"type": "integer", "minimum": 0},
            "currency": {"enum": ["EUR", "USD"]},
            "note": TEXT,
            "total": {"type": "number", "minimum": 0},
            "made_at": {"type": "string", "format": "date-time"},
        },
    },
    "errors": {"bad_order": {"class": "invalid_input"}, "busy": {"class": "transient"}},
    "effects": {"kind": "write", "resources": ["order:quote"]},
    "idempotency": {"key": "key"},
    "timeout": {"attempt_s": 10, "total_s": 20},
    "limits": {"output_bytes": 10_000, "depth": 8},
    "ensures": [
        {"id": "counts_items", "expr": "output.count == size(input.items)"},
        {"id": "same_note", "expr": "output.note == input.note"},
        {"id": "same_currency", "expr": "output.currency == input.currency"},
    ],
    "examples": [
        {
            "name": "two_items",
            "input": {
                "key": "example-1",
                "items": [{"sku": "ABC-01", "quantity": 2}, {"sku": "ABC-02", "quantity": 100}],
                "currency": "EUR",
                "note": "for Zoë",
            },
            "output": {
                "id": "Q-000001",
                "count": 2,
                "currency": "EUR",
                "note": "for Zoë",
                "total": 102.0,
                "made_at": "2026-11-05T09:30:00Z",
            },
        }
    ],
}


def agent(bug: str, log: Path) -> dict[str, Any]:
    errors = {code: {"text": f"^{code}:"} for code in CONTRACT["errors"]}
    return {
        "agent": "quotes",
        "summary": "Quotes orders.",
        "transport": {
            "kind": "mcp_stdio",
            "command": ["{python}", str(PROGRAM)],
            "env": {"QUOTES_BUG": bug, "QUOTES_LOG": str(log)},
        },
        "serves": [{"contract": "order.quote@^1", "bind": {"tool": "quote", "result": "json", "errors": errors}}],
    }


def http_agent(bug: str, log: Path) -> dict[str, Any]:
    """The same agent behind HTTP."""
    errors = {code: {"http_status": 422, "text": f'"{code}"'} for code in CONTRACT["errors"]}
    bind = {"method": "POST", "path": "/quotes", "body": "json", "errors": errors}
    return {
        **agent(bug, log),
        "transport": {
            "kind": "http",
            "base_url": "http://127.0.0.1:{port}",
            "env": {"QUOTES_BUG": bug, "QUOTES_LOG": str(log)},
            "start": {
                "command": ["{python}", str(PROGRAM.with_name("quotes_http.py")), "--port", "{port}"],
                "ready": "/",
            },
        },
        "serves": [{"contract": "order.quote@^1", "bind": bind}],
    }


def make_home(folder: Path, *, bug: str = "", http: bool = False, **changed: Any) -> Home:
    """A home whose agent has `bug`; `changed` replaces parts of the contract."""
    (folder / "contracts").mkdir(parents=True)
    (folder / "agents_registry").mkdir()
    contract = {**CONTRACT, **changed}
    (folder / "contracts" / "order.quote.contract.yaml").write_text(yaml.safe_dump(contract, allow_unicode=True))
    (folder / "agents_registry" / "quotes.agent.yaml").write_text(
        yaml.safe_dump((http_agent if http else agent)(bug, folder / "booked.log"))
    )
    return Home(path=folder, state=folder / "state")
