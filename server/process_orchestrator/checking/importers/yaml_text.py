"""YAML for people, made of JSON values: what fits on a line stands on one, the rest in blocks, order as given.

The strict reader reads back exactly the value that went in. Knows nothing of what a definition means.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from process_orchestrator.checking.documents.yaml_reader import JSON_NUMBER, JSON_WORDS, YAML_ONLY

Json = Any

WIDTH: Final = 110
FLOW_CHARS_MAX: Final = 90
FLOW_DEPTH_MAX: Final = 3
STEP: Final = 2

_PLAIN: Final = re.compile(r"[A-Za-z_/$](?:[A-Za-z0-9_/.$@^+()'=;<>~*-]|,(?! *$)|:(?=[A-Za-z0-9/_])| (?=[^ #]))*")
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_WORDS_OF_OTHERS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
"""What a looser YAML reader would not take for text."""


def yaml_text(document: Mapping[str, Json], *, header: tuple[str, ...] = ()) -> str:
    """A whole file: comment lines first, then the document."""
    return "\n".join([*(f"# {line}".rstrip() for line in header), *block_lines(document, 0)]) + "\n"


def block_lines(value: Mapping[str, Json] | list[Json], indent: int) -> list[str]:
    """The lines of a mapping or list that is not empty, each with its indentation."""
    if isinstance(value, list):
        return [line for each in value for line in item_lines(each, indent)]
    return [line for key, each in value.items() for line in entry_lines(key, each, indent)]


def entry_lines(key: str, value: Json, indent: int) -> list[str]:
    """The lines of one key of a mapping with its value."""
    return after_key(f"{' ' * indent}{scalar_text(key, flow=False)}:", value, indent)


def after_key(start: str, value: Json, indent: int) -> list[str]:
    """The lines of a value that follows `start`, the text of its key with the colon."""
    short = _short(value, len(start) + 1)
    if short is not None:
        return [f"{start} {short}"]
    if isinstance(value, str):
        return _prose(start, value, indent)
    return [start, *block_lines(value, indent + STEP)]


def item_lines(value: Json, indent: int) -> list[str]:
    """The lines of one item of a list."""
    start = f"{' ' * indent}-"
    short = _short(value, len(start) + 1)
    if short is not None:
        return [f"{start} {short}"]
    if isinstance(value, str):
        return _prose(start, value, indent)
    first, *rest = block_lines(value, indent + STEP)
    return [f"{start} {first.lstrip(' ')}", *rest]


def flow_text(value: Json) -> str:
    """A value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar_text(key)}: {flow_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow_text(each) for each in value) + "]"
    return scalar_text(value)


def scalar_text(value: Json, *, flow: bool = True) -> str:
    """A scalar as the strict reader reads it back: plain where nobody could mistake it, else in quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    ambiguous = JSON_NUMBER.fullmatch(value) or YAML_ONLY.fullmatch(value) or value.casefold() in _WORDS_OF_OTHERS
    if _VERSION.fullmatch(value):
        return value
    if _PLAIN.fullmatch(value) and not ambiguous and value not in JSON_WORDS and not (flow and "," in value):
        return value
    return '"' + "".join(_escaped(each) for each in value) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    code = ord(char)
    return {"\n": "\\n", "\t": "\\t"}.get(char) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")


def _short(value: Json, column: int) -> str | None:
    """The value on one line, where it fits and can be read there."""
    if isinstance(value, str):
        text = scalar_text(value, flow=False)
        return text if column + len(text) <= WIDTH or not _folds(value) else None
    if isinstance(value, (Mapping, list)):
        if value and not _shallow(value, FLOW_DEPTH_MAX):
            return None
        text = flow_text(value)
        return text if not value or (len(text) <= FLOW_CHARS_MAX and column + len(text) <= WIDTH) else None
    return scalar_text(value)


def _shallow(value: Json, depth: int) -> bool:
    if not isinstance(value, (Mapping, list)) or not value:
        return True
    if depth == 0 or len(value) > 12:
        return False
    return all(_shallow(each, depth - 1) for each in (value.values() if isinstance(value, Mapping) else value))


def _folds(text: str) -> bool:
    """Whether a folded block would give the text back: prose on one line, single spaces."""
    return text.isprintable() and " ".join(text.split(" ")) == text and "  " not in text and text.strip() == text


def _prose(start: str, text: str, indent: int) -> list[str]:
    inner = " " * (indent + STEP)
    wide = max(40, WIDTH - indent - STEP)
    lines = textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False)
    return [f"{start} >-", *(inner + line for line in lines)]
