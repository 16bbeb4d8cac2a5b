"""Why an expression does not compile, in words, and what to write instead.

The first thing people write is `total > 1000`, which CEL refuses: a whole number is never compared with a double. The
hint names both sides and writes `1000.0`. Works on text; knows no CEL library and evaluates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from process_orchestrator.checking.schemas.nearest import likely
from process_orchestrator.checking.schemas.value_types import ValueType
from process_orchestrator.core.errors import ExpressionError

ROUNDS_MAX: Final = 10
"""Corrections tried one after the other before the hint gives up."""

_STRING: Final = re.compile(
    r"[rRbB]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')", re.DOTALL
)
_CHAIN: Final = re.compile(r"(?<![\w.)\]])([A-Za-z_]\w*)((?:\s*\.\s*[A-Za-z_]\w*)+)(\s*\()?")
_HAS: Final = re.compile(r"\bhas\s*\(\s*$")
_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']+)' applied to '\((.*)\)'")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']+)'")
_OPERATOR: Final = re.compile(r"_(\W+|in)_|@(in)")
_INT_RIGHT: Final = re.compile(r"\s*(-?\d+)(?![\w.])")
_INT_LEFT: Final = re.compile(r"(?<![\w.])(\d+)\s*$")
_NAME_RIGHT: Final = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?![\w.(\[])")
_NAME_LEFT: Final = re.compile(r"(?<![\w.)\]])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*$")
_LIST_RIGHT: Final = re.compile(r"\s*\[[^\[\]]*\]")
_INT_IN_LIST: Final = re.compile(r"(?<![\w.])\d+(?![\w.])")

_WORDS: Final = {
    "double": "a number",
    "int": "a whole number",
    "string": "a text",
    "bool": "true or false",
    "null_type": "null",
    "dyn": "a value of unknown type",
}

Refusal = Callable[[str], str | None]
"""The library's message for another text, or None where that compiles."""


class Chain(NamedTuple):
    """Properties named outright: `input.vendor.name`. `asked`: inside `has(…)`."""

    name: str
    path: tuple[str, ...]
    asked: bool


def member_chains(text: str) -> Iterator[Chain]:
    """The chains of property names in an expression; a method at the end is none of them."""
    bare = _STRING.sub(lambda match: " " * len(match.group()), text)
    for match in _CHAIN.finditer(bare):
        path = tuple(part.strip() for part in match.group(2).split(".")[1:])
        if match.group(3):
            path = path[:-1]
        if path:
            yield Chain(match.group(1), path, _HAS.search(bare, 0, match.start()) is not None)


