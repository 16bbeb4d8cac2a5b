"""What a tool answers with: the structured form, the text, and the schema that both successes and errors keep.

Claude Desktop reads the text only, Claude Code the structured form only, so each says everything. Knows no MCP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from process_orchestrator.core.errors import EngineError, OrchestratorError, RefusedError, StorageFullError
from process_orchestrator.doors.tool_texts import DIALECT
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.models import (
    Description,
    ErrorBody,
    ErrorView,
    EscalationPage,
    ProcessPage,
    ProcessView,
    Resolution,
    TracePage,
    Validation,
    View,
    output_schema,
)
from process_orchestrator.views.text import view_text

VIEWS: Final[Mapping[str, type[View]]] = {
    "submit_process": ProcessView,
    "get_state": ProcessView,
    "list_trace": TracePage,
    "resolve_escalation": Resolution,
    "list_escalations": EscalationPage,
    "list_processes": ProcessPage,
    "cancel_process": ProcessView,
    "describe_agents": Description,
    "validate_contract": Validation,
}
"""What each tool answers with when it succeeds."""

_ERROR_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "There, and alone, where the call failed.",
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "do": {"type": "string"},
        "pointer": {"type": "string"},
        "record": {"type": "object"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "candidates": {"type": "array", "items": {"type": "object"}},
        "nearest": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["code", "message", "do"],
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Both forms of one result."""

    structured: dict[str, Any]
    text: str
    is_error: bool = False


def published_output_schema(view: type[View]) -> dict[str, Any]:
    """The declared schema of a tool: the view's, and `error` beside its fields.

    Clients of other SDKs validate errors against it too, some hosts refuse a union at the root, so the root requires
    nothing: either the view's own required fields are there, or `error` is.
    """
    schema = output_schema(view)
    schema.pop("required", None)
    own = schema["properties"].get("error")
    error = dict(_ERROR_SCHEMA) if own is None else _either(schema["$defs"].pop(own["$ref"].removeprefix("#/$defs/")))
    schema["properties"] = {**schema["properties"], "error": error}
    return {"$schema": DIALECT, **schema}


def _either(own: Mapping[str, Any]) -> dict[str, Any]:
    """A process that failed has an `error` too, with other fields: both fit, what only one has is not required."""
    return {
        **_ERROR_SCHEMA,
        "description": "Of a failed process: what failed. Of a failed call (isError): alone, with message and do.",
        "properties": {**own["properties"], **_ERROR_SCHEMA["properties"]},
        "required": [name for name in own["required"] if name in _ERROR_SCHEMA["required"]],
    }


def answer_of(view: View) -> Answer:
    """A success."""
    return Answer(structured=view.payload(), text=view_text(view).rstrip())


def answer_of_error(error: Exception, orchestrator: Orchestrator) -> Answer:
    """An error; what nobody expected says no more than that, the log has the rest."""
    view = ErrorView(error=_body(error, orchestrator))
    return Answer(structured=view.payload(), text=view_text(view).rstrip(), is_error=True)


def _body(error: Exception, orchestrator: Orchestrator) -> ErrorBody:
    match error:
        case RefusedError() | EngineError() | StorageFullError():
            return orchestrator.error_view(error).error
        case TimeoutError():
            return ErrorBody(
                code="ENGINE_UNAVAILABLE",
                message="the engine did not answer in time; what was asked may still happen.",
                do="call again with the same arguments (submit_process with the same idempotency_key).",
            )
        case OrchestratorError():
            return ErrorBody(
                code="ENGINE_UNAVAILABLE", message=f"{error}.", do="ask the user to run `orchestrator doctor`."
            )
        case _:
            return ErrorBody(
                code="ENGINE_UNAVAILABLE",
                message="the server met a fault of its own; the log on stderr names it.",
                do="call get_state or list_processes to see what stands, then try once more.",
            )
