"""Pairs of objects: what is required, what is open, what lies deeper, and what depends on something else."""

from __future__ import annotations

from typing import Any, Final

from fitting.pairs_of_values import A, N, Pair, S, b, const, either, enum, form, i, n, s, text, whole, z


def obj(properties: dict[str, Any], required: str = "", **more: Any) -> dict[str, Any]:
    """An open object; `required` are names with spaces between."""
    return {"type": "object", "properties": properties, "required": required.split(), **more}


def shut(properties: dict[str, Any], required: str = "", **more: Any) -> dict[str, Any]:
    """A closed object."""
    return obj(properties, required, additionalProperties=False, **more)


REQUIRED: Final[list[Pair]] = [
    ("the same", obj({"id": s}, "id"), obj({"id": s}, "id"), A),
    ("optional into required", obj({"id": s}), obj({"id": s}, "id"), S),
    ("required into optional", obj({"id": s}, "id"), obj({"id": s}), A),
    ("closed optional into required", shut({"id": s}), obj({"id": s}, "id"), S),
    ("closed without it into required", shut({"no": s}, "no"), obj({"id": s}, "id"), N),
    ("open without it into required", obj({"no": s}, "no"), obj({"id": s}, "id"), S),
    ("more required than wanted", obj({"id": s, "x": i}, "id x"), obj({"id": s}, "id"), A),
    ("one of two is missing", shut({"id": s}, "id"), obj({"id": s, "no": s}, "id no"), N),
    ("one of two is optional", shut({"id": s, "no": s}, "id"), obj({"id": s, "no": s}, "id no"), S),
    ("a required property of another type", obj({"id": i}, "id"), obj({"id": s}, "id"), N),
    ("an optional property of another type", shut({"id": i}), obj({"id": s}), S),
    ("a required nullable property", obj({"id": either("string", "null")}, "id"), obj({"id": s}, "id"), S),
    ("null is not absent", obj({"id": z}, "id"), obj({"id": s}), N),
    ("an optional property that is nullable", shut({"id": either("string", "null")}), obj({"id": s}), S),
    ("names in other letters", shut({"Id": s}, "Id"), obj({"id": s}, "id"), N),
    ("names with a dash", shut({"tax-id": s}, "tax-id"), obj({"tax_id": s}, "tax_id"), N),
    ("three of three", obj({"a": s, "b": i, "c": b}, "a b c"), obj({"a": s, "b": n, "c": b}, "a b c"), A),
    ("two of three", obj({"a": s, "b": i, "c": b}, "a b"), obj({"a": s, "b": n, "c": b}, "a b c"), S),
    ("at least one property", obj({"a": s}, "a"), {"type": "object", "minProperties": 1}, A),
    ("perhaps no property", obj({"a": s}), {"type": "object", "minProperties": 1}, S),
    ("at most one property", shut({"a": s, "b": s}, "a"), {"type": "object", "maxProperties": 1}, S),
    ("at most two properties", shut({"a": s, "b": s}, "a"), {"type": "object", "maxProperties": 2}, A),
    ("too many properties", obj({"a": s, "b": s}, "a b"), {"type": "object", "maxProperties": 1}, N),
    ("any object into required", {"type": "object"}, obj({"id": s}, "id"), S),
    ("required without a type", {"type": "object", "required": ["id"]}, obj({"id": s}, "id"), S),
    ("a property that may be anything", obj({"id": {}}, "id"), obj({"id": s}, "id"), S),
]

