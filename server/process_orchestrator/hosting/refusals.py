"""Refusals of a host in words: what cannot be done, and what to do instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from process_orchestrator.core.errors import EngineError, RefusedError

if TYPE_CHECKING:
    from process_orchestrator.core.facts.state import Refusal
    from process_orchestrator.core.facts.values import Fact

WHAT_TO_DO: Final = {
    "ALREADY_RESOLVED": "read `record`, then get_state of its process.",
    "VERSION_CONFLICT": "read the escalation again and decide on what it says now.",
    "DECISION_NOT_ALLOWED": "choose one of its decisions.",
    "BUDGET_INVALID": 'send {"usd": "1.50"}: what is added.',
    "INPUT_MISMATCH": "send `data` that its schema allows.",
    "NEEDS_HUMAN": "ask the user to decide: `orchestrator resolve ESCALATION` in a terminal.",
    "UNKNOWN_ESCALATION": "list_escalations.",
}


def refused(refusal: Refusal) -> RefusedError:
    """The error of a refusal of the core."""
    details: dict[str, object] | None = {"required": refusal.required.value} if refusal.required else None
    return RefusedError(
        refusal.code,
        refusal.message,
        do=WHAT_TO_DO.get(refusal.code, "get_state of the process."),
        record=refusal.record,
        details=details,
    )


def must_be_storable(asked: Fact) -> None:
    """Refuse words that have no stored form (half a surrogate pair, as from an argument that is no UTF-8)."""
    try:
        msgspec.json.encode(asked)
    except UnicodeEncodeError as error:
        raise no_text(error) from error


def no_text(error: UnicodeEncodeError) -> RefusedError:
    return RefusedError(
        "BAD_ARGUMENT", f"a text in it is no Unicode text: {error.reason}.", do="send whole characters."
    )


def unknown_process(process: str) -> RefusedError:
    return RefusedError("UNKNOWN_PROCESS", f"no process {process!r} in this home.", do="list_processes.")


def key_reused(process: str) -> RefusedError:
    return RefusedError(
        "KEY_REUSED",
        f"this idempotency key started {process} with another body.",
        do=f"get_state of {process}, or submit with a new key.",
        details={"process_id": process},
    )


def closing() -> EngineError:
    return EngineError("ENGINE_UNAVAILABLE", "ENGINE_UNAVAILABLE: the engine is closing. Do: try again.")
