"""Schemas of other drafts and other hands become ones that our lint takes, and no value is refused that was let in."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.importers.adapt import adapted, is_object_schema
from process_orchestrator.checking.loading.lint_schema import schema_problems
from process_orchestrator.checking.schemas.validate import Validator


def sound(schema: dict[str, Any]) -> bool:
    return not schema_problems(Document(file="", value={"schema": schema}), "/schema")


def properties(**each: Any) -> dict[str, Any]:
    return {"type": "object", "properties": each}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (properties(a={"type": "integer", "minimum": 0, "exclusiveMinimum": True}), properties(a={"type": "integer", "exclusiveMinimum": 0})),
        (properties(a={"type": "string", "nullable": True}), properties(a={"type": ["string", "null"]})),
        (properties(a={"$ref": "#/definitions/A"}) | {"definitions": {"A": {"type": "string"}}}, properties(a={"$ref": "#/$defs/A"}) | {"$defs": {"A": {"type": "string"}}}),
        (properties(a={"type": "array", "items": [{"type": "string"}], "additionalItems": False}), properties(a={"type": "array", "prefixItems": [{"type": "string"}], "items": False})),
        (properties(a={"type": "string", "required": True}), properties(a={"type": "string"}) | {"required": ["a"]}),
        (properties(a={"type": "str"}, b={"type": "any"}), properties(a={"type": "string"}, b={})),
        (properties(a={"type": "string", "example": "x"}), properties(a={"type": "string", "examples": ["x"]})),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "title": "T", "$id": "x", "properties": {}}, {"type": "object", "properties": {}}),
        (properties() | {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, properties() | {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}),
        (properties(a={"type": "number", "format": "double"}), properties(a={"type": "number"})),
        (True, {"type": "object"}),
        (None, {"type": "object"}),
        ({"type": ["object", "null"]}, {"type": "object"}),
    ],
)  # fmt: skip
def test_other_drafts_say_the_same_in_ours(written: Any, meant: dict[str, Any]) -> None:
    made = adapted(written)
    assert made.schema == meant
    assert sound(made.schema)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        (properties(a={"type": "string", "pattern": "(?=x)y"}), "/properties/a/pattern"),
        (properties(a={"type": "string", "format": "json"}), "/properties/a/format"),
        (properties(a={"$ref": "https://example.org/a.json"}), "/properties/a/$ref"),
        (properties(a={"$ref": "#/$defs/Absent"}), "/properties/a/$ref"),
        (properties(a={"requird": ["x"]}), "/properties/a/requird"),
        (properties(a={"type": "money"}), "/properties/a/type"),
        ({"type": "object", "patternProperties": {"^(?!x)": {"type": "string"}}}, "/patternProperties/^(?!x)"),
        ({"type": "array", "items": {}}, "/"),
        (properties(a={"minLength": "three"}), "/properties/a/minLength"),
    ],
)
def test_what_cannot_be_said_is_left_out_and_named(written: dict[str, Any], place: str) -> None:
    made = adapted(written)
    assert sound(made.schema)
    assert any(note.startswith(f"{place} ") for note in made.notes), made.notes


def test_a_schema_that_is_its_own_part_or_has_no_end_is_bounded() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(500):
        deep = {"type": "object", "properties": {"a": deep}}
    assert sound(adapted(deep).schema)
    wide = properties(**{f"p{n}": {"type": "string"} for n in range(30_000)})
    made = adapted(wide)
    assert sound(made.schema)
    assert len(made.notes) <= 20
    loop = properties(a={"$ref": "#"})
    assert adapted(loop).schema == loop


KEYWORDS = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "required",
        "$ref",
        "enum",
        "const",
        "pattern",
        "format",
        "minimum",
        "nullable",
        "definitions",
        "$defs",
        "anyOf",
        "additionalProperties",
        "patternProperties",
        "dependencies",
        "exclusiveMinimum",
        "description",
        "examples",
        "default",
        "title",
        "$schema",
        "$id",
        "minItems",
        "uniqueItems",
        "if",
        "not",
        "x-a",
        "odd",
    ]
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["object", "string", "#", "#/definitions/a", "(?<x", "date", "int32"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None)
@given(ANYTHING)
def test_whatever_stands_where_a_schema_should_a_sound_object_schema_comes_out(written: Any) -> None:
    made = adapted(written)
    assert sound(made.schema)
    Validator(made.schema)


OLD = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "definitions": {"size": {"type": "integer", "minimum": 1}},
    "properties": {
        "size": {"$ref": "#/definitions/size"},
        "pair": {"type": "array", "items": [{"type": "string"}, {"type": "number"}], "additionalItems": False},
        "name": {"type": "string", "pattern": "^(?!_)"},
    },
    "dependencies": {"pair": ["size"]},
    "additionalProperties": False,
}
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "size": st.integers(-1, 3) | st.text(max_size=2),
        "pair": st.lists(st.text(max_size=2) | st.integers(0, 2), max_size=3),
        "name": st.sampled_from(["_a", "a"]),
        "more": st.booleans(),
    },
)


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_no_value_that_the_old_draft_lets_in_is_refused_by_ours(value: dict[str, Any]) -> None:
    if jsonschema.Draft7Validator(OLD).is_valid(value):
        assert Validator(adapted(OLD).schema).is_valid(value)


@pytest.mark.parametrize(
    ("written", "answer"),
    [
        ({"type": "object"}, True),
        ({"properties": {}}, True),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}, True),
        ({"type": "array"}, False),
        ({"type": ["object", "string"]}, False),
        ({}, False),
        (None, False),
        ([], False),
    ],
)
def test_an_object_schema_is_known(written: Any, answer: object) -> None:
    assert is_object_schema(written) is answer