OPEN: Final[list[Pair]] = [
    ("extra property into open", obj({"id": s, "x": i}, "id x"), obj({"id": s}, "id"), A),
    ("extra property into closed", obj({"id": s, "x": i}, "id x"), shut({"id": s}, "id"), N),
    ("extra optional property into closed", shut({"id": s, "x": i}, "id"), shut({"id": s}, "id"), S),
    ("open into closed", obj({"id": s}, "id"), shut({"id": s}, "id"), S),
    ("closed into closed with more", shut({"id": s}, "id"), shut({"id": s, "y": i}, "id"), A),
    ("closed into open", shut({"id": s}, "id"), obj({"id": s}, "id"), A),
    ("an open object may clash with a property", obj({"id": s}, "id"), obj({"id": s, "note": s}, "id"), S),
    ("a closed object cannot clash", shut({"id": s}, "id"), obj({"id": s, "note": s}, "id"), A),
    ("typed extras into wider", obj({}, additionalProperties=i), obj({}, additionalProperties=n), A),
    ("typed extras into narrower", obj({}, additionalProperties=n), obj({}, additionalProperties=i), S),
    ("text extras into number extras", obj({}, additionalProperties=s), obj({}, additionalProperties=n), S),
    (
        "text extras, one required, into numbers",
        {"type": "object", "required": ["k"], "additionalProperties": s},
        obj({}, additionalProperties=n),
        N,
    ),
    (
        "patterned names into any names",
        {"type": "object", "patternProperties": {"^x_": i}, "additionalProperties": False},
        obj({}, additionalProperties=n),
        A,
    ),
    (
        "any names into patterned names",
        obj({}, additionalProperties=i),
        {"type": "object", "patternProperties": {"^x_": i}, "additionalProperties": False},
        S,
    ),
    (
        "patterned property of another type",
        obj({"x_a": s}, "x_a"),
        {"type": "object", "patternProperties": {"^x_": i}},
        N,
    ),
    (
        "patterned property of the type",
        obj({"x_a": i}, "x_a", additionalProperties=False),
        {"type": "object", "patternProperties": {"^x_": n}},
        A,
    ),
    ("names kept", shut({"ab": s}, "ab"), {"type": "object", "propertyNames": {"maxLength": 2}}, A),
    ("names broken", shut({"abc": s}, "abc"), {"type": "object", "propertyNames": {"maxLength": 2}}, N),
    ("names that may break", obj({"ab": s}, "ab"), {"type": "object", "propertyNames": {"maxLength": 2}}, S),
    ("a property that must not be", shut({"a": s, "b": s}, "a"), {"type": "object", "properties": {"b": False}}, S),
    (
        "a property that is there and must not be",
        shut({"a": s, "b": s}, "b"),
        {"type": "object", "properties": {"b": False}},
        N,
    ),
    (
        "a property that is not there and must not be",
        shut({"a": s}, "a"),
        {"type": "object", "properties": {"b": False}},
        A,
    ),
    (
        "map of objects",
        obj({}, additionalProperties=obj({"v": i}, "v")),
        obj({}, additionalProperties=obj({"v": n}, "v")),
        A,
    ),
    (
        "map of objects that lack",
        obj({}, additionalProperties=shut({"v": i})),
        obj({}, additionalProperties=obj({"v": n}, "v")),
        S,
    ),
]

NESTED: Final[list[Pair]] = [
    ("deeper and the same", obj({"a": obj({"b": i}, "b")}, "a"), obj({"a": obj({"b": n}, "b")}, "a"), A),
    ("deeper and wider", obj({"a": obj({"b": n}, "b")}, "a"), obj({"a": obj({"b": i}, "b")}, "a"), S),
    ("deeper and apart", obj({"a": obj({"b": s}, "b")}, "a"), obj({"a": obj({"b": i}, "b")}, "a"), N),
    ("deeper and optional", obj({"a": obj({"b": i})}, "a"), obj({"a": obj({"b": i}, "b")}, "a"), S),
    ("deeper and closed", obj({"a": obj({"b": i}, "b")}, "a"), obj({"a": shut({"b": i}, "b")}, "a"), S),
    (
        "deeper with an extra into closed",
        obj({"a": shut({"b": i, "c": i}, "b c")}, "a"),
        obj({"a": shut({"b": i}, "b")}, "a"),
        N,
    ),
    (
        "a vendor with a name too long",
        obj({"v": obj({"name": s}, "name")}, "v"),
        obj({"v": obj({"name": text(maxLength=80)}, "name")}, "v"),
        S,
    ),
    (
        "a vendor with a name that fits",
        obj({"v": obj({"name": text(maxLength=80)}, "name")}, "v"),
        obj({"v": obj({"name": text(maxLength=200)}, "name")}, "v"),
        A,
    ),
    (
        "a date in an invoice",
        obj({"inv": obj({"on": s}, "on")}, "inv"),
        obj({"inv": obj({"on": form("date")}, "on")}, "inv"),
        S,
    ),
    (
        "four levels",
        obj({"a": obj({"b": obj({"c": obj({"d": i}, "d")}, "c")}, "b")}, "a"),
        obj({"a": obj({"b": obj({"c": obj({"d": n}, "d")}, "c")}, "b")}, "a"),
        A,
    ),
    (
        "four levels, wrong at the bottom",
        obj({"a": obj({"b": obj({"c": obj({"d": s}, "d")}, "c")}, "b")}, "a"),
        obj({"a": obj({"b": obj({"c": obj({"d": n}, "d")}, "c")}, "b")}, "a"),
        N,
    ),
    (
        "four levels, optional on the way",
        obj({"a": obj({"b": obj({"c": obj({"d": i}, "d")})}, "b")}, "a"),
        obj({"a": obj({"b": obj({"c": obj({"d": n}, "d")}, "c")}, "b")}, "a"),
        S,
    ),
    ("an object where a text is wanted", obj({"who": obj({"name": s}, "name")}, "who"), obj({"who": s}, "who"), N),
    ("a text where an object is wanted", obj({"who": s}, "who"), obj({"who": obj({"name": s}, "name")}, "who"), N),
    (
        "a nullable object",
        obj({"who": {"anyOf": [obj({"name": s}, "name"), z]}}, "who"),
        obj({"who": obj({"name": s}, "name")}, "who"),
        S,
    ),
    (
        "money as number and as object",
        obj({"total": n}, "total"),
        obj({"total": obj({"amount": n, "currency": s}, "amount currency")}, "total"),
        N,
    ),
    (
        "money with any currency",
        obj({"amount": n, "currency": s}, "amount currency"),
        obj({"amount": n, "currency": enum("EUR", "USD")}, "amount currency"),
        S,
    ),
    (
        "money with one currency",
        obj({"amount": n, "currency": const("EUR")}, "amount currency"),
        obj({"amount": n, "currency": enum("EUR", "USD")}, "amount currency"),
        A,
    ),
]

