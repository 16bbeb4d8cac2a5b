"""What contracts declare sensitive is hidden wherever it goes, and what is long is cut and said to be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from process_orchestrator.checking.documents.definitions import Contract, ProcessType
from process_orchestrator.checking.documents.masking import CUT_BYTES, MASK, cut, encoded_bytes, mask, sensitive
from process_orchestrator.checking.loading.loader import definition_from_dict
from process_orchestrator.checking.plans.sensitivity import Sensitivity, sensitivity

ANYTHING = {"type": "object", "additionalProperties": True}


def schema_with(pointers: list[str]) -> dict[str, Any]:
    """An open schema that declares these pointers, since a mark must name a declared part."""
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
    for pointer in pointers:
        at = schema
        for token in pointer.split("/")[1:]:
            if token == "*":
                at["type"] = "array"
                at = at.setdefault("items", {})
            else:
                at = at.setdefault("properties", {}).setdefault(token, {})
    return schema


def contract(name: str, *marks: str) -> Contract:
    sides = {
        side: schema_with([mark.removeprefix(f"/{side}") for mark in marks if mark.startswith(f"/{side}")])
        for side in ("input", "output")
    }
    return definition_from_dict(
        "contract",
        {
            "contract": name,
            "version": "1.0.0",
            "summary": "A test contract.",
            **sides,
            "effects": {"kind": "read"},
            "data": {"sensitive": list(marks), "sensitivity": "confidential"},
        },
    )


def process_type(steps: list[dict[str, Any]], output: dict[str, Any]) -> ProcessType:
    return definition_from_dict(
        "process",
        {
            "process": "sample",
            "version": "1.0.0",
            "summary": "A test process.",
            "input": ANYTHING,
            "output": ANYTHING,
            "plan": {"steps": steps, "output": output},
        },
    )


def followed(steps: list[dict[str, Any]], output: dict[str, Any], marks: dict[str, tuple[str, ...]]) -> Sensitivity:
    plan = process_type(steps, output).plan
    assert plan is not None
    contracts = {step["id"]: contract(step["contract"], *marks.get(step["id"], ())) for step in steps}
    return sensitivity(plan, contracts)


@pytest.mark.parametrize(
    ("value", "pointer", "expected"),
    [
        ({"iban": "DE1"}, "/iban", {"iban": MASK}),
        ({"vendor": {"iban": "DE1", "name": "A"}}, "/vendor/iban", {"vendor": {"iban": MASK, "name": "A"}}),
        ({"lines": [{"a": 1}, {"a": 2}]}, "/lines/*/a", {"lines": [{"a": MASK}, {"a": MASK}]}),
        ({"lines": [{"a": 1}, {"a": 2}]}, "/lines/a", {"lines": [{"a": MASK}, {"a": MASK}]}),
        ({"lines": [{"a": 1}, {"a": 2}]}, "/lines/1/a", {"lines": [{"a": 1}, {"a": MASK}]}),
        ({"a/b": 1, "c~d": 2}, "/a~1b", {"a/b": MASK, "c~d": 2}),
        ({"a/b": 1, "c~d": 2}, "/c~0d", {"a/b": 1, "c~d": MASK}),
        ({"people": {"x": {"pin": 1}}}, "/people/*/pin", {"people": {"x": {"pin": MASK}}}),
        ({"iban": None}, "/iban", {"iban": None}),
        ({"other": 1}, "/iban", {"other": 1}),
        ("text", "/iban", "text"),
        ({"whole": 1}, "", MASK),
    ],
)
def test_a_pointer_hides_what_it_names(value: Any, pointer: str, expected: Any) -> None:
    before = orjson.dumps(value)

    assert mask(value, [pointer]) == expected
    assert orjson.dumps(value) == before


def test_a_contract_marks_input_and_output_apart() -> None:
    marked = contract("a.b", "/input/vendor/iban", "/output/pin", "/output/list/*/x")

    assert sensitive(marked, "input") == ("/vendor/iban",)
    assert sensitive(marked, "output") == ("/pin", "/list/*/x")
    assert sensitive(None, "output") == ()


def test_a_mark_follows_bindings_into_later_inputs_and_the_output() -> None:
    found = followed(
        [
            {"id": "read", "contract": "doc.read", "in": {"text": "$.input.text"}},
            {"id": "book", "contract": "doc.book", "in": {"to": {"account": "$.steps.read.output.vendor.iban"}}},
        ],
        {"vendor": "$.steps.read.output.vendor", "booked": "$.steps.book.output.id"},
        {"read": ("/output/vendor/iban",)},
    )

    assert found.of("book", "input") == ("/to/account",)
    assert found.process_output == ("/vendor/iban",)
    assert found.process_input == ()


def test_a_mark_follows_bindings_back_to_where_the_value_came_from() -> None:
    found = followed(
        [{"id": "book", "contract": "doc.book", "in": {"iban": "$.input.vendor.iban", "name": "$.input.vendor.name"}}],
        {"who": "$.input.vendor"},
        {"book": ("/input/iban",)},
    )

    assert found.process_input == ("/vendor/iban",)
    assert found.process_output == ("/who/iban",)


def test_a_mark_follows_the_items_of_a_map() -> None:
    found = followed(
        [
            {"id": "read", "contract": "doc.read", "in": {"text": "$.input.text"}},
            {"id": "check", "contract": "doc.check", "for_each": "$.steps.read.output.lines", "in": {"line": "$.item"}},
        ],
        {"checks": "$.steps.check.output", "first": "$.steps.check.output[0].verdict"},
        {"read": ("/output/lines/*/person",), "check": ("/output/verdict",)},
    )

    assert found.of_item("check") == ("/person",)
    assert found.of("check", "input") == ("/line/person",)
    assert found.of("check", "output") == ("/*/verdict",)
    assert found.process_output == ("/checks/*/verdict", "/first")


def test_the_result_of_an_expression_over_something_sensitive_is_sensitive() -> None:
    found = followed(
        [{"id": "read", "contract": "doc.read", "in": {"text": "$.input.text"}}],
        {
            "same": {"let": {"iban": "$.steps.read.output.iban"}, "expr": "iban == 'x'"},
            "either": {"first": ["$.steps.read.output.iban", "$.input.text"]},
            "kept": {"const": "$.steps.read.output.iban"},
            "list": ["$.steps.read.output.name", "$.steps.read.output.iban"],
        },
        {"read": ("/output/iban",)},
    )

    assert found.process_output == ("/either", "/list/1", "/same")


@pytest.mark.parametrize(
    "value",
    [
        "x" * 20_000,
        ["y" * 100] * 1000,
        {f"key{number}": "z" * 50 for number in range(500)},
        {"a": {"b": {"c": ["q" * 9000] * 3}}},
        [[[["deep"] * 50] * 20] * 20],
        list(range(100_000)),
        {"k" * 6000: 1},
    ],
)
def test_a_long_value_is_cut_to_size_and_said_to_be(value: Any) -> None:
    shown, was_cut = cut(value)

    assert was_cut
    assert encoded_bytes(shown) <= CUT_BYTES
    assert "…" in orjson.dumps(shown).decode()


def test_a_short_value_is_left_alone() -> None:
    value = {"a": [1, 2, None], "b": "x" * 4000}

    assert cut(value) == (value, False)
