"""Sensitive data is followed into and out of sub-processes, through lists, defaults and rounds; none of it to a model."""

from __future__ import annotations

from typing import Any

import pytest

from checking_plan.making import agent, contract, process, value
from process_orchestrator.checking.documents.definitions import ProcessType
from process_orchestrator.checking.documents.shape import agent_from
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.plan_check import check_plan

FIND = """
contract: person.find
input: {type: object}
output:
  type: object
  required: [iban, city, people]
  properties:
    iban: {type: string}
    city: {type: string}
    people: {type: array, maxItems: 5, items: {type: object, required: [iban, name], properties: {iban: {type: string}, name: {type: string}}}}
data: {sensitive: [/output/iban, "/output/people/*/iban"], sensitivity: confidential}
"""
ASK = """
contract: text.ask
input: {type: object, properties: {text: {type: string}}}
output: {type: object, required: [mood], properties: {mood: {type: string}}}
data: {sensitivity: restricted}
"""
FORM = ASK.replace("text.ask", "text.form")
LOW = ASK.replace("text.ask", "text.low").replace("data: {sensitivity: restricted}", "data: {sensitivity: public}")
OPEN: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}, "list": {"type": "array"}}}
GIVES: dict[str, Any] = {"type": "object", "properties": {"x": {"type": "string"}, "xs": {"type": "array"}}}

FOUND = "{id: find, contract: person.find, in: {}}"


def part(name: str, steps: str, output: str = "{}") -> ProcessType:
    made = {"steps": value(steps), "output": value(output)}
    return process({"process": name, "input": OPEN, "output": GIVES, "plan": made})


PARTS = (
    part("asking", "[{id: ask, contract: text.ask, in: {text: $.input.text}}]", "{x: $.steps.ask.output.mood}"),
    part("forming", "[{id: form, contract: text.form, in: {text: $.input.text}}]", "{x: $.steps.form.output.mood}"),
    part("lowering", "[{id: low, contract: text.low, in: {text: $.input.text}}]", "{x: $.steps.low.output.mood}"),
    part("passing", "[{id: form, contract: text.form, in: {}}]", "{x: $.input.text}"),
    part("finding", f"[{FOUND}]", "{x: $.steps.find.output.iban}"),
    part("deeper", "[{id: down, process: asking, in: {text: $.input.text}}]", "{x: $.steps.down.output.x}"),
    part(
        "each_asked",
        "[{id: each, contract: text.ask, for_each: $.input.list, in: {text: $.item}}]",
        "{xs: $.steps.each.output}",
    ),
)


def known() -> Registry:
    model = agent_from(
        {
            "agent": "thinker",
            "summary": "Thinks.",
            "transport": {"kind": "model", "tier": "light", "instructions": "Look."},
            "serves": [{"contract": "text.ask@^1"}],
        },
        path="thinker.agent.yaml",
    )
    programs = agent("all", "person.find@^1", "text.form@^1", "text.low@^1")
    return Registry.of([contract(text) for text in (FIND, ASK, FORM, LOW)], PARTS, [programs, model])


def told(*steps: str, strict: bool = False, output: str = "{}") -> list[tuple[str, str, str]]:
    """Level, code and pointer of what is said of sensitive data in a plan."""
    made = part("whole", f"[{', '.join(steps)}]", output)
    assert made.plan is not None
    checked = check_plan(made.plan, process_type=made, registry=known(), strict=strict)
    weighed = ("SENSITIVE_TO_MODEL", "BELOW_CLEARANCE", "OVER_BUDGET")
    others = [each for each in checked.problems if each.level == "error" and each.code not in weighed]
    assert others == [], others
    return [(each.level, each.code, each.pointer) for each in checked.problems if each.code in weighed[:2]]


REFUSED = [("error", "SENSITIVE_TO_MODEL", "/plan/steps/1/in")]
IBAN, CITY = "$.steps.find.output.iban", "$.steps.find.output.city"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "step",
    [
        f"{{id: go, process: asking, in: {{text: {IBAN}}}}}",
        f"{{id: go, process: deeper, in: {{text: {IBAN}}}}}",
        "{id: go, process: asking, for_each: $.steps.find.output.people, in: {text: $.item.iban}}",
        f"{{id: go, process: each_asked, in: {{list: [{IBAN}]}}}}",
        f"{{id: go, process: asking, in: {{text: {{let: {{i: {IBAN}}}, expr: \"'pay ' + i\"}}}}}}",
        f"{{id: go, process: asking, in: {{text: {{first: [$.input.text, {IBAN}]}}}}}}",
    ],
)
def test_what_a_model_inside_a_part_would_read_is_refused_in_the_whole(step: str, *, strict: bool) -> None:
    assert told(FOUND, step, strict=strict) == REFUSED