DEPENDENT: Final[list[Pair]] = [
    ("both are there", obj({"a": s, "b": s}, "a b"), {"type": "object", "dependentRequired": {"a": ["b"]}}, A),
    ("the second may lack", shut({"a": s, "b": s}, "a"), {"type": "object", "dependentRequired": {"a": ["b"]}}, S),
    ("the second is never there", shut({"a": s}, "a"), {"type": "object", "dependentRequired": {"a": ["b"]}}, N),
    ("the first is never there", shut({"c": s}, "c"), {"type": "object", "dependentRequired": {"a": ["b"]}}, A),
    (
        "a condition that holds",
        obj({"k": const("a"), "v": s}, "k v"),
        {"if": {"properties": {"k": const("a")}}, "then": {"required": ["v"]}},
        A,
    ),
    (
        "a condition that holds, and what follows may lack",
        shut({"k": const("a"), "v": s}, "k"),
        {"if": {"properties": {"k": const("a")}, "required": ["k"]}, "then": {"required": ["v"]}},
        S,
    ),
    (
        "a condition that holds, and what follows lacks",
        shut({"k": const("a")}, "k"),
        {"if": {"properties": {"k": const("a")}, "required": ["k"]}, "then": {"required": ["v"]}},
        N,
    ),
    (
        "a condition that may hold",
        shut({"k": enum("a", "b")}, "k"),
        {"if": {"properties": {"k": const("a")}, "required": ["k"]}, "then": {"required": ["v"]}},
        S,
    ),
    (
        "a condition that does not hold",
        shut({"k": const("b")}, "k"),
        {"if": {"properties": {"k": const("a")}, "required": ["k"]}, "then": {"required": ["v"]}},
        A,
    ),
    (
        "else",
        shut({"k": const("b")}, "k"),
        {"if": {"properties": {"k": const("a")}, "required": ["k"]}, "else": {"required": ["w"]}},
        N,
    ),
    (
        "a dependent schema that is kept",
        shut({"card": s, "address": s}, "card address"),
        {"type": "object", "dependentSchemas": {"card": {"required": ["address"]}}},
        A,
    ),
    (
        "a dependent schema that may be broken",
        shut({"card": s, "address": s}),
        {"type": "object", "dependentSchemas": {"card": {"required": ["address"]}}},
        S,
    ),
    ("not both", shut({"a": s, "b": s}, "a"), {"type": "object", "not": {"required": ["a", "b"]}}, S),
    ("not both, and never both", shut({"a": s}, "a"), {"type": "object", "not": {"required": ["a", "b"]}}, A),
    (
        "one or the other",
        shut({"a": s, "b": s}),
        {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        S,
    ),
    (
        "one or the other, and one is there",
        shut({"a": s, "b": s}, "b"),
        {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        A,
    ),
    (
        "one or the other, and neither is there",
        shut({"c": s}, "c"),
        {"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        N,
    ),
    (
        "exactly one, and both are there",
        shut({"a": s, "b": s}, "a b"),
        {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        N,
    ),
    (
        "exactly one, and one is there",
        shut({"a": s}, "a"),
        {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        A,
    ),
    (
        "large amounts need a reason",
        shut({"amount": whole(minimum=0), "reason": s}, "amount"),
        {"if": {"properties": {"amount": {"minimum": 1000}}, "required": ["amount"]}, "then": {"required": ["reason"]}},
        S,
    ),
    (
        "small amounts need none",
        shut({"amount": whole(minimum=0, maximum=999), "reason": s}, "amount"),
        {"if": {"properties": {"amount": {"minimum": 1000}}, "required": ["amount"]}, "then": {"required": ["reason"]}},
        A,
    ),
    (
        "nothing that was not looked at",
        shut({"a": s}, "a"),
        {"allOf": [obj({"a": s})], "unevaluatedProperties": False},
        A,
    ),
    (
        "something that was not looked at",
        shut({"a": s, "b": s}, "a b"),
        {"allOf": [obj({"a": s})], "unevaluatedProperties": False},
        N,
    ),
    (
        "perhaps something that was not looked at",
        shut({"a": s, "b": s}, "a"),
        {"allOf": [obj({"a": s})], "unevaluatedProperties": False},
        S,
    ),
]

OBJECTS: Final = {"required": REQUIRED, "open": OPEN, "nested": NESTED, "dependent": DEPENDENT}
