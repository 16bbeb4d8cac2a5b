"""Where the line is: which types need no planner, told by rule before any model is asked."""

from __future__ import annotations

from typing import Any

import pytest

from checking_plan.making import contract
from planning.desk import object_of, registry, ticket
from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.planning.single_call import single_call
from process_orchestrator.core.facts.values import Assurance

ORDER = {"order_id": {"type": "string"}}
LOOK_UP: dict[str, Any] = {
    "input": object_of(["order_id"], **ORDER),
    "output": object_of(["total", "status"], total={"type": "number"}, status={"type": "string"}),
}


def made(*more: Contract, **rest: Any) -> Any:
    process_type = ticket(**{**LOOK_UP, **rest})
    known = registry(process_type, more=more)
    return single_call(process_type, registry=known, server_floor=Assurance.A0)


def test_a_contract_that_takes_the_input_and_gives_the_output_is_the_plan() -> None:
    compiled = made()
    assert compiled.facts.fit.verdict == "single_call"
    assert [(each.id, each.contract.name) for each in compiled.facts.steps] == [("order_find", "order.find")]
    assert {row.verdict for row in compiled.rows} == {"always"}


@pytest.mark.parametrize(
    ("why", "rest"),
    [
        ("its output wants more", {"output": object_of(["total", "vat"], total={"type": "number"}, vat={})}),
        ("it may not fit", {"output": object_of(["total"], total={"type": "number", "minimum": 0})}),
        ("a required input is not read", {"input": object_of(["order_id", "text"], **ORDER, text={"type": "string"})}),
        ("the input may lack what it needs", {"input": object_of([], **ORDER)}),
        (
            "its output may tell more",
            {"output": object_of(["total"], total={"type": "number"}, refund_id={"type": "string"})},
        ),
        ("nothing is wanted", {"output": {"type": "object"}}),
        ("it is not on the map", {"contracts": ["stock.check@^1"]}),
        (
            "it is approved",
            {
                "input": object_of(["order_id", "amount"], **ORDER, amount={"type": "number"}),
                "output": object_of(["refund_id"], refund_id={"type": "string"}),
            },
        ),
        (
            "a person closes it",
            {
                "input": object_of(["question"], question={"type": "string"}),
                "output": object_of(["verdict"], verdict={"type": "string"}),
            },
        ),
        ("it is a draft", {"contracts": ["label.print"], "output": {"type": "object"}}),
        (
            "it has a plan",
            {
                "plan": {
                    "steps": [{"id": "a", "contract": "order.find", "in": {"order_id": "$.input.order_id"}}],
                    "output": {"total": "$.steps.a.output.total", "status": "$.steps.a.output.status"},
                }
            },
        ),
    ],
)
def test_else_there_is_something_to_plan(why: str, rest: dict[str, Any]) -> None:
    assert made(**rest) is None, why


def test_which_of_two_is_meant_is_no_question_of_a_rule() -> None:
    other = contract("""
contract: archive.find
input: {type: object, required: [order_id], additionalProperties: false, properties: {order_id: {type: string}}}
output: {type: object, required: [total, status], properties: {total: {type: number}, status: {type: string}}}
""")
    assert made(other, contracts=["order.find@^1", "archive.find@^1"]) is None
    assert made(other, contracts=["archive.find@^1"]) is not None
