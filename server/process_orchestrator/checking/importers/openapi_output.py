"""What an operation answers: its successes as one object schema, its refusals as declared errors by class.

A success that is no object is wrapped by the `bind`, so that there is a name for it. Only statuses that are written
out can be told apart; ranges and `default` stay undeclared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from process_orchestrator.checking.importers.draft import Todo
from process_orchestrator.checking.importers.openapi_document import OpenApi, Operation, mapping
from process_orchestrator.checking.importers.openapi_schema import kinds

Json = Any

ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad_request", "invalid_input"),
    401: ("unauthorized", "denied"),
    403: ("forbidden", "denied"),
    404: ("not_found", "not_found"),
    408: ("request_timeout", "transient"),
    409: ("conflict", "conflict"),
    410: ("gone", "permanent"),
    412: ("precondition_failed", "permanent"),
    422: ("unprocessable", "invalid_input"),
    425: ("too_early", "transient"),
    429: ("too_many_requests", "transient"),
    500: ("server_error", "permanent"),
    502: ("bad_gateway", "transient"),
    503: ("unavailable", "transient"),
    504: ("gateway_timeout", "transient"),
}
"""Statuses by name and class of error."""

SAYS_WHEN: Final = frozenset((429, 503))
"""Their answers may carry Retry-After; and they say that nothing was done."""

TEXT: Final[dict[str, Json]] = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
"""An answer that is no JSON."""

ITEMS: Final = "items"
VALUE: Final = "value"


class Answers(NamedTuple):
    """What comes back."""

    schema: dict[str, Json]  # with references into the document
    errors: dict[str, Json]
    bind: dict[str, Json]  # wrap, errors
    todo: tuple[Todo, ...]


def answers(document: OpenApi, operation: Operation) -> Answers:
    """The answers of an operation."""
    responses = {
        str(status): document.followed(each) for status, each in mapping(operation.body.get("responses")).items()
    }
    schema, wrap, todo = _success(document, responses)
    if operation.method == "GET" and any(_is_paged(each) for each in responses.values()):
        said = "its answers come in pages (header Link): write bind.pages in the agent's file to get them all"
        todo.append(Todo(pointer="/output", text=said))
    errors, statuses = _errors(responses, changes=operation.method not in ("GET", "HEAD"))
    bind: dict[str, Json] = {}
    if wrap is not None:
        bind["wrap"] = wrap
    if statuses:
        bind["errors"] = {code: {"http_status": status} for code, status in statuses.items()}
    return Answers(schema=schema, errors=errors, bind=bind, todo=tuple(todo))


def _success(
    document: OpenApi, responses: dict[str, dict[str, Json]]
) -> tuple[dict[str, Json], str | None, list[Todo]]:
    """The output schema, the name that wraps what is no object, and what is open."""
    good = {status: each for status, each in responses.items() if status[:1] == "2"}
    good = good or {status: each for status, each in responses.items() if status == "default"}
    schemas: list[Json] = []
    others: list[str] = []
    for each in good.values():
        content = mapping(each.get("content"))
        media = next((name for name in content if _is_json(name)), None)
        if media is not None:
            schemas.append(mapping(content[media]).get("schema", {}))
        else:
            others += content or ["nothing"]
    if not schemas:
        if others and any(each != "nothing" for each in others):
            what = ", ".join(each for each in others if each != "nothing")[:80]
            return TEXT, None, [Todo(pointer="/output", text=f"it answers {what}, which is read as one text")]
        return {"type": "object"}, None, []
    unique = [each for index, each in enumerate(schemas) if each not in schemas[:index]]
    return _together(document, unique, also_text=bool(others))


def _together(
    document: OpenApi, schemas: list[Json], *, also_text: bool
) -> tuple[dict[str, Json], str | None, list[Todo]]:
    found = [sorted(kinds(document, each) - {"null"}) for each in schemas]
    if all(each == ["object"] for each in found):
        branches = [*schemas, *([TEXT] if also_text else [])]
        return (branches[0] if len(branches) == 1 else {"type": "object", "anyOf": branches}), None, []
    if all(each and "object" not in each for each in found):
        name = ITEMS if all(each == ["array"] for each in found) else VALUE
        inner = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        wrapped = {"type": "object", "required": [name], "properties": {name: inner}}
        return ({"type": "object", "anyOf": [wrapped, TEXT]} if also_text else wrapped), name, []
    why = "the document does not say what kind of value it answers; write the schema, or infer it from real answers"
    return {"type": "object"}, VALUE, [Todo(pointer="/output", text=why)]


def _errors(responses: dict[str, dict[str, Json]], *, changes: bool) -> tuple[dict[str, Json], dict[str, int]]:
    """Declared errors by code, and the status of each."""
    errors: dict[str, Json] = {}
    statuses: dict[str, int] = {}
    for status in sorted(each for each in responses if each.isascii() and each.isdigit()):
        number = int(status[:4])
        if not 400 <= number <= 599:
            continue
        code, kind = ERRORS.get(number, (f"http_{number}", "permanent"))
        error: dict[str, Json] = {"class": kind}
        if number in SAYS_WHEN:
            error["retry_after"] = True
        elif changes and (number >= 500 or number == 408):
            error["outcome"] = "unknown"  # it may have happened before it went wrong
        errors[code], statuses[code] = error, number
    return errors, statuses


def _is_paged(response: dict[str, Json]) -> bool:
    return any(name.lower() == "link" for name in mapping(response.get("headers")))


def _is_json(media: str) -> bool:
    plain = media.partition(";")[0].strip().lower()
    return plain in ("application/json", "*/*", "application/*") or plain.endswith("+json")
