"""One schema object out of many: `$ref` followed, one branch of each alternative chosen, keywords of all parts merged.

What comes out still says `not`, and may promise a little less or more than the parts together: it guides a draw, and
the validator judges what was drawn. Used by the generator alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from process_orchestrator.checking.schemas.schema_size import referred

Json = Any
Flat = dict[str, Json]
Choose = Callable[[list[Json]], list[Json]]
"""Gives the branches in the order in which they are to be tried."""

APPLIED: Final = frozenset(("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "then", "else"))
ANNOTATIONS: Final = frozenset(
    (
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
        *("$comment", "$schema", "$defs", "$anchor", "$dynamicAnchor"),
    )
)
LARGER: Final = frozenset(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"))
SMALLER: Final = frozenset(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"))
BOTH: Final = frozenset(("items", "additionalProperties", "propertyNames", "contains", "unevaluatedProperties"))
NAMED: Final = frozenset(("properties", "patternProperties", "dependentSchemas"))

PARTS_MAX: Final = 200
"""Schemas that one place may be put together from: stops references that only lead to themselves."""

TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")


class DeadEndError(Exception):
    """Nothing can be drawn here, or not within the limits."""


def flatten(schema: Json, root: Json, choose: Choose) -> Flat:
    """The keywords of `schema` and of all that applies beside it, by the branches chosen. Raises DeadEndError."""
    flat: Flat = {}
    waiting, parts = [schema], 0
    while waiting:
        part = waiting.pop()
        parts += 1
        if part is False or parts > PARTS_MAX:
            raise DeadEndError
        if not isinstance(part, dict):
            continue
        merge(flat, {key: value for key, value in part.items() if key not in APPLIED and key not in ANNOTATIONS})
        waiting.extend(resolve(part[key], root) for key in ("$ref", "$dynamicRef") if key in part)
        waiting.extend(part.get("allOf", ()))
        waiting.extend(choose(list(part[key]))[0] for key in ("anyOf", "oneOf") if part.get(key))
        if "if" in part:
            holds = {"allOf": [part["if"], part.get("then", True)]}
            fails = {"allOf": [{"not": part["if"]}, part.get("else", True)]}
            waiting.append(choose([holds, fails])[0])
    return flat


def resolve(reference: Json, root: Json) -> Json:
    """The schema that a local reference names. Raises DeadEndError where there is none."""
    found = referred(unquote(str(reference)), root)
    if not isinstance(found, dict | bool):
        raise DeadEndError
    return found


def merge(flat: Flat, more: Mapping[str, Json]) -> None:
    """Put the keywords of `more` into `flat`; what cannot stand under one keyword goes into `allOf`."""
    for key, value in more.items():
        if key not in flat or flat[key] == value:
            flat[key] = value
        elif key == "type":
            flat[key] = _types(flat[key], value)
        elif key == "required":
            flat[key] = list(dict.fromkeys((*flat[key], *value)))
        elif key == "enum":
            flat[key] = [each for each in flat[key] if each in value]
        elif key in LARGER:
            flat[key] = max(flat[key], value)
        elif key in SMALLER:
            flat[key] = min(flat[key], value)
        elif key in BOTH:
            flat[key] = {"allOf": [flat[key], value]}
        elif key in NAMED:
            flat[key] = _each_name(flat[key], value)
        elif key == "prefixItems":
            longer, shorter = sorted((flat[key], value), key=len, reverse=True)
            flat[key] = [{"allOf": list(pair)} for pair in zip(longer, shorter, strict=False)] + longer[len(shorter) :]
        elif key == "dependentRequired":
            flat[key] = {**flat[key], **value}
        elif key == "uniqueItems":
            flat[key] = True
        else:  # const, pattern, format, multipleOf, not: the judge of the leaf sees both
            flat["allOf"] = [*flat.get("allOf", ()), {key: value}]


def _each_name(one: Mapping[str, Json], other: Mapping[str, Json]) -> dict[str, Json]:
    both = {name: {"allOf": [one[name], other[name]]} for name in one if name in other}
    return {**one, **other, **both}


def _types(one: Json, other: Json) -> list[str]:
    left, right = types_of(one), types_of(other)
    kept = [word for word in TYPES if word in left and word in right]
    if "integer" in left | right and "number" in left | right and not kept:
        kept = ["integer"]
    elif "integer" not in kept and "integer" in left ^ right and "number" in left | right and "number" not in kept:
        kept.append("integer")
    if not kept:
        raise DeadEndError
    return kept


def types_of(written: Json) -> set[str]:
    return set(TYPES) if written is None else {written} if isinstance(written, str) else set(written)
