"""Values drawn from schemas: all that come out are judged by a second validator, which shares no code with the first."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from generating.schemas import HOSTILE, NOTHING, SCHEMAS
from process_orchestrator.checking.schemas.generate import Broken, Limits, invalid_values, valid_values
from process_orchestrator.checking.schemas.validate import Validator, encode_body
from process_orchestrator.core.errors import SchemaError

FEW = {
    "boolean": 2,
    "const": 1,
    "enum but one": 1,
    "pattern with words": 1,
    "anything": 5,
    "integer bounds": 3,
    "enum": 4,
    "pattern unanchored": 4,
    "two patterns": 1,
    "unique": 6,
    "format idn-hostname": 9,
    "format regex": 3,
}
"""Schemas with fewer than twelve values, or with few that a draw reaches."""


def oracle(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FormatChecker(("date", "ipv4", "ipv6", "uuid", "email")))


def has_its_own_patterns(name: str) -> bool:
    return "classes" in name or name == "money" or "invoice" in name  # \p and decimal steps, where the oracle is weaker


@pytest.mark.parametrize("name", SCHEMAS)
def test_valid_values_are_valid_and_many_and_broken_ones_are_refused(name: str) -> None:
    schema = SCHEMAS[name]
    values = valid_values(schema, count=12, seed=3)
    assert len(values) >= FEW.get(name, 12)
    assert len({encode_body(value) for value in values}) == len(values)
    judge = Validator(schema)
    assert all(judge.is_valid(value) for value in values)
    if not has_its_own_patterns(name):
        second = oracle(schema)
        assert [value for value in values if not second.is_valid(value)] == []
    broken = invalid_values(schema, count=12, seed=3)
    assert len(broken) == (0 if schema == {} else 12)
    assert all(isinstance(row, Broken) and row.rule and row.what and not judge.is_valid(row.value) for row in broken)


@pytest.mark.parametrize("name", NOTHING)
def test_a_schema_that_nothing_keeps_gives_nothing(name: str) -> None:
    assert valid_values(NOTHING[name], count=3) == ()


SLOW_ONES = ("doubling references", "wide")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW_ONES else name for name in HOSTILE]
)
def test_hostile_schemas_end_soon(name: str) -> None:
    limits = Limits(seconds=1.0)
    begun = time.perf_counter()
    values = valid_values(HOSTILE[name], count=5, limits=limits)
    invalid_values(HOSTILE[name], count=5, limits=limits)
    assert time.perf_counter() - begun < 6.0
    assert all(Validator(HOSTILE[name]).is_valid(value) for value in values)


def test_the_same_seed_draws_the_same_and_another_draws_others() -> None:
    schema = SCHEMAS["invoice"]
    assert valid_values(schema, count=8, seed=5) == valid_values(schema, count=8, seed=5)
    assert invalid_values(schema, count=8, seed=5) == invalid_values(schema, count=8, seed=5)
    assert valid_values(schema, count=8, seed=5) != valid_values(schema, count=8, seed=6)


def test_broken_values_cover_every_kind_of_break_of_a_contract() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "kind", "day", "count", "name", "lines"],
        "properties": {
            "id": {"type": "string", "pattern": "^A-[0-9]+$"},
            "kind": {"enum": ["a", "b"]},
            "day": {"type": "string", "format": "date"},
            "count": {"type": "integer", "minimum": 1, "maximum": 500},
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "lines": {"type": "array", "minItems": 1, "maxItems": 3, "uniqueItems": True, "items": {"type": "integer"}},
        },
    }
    rows = invalid_values(schema, count=80, seed=1)
    assert {row.rule for row in rows} >= {
        *("required", "additionalProperties", "type", "enum", "format", "pattern", "minimum", "maximum"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    }
    assert {row.value["count"] for row in rows if row.rule in {"minimum", "maximum"}} >= {0, 501}
    assert any(row.pointer == "/day" and row.what.startswith("/day is ") for row in rows)


def test_examples_come_first_and_are_varied_to_keep_what_no_schema_says() -> None:
    number = {"type": "number"}
    schema: dict[str, Any] = {
        "type": "object",
        "required": ["net", "tax", "total", "note"],
        "properties": {"net": number, "tax": number, "total": number, "note": {"type": "string"}},
    }
    example = {"net": 80.0, "tax": 20.0, "total": 100.0, "note": "x"}

    def balanced(value: dict[str, Any]) -> bool:
        return abs(value["net"] + value["tax"] - value["total"]) < 0.005

    values = valid_values(schema, count=10, examples=[example], accept=balanced)
    assert values[0] == example
    assert len(values) == 10
    assert all(balanced(value) for value in values)


def test_a_witness_is_found_that_one_schema_keeps_and_another_refuses() -> None:
    gives = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": ["number", "null"]}}}
    takes = Validator({"type": "object", "properties": {"amount": {"type": "number"}}})
    (witness,) = valid_values(gives, count=1, accept=lambda value: not takes.is_valid(value))
    assert witness["amount"] is None


CONTRACTS = sorted((Path(__file__).resolve().parents[2] / "contracts").rglob("*.yaml"))


@pytest.mark.parametrize("file", CONTRACTS, ids=lambda file: file.name)
def test_every_shipped_definition_has_values_of_both_kinds(file: Path) -> None:
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    for part in ("input", "output"):
        assert len(valid_values(written[part], count=6)) >= 2
        assert len(invalid_values(written[part], count=10, accept=lambda value: isinstance(value, dict))) >= 5


LEAVES = st.sampled_from(
    [
        {"type": "integer", "minimum": 2},
        {"type": "number", "maximum": 9.5},
        {"type": "string", "maxLength": 4},
        {"type": "string", "pattern": "^[a-c]+$"},
        {"enum": ["x", 1, None]},
        {"type": ["boolean", "null"]},
        {"const": 3},
        {"type": "string", "format": "date"},
    ]
)


def grown(below: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(below, min_size=1, max_size=3)
    return st.one_of(
        st.builds(
            lambda a, b, r, c: {"type": "object", "properties": {"a": a, "b": b}, "required": r, **c},
            below,
            below,
            st.sampled_from([["a"], ["a", "b"], []]),
            st.sampled_from([{}, {"additionalProperties": False}]),
        ),
        st.builds(lambda a: {"type": "array", "items": a, "minItems": 1}, below),
        st.builds(lambda a: {"type": "array", "prefixItems": a}, some),
        some.map(lambda parts: {"anyOf": parts}),
        some.map(lambda parts: {"oneOf": parts}),
        some.map(lambda parts: {"allOf": parts}),
        below.map(lambda part: {"not": part}),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, below, below, below),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much))
@given(st.recursive(LEAVES, grown, max_leaves=8))
def test_what_is_drawn_from_any_schema_is_judged_the_same_by_a_second_validator(schema: dict[str, Any]) -> None:
    few = Limits(draws=40, all_nodes=10_000)
    second = oracle(schema)
    assert all(second.is_valid(value) for value in valid_values(schema, count=6, limits=few))
    assert not any(second.is_valid(row.value) for row in invalid_values(schema, count=6, limits=few))


def expression(depth: int) -> dict[str, Any]:
    return {"all": [expression(depth - 1)]} if depth else {"all": ["not an expression"]}


def test_a_deep_value_in_nested_alternatives_is_refused_in_words_without_the_memory_of_all_of_them() -> None:
    """Failed first: each level doubled the errors, and 2 to the 20th of them ended the process."""
    each = {"type": "array", "items": {"$ref": "#/$defs/e"}}
    alternatives = [
        {"required": [name], "type": "object", "properties": {"all": each, name: each}} for name in ("all", "any")
    ]
    schema = {"$defs": {"e": {"anyOf": [*alternatives, {**alternatives[0], "title": "x"}]}}, "$ref": "#/$defs/e"}
    (problem,) = Validator(schema).problems(expression(20))
    assert problem.rule == "schema"
    assert "too many" in problem.message
    assert Validator(schema).problems(expression(2))[0].rule != "schema"


SERVERS = sorted((Path(__file__).resolve().parents[1] / "importing" / "servers").glob("*.json"))


def tool_schemas(file: Path) -> list[dict[str, Any]]:
    """The schemas of a real MCP server's tools, those that are JSON Schema 2020-12 as they stand."""
    found: list[dict[str, Any]] = []
    stack: list[Any] = [json.loads(file.read_text(encoding="utf-8"))]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            found += [top[key] for key in ("inputSchema", "outputSchema") if isinstance(top.get(key), dict)]
            stack.extend(top.values())
        elif isinstance(top, list):
            stack.extend(top)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("file", SERVERS, ids=lambda file: file.stem)
def test_the_tools_of_real_servers_have_values_of_both_kinds(file: Path) -> None:
    schemas = tool_schemas(file)
    assert schemas
    for schema in schemas:
        try:
            Validator(schema)
        except SchemaError:
            continue
        assert valid_values(schema, count=3)
        assert len(invalid_values(schema, count=5)) == 5
