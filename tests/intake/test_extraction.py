"""What a model is asked to read, and what is made of its answer: nothing that it says is believed by itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.checking.tasks.extraction import Extraction, passages_of
from process_orchestrator.checking.tasks.requirements import held_out, read_requirements

TICKET: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["order_id"],
    "properties": {
        "message": {"description": "What the customer wants.", "type": "string", "maxLength": 4000},
        "order_id": {"type": "string", "pattern": "^SO-[0-9]{4}$", "description": "Like SO-1042."},
        "amount": {"type": "number"},
        "rush": {"type": "boolean"},
        "kind": {"enum": ["refund", "question"]},
        "address": {
            "type": "object",
            "required": ["street", "city"],
            "properties": {"street": {"type": "string", "maxLength": 80}, "city": {"$ref": "#/$defs/city"}},
        },
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}},
    },
    "$defs": {"city": {"type": "string", "maxLength": 40}},
}
TASK = 'Ana wants 12.50 USD back for SO-1042: "The tent came with a torn seam and I am cross."'


def test_every_field_may_be_null_and_a_long_text_is_named_not_written() -> None:
    asked = Extraction(TICKET, TASK).asked()
    everything_null = dict.fromkeys(asked["properties"])

    assert asked["required"] == list(TICKET["properties"])
    assert not Validator(asked).problems(everything_null)
    assert asked["properties"]["message"] == {"enum": ["whole_task", "after_colon", "quoted", None]}
    assert asked["properties"]["kind"] == {"enum": ["refund", "question", None]}
    assert "pattern" not in str(asked)


def test_what_stands_in_the_task_becomes_the_input() -> None:
    said = {
        "message": "quoted",
        "order_id": "so-1042",
        "amount": 12.5,
        "rush": None,
        "kind": "refund",
        "address": None,
        "tags": ["torn seam", "made up"],
    }
    exact = Extraction(TICKET, TASK).read({**said, "order_id": "SO-1042"})

    assert exact.missing == ()
    assert exact.value == {
        "message": "The tent came with a torn seam and I am cross.",
        "order_id": "SO-1042",
        "amount": 12.5,
        "kind": "refund",
        "tags": ["torn seam"],
    }
    assert Extraction(TICKET, TASK).read(said).missing == ("order_id",)  # it stands there, and is no such id


def test_what_is_optional_and_does_not_fit_is_left_out_and_named() -> None:
    reading = Extraction(TICKET, TASK).read({"order_id": "SO-1042", "address": {"street": "torn seam", "city": None}})

    assert (reading.value, reading.missing) == ({"order_id": "SO-1042"}, ())
    assert "/address" in reading.dropped


@pytest.mark.parametrize(
    "answer", [{}, None, [], "SO-1042", 4, {"order_id": {"a": 1}}, {"order_id": ["SO-1042"]}, {"x": "SO-1042"}]
)
def test_an_answer_of_another_shape_leaves_all_to_be_asked_for(answer: Any) -> None:
    assert Extraction(TICKET, TASK).read(answer).missing == ("order_id",)


def test_a_text_that_no_field_requires_by_name_is_told_by_its_rule() -> None:
    schema = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {"id": {"type": "string"}},
    }
    [missing] = Extraction(schema, "nothing of use").read({"id": None}).missing
    assert "propert" in missing


def test_a_line_that_asks_for_something_is_not_the_document_that_it_asks_about() -> None:
    invoice = {"type": "object", "required": ["document"], "properties": {"document": {"type": "string"}}}
    offered = Extraction(invoice, "Please book the attached bill from Holm & Falk.").asked()["properties"]["document"]
    attached = Extraction(invoice, "Please book this.\nInvoice 77, Holm & Falk, total 12.00 USD")

    assert offered == {"enum": [None]}
    assert [each.name for each in attached.passages] == ["whole_task", "below_first_line"]
    assert attached.read({"document": "below_first_line"}).value == {
        "document": "Invoice 77, Holm & Falk, total 12.00 USD"
    }


def test_a_text_that_is_too_long_is_asked_for_and_never_cut() -> None:
    schema = {
        "type": "object",
        "required": ["document"],
        "properties": {"document": {"type": "string", "maxLength": 2000}},
    }
    task = "Book this.\n" + "one line of an invoice and " * 100 + "total 12.00 USD"
    extraction = Extraction(schema, task)

    assert extraction.asked()["properties"]["document"] == {"enum": [None]}
    assert extraction.read({"document": "whole_task"}).missing == ("document",)


def test_an_attached_text_keeps_the_words_that_a_rule_read_as_a_wish() -> None:
    invoice = {"type": "object", "required": ["document"], "properties": {"document": {"type": "string"}}}
    mail = "Hello, I want my money back. Ask me before you send anything.\nAna"
    task = f"Budget: 2 USD. Answer this mail:\n{mail}"
    extraction = Extraction(
        invoice, *held_out(task, read_requirements(task, datetime(2026, 11, 23, tzinfo=UTC)).requirements)
    )

    assert extraction.read({"document": "below_first_line"}).value == {"document": mail}
    assert extraction.read({"document": "whole_task"}).value == {"document": task}


def test_passages_are_parts_of_the_task_word_for_word() -> None:
    task = "Answer this:\n```\nfirst line\nsecond line of it\n```\nand be kind"
    assert {each.name for each in passages_of(task)} == {"whole_task", "below_first_line", "after_colon", "quoted"}
    assert all(each.text in task for each in passages_of(task))
    assert [each.name for each in passages_of("short")] == ["whole_task"]


def test_a_schema_of_many_parts_stays_small() -> None:
    wide: dict[str, Any] = {
        "type": "object",
        "properties": {f"p{number}": {"type": "string", "maxLength": 9} for number in range(500)},
    }
    nested: dict[str, Any] = {"type": "object", "properties": {}}
    nested["properties"]["again"] = nested

    assert len(Extraction(wide, "x").asked()["properties"]) == 40
    assert len(str(Extraction(nested, "x").asked())) < 2000
