"""When an agent wants to be asked again: the `Retry-After` header of HTTP, and the same in an error result of MCP.

Source of the header: RFC 9110, section 10.2.3. MCP has no word for it, so ours stands in the result's `_meta` or in its
structured content.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

RETRY_AFTER_MS_MAX: Final = 7 * 86_400_000
"""A server may not park a call for longer than a week; the core's own limits are far below."""

META: Final = "process-orchestrator/retry_after_s"
FIELD: Final = "retry_after_s"


def bounded_ms(wait_ms: float) -> int:
    """A wait that somebody else named, within what may be asked of us. What is no number of time is no wait."""
    return round(max(0.0, min(wait_ms, float(RETRY_AFTER_MS_MAX)))) if wait_ms == wait_ms else 0  # noqa: PLR0124 - NaN


def told_retry_after_ms(structured: Any, meta: Any) -> int | None:
    """What an error result of MCP says, in milliseconds; None where it says nothing that can be read."""
    for holder, name in ((meta, META), (structured, FIELD)):
        seconds = holder.get(name) if isinstance(holder, dict) else None
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
            return bounded_ms(seconds * 1000)
    return None


def retry_after_ms(header: str | None, *, now: datetime | None = None) -> int | None:
    """How long to wait, in milliseconds; None for no header or one that cannot be read. A past date is zero."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]) * 1000, RETRY_AFTER_MS_MAX)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    wait = at - (now or datetime.now(UTC))
    return max(0, min(int(wait.total_seconds() * 1000), RETRY_AFTER_MS_MAX))
