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
from process_orchestrator.views.estimate_models import EstimateView
from process_orchestrator.views.models import (
    Description,
    ErrorBody,
    ErrorView,
    EscalationPage,
    EscalationView,
    ProcessPage,
    ProcessView,
    Resolution,
    TracePage,
    Validation,
    View,
    brief_schema,
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
    "estimate_cost": EstimateView,
    "describe_agents": Description,
    "validate_contract": Validation,
}
"""What each tool answers with when it succeeds."""

_LISTED: Final = frozenset({"get_state", "list_trace", "list_escalations", "list_processes"})
"""Tools whose published schema shows the rows of their lists too; the others answer with what these show."""

_ERROR_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "Of a failed call (isError): there, and alone.",
    "properties": {name: {"type": "string"} for name in ("code", "message", "do")},
    "required": ["code"],
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Both forms of one result."""

    structured: dict[str, Any]
    text: str
    is_error: bool = False


def published_output_schema(tool: str) -> dict[str, Any]:
    """The declared schema of a tool: its view's names and types, and `error` beside its fields.

    Clients of other SDKs validate errors against it too, some hosts refuse a union at the root, so the root requires
    nothing: either the view's own fields are there, or `error` is. Every host loads it with the list of tools, so it
    says what is where and no more; what every result keeps in full is `output_schema`.
    """
    listed = tool in _LISTED
    bare = frozenset[str]() if tool == "list_escalations" else frozenset({EscalationView.__name__})
    schema = brief_schema(VIEWS[tool], depth=1 if listed else 0, bare=bare)
    own = schema["properties"].get("error", {})
    return {"$schema": DIALECT, **schema, "properties": {**schema["properties"], "error": _either(own)}}


def _either(own: Mapping[str, Any]) -> dict[str, Any]:
    """A process that failed has an `error` too, with other fields and a message that may be null: both fit."""
    if not own:
        return dict(_ERROR_SCHEMA)
    fields = {**_ERROR_SCHEMA["properties"], "message": {"type": ["string", "null"]}, **own.get("properties", {})}
    return {**_ERROR_SCHEMA, "description": "Of a failed process, or alone of a failed call.", "properties": fields}


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
