"""Following paths through schemas: never more sure than the values are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.schemas.explain import kind_of
from process_orchestrator.checking.schemas.paths import ABSENT, find
from process_orchestrator.checking.schemas.projection import (
    Presence,
    Shape,
    items_of,
    kinds_of,
    names_of,
    project,
    required_names,
)
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.checking.schemas.value_types import converter, type_of

EXTRACT: dict[str, Any] = {
    "$defs": {
        "line": {
            "type": "object",
            "required": ["sku"],
            "properties": {"sku": {"type": "string"}, "n": {"type": ["integer", "null"]}},
        }
    },
    "type": "object",
    "required": ["id", "lines", "pair", "kind"],
    "properties": {
        "id": {"type": "string"},
        "po": {"type": "string"},
        "kind": {"enum": ["a", "b"]},
        "lines": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/line"}},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": "number"}],
            "items": False,
            "minItems": 2,
        },
        "who": {
            "oneOf": [
                {"type": "object", "required": ["email"], "properties": {"email": {"type": "string"}}},
                {"type": "null"},
            ]
        },
        "free": {"type": "object"},
        "any": {},
        "rates": {"type": "object", "additionalProperties": {"type": "number"}},
        "x": {"type": "object", "patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": False},
        "both": {"allOf": [{"type": "object", "required": ["a"]}, {"properties": {"a": {"type": "string"}}}]},
        "fixed": {"const": {"a": 1, "b": [True]}},
        "cond": {"type": "object", "if": {}, "then": {"properties": {"t": {"type": "string"}}}},
    },
}

A, M, N = Presence.ALWAYS, Presence.MAYBE, Presence.NEVER


@pytest.mark.parametrize(
    ("path", "presence", "declared", "kinds"),
    [
        ((), A, True, {"object"}),
        (("id",), A, True, {"string"}),
        (("po",), M, True, {"string"}),
        (("idd",), M, False, None),
        (("id", "x"), N, False, None),
        (("kind",), A, True, {"string"}),
        (("lines",), A, True, {"array"}),
        (("lines", 0, "sku"), A, True, {"string"}),
        (("lines", -1, "sku"), A, True, {"string"}),
        (("lines", 1, "sku"), M, True, {"string"}),
        (("lines", 0, "n"), M, True, {"integer", "null"}),
        (("lines", 0, "nn"), M, False, None),
        (("lines", "sku"), N, False, None),
        (("pair", 1), A, True, {"integer", "number"}),
        (("pair", 2), N, False, None),
        (("who", "email"), M, True, {"string"}),
        (("who", "mail"), M, False, None),
        (("free", "a"), M, False, None),
        (("any", "a"), M, False, None),
        (("rates", "EUR"), M, True, {"integer", "number"}),
        (("x", "x_1"), M, True, {"integer"}),
        (("x", "y"), N, False, None),
        (("both", "a"), M, True, {"string"}),
        (("fixed", "b", 0), M, True, {"boolean"}),
        (("fixed", "c"), N, False, None),
        (("cond", "t"), M, True, None),
    ],
)
def test_a_path_leads_where_the_schema_says(path: Any, presence: Presence, declared: object, kinds: Any) -> None:
    found = project(Shape.of(EXTRACT), path)
    assert (found.presence, found.declared) == (presence, declared)
    if kinds is not None:
        assert kinds_of(found.shape) == kinds


def test_items_names_and_required_names() -> None:
    assert kinds_of(items_of(project(Shape.of(EXTRACT), ("pair",)).shape)) == {"string", "integer", "number"}
    assert names_of(items_of(project(Shape.of(EXTRACT), ("lines",)).shape)) == ("sku", "n")
    assert required_names(
        {"allOf": [{"$ref": "#/$defs/o"}], "$defs": {"o": {"type": "object", "required": ["a"]}}}
    ) == ("a",)


def test_a_union_is_as_unsure_as_its_least_sure_member() -> None:
    both = Shape.union([Shape.of(EXTRACT), Shape.of({"const": {"po": "x"}})])
    assert project(both, ("id",)).presence is M
    assert project(both, ("po",)).declared


def test_references_in_a_circle_end() -> None:
    for schema in ({"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, {"anyOf": [{"$ref": "#"}, {"type": "string"}]}):
        assert project(Shape.of(schema), ("a", 0, "b")).presence in {M, N}
        type_of(Shape.of(schema))
        names_of(Shape.of(schema))
        items_of(Shape.of(schema))


LEAVES: Any = st.sampled_from(
    [
        True,
        {},
        {"type": "string"},
        {"type": "number"},
        {"type": "integer"},
        {"type": ["string", "null"]},
        {"const": 1},
        {"enum": ["a", {"a": 1}, ["b"]]},
        {"const": {"a": {"b": 2}}},
        False,
    ]
)
NAMES = st.sampled_from(["a", "b"])


def _schemas(inner: Any) -> Any:
    objects = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", ["object", "null"], "array"]),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1),
        },
    )
    arrays = st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["array", ["array", "string"]]),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
        },
    )
    unions = st.fixed_dictionaries(
        {}, optional={word: st.lists(inner, min_size=1, max_size=2) for word in ("anyOf", "oneOf", "allOf")}
    )
    return objects | arrays | unions


SCHEMAS: Any = st.recursive(LEAVES, _schemas, max_leaves=6)
INSTANCES: Any = st.recursive(
    st.sampled_from([None, 1, 2.5, "a", True]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=2) | st.lists(inner, max_size=3),
    max_leaves=6,
)
PATHS = st.lists(st.sampled_from(["a", "b", 0, 1, -1]), min_size=1, max_size=2).map(tuple)


@settings(max_examples=500, deadline=None)
@given(SCHEMAS, st.lists(INSTANCES, min_size=4, max_size=4), PATHS)
def test_no_value_contradicts_what_was_projected(schema: Any, values: list[Any], path: Any) -> None:
    found = project(Shape.of(schema), path)
    inner = [Validator(each) for each, _ in found.shape.alternatives]
    gate = Validator(schema)
    for value in values:
        if not gate.is_valid(value):
            continue
        there = find(value, path)
        if there is ABSENT:
            assert found.presence is not A
        else:
            assert found.presence is not N
            assert any(each.is_valid(there) for each in inner)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.lists(INSTANCES, min_size=4, max_size=4))
def test_kinds_and_conversions_hold_for_every_value_of_a_schema(schema: Any, values: list[Any]) -> None:
    shape, gate = Shape.of(schema), Validator(schema)
    convert = converter(type_of(shape))
    kinds, items = kinds_of(shape), [Validator(each) for each, _ in items_of(shape).alternatives]
    for value in values:
        if not gate.is_valid(value):
            continue
        assert kind_of(value).split()[0] in kinds
        if isinstance(value, list):
            assert all(any(each.is_valid(item) for each in items) for item in value)
        assert (convert(value) if convert else value) == value  # equal as numbers, whatever their type
