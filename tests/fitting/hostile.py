"""Schemas that cost without bound, or end the process, where they are compared as they come."""

from __future__ import annotations

from typing import Any

Schema = Any


def wide(groups: int, branches: int) -> Schema:
    """Choices that multiply: `branches` to the power of `groups` alternatives."""
    return {
        "allOf": [
            {
                "anyOf": [
                    {
                        "properties": {f"p{group}_{branch}": {"minLength": branch + 1}},
                        "required": [f"p{group}_{branch}"],
                    }
                    for branch in range(branches)
                ]
            }
            for group in range(groups)
        ]
    }


def doubling(levels: int, *, alternatives: bool) -> Schema:
    """Each definition names the next one twice: 2 to the power of `levels` when written out."""

    def level(number: int) -> Schema:
        below = {"$ref": f"#/$defs/n{number + 1}"}
        if alternatives:
            return {"anyOf": [below, {"properties": {"a": below}}]}
        return {"type": "object", "properties": {"a": below, "b": below}, "required": ["a"]}

    definitions = {f"n{number}": level(number) for number in range(levels)}
    return {"$defs": {**definitions, f"n{levels}": {"type": "string"}}, "$ref": "#/$defs/n0"}


def twice(levels: int, *, word: str) -> Schema:
    """An object that each definition names twice in one keyword; the last one leads back to the first."""

    def level(number: int) -> Schema:
        below = {"$ref": f"#/$defs/n{number + 1}"}
        return {word: [below, below]}

    definitions = {f"n{number}": level(number) for number in range(levels)}
    last = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/n0"}}, "required": ["a"]}
    return {"type": "object", "$defs": {**definitions, f"n{levels}": last}, "properties": {"x": {"$ref": "#/$defs/n0"}}}


def circle(word: str) -> Schema:
    """Alternatives that are the whole again."""
    whole = {"$ref": "#/$defs/a"}
    part = {word: [whole, whole, {"type": "object", "properties": {"a": {"type": "string"}}}]}
    return {"type": "object", "$defs": {"a": part}, "properties": {"x": whole}}


def chain(length: int) -> Schema:
    """References in a row: native code that follows them ends the process at about 9,000."""
    definitions: dict[str, Schema] = {f"n{number}": {"$ref": f"#/$defs/n{number + 1}"} for number in range(length)}
    return {"$defs": {**definitions, f"n{length}": {"type": "string"}}, "$ref": "#/$defs/n0"}


def nested(levels: int) -> Schema:
    schema: Schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def branched(count: int, properties: int, *, word: str, least: int) -> Schema:
    """Many alternatives, each an object with properties of its own."""
    return {
        word: [
            {
                "type": "object",
                "required": [f"a{branch}_{place}" for place in range(properties)],
                "properties": {f"a{branch}_{place}": {"minimum": place + least} for place in range(properties)},
            }
            for branch in range(count)
        ]
    }


def conditions(count: int) -> Schema:
    return {
        "allOf": [
            {
                "if": {"properties": {f"k{number}": {"const": 1}}},
                "then": {"required": [f"v{number}"]},
                "else": {"required": [f"w{number}"]},
            }
            for number in range(count)
        ]
    }


def closed(count: int) -> Schema:
    return {
        "type": "object",
        "required": [f"a{number}" for number in range(count)],
        "properties": {f"a{number}": {"minimum": 1} for number in range(count)},
        "additionalProperties": False,
    }


def dependent(count: int) -> Schema:
    return {"dependentSchemas": {f"a{number}": {"required": [f"b{number}"]} for number in range(count)}}


def tree(levels: int) -> Schema:
    if levels == 0:
        return {"type": "string"}
    return {"type": "object", "properties": {"a": tree(levels - 1), "b": tree(levels - 1)}, "required": ["a"]}


S: Schema = {"type": "string"}
PAIRS: dict[str, tuple[Schema, Schema]] = {
    "12 groups of 6 choices": (wide(12, 6), wide(12, 5)),
    "6 groups of 4 choices": (wide(6, 4), wide(6, 3)),
    "4 groups of 4 choices": (wide(4, 4), wide(4, 4) | {"type": "object"}),
    "24 doublings of alternatives": (doubling(24, alternatives=True), S),
    "20 doublings of properties": (doubling(20, alternatives=False), doubling(19, alternatives=False)),
    "9,000 references in a row": (chain(9_000), {"type": "integer"}),
    "100 references in a row": (chain(100), {"type": "integer"}),
    "190 levels": (nested(190), nested(189)),
    "60 alternatives of 10 properties": (
        branched(60, 10, word="anyOf", least=0),
        branched(60, 10, word="anyOf", least=1),
    ),
    "32 exclusive alternatives of 10 properties": (
        branched(32, 10, word="oneOf", least=0),
        branched(32, 10, word="oneOf", least=1),
    ),
    "10 conditions": (conditions(10), conditions(9)),
    "14 dependent schemas": (dependent(14), dependent(13)),
    "not a closed object of 40": ({"type": "object"}, {"not": closed(40)}),
    "not this and not that": ({"not": closed(40)}, {"not": closed(39)}),
    "a tree of 1,024 leaves": (tree(10), tree(9)),
    "20,000 constants": ({"enum": list(range(20_000))}, {"enum": list(range(10_000))}),
    "a range and 1,000 constants": ({"type": "integer", "minimum": 0, "maximum": 10**6}, {"enum": list(range(1_000))}),
    "a pattern that doubles": (
        {"type": "string", "pattern": "^(a|b)*a(a|b){20}$"},
        {"type": "string", "pattern": "^(a|b)*a(a|b){19}$"},
    ),
    "a pattern that hangs others": ({"type": "string", "pattern": "^(a+)+$"}, {"type": "string", "maxLength": 3}),
    "a pattern of 900 places": (
        {"type": "string", "pattern": "^([a-z]{1,30}){1,30}$"},
        {"type": "string", "pattern": "^[a-z]{1,900}$"},
    ),
    "a billion items": (
        {"type": "array", "minItems": 10**9, "items": {"type": "integer"}},
        {"type": "array", "minItems": 10**8, "items": S},
    ),
    "a billion characters": ({"type": "string", "minLength": 10**9}, {"type": "string", "maxLength": 10**8}),
    "steps of 1e-300": (
        {"type": "number", "multipleOf": 1e-300, "maximum": 1e300},
        {"type": "number", "multipleOf": 7e-301},
    ),
    "a reference to itself": ({"$ref": "#"}, {"allOf": [{"$ref": "#"}, S]}),
    "references in a circle": (
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        S,
    ),
    "names of many patterns": (
        {"type": "object", "propertyNames": {"enum": [f"k{number}" for number in range(300)]}},
        {
            "type": "object",
            "patternProperties": {f"^k{number}": S for number in range(60)},
            "additionalProperties": False,
        },
    ),
}
