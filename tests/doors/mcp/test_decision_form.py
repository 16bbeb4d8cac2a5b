"""The form of a question: which data of an option a host can show, and how the answer is read."""

from typing import Any

import pytest
from mcp_types._v2025_11_25 import PrimitiveSchemaDefinition
from pydantic import TypeAdapter

from doors.mcp.fake_orchestrator import REJECT, escalation
from process_orchestrator.doors.decision_form import DecisionForm, Suggestion, build_form, read_form
from process_orchestrator.views.models import OptionView


def option(name: str, properties: dict[str, Any], *required: str) -> OptionView:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return OptionView(decision=name, consequence="It goes on.", needs="A0", data_schema=schema)


def form_of(*options: OptionView) -> DecisionForm:
    form = build_form(escalation(*options), Suggestion())
    assert form is not None
    return form


FLAT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "string"}, {"type": "string"}),
    ({"type": "string", "pattern": "^a", "minLength": 1}, {"type": "string", "minLength": 1}),
    ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
    ({"type": "string", "format": "decimal"}, {"type": "string"}),
    ({"type": ["string", "null"]}, {"type": "string"}),
    ({"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    ({"enum": ["a", None], "title": "A"}, {"type": "string", "enum": ["a"], "title": "A"}),
    ({"type": "integer", "enum": [1, 2]}, {"type": "integer"}),
    ({"type": "integer", "minimum": 1, "multipleOf": 2}, {"type": "integer", "minimum": 1}),
    ({"type": "number", "maximum": 9}, {"type": "number", "maximum": 9}),
    ({"type": "boolean", "description": "Sure?"}, {"type": "boolean", "description": "Sure?"}),
]
NESTED: list[Any] = [
    {"type": "object"},
    {"type": "array", "items": {"type": "string"}},
    {"type": ["string", "integer"]},
    {"enum": [1, 2]},
    {"$ref": "#/$defs/money"},
    {},
    True,
]


@pytest.mark.parametrize(("schema", "shown"), FLAT)
def test_a_flat_datum_is_shown_in_the_words_hosts_know(schema: dict[str, Any], shown: dict[str, Any]) -> None:
    form = form_of(option("answer", {"x": schema}, "x"))
    assert form.schema["properties"]["x"] == shown
    TypeAdapter[Any](PrimitiveSchemaDefinition).validate_python(shown)


@pytest.mark.parametrize("schema", NESTED)
def test_an_option_whose_required_datum_is_nested_is_left_out(schema: Any) -> None:
    assert form_of(REJECT, option("answer", {"x": schema}, "x")).decisions == ("reject",)


@pytest.mark.parametrize("schema", NESTED)
def test_an_optional_nested_datum_is_left_out_alone(schema: Any) -> None:
    form = form_of(option("approve", {"x": schema, "y": {"type": "string"}}, "y"))
    assert form.decisions == ("approve",)
    assert list(form.schema["properties"]) == ["decision", "y", "note"]


def test_an_option_whose_body_is_no_object_or_misses_its_schema_is_left_out() -> None:
    text = OptionView(decision="answer", consequence="c", needs="A0", data_schema={"type": "string"})
    assert build_form(escalation(text), Suggestion()) is None
    assert build_form(escalation(option("answer", {}, "x")), Suggestion()) is None


def test_options_share_a_field_only_where_it_means_the_same() -> None:
    form = form_of(
        option("retry", {"agent": {"type": "string"}, "note": {"type": "string"}}),
        option("use_agent", {"agent": {"type": "string"}}, "agent"),
        option("answer", {"agent": {"type": "integer"}}, "agent"),
    )
    assert list(form.schema["properties"]) == ["decision", "agent", "retry_note", "answer_agent", "note"]
    content = {"agent": "b", "answer_agent": 7, "retry_note": "n", "note": "mine"}
    answers = [read_form(form, {**content, "decision": name}) for name in ("retry", "use_agent", "answer")]
    assert [answer.data if answer else None for answer in answers] == [
        {"agent": "b", "note": "n"},
        {"agent": "b"},
        {"agent": 7},
    ]
    assert {answer.note if answer else None for answer in answers} == {"mine"}


def test_what_was_left_empty_is_not_given() -> None:
    form = form_of(option("answer", {"x": {"type": "string"}, "y": {"type": "boolean"}}))
    answer = read_form(form, {"decision": "answer", "x": "", "y": False, "note": ""})
    assert answer is not None
    assert (answer.data, answer.note) == ({"y": False}, None)


def test_a_suggestion_for_a_decision_that_the_form_lacks_is_not_asked_about() -> None:
    assert build_form(escalation(REJECT), Suggestion(decision="approve")) is None


def test_a_long_piece_of_evidence_is_shortened() -> None:
    evidence = escalation().evidence or []
    long = [evidence[0].model_copy(update={"value": "x" * 10_000})]
    form = build_form(escalation(REJECT, evidence=long), Suggestion())
    assert form is not None
    assert len(form.message) < 1000
