"""A validator's error in our words: where, which rule, what was wanted, what came. No part of the value leaves here.

Native errors hold the whole value and quote it in their text, so each rule has its own sentence, made from the schema
and from the type or size of what came. Through `anyOf` and `oneOf` the branch that was meant is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from process_orchestrator.checking.schemas.json_values import kind_of
from process_orchestrator.checking.schemas.pointers import pointer_of
from process_orchestrator.core.facts.values import Fact

MESSAGE_MAX: Final = 300
"""Characters of one message."""

_NAMES_SHOWN: Final = 3
_NAME_MAX: Final = 60
_DISCRIMINATORS: Final = frozenset({"const", "enum", "type"})


class ValueProblem(Fact, frozen=True, kw_only=True):
    """One way in which a value breaks its schema. Holds no part of the value but names of properties.

    `pointer` leads into the value: to the missing property for `required`, to the first unexpected one for
    `additionalProperties`. `expected` says what the schema wants, `got` the type or size of what came.
    """

    pointer: str
    schema_pointer: str
    rule: str
    message: str
    expected: str
    got: str


def shape_of(value: Any) -> str:
    """The JSON type of a value, with its size where it has one; never the value."""
    kind = kind_of(value)
    match value:
        case str():
            return f"{kind} of {len(value)} characters"
        case list() | tuple():
            return f"{kind} of {len(value)} items"
        case dict():
            return f"{kind} of {len(value)} properties"
        case _:
            return kind or "no JSON value"


def problem_of(error: Any) -> ValueProblem:
    """Explain one error of the validator (typed Any: only `validate` knows the library)."""
    chosen = _meant(error)
    rule = _rule(chosen)
    path = list(chosen.instance_path)
    details: Mapping[str, Any] = chosen.kind.as_dict()
    got = shape_of(chosen.instance)
    expected = _EXPECTED.get(rule, _expected_other)(details)
    if rule in {"anyOf", "oneOf"} and (told := _told_apart(chosen)):
        expected, path, got = told
    if rule == "required":
        path.append(str(details["property"]))
        got = "nothing"
    elif rule in _FALSE_BESIDE and "unexpected" not in details:
        got = "a property"  # the library does not say which
    elif rule in _FALSE_BESIDE:
        names = [str(name) for name in details["unexpected"]]
        path.append(names[0][:_NAME_MAX])
        shown = ", ".join(f"`{name[:_NAME_MAX]}`" for name in names[:_NAMES_SHOWN])
        got = shown if len(names) <= _NAMES_SHOWN else f"{shown} and {len(names) - _NAMES_SHOWN} more"
    pointer = pointer_of(path)[:MESSAGE_MAX]
    place = pointer or "the value"
    return ValueProblem(
        pointer=pointer,
        schema_pointer=pointer_of(list(chosen.schema_path))[:MESSAGE_MAX],
        rule=rule,
        message=f"{place}: wanted {expected}, got {got}."[:MESSAGE_MAX],
        expected=expected[:MESSAGE_MAX],
        got=got[:MESSAGE_MAX],
    )


def _rule(error: Any) -> str:
    """The keyword that refused the value. `additionalProperties: false` alone comes as a schema that is false."""
    name, last = str(error.kind.name), error.schema_path[-1] if error.schema_path else ""
    return str(last) if name == "falseSchema" and last in _FALSE_BESIDE else name


_FALSE_BESIDE: Final = frozenset({"additionalProperties", "unevaluatedProperties"})


# The branch that was meant


def _branches(error: Any) -> list[list[Any]]:
    """The errors of each branch of a failed anyOf or oneOf; none where the value fits more than one branch."""
    if error.kind.name not in {"anyOf", "oneOf"}:
        return []
    context: list[list[Any]] = error.kind.context
    return [] if any(not branch for branch in context) else context


def _meant(error: Any) -> Any:
    """Follow the branch that the author of the value meant; stay where no branch is nearer than the others."""
    while branches := _branches(error):
        here = len(error.instance_path)
        ranked = sorted((_distance(branch, here), index) for index, branch in enumerate(branches))
        best, second = ranked[0], ranked[1] if len(ranked) > 1 else None
        if best[0][0] != _NEAR or (second is not None and best[0] == second[0]):
            return error
        error = min(branches[best[1]], key=lambda one: -len(one.instance_path))
    return error


_NEAR: Final = 0
_OTHER_KIND: Final = 1
_OTHER_TYPE: Final = 2


def _distance(branch: list[Any], here: int) -> tuple[int, int, int]:
    """How far a branch is from the value: near, another kind or another type; then depth and number of errors."""
    off = _NEAR
    for error in branch:
        if error.kind.name in _DISCRIMINATORS:
            depth = len(error.instance_path) - here
            if depth == 0:
                off = _OTHER_TYPE
            elif depth == 1 and error.kind.name != "type":
                off = max(off, _OTHER_KIND)
    deepest = max(len(error.instance_path) for error in branch)
    return off, -deepest, len(branch)


def _told_apart(error: Any) -> tuple[str, list[str | int], str] | None:
    """What tells the branches of a union apart (types, or values of one property), where, and what stands there."""
    found: dict[tuple[str | int, ...], dict[int, tuple[str, Any]]] = {}
    branches = _branches(error)
    for index, branch in enumerate(branches):
        for one in branch:
            if one.kind.name in _DISCRIMINATORS:
                wanted = _EXPECTED[one.kind.name](one.kind.as_dict())
                found.setdefault(tuple(one.instance_path), {})[index] = (wanted, one.instance)
    for path in sorted(found, key=len):
        if len(found[path]) == len(branches):
            words = dict.fromkeys(wanted for wanted, _ in found[path].values())
            return " or ".join(words), list(path), shape_of(found[path][0][1])
    return None


# What each rule wants


def _literal(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else _LITERALS.get(str(value), str(value))
    return text if len(text) <= _NAME_MAX else text[:_NAME_MAX] + "…"


_LITERALS: Final = {"None": "null", "True": "true", "False": "false"}


def _one_of(details: Mapping[str, Any]) -> str:
    options: list[Any] = details["options"]
    return "one of " + ", ".join(_literal(option) for option in options[:10]) + (", …" if len(options) > 10 else "")


def _limit(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda details: words.format(details["limit"])


def _expected_other(_details: Mapping[str, Any]) -> str:
    return "another value"


_EXPECTED: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "type": lambda details: " or ".join(details["types"]),
    "enum": _one_of,
    "const": lambda details: _literal(details["expected_value"]),
    "required": lambda details: f"property `{details['property']}`",
    "additionalProperties": lambda _: "no other property",
    "unevaluatedProperties": lambda _: "no other property",
    "additionalItems": lambda _: "no further item",
    "unevaluatedItems": lambda _: "no further item",
    "pattern": lambda details: f"text matching {details['pattern']}",
    "format": lambda details: f"format {details['format']}",
    "minLength": _limit("at least {} characters"),
    "maxLength": _limit("at most {} characters"),
    "minItems": _limit("at least {} items"),
    "maxItems": _limit("at most {} items"),
    "minProperties": _limit("at least {} properties"),
    "maxProperties": _limit("at most {} properties"),
    "minimum": _limit("at least {}"),
    "maximum": _limit("at most {}"),
    "exclusiveMinimum": _limit("more than {}"),
    "exclusiveMaximum": _limit("less than {}"),
    "multipleOf": lambda details: f"a multiple of {details['multiple_of']}",
    "uniqueItems": lambda _: "items that differ",
    "contains": lambda _: "an item of the kind that `contains` asks for",
    "not": lambda _: "a value that `not` does not rule out",
    "falseSchema": lambda _: "nothing here",
    "propertyNames": lambda _: "property names that keep `propertyNames`",
    "anyOf": lambda _: "one of the alternatives",
    "oneOf": lambda _: "exactly one of the alternatives",
}