class Hints:
    """What can be said of one expression that was refused."""

    def __init__(self, text: str, variables: Mapping[str, ValueType]) -> None:
        self._text, self._variables = text, variables

    def check_members(self) -> None:
        """Refuse a property that the type of a variable does not declare. CEL itself would ask at run time only."""
        for chain in member_chains(self._text):
            value_type, seen = self._variables.get(chain.name), chain.name
            for segment in chain.path:
                if value_type is None or not value_type.properties:
                    break
                if segment not in value_type.properties:
                    known = tuple(value_type.properties)
                    better = likely(segment, known)
                    message = f"`{seen}` has no `{segment}`; it has {', '.join(known[:10])}."
                    fix = f"write `{seen}.{better}`" if better else f"declare `{segment}` in the schema of `{seen}`"
                    raise ExpressionError(message, fix=fix)
                value_type, seen = value_type.properties[segment], f"{seen}.{segment}"

    def no_condition(self, result: str) -> ExpressionError:
        """A condition whose result is no truth value."""
        told = {"DYN": "a value of unknown type", "DOUBLE": "a number", "INT": "a whole number", "STRING": "a text"}
        message = f"A condition must be true or false; this gives {told.get(result, 'a ' + result.lower())}."
        plain = re.fullmatch(r"[\w.]+", self._text.strip())
        compared = {"DYN": "true", "DOUBLE": "0.0", "INT": "0", "STRING": "''"}.get(result)
        if plain and compared is not None:
            sign = "==" if result == "DYN" else "!="
            return ExpressionError(message, fix=f"{self._text.strip()} {sign} {compared}")
        return ExpressionError(message, fix="compare the value with something: `==`, `<`, `in`, …")

    def explain(self, raw: str, refusal: Refusal) -> ExpressionError:
        """The error of the library in words. `fix` is the corrected expression where correcting it worked."""
        message, text, error = "", self._text, raw
        for _ in range(ROUNDS_MAX):
            told, corrected = self._once(text, error)
            message = message or told
            if corrected is None:
                break
            text = corrected
            refused = refusal(text)
            if refused is None:
                return ExpressionError(message, fix=text)
            error = refused
        return ExpressionError(message, fix=self._advice(raw))

    def _once(self, text: str, raw: str) -> tuple[str, str | None]:
        if "recursion" in raw:
            return "The expression is nested too deeply.", None
        match = _ERROR.search(raw)
        if match is None:
            return _plain(raw), None
        at, said = _offset(text, int(match.group(1)), int(match.group(2))), match.group(3)
        if overload := _OVERLOAD.search(said):
            function, kinds = overload.group(1), tuple(kind.strip() for kind in _split(overload.group(2)))
            return self._overload(text, at, function, kinds)
        if undeclared := _UNDECLARED.search(said):
            return self._undeclared(text, undeclared.group(1))
        return f"{said.split(' [')[0]} (character {at + 1}).", None

    def _overload(self, text: str, at: int, function: str, kinds: tuple[str, ...]) -> tuple[str, str | None]:
        operator = _OPERATOR.fullmatch(function)
        if operator is None or len(kinds) != 2:
            takes = " and ".join(_WORDS.get(kind, f"a {kind}") for kind in kinds)
            return f"`{function.strip('_@')}` does not take {takes}.", None
        symbol = operator.group(1) or operator.group(2)
        left, right = text[:at], text[at + len(symbol) :]
        if kinds == ("double", "int"):
            if literal := _INT_RIGHT.match(right):
                told = _number_hint(literal.group(1), _last_name(left))
                return told, left + symbol + right[: literal.end(1)] + ".0" + right[literal.end(1) :]
            if name := _NAME_RIGHT.match(right):
                told = f"`{name.group(1)}` is a whole number, {_last_name(left)} is a number."
                return told, left + symbol + right[: name.start(1)] + f"double({name.group(1)})" + right[name.end(1) :]
        if kinds == ("int", "double"):
            if literal := _INT_LEFT.search(left):
                told = _number_hint(literal.group(1), _first_name(right))
                return told, left[: literal.end(1)] + ".0" + left[literal.end(1) :] + symbol + right
            if name := _NAME_LEFT.search(left):
                told = f"`{name.group(1)}` is a whole number, {_first_name(right)} is a number."
                return told, left[: name.start(1)] + f"double({name.group(1)})" + left[name.end(1) :] + symbol + right
        if kinds == ("double", "list(int)") and (listed := _LIST_RIGHT.match(right)):
            told = f"The list holds whole numbers, {_last_name(left)} is a number: write them with `.0`."
            return told, left + symbol + _INT_IN_LIST.sub(r"\g<0>.0", listed.group()) + right[listed.end() :]
        one, other = (_WORDS.get(kind, f"a {kind}") for kind in kinds)
        return f"`{symbol}` does not go between {one} ({_last_name(left)}) and {other} ({_first_name(right)}).", None

    def _undeclared(self, text: str, name: str) -> tuple[str, str | None]:
        known = tuple(self._variables)
        message = f"`{name}` is not known here; known are {', '.join(known) if known else 'no variables'}."
        better = likely(name, (*known, *_FUNCTIONS))
        if better is None:
            return message, None
        return message, re.sub(rf"(?<![\w.]){re.escape(name)}(?!\w)", better, text)

    def _advice(self, raw: str) -> str:
        if undeclared := _UNDECLARED.search(raw):
            return f"name it in `let`: {{{undeclared.group(1)}: $.…}}"
        return "correct the expression; the language is CEL (cel.dev)"


_FUNCTIONS: Final = ("sum", "min", "max", "round", "distinct", "size", "has", "matches", "double", "int", "string")


def _number_hint(literal: str, other: str) -> str:
    return f"`{literal}` is a whole number, {other} is a number: write `{literal}.0`."


def _last_name(left: str) -> str:
    found = _NAME_LEFT.search(left)
    return f"`{found.group(1)}`" if found else "the left side"


def _first_name(right: str) -> str:
    found = _NAME_RIGHT.match(right)
    return f"`{found.group(1)}`" if found else "the right side"


def _offset(text: str, line: int, column: int) -> int:
    """Where in the text a place of the library lies; its lines and columns begin at 1."""
    lines = text.splitlines(keepends=True)
    before = sum(len(each) for each in lines[: max(line - 1, 0)])
    return max(0, min(len(text), before + column - 1))


def _split(kinds: str) -> Iterator[str]:
    """Types separated by commas, those inside brackets kept together."""
    depth, start = 0, 0
    for index, character in enumerate(kinds):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield kinds[start:index]
            start = index + 1
    yield kinds[start:]


def _plain(raw: str) -> str:
    text = re.sub(r"^[A-Z_]+: ", "", raw.splitlines()[0]) if raw else "The expression does not compile"
    return re.sub(r" \[[A-Z_]+\]$", "", text)[:200]