@pytest.mark.parametrize(
    "step",
    [
        f"{{id: go, process: asking, in: {{text: {CITY}}}}}",
        "{id: go, process: asking, for_each: $.steps.find.output.people, in: {text: $.item.name}}",
        f"{{id: go, process: forming, in: {{text: {IBAN}}}}}",
    ],
)
def test_what_is_not_sensitive_or_is_read_by_no_model_goes_on(step: str) -> None:
    assert told(FOUND, step) == []


def test_what_a_part_gives_back_is_as_sensitive_as_inside_it() -> None:
    ask = "{id: ask, contract: text.ask, in: {text: $.steps.go.output.x}}"
    assert told("{id: go, process: finding, in: {}}", ask) == REFUSED


def test_what_only_passes_through_a_part_stays_sensitive() -> None:
    go, ask = (
        f"{{id: go, process: passing, in: {{text: {IBAN}}}}}",
        "{id: ask, contract: text.ask, in: {text: $.steps.go.output.x}}",
    )
    assert told(FOUND, go, ask) == [("error", "SENSITIVE_TO_MODEL", "/plan/steps/2/in")]
    assert told(FOUND, go.replace("iban", "city"), ask) == []


def test_a_default_is_as_sensitive_as_what_it_is_made_of() -> None:
    skipped = f"{{id: form, contract: text.form, in: {{}}, when: {{let: {{c: {CITY}}}, expr: \"c == 'x'\"}}, default: {{mood: {IBAN}}}}}"
    ask = "{id: ask, contract: text.ask, in: {text: $.steps.form.output.mood}}"
    assert told(FOUND, skipped, ask) == [("error", "SENSITIVE_TO_MODEL", "/plan/steps/2/in")]
    assert told(FOUND, skipped.replace("mood: $.steps.find.output.iban", "mood: none"), ask) == []


def test_the_default_of_an_item_is_as_sensitive_as_what_it_is_made_of() -> None:
    mapped = (
        "{id: form, contract: text.form, for_each: $.steps.find.output.people, in: {text: $.item.name}, "
        f"when: {{let: {{n: $.item.name}}, expr: \"n == 'x'\"}}, default: {{mood: {IBAN}}}}}"
    )
    ask = "{id: ask, contract: text.ask, for_each: $.steps.form.output, in: {text: $.item.mood}}"
    assert told(FOUND, mapped, ask) == [("error", "SENSITIVE_TO_MODEL", "/plan/steps/2/in")]


@pytest.mark.parametrize(("bound", "expected"), [("iban", REFUSED), ("city", [])])
def test_an_item_of_a_list_that_the_plan_writes_itself_is_followed(bound: str, expected: list[Any]) -> None:
    items = f"[{{t: $.steps.find.output.{bound}}}, {{t: x}}]"
    assert told(FOUND, f"{{id: ask, contract: text.ask, for_each: {items}, in: {{text: $.item.t}}}}") == expected


@pytest.mark.parametrize(
    ("step", "level"),
    [
        (f"{{id: go, process: lowering, in: {{text: {IBAN}}}}}", "warning"),
        (f"{{id: go, process: lowering, in: {{text: {CITY}}}}}", None),
    ],
)
def test_a_contract_of_a_lower_level_inside_a_part_is_told(step: str, level: str | None) -> None:
    expected = [] if level is None else [(level, "BELOW_CLEARANCE", "/plan/steps/1/in")]
    assert told(FOUND, step) == expected


def test_what_a_part_marks_goes_below_its_level_outside_it() -> None:
    low = "{id: low, contract: text.low, in: {text: $.steps.go.output.x}}"
    assert told("{id: go, process: finding, in: {}}", low) == [("warning", "BELOW_CLEARANCE", "/plan/steps/1/in")]
