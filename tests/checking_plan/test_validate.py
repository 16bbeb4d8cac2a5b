"""Bodies from outside, and schemas: strict, bounded, explained without showing a value."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from process_orchestrator.checking.schemas.validate import (
    Validator,
    check_depth,
    check_value,
    encode_body,
    parse_body,
    pattern_matches,
    read_stored,
    ref_of,
)
from process_orchestrator.core.errors import BodyError, SchemaError

CONTRACTS = sorted((Path(__file__).resolve().parents[2] / "contracts").rglob("*.contract.yaml"))

VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("data", "code", "pointer"),
    [
        (b"[" * 100_000, "too_deep", ""),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep", ""),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep", ""),
        (b"[" * 65 + b"]" * 65, "too_deep", ""),
        (b'{"a":1,"b":{"x/y":1,"x/y":2}}', "duplicate_key", "/b/x~1y"),
        (b'[{"a":1},{"a":1,"a":1}]', "duplicate_key", "/1/a"),
        (b'{"a":1,"a":2} rest', "duplicate_key", ""),
        (b'{"a":[1,NaN]}', "not_finite", "/a/1"),
        (b'{"a":[1,1e999]}', "not_finite", "/a/1"),
        (b"[-Infinity]", "not_finite", "/0"),
        (b"[NaN", "not_finite", ""),
        (b'"\\ud800"', "not_json", ""),
        (b'{"\\udc00":1}', "not_json", ""),
        (b"18446744073709551616", "not_json", ""),
        (b"9" * 5_000, "not_json", ""),
        (b"[1,]", "not_json", ""),
        (b"", "not_json", ""),
        (b"\xef\xbb\xbf1", "not_json", ""),
        (b'"\xff"', "not_json", ""),
        (b"'a'", "not_json", ""),
        (b"01", "not_json", ""),
        (b'"a\nb"', "not_json", ""),
        (b'"' + b"x" * 1_000_000 + b'"', "too_large", ""),
    ],
)
def test_a_body_that_is_no_strict_json_is_refused_with_its_code_and_place(data: bytes, code: str, pointer: str) -> None:
    with pytest.raises(BodyError) as raised:
        parse_body(data)
    assert (raised.value.code, raised.value.pointer) == (code, pointer)


def test_bodies_within_the_caps_are_read() -> None:
    assert parse_body(b"[" * 64 + b"]" * 64) is not None
    assert parse_body(b'"\\ud83d\\ude00 [[[["') == "\N{GRINNING FACE} [[[["
    assert parse_body(b"[18446744073709551615,-9223372036854775808,1.5e3,-0.0]") == [2**64 - 1, -(2**63), 1500.0, -0.0]
    assert parse_body(b"[[[1]]]", depth=3) == [[[1]]]


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_stored_is_read_back_the_same_on_every_way(value: Any) -> None:
    data = encode_body(value)
    assert parse_body(data) == read_stored(data) == value
    assert check_value(value) == data
    assert json.loads(data) == value


def test_the_stored_form_has_sorted_keys_and_names_itself() -> None:
    data = encode_body({"b": 1, "a": [None, True]})
    assert data == b'{"a":[null,true],"b":1}'
    assert ref_of(data).bytes == len(data)
    assert ref_of(data).sha256 == ref_of(encode_body({"a": [None, True], "b": 1})).sha256


@pytest.mark.parametrize(
    ("value", "code", "pointer"),
    [
        (math.nan, "not_finite", ""),
        ({"a": [None, {"b/c": math.inf}]}, "not_finite", "/a/1/b~1c"),
        ({1: 2}, "not_json", ""),
        ("\ud800", "not_json", ""),
        ({"\ud800": 1}, "not_json", ""),
        ([object()], "not_json", ""),
        (b"bytes", "not_json", ""),
        (2**64, "not_json", ""),
        ("x" * 1_000_000, "too_large", ""),
    ],
)
def test_a_python_value_that_json_cannot_hold_is_refused(value: Any, code: str, pointer: str) -> None:
    with pytest.raises(BodyError) as raised:
        check_value(value)
    assert (raised.value.code, raised.value.pointer) == (code, pointer)


def test_a_python_value_that_is_too_deep_or_holds_itself_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    for value in (deep, cycle, [[[1]]]):
        with pytest.raises(BodyError) as raised:
            check_value(value, depth=2)
        assert raised.value.code == "too_deep"
    with pytest.raises(BodyError):
        check_depth(deep)
    check_depth([[1]], 2)
    while deep:  # taken apart by hand: the interpreter would recurse
        deep = deep.pop()


def test_null_is_no_nan() -> None:
    assert check_value({"a": None, "b": "null"}) == b'{"a":null,"b":"null"}'


SECRET = "DE89370400440532013000"


@pytest.mark.parametrize(
    ("schema", "value", "rule", "pointer", "expected", "got"),
    [
        ({"type": "string"}, 5, "type", "", "string", "integer"),
        ({"type": ["string", "null"]}, [1, 2], "type", "", "null or string", "array of 2 items"),
        ({"enum": ["a", 1, None]}, SECRET, "enum", "", 'one of "a", 1, null', "string of 22 characters"),
        ({"const": True}, SECRET, "const", "", "true", "string of 22 characters"),
        ({"pattern": "^[0-9]+$"}, SECRET, "pattern", "", "text matching ^[0-9]+$", "string of 22 characters"),
        ({"format": "date"}, SECRET, "format", "", "format date", "string of 22 characters"),
        ({"maxLength": 5}, SECRET, "maxLength", "", "at most 5 characters", "string of 22 characters"),
        ({"minimum": 3}, 2.5, "minimum", "", "at least 3", "number"),
        ({"exclusiveMaximum": 3}, 3, "exclusiveMaximum", "", "less than 3", "integer"),
        ({"required": ["a/b"]}, {"c": SECRET}, "required", "/a~1b", "property `a/b`", "nothing"),
        (
            {"additionalProperties": False},
            {"zz": SECRET},
            "additionalProperties",
            "",
            "no other property",
            "a property",
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "z/z": SECRET, "y": 1},
            *("additionalProperties", "/z~1z", "no other property", "`z/z`, `y`"),
        ),
        ({"items": {"type": "string"}}, ["a", 3], "type", "/1", "string", "integer"),
        ({"minItems": 2}, [1], "minItems", "", "at least 2 items", "array of 1 items"),
        ({"uniqueItems": True}, [1, 1], "uniqueItems", "", "items that differ", "array of 2 items"),
        (
            {"not": {"type": "string"}},
            SECRET,
            "not",
            "",
            "a value that `not` does not rule out",
            "string of 22 characters",
        ),
        ({"properties": {"a": False}}, {"a": SECRET}, "falseSchema", "/a", "nothing here", "string of 22 characters"),
        ({"multipleOf": 0.5}, 0.3, "multipleOf", "", "a multiple of 0.5", "number"),
    ],
)
def test_a_problem_says_what_was_wanted_and_what_kind_came(
    schema: dict[str, Any], value: Any, rule: str, pointer: str, expected: str, got: str
) -> None:
    (problem,) = Validator(schema).problems(value)
    assert (problem.rule, problem.pointer, problem.expected, problem.got) == (rule, pointer, expected, got)
    assert SECRET not in repr(problem)
    assert len(problem.message) <= 300


CARD = {
    "type": "object",
    "required": ["kind", "number"],
    "properties": {"kind": {"const": "card"}, "number": {"type": "string"}},
}
IBAN = {
    "type": "object",
    "required": ["kind", "iban"],
    "properties": {"kind": {"const": "iban"}, "iban": {"type": "string"}},
}


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
@pytest.mark.parametrize(
    ("branches", "value", "pointer", "expected"),
    [
        ([CARD, IBAN], {"kind": "card", "number": 5}, "/number", "string"),
        ([CARD, IBAN], {"kind": "iban"}, "/iban", "property `iban`"),
        ([CARD, IBAN], {"kind": "cash"}, "/kind", '"card" or "iban"'),
        ([{"type": "string"}, {"type": "null"}], 5, "", "string or null"),
        ([{"type": "null"}, CARD], {"kind": "card", "number": 5}, "/number", "string"),
        ([{"type": "array", "items": {"type": "integer"}}, {"type": "string"}], [1, "x"], "/1", "integer"),
    ],
)
def test_the_branch_that_was_meant_is_reported(
    word: str, branches: list[Any], value: Any, pointer: str, expected: str
) -> None:
    (problem,) = Validator({word: branches}).problems(value)
    assert (problem.pointer, problem.expected) == (pointer, expected)


def test_a_value_that_fits_two_branches_of_one_of_is_explained() -> None:
    (problem,) = Validator({"oneOf": [{"type": "integer"}, {"minimum": 0}]}).problems(3)
    assert (problem.rule, problem.expected) == ("oneOf", "exactly one of the alternatives")


def test_at_most_twenty_problems_are_listed_and_one_of_a_large_value() -> None:
    strings = Validator({"items": {"type": "string"}})
    assert len(strings.problems([1] * 50)) == 20
    assert [problem.pointer for problem in strings.problems(["a"] * 5_000 + [1] * 50)] == ["/5000"]


def test_what_is_no_json_is_a_problem_and_no_crash() -> None:
    strings = Validator({"type": "string"})
    for value in ("\ud800", {1: 2}, b"x", object()):
        assert [problem.rule for problem in strings.problems(value)] in (["json"], ["type"])
        assert not strings.is_valid(value)


@pytest.mark.parametrize(
    ("schema", "reason", "pointer"),
    [
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "bad_pattern", "/properties/a/pattern"),
        ({"patternProperties": {"(a)\\1": {}}}, "bad_pattern", "/patternProperties/(a)\\1"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "bad_pattern", "/pattern"),
        ({"$ref": "http://127.0.0.1:9/x"}, "remote_ref", ""),
        ({"$ref": "other.json"}, "remote_ref", ""),
        ({"$ref": "file:///etc/passwd"}, "remote_ref", ""),
        ({"$ref": "#/$defs/nope"}, "dangling_ref", ""),
        ({"properties": {"a": {"format": "datum"}}}, "unknown_format", "/properties/a/format"),
        ({"properties": {"a": {"type": "strng"}}}, "malformed", "/properties/a/type"),
        ({"required": "a"}, "malformed", "/required"),
        ({"minimum": "a"}, "malformed", "/minimum"),
    ],
)
def test_a_schema_that_does_not_compile_says_why_and_where(schema: dict[str, Any], reason: str, pointer: str) -> None:
    with pytest.raises(SchemaError) as raised:
        Validator(schema)
    assert (raised.value.reason, raised.value.pointer) == (reason, pointer)


def test_a_schema_that_is_nested_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"not": deep}
    with pytest.raises(SchemaError) as raised:
        Validator(deep)
    assert raised.value.reason == "too_deep"
    while deep:
        deep = deep.pop("not")


def test_a_pattern_that_hangs_others_is_answered() -> None:
    assert not pattern_matches("^(a+)+$", "a" * 50_000 + "!")
    assert pattern_matches("^x_", "x_1")


def test_references_in_a_circle_end() -> None:
    assert Validator({"$ref": "#"}).is_valid(1)


def _examples() -> Iterator[Any]:
    for file in CONTRACTS:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
        for example in written.get("examples", []):
            for side in [side for side in ("input", "output") if side in example]:
                yield pytest.param(written[side], example[side], id=f"{file.stem}-{example['name']}-{side}")


def _spoiled(value: Any) -> Iterator[Any]:
    """The value with one place changed, for each place."""
    yield from (None, 7, "text", [], {})
    if isinstance(value, dict):
        for name in value:
            yield {key: inner for key, inner in value.items() if key != name}
            yield from ({**value, name: spoiled} for spoiled in _spoiled(value[name]))
        yield {**value, "surprise": 1}
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield from ([*value[:at], spoiled, *value[at + 1 :]] for spoiled in _spoiled(item))


@pytest.mark.parametrize(("schema", "example"), list(_examples()))
def test_the_shipped_examples_and_their_spoiled_forms_are_judged_as_another_validator_judges_them(
    schema: dict[str, Any], example: Any
) -> None:
    oracle = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    ours = Validator(schema)
    assert ours.problems(example) == ()
    for value in [example, *_spoiled(example)]:
        assert ours.is_valid(value) == oracle.is_valid(value), value
        assert bool(ours.problems(value)) != oracle.is_valid(value)


@pytest.mark.parametrize("encode", [encode_body, check_value])
def test_a_stored_form_takes_no_more_memory_than_it_has_bytes(encode: Callable[[Any], bytes]) -> None:
    value = {"ok": True, "summary": "x" * 100}
    tracemalloc.start()
    try:
        kept = [encode(value) for _ in range(200)]
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / len(kept) < 2 * len(kept[0])
