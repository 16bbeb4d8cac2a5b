"""The structured form of an error: code, cause, what to do, and what helps to do it. Never a value that was refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from process_orchestrator.core.errors import OrchestratorError, RefusedError
from process_orchestrator.views.models import (
    Candidate,
    ErrorBody,
    ErrorView,
    EscalationView,
    ValueProblemView,
)

DO_OF_CODE: Final = {
    "STORAGE_FULL": "free disk space; what was acknowledged is safe, and writing resumes by itself.",
    "ENGINE_UNAVAILABLE": "try again in a few seconds; `orchestrator doctor` says what holds the home.",
    "ENGINE_VERSION": "quit the other program fully, or use the version that holds the home.",
}


def error_view(error: OrchestratorError) -> ErrorView:
    if isinstance(error, RefusedError):
        record = error.details.get("record")
        return ErrorView(
            error=ErrorBody(
                code=error.code,
                message=error.message,
                do=error.do,
                pointer=error.pointer,
                record=record if isinstance(record, EscalationView) else None,
                errors=_list(error.details.get("errors"), ValueProblemView),
                candidates=_list(error.details.get("candidates"), Candidate),
                nearest=_texts(error.details.get("nearest")),
            )
        )
    code = error.code
    return ErrorView(
        error=ErrorBody(code=code, message=str(error), do=DO_OF_CODE.get(code, "run `orchestrator doctor`."))
    )


def _list(values: object, kind: type[Any]) -> list[Any] | None:
    found = [value for value in values if isinstance(value, kind)] if isinstance(values, Iterable) else []
    return found or None


def _texts(values: object) -> list[str] | None:
    found = [value for value in values if isinstance(value, str)] if isinstance(values, tuple | list) else []
    return found or None
