"""How times and foreign texts read in every view: one form everywhere, harmless and sortable. No translations."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_ANSI_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", re.DOTALL)
_HIDDEN: Final = re.compile(
    # C0 and C1 but tab and line feed; bidirectional marks, overrides and isolates; what hides text from a reader
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)

_MARKUP: Final = re.compile(r"[\\`*{}\[\]<>#|~&!@]|(?<!\w)_|_(?!\w)|:(?=//)|(?<=www)\.")


def timestamp(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, from epoch milliseconds."""
    moment = datetime.fromtimestamp(at_ms // 1000, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def epoch_ms(text: str) -> int | None:
    """Epoch milliseconds of an RFC 3339 time (a date alone is its midnight, no offset is UTC), or None."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def counted(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_line(text: str, *, limit: int = 300) -> str:
    """Foreign text as one harmless line of at most `limit` characters."""
    line = " ".join(harmless(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def harmless(text: str) -> str:
    """Foreign text without terminal control and hidden characters; line breaks and tabs stay."""
    return _HIDDEN.sub("", _ANSI_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def markdown(text: str, *, limit: int = 300) -> str:
    """Foreign text as one line of literal Markdown of at most `limit` characters, to stand inside a line of ours.

    Nothing in it becomes markup, a link (bare addresses too) or an HTML tag; what is harmless stays as it is.
    """
    return _MARKUP.sub(r"\\\g<0>", one_line(text, limit=limit))
