"""Random schemas of every kind of keyword, and a pool of random values, both by seed."""

from __future__ import annotations

from random import Random
from typing import Any

NAMES = ("a", "b", "c", "d")

LEAVES: tuple[Any, ...] = (
    {"type": "string"},
    {"type": "integer"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"type": ["integer", "string"]},
    {"enum": ["a", 1, None]},
    {"enum": ["a", "bb", "ccc"]},
    {"const": "a"},
    {"const": 2},
    {"type": "string", "format": "date"},
    {"type": "string", "pattern": "^a"},
    {"type": "string", "pattern": "^[a-z]+$"},
    {"minLength": 2},
    {"minimum": 1},
    {"required": ["a"]},
    True,
    {},
    False,
)


def random_schema(random: Random, depth: int) -> Any:
    kind = random.random()
    if depth <= 0 or kind < 0.3:
        return _leaf(random)
    if kind < 0.55:
        return _object(random, depth)
    if kind < 0.68:
        return _list(random, depth)
    if kind < 0.8:
        return {random.choice(("anyOf", "oneOf")): _some(random, depth, 3)}
    if kind < 0.88:
        return {"allOf": _some(random, depth, 2)}
    if kind < 0.93:
        return {"not": random_schema(random, depth - 2)}
    if kind < 0.97:
        return {word: random_schema(random, depth - 2) for word in ("if", "then", "else")}
    return {"dependentSchemas": {random.choice(NAMES): random_schema(random, depth - 1)}}


def _some(random: Random, depth: int, most: int) -> list[Any]:
    return [random_schema(random, depth - 1) for _ in range(random.randint(1, most))]


def _leaf(random: Random) -> Any:
    kind = random.random()
    if kind < 0.6:
        return random.choice(LEAVES)
    if kind < 0.75:
        return {
            "type": random.choice(("integer", "number")),
            "minimum": random.randint(-2, 2),
            "maximum": random.randint(1, 5),
        }
    if kind < 0.85:
        return {"type": "string", "minLength": random.randint(0, 2), "maxLength": random.randint(1, 4)}
    if kind < 0.92:
        return {"type": "number", "multipleOf": random.choice((0.5, 1, 2, 3))}
    return {"enum": random.sample(["a", "b", 1, 2, None, True, [], {}], 3)}


def _object(random: Random, depth: int) -> Any:
    names = random.sample(NAMES, random.randint(1, 3))
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: random_schema(random, depth - 1) for name in names},
    }
    if random.random() < 0.6:
        schema["required"] = random.sample(NAMES, random.randint(0, 2))
    if random.random() < 0.4:
        schema["additionalProperties"] = random.choice((False, {"type": "integer"}, {"type": "string"}))
    if random.random() < 0.1:
        schema["patternProperties"] = {"^a": random_schema(random, depth - 2)}
    if random.random() < 0.1:
        schema["minProperties"] = random.randint(0, 2)
    if random.random() < 0.1:
        schema["maxProperties"] = random.randint(1, 3)
    if random.random() < 0.1:
        schema["dependentRequired"] = {random.choice(NAMES): [random.choice(NAMES)]}
    if random.random() < 0.05:
        schema["propertyNames"] = {"maxLength": 1}
    if random.random() < 0.05:
        schema["unevaluatedProperties"] = False
    return schema


def _list(random: Random, depth: int) -> Any:
    schema: dict[str, Any] = {"type": "array", "items": random_schema(random, depth - 1)}
    if random.random() < 0.3:
        schema["minItems"] = random.randint(0, 2)
    if random.random() < 0.3:
        schema["maxItems"] = random.randint(0, 3)
    if random.random() < 0.2:
        schema["uniqueItems"] = True
    if random.random() < 0.2:
        schema["contains"] = random_schema(random, depth - 2)
    if random.random() < 0.2:
        schema["prefixItems"] = _some(random, depth, 2)
    return schema


def random_value(random: Random, depth: int = 3) -> Any:
    kind = random.random()
    if depth == 0 or kind < 0.45:
        return random.choice(
            (
                None,
                True,
                False,
                0,
                1,
                2,
                3,
                -1,
                6,
                1.5,
                0.5,
                -0.25,
                "",
                "a",
                "b",
                "bb",
                "ccc",
                "abcd",
                "2026-11-22",
                "x1",
            )
        )
    if kind < 0.8:
        names = random.sample((*NAMES, "ab", "z"), random.randint(0, 4))
        return {name: random_value(random, depth - 1) for name in names}
    return [random_value(random, depth - 1) for _ in range(random.randint(0, 3))]
