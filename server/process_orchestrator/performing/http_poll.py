"""Work that an HTTP agent accepts and does later: ask again, at its pace, until it is done, failed, or time is up.

Whatever goes wrong after the work was accepted leaves open whether it will be done: it never counts as not sent. The
time limit is the call's own. Source: RFC 9110, section 15.3.3 (202 Accepted); docs/http-agents.md, "Work that takes
longer".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import anyio
import msgspec
from msgspec.structs import replace

from process_orchestrator.checking.addresses import WebAddress, followed
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.core.errors import AddressError, AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.answer import TRANSIENT_STATUS, Reply, declared_code, evidence
from process_orchestrator.performing.http_answer import broken, pointed

PLACES: Final = ("operation-location", "location", "content-location")
"""Headers that name where to ask, the first that there is."""

EVERY_S_MIN: Final = 0.01
TROUBLES_MAX: Final = 10
"""Times in a row that asking may fail before the call does: the work goes on whether we hear of it or not."""

ACCEPTED: Final = 202

PLACEHOLDERS: Final = re.compile(r"\{([^{}]+)\}")

Ask = Callable[[WebAddress], Awaitable[tuple[Reply, dict[str, str]]]]
"""One GET at an address of the agent's own origin: the answer and its headers."""


async def outcome_of(
    first: Reply, headers: dict[str, str], *, bind: dict[str, Any], url: WebAddress, base: WebAddress, ask: Ask
) -> Reply:
    """The answer once the work is done. `url` was asked first, `base` is the agent's base address.

    Raises AgentCallError; its outcome is unknown, unless the agent says by a declared error how the work failed.
    """
    poll: dict[str, Any] = bind["poll"]
    reply, place, troubles = first, None, 0
    while not _is_done(reply, bind, is_first=reply is first):
        if place is None:
            place = _place(first, headers, poll, url=url, base=base)
        await _pause(reply.retry_after_ms, poll)
        try:
            answered, _ = await ask(place)
        except AgentCallError as error:
            answered = _trouble(error)
        if answered is None or answered.status in TRANSIENT_STATUS:
            troubles += 1
            if troubles > TROUBLES_MAX:
                raise AgentCallError("lost", f"the work was accepted, but asking about it failed {troubles} times")
            reply = replace(reply, retry_after_ms=None if answered is None else answered.retry_after_ms)
            continue
        if answered.failed:
            raise _refused(answered)
        reply, troubles = answered, 0
    if "result" not in poll:
        return reply
    value = pointed(reply.structured, poll["result"])
    if value is ABSENT:
        raise broken(f"the work is done, but its answer has no {poll['result']}", reply)
    return replace(reply, structured=value, text=None)


def _is_done(reply: Reply, bind: dict[str, Any], *, is_first: bool) -> bool:
    """Whether the work is done. Raises AgentCallError where it failed or where nothing is said of it."""
    poll = bind["poll"]
    if "status" not in poll:
        return reply.status != ACCEPTED
    state = ABSENT if reply.structured is msgspec.UNSET else pointed(reply.structured, poll["status"])
    if state is ABSENT:
        if is_first or reply.status == ACCEPTED:
            return False
        raise broken(f"the agent was asked how far the work is, and its answer has no {poll['status']}", reply)
    if _among(state, poll["until"]):
        return True
    if _among(state, poll.get("failed", ())):
        raise _failed(reply, state, bind)
    return False


def _among(state: Any, words: Any) -> bool:
    """Compared as JSON: true is not 1, but 1 is 1.0."""
    return any(state == word and isinstance(state, bool) == isinstance(word, bool) for word in words)


def _failed(reply: Reply, state: Any, bind: dict[str, Any]) -> AgentCallError:
    """The work ended in a state that means failure: a declared error by its text, else one whose outcome is open."""
    text = reply.text or ""
    code = declared_code(text, None, bind)
    message = f"the agent ended the work as {str(state)[:60]}: {text[:200]}"
    if code is not None:
        return AgentCallError(code, message, answer=evidence(reply))
    return AgentCallError(
        "undeclared_error", message, class_=FailureClass.PERMANENT, outcome=Outcome.UNKNOWN, answer=evidence(reply)
    )


def _refused(reply: Reply) -> AgentCallError:
    """Asking was refused. That says nothing of the work, so no error of the contract stands for it."""
    message = f"the work was accepted, but asking about it gave status {reply.status}: {(reply.text or '')[:200]}"
    return AgentCallError(
        "undeclared_error", message, class_=FailureClass.PERMANENT, outcome=Outcome.UNKNOWN, answer=evidence(reply)
    )


def _trouble(error: AgentCallError) -> None:
    """A question that got no answer is asked again; any other failure ends the call."""
    if error.code in {"unreachable", "lost"} and error.class_ is None:
        return
    code = "lost" if error.code == "unreachable" else error.code
    raise AgentCallError(
        code, f"the work was accepted, but: {error.message}", class_=error.class_, outcome=Outcome.UNKNOWN
    ) from error


def _place(
    first: Reply, headers: dict[str, str], poll: dict[str, Any], *, url: WebAddress, base: WebAddress
) -> WebAddress:
    """Where to ask. Raises AgentCallError where the first answer does not say it, or names another origin."""
    if "path" in poll:
        text = base.path.rstrip("/") + _filled(poll["path"], first)
    elif "url" in poll:
        named = pointed(first.structured, poll["url"])
        if not isinstance(named, str):
            raise broken(f"the work was accepted, but the answer has no address at {poll['url']}", first)
        text = named
    else:
        named = next((headers[name] for name in PLACES if name in headers), None)
        if named is None:
            raise broken(
                "the work was accepted, but no header says where to ask (Operation-Location, Location, "
                "Content-Location); write poll.url or poll.path",
                first,
            )
        text = named
    try:
        return followed(url, text)
    except AddressError as error:
        raise AgentCallError(
            "undeclared_error", error.message, class_=FailureClass.PERMANENT, outcome=Outcome.UNKNOWN
        ) from error


def _filled(template: str, first: Reply) -> str:
    path, end = "", 0
    for match in PLACEHOLDERS.finditer(template):
        value = pointed(first.structured, "/" + match[1].removeprefix("/"))
        is_name = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        if not is_name or any(part in {".", ".."} for part in re.split(r"[/\\]", str(value))):
            raise broken(f"the work was accepted, but the answer has no name for it at /{match[1]}", first)
        path += template[end : match.start()] + quote(str(value), safe="")
        end = match.end()
    return path + template[end:]


async def _pause(asked_ms: int | None, poll: dict[str, Any]) -> None:
    """Wait as long as the agent's file and the agent want. Raises AgentCallError where the call has no such time."""
    wait_s = max(float(poll.get("every_s", 5)), EVERY_S_MIN, (asked_ms or 0) / 1000)
    left_s = anyio.current_effective_deadline() - anyio.current_time()
    if wait_s >= left_s:
        message = f"the work is not done, and may be asked about again in {wait_s:g} s only, past this call's time"
        raise AgentCallError("timeout", message, retry_after_ms=int(wait_s * 1000), answered=True)
    await anyio.sleep(wait_s)
