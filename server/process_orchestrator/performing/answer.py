"""How the raw reply of an agent becomes a value or a failure, as the agent's `bind` says.

Pure functions over one neutral `Reply`, whatever transport brought it. Nothing here judges the value against the
contract: that is `invoke`'s. Source of the rules: docs/design.md, "How an answer is read".
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from process_orchestrator.checking.schemas.paths import ABSENT, find, parse_path
from process_orchestrator.checking.schemas.validate import check_depth, parse_body
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Fact, FailureClass, Outcome, Usage

SEARCHED_TEXT_MAX: Final = 4096
"""Characters of an error text that `bind.errors` searches: a pattern over a megabyte of hostile text may hang."""

TRANSIENT_STATUS: Final = frozenset({429, 502, 503, 504})
NOT_DONE_STATUS: Final = frozenset({401, 429, 503})
"""Statuses that say that nothing was done; after every other unmapped one the effect may have happened."""

DENIED_STATUS: Final = frozenset({401, 403})


class Reply(Fact, frozen=True, kw_only=True):
    """What came back over any transport. `structured` is UNSET where the agent gave no JSON value of its own."""

    structured: Any = msgspec.UNSET
    text: str | None = None
    failed: bool = False  # the agent says so: MCP isError, an HTTP status over 299
    status: int | None = None  # HTTP
    state: str | None = None  # A2A: how the agent's task ended
    retry_after_ms: int | None = None
    stderr: str | None = None
    billed: Usage | None = None  # by an agent that says what each call took, as models do


def read_value(reply: Reply, bind: dict[str, Any], *, max_bytes: int, depth: int) -> Any:
    """The agent's answer as a JSON value. Raises BodyError where it is no JSON within the caps.

    `bind.result` is `structured` (A2A: `data`), `json` or `text`; without it: structured content if there is any, else
    a text that begins like JSON must be JSON, and any other text is `{"text": …}`.
    """
    result = bind.get("result")
    if result in {"structured", "data"} and reply.structured is msgspec.UNSET:
        raise BodyError("not_json", "the agent gave no structured content")
    if result not in {"text", "json"} and reply.structured is not msgspec.UNSET:
        check_depth(reply.structured, depth)
        return reply.structured
    if result == "json" and reply.text is None and reply.structured is not msgspec.UNSET:
        check_depth(reply.structured, depth)
        return reply.structured
    text = reply.text or ""
    if result == "json" or (result != "text" and text.lstrip()[:1] in {"{", "["}):
        return parse_body(text.encode(errors="surrogatepass"), max_bytes=max_bytes, depth=depth)
    return {"text": text}


def refusal(reply: Reply, bind: dict[str, Any]) -> AgentCallError:
    """The failure that an agent's own error answer stands for: a code of `bind.errors`, else undeclared_error."""
    shown = reply.text
    if shown is None:
        shown = "" if reply.structured is msgspec.UNSET else msgspec.json.encode(reply.structured).decode()
    code = declared_code(shown, reply.status, bind)
    where = f"status {reply.status}" if reply.status is not None else "an error"
    message = f"the agent answered {where}: {shown[:200]}" if shown else f"the agent answered {where}"
    if code is not None:
        return AgentCallError(
            code, message, retry_after_ms=reply.retry_after_ms, answer=evidence(reply), stderr=reply.stderr
        )
    return AgentCallError(
        "undeclared_error",
        message,
        class_=_class_of(reply.status),
        outcome=Outcome.NOT_DONE if reply.status in NOT_DONE_STATUS else Outcome.UNKNOWN,
        retry_after_ms=reply.retry_after_ms,
        answer=evidence(reply),
        stderr=reply.stderr,
    )


def _class_of(status: int | None) -> FailureClass:
    if status in TRANSIENT_STATUS:
        return FailureClass.TRANSIENT
    return FailureClass.DENIED if status in DENIED_STATUS else FailureClass.PERMANENT


def declared_code(text: str, status: int | None, bind: dict[str, Any], *, state: str | None = None) -> str | None:
    """The first code of `bind.errors` whose conditions all hold. `text` is searched, not matched: servers prefix."""
    errors: dict[str, Any] = bind.get("errors") or {}
    for code, rule in errors.items():
        wanted = rule.get("http_status")
        if wanted is not None and status not in (wanted if isinstance(wanted, list) else [wanted]):
            continue
        ended = rule.get("state")
        if ended is not None and ended != state:
            continue
        pattern = rule.get("text")
        if pattern is not None and not _found(pattern, text[:SEARCHED_TEXT_MAX]):
            continue
        if wanted is not None or ended is not None or pattern is not None:
            return code
    return None


def evidence(reply: Reply) -> Any:
    """What of a reply is worth keeping beside its failure."""
    return reply.text if reply.structured is msgspec.UNSET else reply.structured


def renamed(arguments: dict[str, Any], names: dict[str, Any] | None) -> dict[str, Any]:
    """Arguments under the agent's own names, by `bind.input` (`{path: $.file, encoding: utf-8}`).

    A `$.name` value moves that argument, anything else is a literal; arguments that no entry names pass as they are,
    absent ones are left out.
    """
    if not names:
        return arguments
    moved = dict(arguments)
    found: dict[str, Any] = {}
    for target, source in names.items():
        if not (isinstance(source, str) and source.startswith("$")):
            found[target] = source
            continue
        segments = parse_path(source)
        value = find(arguments, segments)
        if segments and isinstance(segments[0], str):
            moved.pop(segments[0], None)
        if value is not ABSENT:
            found[target] = value
    return {**moved, **found}


def _found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # the author meant the text itself
        return pattern in text
