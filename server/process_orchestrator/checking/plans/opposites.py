"""Whether of two conditions always exactly one holds, as far as their words show it.

Two branches that are joined again are written so: `total > 100.0` and `total <= 100.0`, or `known` and `!known`. What
cannot be told from the words alone counts as not opposite. Knows values as read, and nothing of plans or schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from process_orchestrator.checking.values.bindings import Bound, Computed, Value, path_text

Tokens = tuple[str, ...]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"\\\n]*"|'[^'\\\n]*')|(?P<number>\d[\w.]*)|(?P<word>[A-Za-z_]\w*)"""
    r"""|(?P<sign>==|!=|<=|>=|&&|\|\||[-<>!()+*/%?:.,\[\]{}]))"""
)
_FLIPPED: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_PLAIN: Final = frozenset({".", "-", "true", "false", "null"})


def opposite(one: Value, other: Value) -> bool:
    """Whether one condition is the other's negation: one with `!` before it, or their one comparison turned round."""
    left, right = _tokens(one), _tokens(other)
    if left is None or right is None:
        return False
    return _negates(left, right) or _negates(right, left) or _turned(left, right)


def _tokens(when: Value) -> Tokens | None:
    """A condition's words, each variable replaced by the path that it stands for; None where it has others."""
    match when:
        case Bound():
            return (path_text(when),)
        case Computed():
            paths = {name: path_text(value) for name, value in when.variables if isinstance(value, Bound)}
            if len(paths) < len(when.variables):
                return None
            found = tuple(_words(when.text, paths))
            return None if None in found else _without_parentheses(tuple(word for word in found if word is not None))
        case _:
            return None


def _words(text: str, paths: dict[str, str]) -> Iterator[str | None]:
    at, before = 0, ""
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            yield None
            return
        word, at = found[0].strip(), found.end()
        of_a_member = before == "."
        before = word
        yield paths.get(word, word) if found["word"] and not of_a_member else word


def _negates(one: Tokens, other: Tokens) -> bool:
    if one[:1] != ("!",):
        return False
    inner = one[1:]
    return _is_one_operand(inner) and _without_parentheses(inner) == other


def _is_one_operand(tokens: Tokens) -> bool:
    """Whether a `!` before these speaks of all of them."""
    return _without_parentheses(tokens) != tokens or all(_is_path(word) or word == "." for word in tokens)


def _without_parentheses(tokens: Tokens) -> Tokens:
    while tokens[:1] == ("(",) and _closes(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closes(tokens: Tokens) -> int:
    """Where the parenthesis is closed that the tokens begin with."""
    depth = 0
    for index, word in enumerate(tokens):
        depth += (word == "(") - (word == ")")
        if depth == 0:
            return index
    return -1


def _turned(one: Tokens, other: Tokens) -> bool:
    """Whether both compare the same two operands, and one comparison holds where the other does not.

    Only paths and constants count as operands: with arithmetic there are results that are neither less nor not.
    """
    if len(one) != len(other):
        return False
    differ = [index for index, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]
    if len(differ) != 1 or _FLIPPED.get(one[differ[0]]) != other[differ[0]]:
        return False
    rest = (*one[: differ[0]], *one[differ[0] + 1 :])
    return all(word in _PLAIN or _is_path(word) or word[0] in "\"'" or word[0].isdigit() for word in rest)


def _is_path(word: str) -> bool:
    return word.startswith("$") or word.isidentifier()
