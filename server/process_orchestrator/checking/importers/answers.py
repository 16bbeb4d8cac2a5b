"""The output of a tool that declares none, as its real answers show it.

Pure: takes the results of `tools/call` as an MCP server gave them, or the JSON values of another agent. What they have
in common becomes a schema, and how such an answer must be read becomes a `result` of the agent's `bind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from process_orchestrator.checking.importers.adapt import adapted
from process_orchestrator.checking.importers.openapi_output import ITEMS, VALUE
from process_orchestrator.checking.schemas.infer import infer_schema
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import BodyError, RefusedError
from process_orchestrator.core.facts.values import Fact
from process_orchestrator.core.limits import BODY_BYTES_MAX, BODY_DEPTH_MAX

Json = Any


class Inferred(Fact, frozen=True, kw_only=True):
    """An output schema, and how the answers that it was made of are read. `result` None: as they come.

    `wrap`: the name under which an answer that is no object stands in the output; HTTP agents alone have it.
    """

    schema: dict[str, Json]
    result: str | None = None
    wrap: str | None = None
    notes: tuple[str, ...] = ()


def inferred_from_results(results: Sequence[dict[str, Json]]) -> Inferred:
    """From results of `tools/call`. Raises RefusedError where one of them is an error: it shows no output."""
    for result in results:
        if result.get("isError"):
            said = _text(result)[:200]
            raise RefusedError(
                "BAD_ARGUMENT",
                f"the tool answered an error, which shows nothing of its output: {said}",
                do="give --input that it can answer.",
            )
    structured = [result.get("structuredContent") for result in results]
    if all(isinstance(each, dict) for each in structured):
        return _of(structured, result=None)
    parsed = [_parsed(_text(result)) for result in results]
    if all(isinstance(each, dict) for each in parsed):
        return _of(parsed, result="json")
    lists = all(isinstance(each, list) for each in parsed)
    why = "the answers are lists" if lists else "the answers are text"
    note = f"{why}: a contract's output is an object, so the text as a whole is its `text`"
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return Inferred(schema=schema, result="text", notes=(note,))


def inferred_from_values(values: Sequence[Json], *, may_wrap: bool) -> Inferred:
    """From the values that an agent of another kind answered.

    Where one is no object, all stand under a name (`bind.wrap`), where that `may` be; else it raises RefusedError.
    """
    if all(isinstance(each, dict) for each in values):
        return _of(values, result=None)
    if not may_wrap:
        raise RefusedError(
            "BAD_ARGUMENT",
            "an answer is no JSON object, which the output of a contract must be.",
            do="bind it with `result: text`, and write an output with one property, text.",
        )
    name = ITEMS if all(isinstance(each, list) for each in values) else VALUE
    return replace(_of([{name: each} for each in values], result=None), wrap=name)


def _of(values: Sequence[Json], *, result: str | None) -> Inferred:
    seen = "one answer" if len(values) == 1 else f"{len(values)} answers"
    note = (
        f"made of {seen}: what {'it' if len(values) == 1 else 'all of them'} had is required, and nothing is narrowed"
    )
    return Inferred(schema=adapted(infer_schema(values)).schema, result=result, notes=(note,))


def _text(result: dict[str, Json]) -> str:
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    return "\n".join(each["text"] for each in blocks if isinstance(each, dict) and isinstance(each.get("text"), str))


def _parsed(text: str) -> Json:
    """The JSON value that a text is; None where it is none."""
    try:
        return parse_body(text.encode(errors="surrogatepass"), max_bytes=BODY_BYTES_MAX, depth=BODY_DEPTH_MAX)
    except BodyError:
        return None
