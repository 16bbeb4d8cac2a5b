"""What one HTTP answer is: a neutral reply, or the failure that its status stands for. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from process_orchestrator.checking.addresses import WebAddress, web_address
from process_orchestrator.checking.retry_after import retry_after_ms
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.pointers import segments
from process_orchestrator.checking.schemas.validate import parse_body
from process_orchestrator.core.errors import AddressError, AgentCallError, BodyError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.answer import Reply
from process_orchestrator.performing.http_exchange import Received

UNAUTHORIZED: Final = 401
"""`The request has not been applied because it lacks valid authentication credentials`: RFC 9110, section 15.5.2."""


def reply_of(received: Received, *, bytes_max: int, depth: int) -> Reply:
    """The answer, its body read where it is JSON. Raises AgentCallError where that body cannot be read."""
    structured: Any = msgspec.UNSET
    if received.succeeded and received.bodiless:
        structured = {}
    elif received.succeeded and received.is_json and received.data:
        try:
            structured = parse_body(received.data, max_bytes=bytes_max, depth=depth)
        except BodyError as error:
            raise AgentCallError(error.code, error.message) from error
    return Reply(
        structured=structured,
        text=None if structured == {} and received.bodiless else received.data.decode(errors="replace"),
        failed=not received.succeeded,
        status=received.status,
        retry_after_ms=retry_after_ms(received.headers.get("retry-after")),
    )


def redirected(received: Received, url: WebAddress) -> AgentCallError | None:
    """The failure of an answer that points elsewhere: its target is named, and nobody goes there."""
    location = received.headers.get("location")
    if location is None or not 300 <= received.status < 400:
        return None
    try:
        shown = web_address(location).shown if "://" in location else url.origin + location.partition("?")[0][:200]
    except AddressError:
        shown = "an address that cannot be read"
    return AgentCallError(
        "undeclared_error",
        f"the agent answered status {received.status} and names {shown}; redirects are not followed. "
        "If that is where it is now, write it into its file",
        class_=FailureClass.PERMANENT,
        outcome=Outcome.UNKNOWN,
    )


def pointed(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer, or ABSENT."""
    at = value
    for part in segments(pointer):
        if isinstance(at, dict) and part in at:
            at = at[part]
        elif isinstance(at, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(at):
            at = at[int(part[:9])]
        else:
            return ABSENT
    return at


def broken(message: str, reply: Reply | None = None) -> AgentCallError:
    """An answer without what its bind says that it holds."""
    shown = None if reply is None else (reply.text or "")[:2000]
    return AgentCallError("output_mismatch", message, answer=shown)
