"""What a model is offered: each argument with the references that may stand there, and nothing else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from checking_plan.making import agent, contract
from planning.desk import MAP, object_of, registry, ticket
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.planning.at_hand import at_hand
from process_orchestrator.checking.planning.map_schema import (
    BYTES_MAX,
    VALUES_MAX,
    MapSchema,
    encoded_size,
    map_schema,
)
from process_orchestrator.checking.planning.steps import made_step
from process_orchestrator.checking.schemas.validate import Validator
from process_orchestrator.core.facts.values import Stage
from process_orchestrator.llm.bounds import fits
from process_orchestrator.performing.stages.planner_prompt import Standing, plan_prompt

HAND = {"text": "Where is my order?", "order_id": "A-7"}


def compiled(value: Any = None, **rest: Any) -> MapSchema:
    process_type = at_hand(ticket(**rest), HAND if value is None else value)
    return map_schema(process_type, registry=registry(process_type))


def ways(schema: MapSchema, step: str, argument: str) -> list[Any]:
    """What may stand at an argument: references, constants as {"const": …}, None where it may be left out."""
    offers = [each.slots for each in schema.offers.steps if each.id == step]
    for slot in schema.offers.goal if step == "output" else [slot for slots in offers for slot in slots]:
        if slot.name == argument:
            constants = [{"const": each} for each in slot.constants]
            return [*(each.text for each in slot.found), *constants, *([] if slot.needed else [None])]
    return []


def asked(schema: MapSchema, step: str) -> dict[str, Any]:
    """The choices that the schema leaves in a step, or in the output."""
    if step == "output":
        return schema.schema["properties"]["output"]["properties"]
    plain, *branches = schema.schema["properties"]["steps"]["items"]["anyOf"]
    assert step in plain["enum"]  # without its choices; what is needed among them must then follow from the rest
    found = [each for each in branches if each["properties"]["id"]["enum"] == [step]]
    return found[0]["properties"]["in"]["properties"] if found else {}


def steps(schema: MapSchema) -> list[str]:
    return [each.id for each in schema.offers.steps]


def test_an_argument_is_offered_every_reference_that_surely_fits() -> None:
    schema = compiled()
    assert ways(schema, "refund_issue", "order_id") == ["$.input.order_id"]
    assert ways(schema, "refund_issue", "amount") == ["$.steps.order_find.output.total"]
    assert "$.steps.order_find.output.customer.email" in ways(schema, "answer_draft", "text")


def test_declared_constants_are_offered_and_what_is_optional_may_be_left_out() -> None:
    schema = compiled()
    assert ways(schema, "refund_issue", "reason") == [
        {"const": "lost"},
        {"const": "damaged"},
        {"const": "goodwill"},
        None,
    ]
    assert ways(schema, "refund_issue", "notify")[-3:] == [{"const": True}, {"const": False}, None]
    assert ways(schema, "output", "refund_id")[-1] is None


def test_the_field_of_the_idempotency_key_is_never_offered() -> None:
    assert ways(compiled(), "refund_issue", "request_id") == []


def test_what_is_done_for_each_item_takes_what_the_item_has_under_its_name() -> None:
    schema = compiled()
    assert ways(schema, "stock_check_each", "sku") == ["$.item.sku"]
    assert ways(schema, "stock_report", "answers") == ["$.steps.stock_check_each.output"]
    assert "order_find_each" not in steps(schema)


def test_what_the_input_at_hand_lacks_is_not_offered_and_what_it_holds_is_there() -> None:
    assert ways(compiled(), "order_find", "order_id") == ["$.input.order_id"]
    without = compiled({"text": "Hello"})
    # The text is all there is: what identifies nothing by name is then offered as it is.
    assert "$.input.order_id" not in ways(without, "order_find", "order_id")


def test_what_only_may_fit_is_not_offered_for_the_strict_check_would_refuse_it() -> None:
    narrow = contract("""
