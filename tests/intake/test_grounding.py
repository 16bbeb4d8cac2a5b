"""What stands in a text and what does not: a model's reading is kept only as far as the text bears it."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from process_orchestrator.checking.tasks.grounding import Text, ground

TASK = (
    "Customer Ana@Example.com writes: order SO-1042 of 27.11.2026 over 1.234,50 USD has not arrived,\n"
    "IBAN DE89 3704 0044, 3 parcels, since 14:30."
)


@pytest.mark.parametrize(
    "text",
    ["ana@example.com", "SO-1042", "so-1042", "2026-11-27", "27.11.2026", "has  not\narrived", "DE8937040044",
     "2026-11-27T14:30:00Z", "customer ana@example.com", "\uff33\uff2f-1042", "S\u200bO-1042"],
)  # fmt: skip
def test_what_stands_in_the_text_is_found_however_it_is_written(text: str) -> None:
    assert Text(TASK).holds(text)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "SO-1043", "SO-104", "O-1042", "bob@example.com", "2026-11-28", "arrive", "2026-11-27T09:00:00Z",
     "an", "us", "2026-13-45", "DE8937", "parcel"],
)  # fmt: skip
def test_what_does_not_stand_there_is_not_found(text: str) -> None:
    assert not Text(TASK).holds(text)


@pytest.mark.parametrize(
    ("number", "found"),
    [(1234.5, True), (3, True), (3.0, True), (4, False), (1234, False), (0.5, False)],
)
def test_numbers_are_found_as_either_language_writes_them(number: float, *, found: bool) -> None:
    assert Text(TASK).holds_number(number) is found


@pytest.mark.parametrize(
    ("piece", "text"),
    [("SO-1042", "refund SO-1042-B"), ("max@x.io", "write to anna.max@x.io"), ("max@x.io", "write to max@x.io.evil.com"),
     ("max@x.io", "write to anna-max@x.io"), ("10", "refund 10.50 USD"), ("100", "refund 1,100 USD"), ("23", "2026-11-23"),
     ("17", "invoice 17/2026"), ("Main Street 1", "at Main Street 1-3"), ("DE89 3704", "DE89-3704-0044")],
)  # fmt: skip
def test_a_piece_of_an_id_an_address_or_a_number_is_another_one(piece: str, text: str) -> None:
    assert not Text(text).holds(piece)


@pytest.mark.parametrize(
    ("whole", "text"),
    [("SO-1042", "SO-1042-"), ("SO-1042", "SO-1042, SO-7"), ("SO-10", "SO-10/SO-11"), ("max@x.io", "<max@x.io>"),
     ("max@x.io", "To max@x.io. Soon."), ("10", "at 10. Then"), ("1042", "SO-1042"), ("berlin", "Berlin-Mitte")],
)  # fmt: skip
def test_what_stands_beside_a_mark_is_whole_all_the_same(whole: str, text: str) -> None:
    assert Text(text).holds(whole)


def test_no_number_is_below_zero_that_the_text_does_not_write_so() -> None:
    assert not Text("refund 100 USD").holds_number(-100)
    assert Text("a balance of -100 USD").holds_number(-100)
    assert Text("order SO-1042").holds_number(1042)
    assert not Text("refund 1 USD").holds_number(10**5000)


def test_a_thousand_may_be_written_with_any_mark() -> None:
    for written in ("1,000", "1.000", "1 000", "1'000", "1000", "1000.00", "1,000.00", "1.000,00"):
        assert Text(f"refund {written} USD").holds_number(1000), written


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "amount": {"type": "number"},
        "kind": {"enum": ["refund", "question"]},
        "urgent": {"type": "boolean"},
        "address": {"$ref": "#/$defs/address"},
        "items": {"type": "array", "items": {"type": "string"}},
        "either": {"anyOf": [{"const": "now"}, {"type": "string"}]},
    },
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
}


def test_only_what_is_grounded_is_kept_and_the_rest_is_named() -> None:
    said = {
        "order_id": "SO-1042",
        "amount": 99.5,
        "kind": "refund",
        "urgent": True,
        "address": {"street": "Main Street 1", "city": "Berlin"},
        "items": ["SO-1042", "SO-9999"],
        "either": "now",
        "approved_by": "ana@example.com",
    }
    grounded = ground(said, SCHEMA, "Refund order SO-1042, the customer moved to Berlin.")

    assert grounded.value == {
        "order_id": "SO-1042",
        "kind": "refund",
        "urgent": True,
        "address": {"city": "Berlin"},
        "items": ["SO-1042"],
        "either": "now",
    }
    assert grounded.dropped == ("/amount", "/address/street", "/items/1", "/approved_by")


def test_null_and_empty_are_left_out_without_a_word() -> None:
    assert ground({"order_id": None, "address": {"city": None}, "items": []}, SCHEMA, "x").value == {}
    assert ground({"order_id": None}, SCHEMA, "x").dropped == ()


@pytest.mark.parametrize("value", ["text", 4, None, [], [[[]]], {"": {"": ""}}, {"__proto__": {"a": 1}}])
def test_no_answer_of_another_shape_is_believed(value: Any) -> None:
    assert ground(value, SCHEMA, "nothing of it").value in ({}, [])


def test_circles_and_depths_come_to_an_end() -> None:
    circle: dict[str, Any] = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}},
    }
    assert ground("x", circle, "x y").value == "x"
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": deep}
    nested: dict[str, Any] = {"properties": {}}
    nested["properties"]["a"] = nested
    assert ground(deep, nested, "x").value == {}


def test_the_longest_texts_are_searched_quickly() -> None:
    began = process_time()
    ground({"items": ["1." * 2_000] * 200, "amount": 1e300}, SCHEMA, ("1.000," * 4_000)[:20_000])
    assert process_time() - began < 1.0
