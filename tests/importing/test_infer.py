"""A schema from example values: every example keeps it, and it says what they have in common."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.schemas.infer import infer_schema
from process_orchestrator.checking.schemas.validate import Validator

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=4))
def test_every_example_keeps_the_schema_that_was_made_of_it(examples: list[Any]) -> None:
    schema = Validator(infer_schema(examples))
    assert all(schema.is_valid(each) for each in examples)


def test_what_every_example_has_is_required_and_what_some_have_is_not() -> None:
    schema = infer_schema([{"id": 1, "name": "a"}, {"id": 2.5, "tags": ["x"]}])
    assert schema == {
        "type": "object",
        "properties": {
            "id": {"type": "number"},
            "name": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["id"],
    }


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([], {}),
        ([None], {}),
        ([1, None], {"type": ["integer", "null"]}),
        ([True, "a"], {"type": ["boolean", "string"]}),
        (["2026-11-22", "2026-11-23"], {"type": "string", "format": "date"}),
        (["2026-11-22", "soon"], {"type": "string"}),
        (["2026-19-39"], {"type": "string"}),
        (["2026-11-22T10:00:00+01:00"], {"type": "string", "format": "date-time"}),
        ([[], []], {"type": "array"}),
        ([{"a": 1}, [1]], {"anyOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "array", "items": {"type": "integer"}}]}),
        ([{f"k{n}": n for n in range(101)}], {"type": "object", "additionalProperties": {"type": "integer"}}),
    ],
)  # fmt: skip
def test_examples_become_the_narrowest_schema_that_they_can_show(examples: list[Any], expected: Any) -> None:
    assert infer_schema(examples) == expected


def test_a_value_of_any_depth_is_described_within_bounds() -> None:
    value: Any = 1
    for _ in range(60):
        value = [value]
    assert Validator(infer_schema([value])).is_valid(value)