contract: mail.send
input: {type: object, required: [to], additionalProperties: false, properties: {to: {type: string, format: email}}}
output: {type: object}
""")
    process_type = at_hand(ticket(contracts=[*MAP, "mail.send@^1"]), HAND)
    schema = map_schema(process_type, registry=registry(process_type, more=(narrow,)))
    assert "mail_send" not in steps(schema)
    assert [each.why for each in schema.left_out if each.what == "mail.send"] == [
        "nothing that can be there before it surely fits `to`"
    ]
    skipping = at_hand(ticket(contracts=[*MAP, "mail.send@^1"], on_failure="skip"), HAND)
    assert "mail_send" in steps(map_schema(skipping, registry=registry(skipping, more=(narrow,))))


def test_sensitive_data_is_offered_to_nobody_who_may_not_see_it() -> None:
    everything = str(compiled().schema["properties"]["steps"])
    assert "iban" not in everything


def test_drafts_unserved_and_unknown_contracts_are_left_out_with_what_to_do() -> None:
    schema = compiled(contracts=[*MAP, "label.print@^1", "nobody.serves@^1", "no.such@^1"])
    told = {each.what: (each.why, each.fix) for each in schema.left_out}
    assert "is a draft" in told["label.print"][0]
    assert "say what it costs" in told["label.print"][1]
    assert told["nobody.serves"][0] == "no agent serves it"
    assert told["no.such@^1"][0] == "there is no such contract"


def test_undo_contracts_of_the_map_are_the_engines_own() -> None:
    assert "refund_revoke" not in str(compiled().schema)
    assert "disk" not in str(compiled().schema)


def test_a_contract_is_offered_twice_where_the_input_names_two_of_what_it_takes() -> None:
    two = object_of(["old_order_id", "new_order_id"], old_order_id={"type": "string"}, new_order_id={"type": "string"})
    schema = compiled({"old_order_id": "1", "new_order_id": "2"}, input=two)
    assert "order_find_2" in steps(schema)
    assert {"$.input.old_order_id", "$.input.new_order_id"} <= {*ways(schema, "order_find_2", "order_id")}
    assert "order_find_2" not in steps(compiled())


def test_no_reference_leads_to_what_could_only_run_later() -> None:
    schema = compiled()
    for offer in schema.offers.steps:
        if offer.id == "order_find":
            assert {place.step for slot in offer.slots for place in slot.found} <= {None}


def test_steps_that_are_kept_are_there_to_refer_to_and_not_to_do_again() -> None:
    process_type = at_hand(ticket(), HAND)
    known = registry(process_type)
    find = known.contract("order.find")
    assert find is not None
    kept = made_step("order_find", contract=find, arguments={"order_id": "$.input.order_id"}, process_type=process_type)
    schema = map_schema(process_type, registry=known, kept=(kept,))
    assert "order_find" not in steps(schema)
    assert ways(schema, "refund_issue", "amount")[0] == "$.steps.order_find.output.total"


def test_what_was_done_to_the_world_is_not_offered_again() -> None:
    process_type = at_hand(ticket(), HAND)
    known = registry(process_type)
    refund = known.contract("refund.issue")
    assert refund is not None
    kept = made_step("refund_issue", contract=refund, arguments={}, process_type=process_type)
    offered = steps(map_schema(process_type, registry=known, kept=(kept,)))
    assert [each for each in offered if each.startswith("refund")] == []


def test_what_a_step_finds_out_is_neither_made_up_nor_repeated_from_the_input() -> None:
    output = object_of(["there", "urgent"], there={"type": "boolean"}, urgent={"type": "boolean"})
    schema = compiled({**HAND, "urgent": True}, output=output)
    assert ways(schema, "output", "there") == ["$.steps.stock_check.output.there"]
    assert ways(schema, "output", "urgent")[0] == "$.input.urgent"


def test_a_goal_that_nothing_can_fill_is_named_before_any_model_is_asked() -> None:
    schema = compiled(output=object_of(["answer", "when"], answer={"type": "string"}, when={"type": "integer"}))
    assert schema.open_goals == ("when",)


@pytest.mark.parametrize("value", [HAND, {"text": "Hello"}, {**HAND, "urgent": True}])
def test_the_schema_keeps_to_what_strict_modes_and_local_grammars_know(value: Any) -> None:
    known = {"type", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "maxItems", "minItems"}
    stack = [compiled(value).schema]
    assert stack[0]["type"] == "object"
    while stack:
        schema = stack.pop()
        assert set(schema) <= known
        if schema.get("type") == "object":
            assert schema["additionalProperties"] is False
            assert schema["required"] == list(schema["properties"])
            stack += schema["properties"].values()
        stack += [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]


def test_only_what_is_a_choice_is_asked() -> None:
    schema = compiled()
    assert asked(schema, "order_find") == {}
    assert [*asked(schema, "refund_issue")] == ["reason", "notify"]
    assert asked(schema, "refund_issue")["reason"] == {
        "anyOf": [
            {
                "type": "object",
                "properties": {"const": {"type": "string", "enum": ["lost", "damaged", "goodwill"]}},
                "required": ["const"],
                "additionalProperties": False,
            },
            {"type": "null"},
        ]
    }
    assert asked(schema, "output") == {}
    assert [*schema.schema["properties"]] == ["output", "steps"]


def test_a_plan_can_be_written_in_it_and_a_wrong_one_cannot() -> None:
    schema = compiled()
    check = Validator(schema.schema)
    refund = {"id": "refund_issue", "in": {"reason": {"const": "lost"}, "notify": None}}
    said: dict[str, Any] = {"output": {}, "steps": ["order_find", refund]}
    assert check.is_valid(said)
    for wrong in ({"const": "theft"}, "$.input.text", "lost"):
        assert not check.is_valid({**said, "steps": [{"id": "refund_issue", "in": {"reason": wrong, "notify": None}}]})
    assert not check.is_valid({**said, "steps": ["disk_wipe"]})
    assert not check.is_valid({**said, "approval": "none"})


def large_map(count: int) -> tuple[Any, Registry]:
    """Contracts with deep outputs, each of which takes several texts and numbers."""
    deep: dict[str, Any] = {"type": "string"}
    for level in range(4):
        deep = object_of(
            [f"l{level}", "total"], **{f"l{level}": deep, "total": {"type": "number"}, "name": {"type": "string"}}
        )
    made = []
    for number in range(count):
        texts = {f"word{each}at{number}": {"type": "string"} for each in range(4)}
        takes = object_of([*texts][:2], **texts, amount={"type": "number", "minimum": number})
        gives = object_of(["result", "list"], result=deep, list={"type": "array", "items": deep}, **texts)
        written = {"contract": f"part.number_{number}", "input": takes, "output": gives, "effects": {"kind": "read"}}
        made.append(contract(str(written).replace("False", "false")))
    names = [each.name for each in made]
    process_type = ticket(
        contracts=[f"{name}@^1" for name in names], output=object_of(["said"], said={"type": "string"})
    )
    known = Registry.of(
        contracts=made, processes=[process_type], agents=[agent("all", *[f"{name}@^1" for name in names])]
    )
    return at_hand(process_type, HAND), known


def test_a_large_map_is_compiled_within_its_bounds() -> None:
    process_type, known = large_map(40)
    began = time.perf_counter()
    schema = map_schema(process_type, registry=known)
    spent = time.perf_counter() - began
    assert encoded_size(schema.schema) <= BYTES_MAX < 200_000
    assert len(schema.offers.steps) >= 40
    slots = [slot for each in schema.offers.steps for slot in each.slots] + [*schema.offers.goal]
    assert sum(len(slot.found) for slot in slots) <= VALUES_MAX
    assert {each.what for each in schema.left_out} & {"paths", "references"}
    assert all(slot.found for each in schema.offers.steps for slot in each.slots if slot.needed)
    assert spent < 3.0, spent  # measured: see docs/decisions/026; a loaded machine is several times slower


def test_the_prompt_for_a_large_map_stays_within_what_is_held_back_for_it() -> None:
    process_type, known = large_map(60)
    offered = map_schema(process_type, registry=known)
    standing = Standing(summary="", task="\u00e9" * 20_000, input={"text": "x" * 9_000}, kept={}, report="r" * 2_400)
    assert fits(plan_prompt(offered, standing), Stage.PLAN)
