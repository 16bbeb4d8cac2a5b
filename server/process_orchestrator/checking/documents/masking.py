"""Hides what a contract declares sensitive, and cuts what is too long to show. For views, evidence and prompts.

Bodies themselves stay whole: later steps need them. Secrets of agents are another matter (`performing.secrets`): they
never get into a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Contract

MASK: Final = "[sensitive]"
CUT_BYTES: Final = 4096
"""Most bytes of JSON that a view shows of one body; the rest is named and reachable."""

HIDDEN_LENGTH_MIN: Final = 4
"""Characters of a text that is looked for by itself; a shorter one would be found everywhere."""

STRING_KEPT_MIN: Final = 40
"""A string is never cut shorter than this."""


def sensitive(contract: Contract | None, part: str) -> tuple[str, ...]:
    """JSON pointers into the `part` (input or output) of a call that its contract declares sensitive."""
    if contract is None:
        return ()
    prefix = f"/{part}"
    return tuple(
        pointer[len(prefix) :]
        for pointer in contract.sensitive
        if pointer == prefix or pointer.startswith(f"{prefix}/")
    )


def mask(value: Any, pointers: Iterable[str]) -> Any:
    """A copy of a JSON value with every part at a pointer replaced by `[sensitive]`.

    `*` stands for every member or item. Where a pointer goes through a list without an index, it means each item:
    hiding too much is the safe fault.
    """
    for pointer in pointers:
        value = _masked(value, _tokens(pointer))
    return value


def holds(value: Any, pointer: str) -> bool:
    """Whether anything stands at a pointer that `mask` would hide."""
    return mask(value, (pointer,)) != value


def texts_at(value: Any, pointers: Iterable[str]) -> frozenset[str]:
    """The texts and numbers at pointers, as far as they are long enough to be told from others wherever they stand."""
    marked = list(pointers)
    return frozenset(text for text in _leaves(value) - _leaves(mask(value, marked)) if len(text) >= HIDDEN_LENGTH_MIN)


def hide(value: Any, hidden: frozenset[str]) -> Any:
    """A copy of a JSON value with every occurrence of these texts replaced, inside longer texts too."""
    if isinstance(value, dict):
        return {key: hide(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [hide(item, hidden) for item in value]
    if isinstance(value, str):
        for text in sorted(hidden, key=len, reverse=True):
            value = value.replace(text, MASK)
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and str(value) in hidden:
        return MASK
    return value


def _leaves(value: Any) -> frozenset[str]:
    if isinstance(value, dict):
        return frozenset().union(*map(_leaves, value.values())) if value else frozenset()
    if isinstance(value, list):
        return frozenset().union(*map(_leaves, value)) if value else frozenset()
    return frozenset() if value is None or isinstance(value, bool) else frozenset((str(value),))


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])


def _masked(value: Any, tokens: tuple[str, ...]) -> Any:
    if not tokens:
        return value if value is None else MASK
    head, rest = tokens[0], tokens[1:]
    if isinstance(value, dict):
        if head == "*" and head not in value:
            return {key: _masked(item, rest) for key, item in value.items()}
        return {**value, head: _masked(value[head], rest)} if head in value else value
    if isinstance(value, list):
        if head.isdecimal():
            return [_masked(item, rest) if index == int(head) else item for index, item in enumerate(value)]
        return [_masked(item, rest if head == "*" else tokens) for item in value]
    return value


def encoded_bytes(value: Any) -> int:
    """Size of a JSON value as stored, in bytes."""
    return len(orjson.dumps(value))


def cut(value: Any, *, limit: int = CUT_BYTES) -> tuple[Any, bool]:
    """A value of at most about `limit` bytes of JSON that keeps its shape, and whether anything was left out.

    Long strings and lists lose their tails and say so; where that does not suffice the value becomes one line of text.
    """
    if encoded_bytes(value) <= limit:
        return value, False
    string, items = limit // 4, 20
    while string >= STRING_KEPT_MIN:
        smaller = _shortened(value, string=string, items=items)
        if encoded_bytes(smaller) <= limit:
            return smaller, True
        string, items = string // 2, max(1, items // 2)
    text = orjson.dumps(value)[: limit // 2].decode(errors="ignore")
    return f"{text}…", True


def _shortened(value: Any, *, string: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= string else f"{value[:string]}… ({len(value)} characters)"
    if isinstance(value, list):
        kept = [_shortened(item, string=string, items=items) for item in value[:items]]
        return kept if len(value) <= items else [*kept, f"… ({len(value)} items)"]
    if isinstance(value, dict):
        members = list(value.items())
        most = items * 2
        kept = {key: _shortened(item, string=string, items=items) for key, item in members[:most]}
        return kept if len(members) <= most else {**kept, "…": f"({len(members)} members)"}
    return value
