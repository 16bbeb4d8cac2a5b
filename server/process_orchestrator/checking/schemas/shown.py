"""Foreign values and texts in our messages: on one line, cut, with what would be hidden written out."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

Json = Any

SHOWN_MAX: Final = 80
"""Characters of a value in a message."""


def shown(value: Json) -> str:
    """A value on one line, cut."""
    if value is msgspec.UNSET:
        return "nothing"
    try:
        text = visible(orjson.dumps(value).decode())
    except TypeError:  # an integer beyond 64 bits
        text = visible(repr(value))
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


def visible(text: str) -> str:
    """A text whose hidden characters are written out: a change may be made of nothing else."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
