"""Paths of bindings: RFC 9535 singular queries, names and indexes only, and what they find in a value.

`.0` is accepted for `[0]`, which flow-style YAML cannot hold unquoted. No wildcards, no filters, no functions: a path
leads to one place or to none. Source: https://www.rfc-editor.org/rfc/rfc9535 section 2.3.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from process_orchestrator.core.errors import PathError

Json = Any
Segments = tuple[str | int, ...]

PATH_MAX: Final = 500
"""Characters of one path."""

_INDEX_MAX: Final = 2**53 - 1  # RFC 9535 section 2.1: indexes are I-JSON integers

_NAME: Final = re.compile(r"[A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff][0-9A-Za-z_\u0080-\ud7ff\ue000-\U0010ffff]*")
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]*")
_BLANK: Final = re.compile(r"[ \t\n\r]*")
_PLAIN: Final = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\"}
_HEX: Final = re.compile(r"[0-9A-Fa-f]{4}")


class Absent:
    """Nothing there. Unlike null, which is a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()


def parse_path(text: str) -> Segments:
    """The segments after `$`. Raises PathError with the character where reading stopped."""
    if len(text) > PATH_MAX:
        raise PathError(f"A path has at most {PATH_MAX} characters.")
    if not text.startswith("$"):
        raise PathError("A path begins with `$`.")
    segments: list[str | int] = []
    at = 1
    while at < len(text):
        start = _blank(text, at)
        if start == len(text):
            raise PathError("A path does not end with a blank.", position=at)
        if text[start] == ".":
            segment, at = _member(text, start + 1)
        elif text[start] == "[":
            segment, at = _bracket(text, start + 1)
        else:
            raise PathError("Expected `.name` or `[index]`.", position=start)
        segments.append(segment)
    return tuple(segments)


def find(value: Json, segments: Segments) -> Json:
    """What stands at a path, or ABSENT. A negative index counts from the end."""
    at: Any = value
    for segment in segments:
        if isinstance(segment, str):
            if not isinstance(at, dict) or segment not in at:
                return ABSENT
        elif not isinstance(at, list) or not -len(at) <= segment < len(at):
            return ABSENT
        at = at[segment]  # pyright: ignore[reportArgumentType, reportCallIssue]  the branches above pair kinds
    return at


def finder(segments: Segments) -> Callable[[Json], Json]:
    """`find` for one path that is followed often."""
    names = tuple(segment for segment in segments if isinstance(segment, str))
    if len(names) != len(segments):
        return lambda value: find(value, segments)
    if len(names) == 1:
        only = names[0]
        return lambda value: value.get(only, ABSENT) if type(value) is dict else ABSENT

    def follow(value: Json) -> Json:
        at: Any = value
        try:
            for name in names:
                at = at[name]
        except (KeyError, TypeError):  # no such name, or no object
            return ABSENT
        return at

    return follow


def write_path(segments: Segments) -> str:
    """The path as text, in the form that people write: `$.steps.a.output.lines[0]`."""
    parts = ["$"]
    for segment in segments:
        if isinstance(segment, int):
            parts.append(f"[{segment}]")
        elif _PLAIN.fullmatch(segment):
            parts.append(f".{segment}")
        else:
            escaped = segment.replace("\\", "\\\\").replace("'", "\\'")
            parts.append("['" + "".join(_escaped(character) for character in escaped) + "']")
    return "".join(parts)


def _blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _member(text: str, at: int) -> tuple[str | int, int]:
    """After a dot: a name, or our own `.0`."""
    if match := _NAME.match(text, at):
        return match.group(), match.end()
    if (match := _INTEGER.match(text, at)) and not text.startswith("-", at):
        end = match.end()
        if not _NAME.match(text, end) and not text[end : end + 1].isdigit():
            return _index(match.group(), at), end
    raise PathError("Expected a name after `.`; write other names as `['…']`.", position=at)


def _bracket(text: str, at: int) -> tuple[str | int, int]:
    """After `[`: a quoted name or an index, then `]`."""
    at = _blank(text, at)
    segment: str | int
    if text[at : at + 1] in {"'", '"'}:
        segment, at = _quoted(text, at)
    elif match := _INTEGER.match(text, at):
        segment, at = _index(match.group(), at), match.end()
    else:
        raise PathError("Expected an index or a quoted name after `[`.", position=at)
    at = _blank(text, at)
    if text[at : at + 1] != "]":
        raise PathError("Expected `]`.", position=at)
    return segment, at + 1


def _index(digits: str, at: int) -> int:
    number = int(digits)
    if abs(number) > _INDEX_MAX:
        raise PathError("The index is too large.", position=at)
    return number


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, start, parts = text[at], at, list[str]()
    at += 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(parts), at + 1
        if character == "\\":
            part, at = _escape(text, at + 1, quote)
            parts.append(part)
            continue
        if character < " " or "\ud800" <= character <= "\udfff":
            raise PathError("A name holds a control character.", position=at)
        parts.append(character)
        at += 1
    raise PathError("A quoted name has no end.", position=start)


def _escape(text: str, at: int, quote: str) -> tuple[str, int]:
    letter = text[at : at + 1]
    if letter == quote:
        return quote, at + 1
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 1
    if letter == "u":
        return _unicode(text, at + 1)
    raise PathError("Unknown escape.", position=at)


def _unicode(text: str, at: int) -> tuple[str, int]:
    first = _hex(text, at)
    if 0xDC00 <= first <= 0xDFFF:
        raise PathError("A lone surrogate.", position=at)
    if not 0xD800 <= first <= 0xDBFF:
        return chr(first), at + 4
    if text[at + 4 : at + 6] != "\\u":
        raise PathError("A lone surrogate.", position=at)
    second = _hex(text, at + 6)
    if not 0xDC00 <= second <= 0xDFFF:
        raise PathError("A lone surrogate.", position=at)
    return chr(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)), at + 10


def _hex(text: str, at: int) -> int:
    match = _HEX.match(text, at)
    if match is None:
        raise PathError("Expected four hexadecimal digits.", position=at)
    return int(match.group(), 16)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if character < " " else character
