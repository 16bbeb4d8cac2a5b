"""JSON pointers (RFC 6901): written, read, followed. Knows values alone."""

from __future__ import annotations

from typing import Any

Json = Any


def escape(token: str) -> str:
    """A property name as a token of a JSON pointer."""
    return token.replace("~", "~0").replace("/", "~1") if "~" in token or "/" in token else token


def pointer_of(path: list[str | int] | tuple[str | int, ...]) -> str:
    """Property names and indexes as a JSON pointer."""
    return "".join(f"/{escape(token) if isinstance(token, str) else token}" for token in path)


def step_into(pointer: str, key: str | int) -> str:
    """`pointer` with one more segment, escaped as RFC 6901 says."""
    return f"{pointer}/{escape(str(key))}"


def segments(pointer: str) -> tuple[str, ...]:
    """The unescaped segments of a JSON pointer; none for the whole document."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def value_at(value: Json, pointer: str) -> Json:
    """The value at `pointer`, or None where there is none."""
    for part in segments(pointer):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
