"""A contract that a model keeps, the agent that keeps it, and a process type of two steps over them."""

from typing import Any, Final

from llm.scripted import Script, ScriptedModel
from orchestrator.home import AGENTS, CONTRACTS, process_type
from process_orchestrator.checking.documents.definitions import Agent, Contract
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.facts.values import Tier

TEXT: Final = {"type": "string", "minLength": 1}

DRAFT: Final[dict[str, Any]] = {
    "contract": "mail.draft",
    "version": "1.0.0",
    "summary": "Write the text of one reminder.",
    "input": {
        "type": "object",
        "additionalProperties": False,
        "required": ["number"],
        "properties": {"number": TEXT, "iban": TEXT, "request_id": TEXT},
    },
    "output": {
        "type": "object",
        "additionalProperties": False,
        "required": ["subject", "text"],
        "properties": {"subject": {**TEXT, "maxLength": 80}, "text": TEXT},
    },
    "effects": {"kind": "none"},
    "idempotency": {"key": "request_id"},
    "retry": {"max_attempts": 2, "on": ["transient", "timeout", "contract"], "initial_s": 0.001},
    "cost": {"model_tokens": {"in": 1000, "out": 100}},
    "ensures": [{"id": "names_it", "expr": "output.text.contains(input.number)"}],
    "examples": [
        {"name": "one", "input": {"number": "LB-1"}, "output": {"subject": "Reminder", "text": "LB-1 is open."}}
    ],
}
WRITER: Final[dict[str, Any]] = {
    "agent": "writer",
    "summary": "Writes short mails.",
    "transport": {"kind": "model", "tier": "light", "instructions": "Write friendly, in two sentences."},
    "serves": [{"contract": "mail.draft@^1"}],
}
GOOD: Final = {"subject": "Reminder", "text": "Invoice LB-1 is still open."}

READ: Final = {"id": "read", "contract": "doc.read", "in": {"text": "$.input.text"}}


def draft_contract(**changed: Any) -> Contract:
    return definition_from_dict("contract", DRAFT | changed)


def writer(**changed: Any) -> Agent:
    transport = WRITER["transport"] | changed.pop("transport", {})
    return definition_from_dict("agent", {**WRITER, "transport": transport, **changed})


def registry(*more: Agent, contract: Contract | None = None, model: Agent | None = None, **given: Any) -> Registry:
    """The home of the orchestrator's tests, with a process type that has a model write a mail."""
    step = {"id": "draft", "contract": "mail.draft", "in": {"number": "$.steps.read.output.number"}, **given}
    drafting = process_type(
        "drafting",
        plan={"steps": [READ, step], "output": {"text": "$.steps.draft.output.text"}},
        escalation={"min_assurance": "A1"},
    )
    contracts = (*CONTRACTS, contract or draft_contract())
    return Registry.of(contracts, [drafting], (*AGENTS, model or writer(), *more))


def light(script: Script, **more: Any) -> ScriptedModel:
    """A scripted model of the one tier that the agent asks: nobody writes paragraphs about its failures."""
    return ScriptedModel(script, tiers=(Tier.LIGHT,), **more)
