"""The `Retry-After` header: seconds or an HTTP date. Source: RFC 9110, section 10.2.3."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_MS_MAX: Final = 7 * 86_400_000
"""A server may not park a call for longer than a week; the core's own limits are far below."""


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
