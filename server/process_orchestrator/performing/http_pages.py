"""An answer in pages: asked for one after another, put together, bounded, and refused rather than cut.

For calls that only read: a page that fails fails the call, and the core may make all of it again. Source of the header
Link: RFC 8288.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from process_orchestrator.checking.addresses import WebAddress, followed
from process_orchestrator.checking.schemas.paths import ABSENT
from process_orchestrator.checking.schemas.pointers import segments
from process_orchestrator.core.errors import AddressError, AgentCallError
from process_orchestrator.core.facts.values import FailureClass
from process_orchestrator.performing.answer import Reply, refusal
from process_orchestrator.performing.http_answer import broken, pointed
from process_orchestrator.performing.http_request import query_text

LINK_CHARACTERS_MAX: Final = 16_384
PAGES_DEFAULT: Final = 10
_LINK: Final = re.compile(r'\s*<([^<>]*)>((?:[^,"]|"[^"]*")*)(?:,|$)')
_PARAMETER: Final = re.compile(r';\s*([^\s=;,"]+)\s*=\s*(?:"([^"]*)"|([^\s;,"]*))')

Ask = Callable[[WebAddress], Awaitable[tuple[Reply, dict[str, str]]]]
"""One GET at an address of the agent's own origin: the answer and its headers."""


async def whole_of(
    first: Reply, headers: dict[str, str], *, bind: dict[str, Any], url: WebAddress, bytes_max: int, ask: Ask
) -> Reply:
    """The last page with the items of all pages in it. Raises AgentCallError."""
    pages: dict[str, Any] = bind["pages"]
    most, place = int(pages.get("max", PAGES_DEFAULT)), str(pages["items"])
    reply, items, count, size = first, list(_items(first, place)), 1, len(first.text or "")
    seen = {url.target}
    while (at := _next(reply, headers, pages, url=url)) is not None:
        if at.target in seen:
            raise broken(f"page {count} of the answer names a page that was there before: it has no end", reply)
        if count >= most:
            message = f"the answer has more than {most} pages; ask for less at once, or raise pages.max"
            raise AgentCallError("too_large", message)
        seen.add(at.target)
        url = at
        reply, headers = await ask(at)
        if reply.failed:
            raise refusal(reply, bind)
        count += 1
        size += len(reply.text or "")
        if size > bytes_max:
            raise AgentCallError("too_large", f"the pages are over {bytes_max} bytes together")
        items.extend(_items(reply, place))
    return replace(reply, structured=_with(reply.structured, place, items), text=None)


def _items(reply: Reply, place: str) -> list[Any]:
    found = ABSENT if reply.structured is msgspec.UNSET else pointed(reply.structured, place)
    if not isinstance(found, list):
        raise broken(f"a page of the answer has no list at {place or 'its top'}", reply)
    return found


def _next(reply: Reply, headers: dict[str, str], pages: dict[str, Any], *, url: WebAddress) -> WebAddress | None:
    """The address of the next page; None after the last one."""
    if pages["next"] == "link":
        text = next_link(headers.get("link", ""))
    else:
        named = pointed(reply.structured, pages["next"])
        if named is ABSENT or named is None or named is False or named == "":
            return None
        if not isinstance(named, str | int) or isinstance(named, bool):
            raise broken(f"a page of the answer has no address or cursor at {pages['next']}", reply)
        if "cursor" in pages:
            return _with_cursor(url, pages["cursor"], str(named))
        text = str(named)
    if text is None:
        return None
    try:
        return followed(url, text)
    except AddressError as error:
        raise AgentCallError("undeclared_error", error.message, class_=FailureClass.PERMANENT) from error


def _with_cursor(url: WebAddress, name: str, value: str) -> WebAddress:
    marked = query_text(((name, value),))
    prefix = marked.partition("=")[0] + "="
    kept = [part for part in url.query.split("&") if part and not part.startswith(prefix)]
    return replace(url, query="&".join([*kept, marked]))


def next_link(header: str) -> str | None:
    """The address of `rel=next` in a Link header."""
    return next((target for target, relations in _links(header) if "next" in relations), None)


def _links(header: str) -> Iterator[tuple[str, list[str]]]:
    at = 0
    while match := _LINK.match(header[:LINK_CHARACTERS_MAX], at):
        found = (each for each in _PARAMETER.finditer(match[2]) if each[1].lower() == "rel")
        relation = next(found, None)
        yield match[1].strip(), (relation[2] or relation[3] or "").lower().split() if relation else []
        at = match.end()


def _with(value: Any, place: str, items: list[Any]) -> Any:
    """A copy of a page with other items in it."""
    parts = segments(place)
    if not parts:
        return items
    top = dict(value) if isinstance(value, dict) else list(value)
    at: Any = top
    for part in parts[:-1]:
        key: Any = int(part) if isinstance(at, list) else part
        inner = at[key]
        at[key] = dict(inner) if isinstance(inner, dict) else list(inner)
        at = at[key]
    at[int(parts[-1]) if isinstance(at, list) else parts[-1]] = items
    return top
