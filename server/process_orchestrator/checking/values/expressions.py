"""Conditions and computed values: CEL with typed variables, and five functions on lists and numbers.

The only room that knows the CEL library. An expression is compiled against the types of its variables and evaluated
within the library's iteration and recursion limits; an error at run time is raised, never read as false. Bindings are
resolved before values come here. Language: https://github.com/cel-expr/cel-spec; beside it `sum(list)`, `min(list)`,
`max(list)`, `round(x, digits)`, `distinct(list)`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cel_expr_python import cel

from process_orchestrator.checking.schemas.paths import ABSENT, find
from process_orchestrator.checking.schemas.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    ValueType,
    converter,
)
from process_orchestrator.checking.values.expression_hints import Hints, member_chains
from process_orchestrator.core.errors import ExpressionError

Json = Any

EXPRESSION_MAX: Final = 500
"""Characters of one expression."""

DIGITS_MAX: Final = 15
"""Most that `round` takes: beyond it a double has no digits."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTED: Final = re.compile(r'"([^"]*)"')

_WORDS: Final = frozenset(
    (
        *(
            "as",
            "break",
            "const",
            "continue",
            "else",
            "for",
            "function",
            "if",
            "import",
            "in",
            "let",
            "loop",
            "package",
        ),
        *("namespace", "return", "var", "void", "while", "true", "false", "null", "bool", "bytes", "double"),
        *("dyn", "int", "list", "map", "null_type", "string", "type", "uint"),
    )
)
"""What no variable may be named. Source: cel-spec, langdef.md, reserved words and type names."""

# The library finds an implementation by the kinds of its arguments alone, so `sum(list(double))` and `sum(list(int))`
# cannot have one each. Types are therefore checked in one environment, which has the typed forms, and the checked
# expression is evaluated in another, which has one form for each kind.


class _Functions:
    """The five functions as the evaluator calls them. `empty` is the sum of an empty list: 0 or 0.0."""

    def __init__(self, *, empty: float) -> None:
        self._empty = empty

    def total(self, items: list[Any]) -> float:
        _numbers(items)
        if not items:
            return self._empty
        whole = all(type(item) is int for item in items)
        return sum(items) if whole and isinstance(self._empty, int) else math.fsum(items)

    @staticmethod
    def least(items: list[Any]) -> Any:
        return min(_comparable(items))

    @staticmethod
    def greatest(items: list[Any]) -> Any:
        return max(_comparable(items))

    @staticmethod
    def rounded(number: float, digits: int) -> float:
        if not 0 <= digits <= DIGITS_MAX:
            raise ValueError(f"round takes 0 to {DIGITS_MAX} digits")
        return round(number, digits)

    @staticmethod
    def distinct(items: list[Any]) -> list[Any]:
        kept: list[Any] = []
        seen: set[Any] = set()
        for item in items:
            key = _key(item)
            if key not in seen:
                seen.add(key)
                kept.append(item)
        return kept

    def declarations(self, text: str) -> list[cel.FunctionDecl]:
        """Those that the text may call: an environment with all of them takes four times as long to make."""
        any_list, anything, whole = cel.Type.List(cel.Type.DYN), cel.Type.DYN, cel.Type.INT
        double = cel.Type.DOUBLE
        forms = {
            "sum": [cel.Overload("sum", anything, [any_list], impl=self.total)],
            "min": [cel.Overload("min", anything, [any_list], impl=self.least)],
            "max": [cel.Overload("max", anything, [any_list], impl=self.greatest)],
            "distinct": [cel.Overload("distinct", any_list, [any_list], impl=self.distinct)],
            "round": [
                cel.Overload("round_double", double, [double, whole], impl=self.rounded),
                cel.Overload("round_int", whole, [whole, whole], impl=self.rounded),
            ],
        }
        return [cel.FunctionDecl(name, each) for name, each in forms.items() if name in text]


def _key(item: Any) -> Any:
    """What makes items of a list equal: type and content."""
    if isinstance(item, list):
        return "list", tuple(_key(each) for each in item)
    if isinstance(item, dict):
        return "map", frozenset((name, _key(each)) for name, each in item.items())
    if isinstance(item, (int, float)) and not isinstance(item, bool):
        return "number", item
    return type(item).__name__, item


def _numbers(items: list[Any]) -> None:
    if any(type(item) not in {int, float} for item in items):
        raise ValueError("sum takes numbers only")


def _comparable(items: list[Any]) -> list[Any]:
    if not items:
        raise ValueError("min and max of an empty list")
    kinds = {float if type(item) is int else type(item) for item in items}
    if kinds not in ({float}, {str}):
        raise ValueError("min and max take numbers only, or texts only")
    return items


def _typed(name: str, kinds: Mapping[str, tuple[cel.Type, cel.Type]]) -> list[cel.Overload]:
    """A function on lists, one form for each kind of item. The one implementation demanded here is never called."""
    return [
        cel.Overload(f"{name}_{kind}", result, [cel.Type.List(item)], impl=_never)
        if index == 0
        else cel.Overload(f"{name}_{kind}", result, [cel.Type.List(item)])
        for index, (kind, (item, result)) in enumerate(kinds.items())
    ]


def _never(*_arguments: Any) -> Any:
    raise AssertionError


def _declarations(text: str) -> list[cel.FunctionDecl]:
    double, whole, string, flag = cel.Type.DOUBLE, cel.Type.INT, cel.Type.STRING, cel.Type.BOOL
    record = cel.Type.Map(string, cel.Type.DYN)
    ordered = {"double": (double, double), "int": (whole, whole), "string": (string, string)}
    listed = [("double", double), ("int", whole), ("string", string), ("bool", flag), ("map", record)]
    forms = {
        "sum": _typed("sum", {"double": (double, double), "int": (whole, whole)}),
        "min": _typed("min", ordered),
        "max": _typed("max", ordered),
        "distinct": _typed("distinct", {kind: (item, cel.Type.List(item)) for kind, item in listed}),
        "round": [
            cel.Overload("round_double", double, [double, whole], impl=_never),
            cel.Overload("round_int", whole, [whole, whole], impl=_never),
        ],
    }
    return [cel.FunctionDecl(name, each) for name, each in forms.items() if name in text]


_RESULTS: Final[Mapping[str, ValueType]] = {
    "BOOL": BOOLEAN,
    "INT": INTEGER,
    "DOUBLE": NUMBER,
    "STRING": STRING,
    "NULL": ValueType(kinds=("null",)),
    "LIST": ValueType(kinds=("array",)),
    "MAP": ValueType(kinds=("object",)),
    "DYN": ANY,
}


class Expression:
    """A compiled expression. Holds no state between evaluations."""

    __slots__ = ("_chains", "_checked", "_convert", "result", "text")

    def __init__(self, text: str, variables: Mapping[str, ValueType], *, condition: bool = False) -> None:
        """Compile; a `condition` must be true or false. Raises ExpressionError, with `fix` where one is known."""
        _check_form(text, variables)
        hints = Hints(text, variables)
        hints.check_members()
        self._chains = _typed_chains(text, variables)
        types = {name: _cel_type(each) for name, each in variables.items()}
        types |= {f"{name}.{'.'.join(path)}": _cel_type(each) for name, path, each in self._chains}
        checker = cel.NewEnv(variables=types, functions=_declarations(text))
        compiled = _compiled(checker, text, hints)
        name = compiled.return_type().name().split("<")[0]
        if name not in _RESULTS:
            raise ExpressionError(f"The result is of type {name.lower()}, which JSON has no form for.")
        if condition and name != "BOOL":
            raise hints.no_condition(name)
        checked = compiled.serialize()
        functions = _Functions(empty=0 if b"sum_int" in checked and b"sum_double" not in checked else 0.0)
        runner = cel.NewEnv(variables=types, functions=functions.declarations(text))
        self._checked = runner.deserialize(checked)
        self._convert = tuple(
            (name, convert) for name, each in variables.items() if (convert := converter(each)) is not None
        )
        self.text, self.result = text, _RESULTS[name]

    def evaluate(self, values: Mapping[str, Json]) -> Json:
        """The value under these variables. Raises ExpressionError where the evaluation ends in an error."""
        data = dict(values)
        for name, convert in self._convert:
            if name in data:
                data[name] = convert(data[name])
        for name, path, _ in self._chains:
            inner = find(data.get(name, ABSENT), path)
            if inner is not ABSENT:
                data[f"{name}.{'.'.join(path)}"] = inner
        try:
            result = self._checked.eval(data=data)
            plain: Json = result.plain_value()
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:  # limits, and values it has no form for
            raise ExpressionError(_short(str(error), self.text)) from None
        kind = result.type().name()
        if kind in {"BOOL", "STRING"}:
            return plain
        if kind == "ERROR":
            raise ExpressionError(_short(str(plain), self.text))
        _check_result(plain)
        return plain

    def holds(self, values: Mapping[str, Json]) -> bool:
        """Whether a condition is true. Raises ExpressionError, also for a value that is neither true nor false."""
        result = self.evaluate(values)
        if result is True or result is False:
            return result
        raise ExpressionError("The condition is neither true nor false.")


def _check_form(text: str, variables: Mapping[str, ValueType]) -> None:
    if len(text) > EXPRESSION_MAX:
        raise ExpressionError(f"An expression has at most {EXPRESSION_MAX} characters; this one has {len(text)}.")
    if not text.strip():
        raise ExpressionError("The expression is empty.")
    for name in variables:
        if not _NAME.fullmatch(name):
            raise ExpressionError(f"`{name}` cannot be a variable: letters, digits and `_` only.")
        if name in _WORDS:
            raise ExpressionError(f"`{name}` is a word of the language.", fix=f"name the variable `the_{name}`")


def _typed_chains(text: str, variables: Mapping[str, ValueType]) -> tuple[tuple[str, tuple[str, ...], ValueType], ...]:
    """The properties that are named outright (`input.total`) and never missing: they get their own type.

    CEL knows only maps of one value type; a variable named `input.total` gives that property the type it has. Not for
    a property that `has()` asks about: the library then asks the variable instead of the map.
    """
    found: dict[tuple[str, tuple[str, ...]], ValueType] = {}
    for chain in member_chains(text):
        value_type = variables.get(chain.name)
        if value_type is None or chain.asked:
            continue
        path: list[str] = []
        for segment in chain.path:
            if value_type.only != "object" or segment not in value_type.always:
                break
            path.append(segment)
            value_type = value_type.properties[segment]
        if path and value_type.only not in {None, "object"}:
            found[chain.name, tuple(path)] = value_type
    asked = {(chain.name, chain.path) for chain in member_chains(text) if chain.asked}
    return tuple((name, path, each) for (name, path), each in found.items() if (name, path) not in asked)


def _cel_type(value_type: ValueType) -> cel.Type:
    match value_type.only:
        case "boolean":
            return cel.Type.BOOL
        case "integer":
            return cel.Type.INT
        case "number":
            return cel.Type.DOUBLE
        case "string":
            return cel.Type.STRING
        case "array":
            return cel.Type.List(_cel_type(value_type.items or ANY))
        case "object":
            return cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
        case _:
            return cel.Type.DYN


def _compiled(checker: cel.Env, text: str, hints: Hints) -> cel.Expression:
    try:
        return checker.compile(text)
    except RuntimeError as error:

        def refusal(other: str) -> str | None:
            try:
                checker.compile(other)
            except RuntimeError as again:
                return str(again)
            return None

        raise hints.explain(str(error), refusal) from None


def _check_result(value: Any) -> None:
    for each in _leaves(value):
        if isinstance(each, float) and not math.isfinite(each):
            raise ExpressionError("The result is infinite or not a number.")
        if isinstance(each, (bytes, dt.datetime, dt.timedelta)) or not _is_json(each):
            raise ExpressionError("The result holds a value that JSON has no form for.")


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value)
    return value is None or isinstance(value, (bool, int, float, str, list))


def _leaves(value: Any) -> Iterator[Any]:
    stack = [value]
    while stack:
        each = stack.pop()
        yield each
        if isinstance(each, list):
            stack.extend(each)
        elif isinstance(each, dict):
            stack.extend(each.values())


def _short(message: str, expression: str) -> str:
    """The library's words without its codes, and without what the expression itself does not say."""
    text = re.sub(r"^[A-Z_]+: ", "", message.splitlines()[0]) if message else "unknown error"
    text = re.sub(r" \[[A-Z_]+\]$", "", text)
    text = re.sub(r"Integer value '[^']*'", "An integer", text)
    return _QUOTED.sub(lambda found: found.group() if found.group(1) in expression else '"…"', text)[:200]
