"""Skeletons: a contract made of examples, a process type made of contracts, and what the check says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process_orchestrator.checking.authoring.given import given_bindings
from process_orchestrator.checking.authoring.new_contract import new_contract
from process_orchestrator.checking.authoring.new_process import Skeleton, new_process
from process_orchestrator.checking.documents.definitions import Contract
from process_orchestrator.checking.importers.yaml_text import yaml_text
from process_orchestrator.checking.loading.loader import definition_from_dict, load_home, load_text
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import RefusedError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shipped() -> Registry:
    return load_home(ROOT)


def skeleton(registry: Registry, *names: str) -> tuple[Skeleton, dict[str, str]]:
    found = [registry.contract(each) for each in names]
    made = new_process("made", [each for each in found if each is not None])
    return made, {f"{each.step}.{each.argument}": each.binding for each in made.bindings}


def contract(name: str, given: dict[str, Any], back: dict[str, Any], *, kind: str = "read") -> Contract:
    def side(properties: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "required": list(properties), "properties": properties}

    written = {"contract": name, "version": "1.0.0", "summary": name, "input": side(given), "output": side(back)}
    return definition_from_dict("contract", {**written, "effects": {"kind": kind}})


TEXT = {"type": "string"}
PET = {"type": "object", "required": ["id", "name"], "properties": {"id": {"type": "integer"}, "name": TEXT}}


@pytest.mark.behaviour("new")
def test_the_steps_of_the_shipped_types_are_bound_without_a_hand(shipped: Registry) -> None:
    made, bindings = skeleton(shipped, "invoice.extract", "vendor.lookup", "policy.check", "ledger.post")
    assert bindings == {
        "extract.document": "$.input.document",
        "lookup.tax_id": "$.steps.extract.output.vendor.tax_id",
        "lookup.iban": "$.steps.extract.output.vendor.iban",
        "check.line": "$.item",
        "check.currency": "$.steps.extract.output.currency",
        "post.invoice_number": "$.steps.extract.output.invoice_number",
        "post.vendor_id": "$.steps.lookup.output.vendor_id",
        "post.issue_date": "$.steps.extract.output.issue_date",
        "post.due_date": "$.steps.extract.output.due_date",
        "post.currency": "$.steps.extract.output.currency",
        "post.net": "$.steps.extract.output.net",
        "post.tax": "$.steps.extract.output.tax",
        "post.total": "$.steps.extract.output.total",
    }
    assert made.document["plan"]["steps"][2]["for_each"] == "$.steps.extract.output.lines"
    report = load_text(yaml_text(made.document), name="made.process.yaml", registry=shipped)
    assert report.ok
    assert {row.verdict for row in report.plans if row.step != "output"} == {"always"}


def test_what_is_all_that_a_step_gives_goes_by_the_steps_name(shipped: Registry) -> None:
    made, bindings = skeleton(shipped, "repository.log", "repository.status", "repository.diff", "release.write")
    assert {name: each for name, each in bindings.items() if ".output" in each} == {
        "write.log": "$.steps.log.output.text",
        "write.status": "$.steps.status.output.text",
        "write.diff": "$.steps.diff.output.text",
    }
    assert list(made.document["input"]["properties"]) == ["repo_path", "max_count", "target", "base", "diff_status"]
    assert load_text(yaml_text(made.document), name="made.process.yaml", registry=shipped).ok


def test_items_of_a_list_are_gone_over_and_an_effect_on_each_is_asked_about() -> None:
    listed = contract("pets.list_pets", {}, {"items": {"type": "array", "items": PET}})
    made = new_process("made", [listed, contract("pets.delete_pet", {"id": {"type": "integer"}}, {}, kind="write")])
    step = made.document["plan"]["steps"][1]
    assert (step["for_each"], step["in"]) == ("$.steps.list_pets.output.items", {"id": "$.item.id"})
    assert any("is called for each of" in each for each in made.document["x-todo"])


def test_a_generic_name_is_bound_only_within_one_subject() -> None:
    order = contract(
        "shop.get_order", {"order_id": {"type": "integer"}}, {"id": {"type": "integer"}, "pet_id": {"type": "integer"}}
    )
    pet = contract("shop.get_pet", {"id": {"type": "integer"}}, {"name": TEXT})
    again = contract("shop.close_order", {"id": {"type": "integer"}}, {})
    made = new_process("made", [order, pet, again])
    assert [each.binding for each in made.bindings] == [
        "$.input.order_id",
        "$.steps.get_order.output.pet_id",
        "$.steps.get_order.output.id",
    ]


def test_names_that_share_nothing_are_not_bound() -> None:
    charges = contract(
        "pay.list_charges",
        {},
        {"data": {"type": "array", "items": {"type": "object", "properties": {"charge": TEXT, "id": TEXT}}}},
    )
    refund = contract("pay.get_charge_refund", {"charge": TEXT, "refund": TEXT, "query": TEXT}, {})
    made = new_process("made", [charges, refund])
    assert [each.binding for each in made.bindings] == ["$.item.charge", "$.input.refund", "$.input.query"]


def test_the_place_of_a_thing_in_an_address_takes_its_id() -> None:
    made = new_process(
        "made",
        [
            contract("crm.add_customer", {}, {"id": TEXT, "owner": TEXT}),
            contract("crm.get_card", {"customer": TEXT}, {}),
        ],
    )
    assert [each.binding for each in made.bindings] == ["$.steps.add_customer.output.id"]


def test_nothing_that_can_never_fit_is_proposed_and_what_fits_sometimes_is_said() -> None:
    first = contract("a.read", {}, {"amount": {"type": "string", "pattern": "^[a-z]+$"}, "day": TEXT})
    taking = contract("b.take", {"amount": {"type": "number"}, "day": {"type": "string", "format": "date"}}, {})
    made = new_process("made", [first, taking])
    assert [each.binding for each in made.bindings] == ["$.input.amount", "$.steps.read.output.day"]
    assert any("/in/day: " in each and "only sometimes" in each for each in made.document["x-todo"])


def test_steps_keep_their_order_and_shared_inputs_the_narrower_schema() -> None:
    short = contract("a.one", {"path": {"type": "string", "maxLength": 5}}, {"x": TEXT})
    wide = contract("a.two", {"path": {"type": "string", "maxLength": 50}}, {"y": TEXT})
    other = contract("a.three", {"path": {"type": "integer"}}, {"z": TEXT})
    made = new_process("made", [wide, short, other]).document
    assert made["input"]["properties"] == {
        "path": {"type": "string", "maxLength": 5},
        "three_path": {"type": "integer"},
    }
    assert [each.get("after") for each in made["plan"]["steps"]] == [None, ["two"], ["one"]]
    assert made["plan"]["output"] == {
        "two": "$.steps.two.output",
        "one": "$.steps.one.output",
        "three": "$.steps.three.output",
    }


def test_recursive_definitions_move_into_the_type() -> None:
    tree = {"$ref": "#/$defs/Tree"}
    defs = {"Tree": {"type": "object", "properties": {"left": tree, "right": tree, "n": {"type": "integer"}}}}
    written = {
        "contract": "t.grow",
        "version": "1.0.0",
        "summary": "Grow.",
        "input": {"type": "object", "required": ["tree"], "properties": {"tree": tree}, "$defs": defs},
        "output": {"type": "object", "required": ["tree"], "properties": {"tree": tree}, "$defs": defs},
        "effects": {"kind": "read"},
    }
    found = definition_from_dict("contract", written)
    agent = {
        "agent": "t",
        "summary": "T.",
        "transport": {"kind": "human", "role": "r"},
        "serves": [{"contract": "t.grow"}],
    }
    registry = Registry.of([found], agents=[definition_from_dict("agent", agent)])
    made = new_process("made", [found, found])
    report = load_text(yaml_text(made.document), name="made.process.yaml", registry=registry)
    assert report.ok
    assert made.bindings[1].binding == "$.steps.grow.output.tree"


def test_a_contract_is_made_of_examples_and_loads_as_a_draft() -> None:
    written = new_contract("desk.ask", inputs=[{"q": "x", "n": 1}, {"q": "y"}], outputs=[{"a": [1]}, {"a": [2.5]}])
    found = definition_from_dict("contract", written)
    assert found.status == "draft"
    assert written["input"]["required"] == ["q"]
    assert [each["name"] for each in written["examples"]] == ["example_1", "example_2"]
    assert definition_from_dict("contract", new_contract("desk.ask", inputs=[], outputs=[])).input == {"type": "object"}


def sketched(**bound: str) -> Skeleton:
    clock = contract("clock.now", {"zone": TEXT}, {"at": TEXT, "zone": TEXT})
    shelf = contract("shelf.put", {"label": TEXT}, {"place": TEXT}, kind="write")
    texts = [f"{name.replace('__', '.')}={binding}" for name, binding in bound.items()]
    return new_process("made", [clock, shelf], given=given_bindings(texts))


@pytest.mark.behaviour("new")
def test_a_binding_that_a_person_names_comes_before_what_would_be_asked_for() -> None:
    made = sketched(put__label="$.steps.now.output.at")
    put = made.document["plan"]["steps"][1]
    assert put["in"] == {"label": "$.steps.now.output.at"}
    assert "after" not in put
    assert made.document["input"]["required"] == ["zone"]
    assert made.document["plan"]["output"] == "$.steps.put.output"


def test_a_named_binding_may_make_an_input_or_be_a_constant() -> None:
    made = sketched(put__label="$.input.sticker", now__zone="UTC")
    assert made.document["input"]["properties"] == {"sticker": TEXT}
    assert made.document["input"]["required"] == ["sticker"]
    assert made.document["plan"]["steps"][0]["in"] == {"zone": "UTC"}
    assert given_bindings(["a.b=7", 'c.d={"x": 1}', "e.f="]) == {
        ("a", "b"): ("7", 7, ()),
        ("c", "d"): ('{"x": 1}', {"const": {"x": 1}}, ()),
        ("e", "f"): ("", "", ()),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("put.lable=$.input.x", "argument of shelf.put lable"),
        ("putt.label=$.input.x", "the step putt"),
        ("put.label", "is no binding"),
        ("label=$.input.x", "is no binding"),
        ("put.label=$..x", "is no path"),
        ("put.label=$[*]", "is no path"),
    ],
)
def test_a_named_binding_to_nowhere_is_refused_with_what_there_is(text: str, said: str) -> None:
    clock, shelf = contract("clock.now", {}, {"at": TEXT}), contract("shelf.put", {"label": TEXT}, {})
    with pytest.raises(RefusedError, match=said):
        new_process("made", [clock, shelf], given=given_bindings([text]))
