"""What each change of a contract is called, and which version it asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from process_orchestrator.checking.changes.evolution import Bump, Difference, difference, least_version
from process_orchestrator.checking.changes.schema_change import Judgement
from process_orchestrator.checking.loading.loader import definition_from_dict

BREAKING, WIDENING, TEXT, SAME = Judgement.BREAKING, Judgement.WIDENING, Judgement.TEXT, Judgement.SAME
Document = dict[str, Any]

POST: Document = {
    "contract": "ledger.post",
    "version": "1.2.0",
    "summary": "Book one approved invoice.",
    "input": {
        "type": "object",
        "properties": {
            "request_id": {"type": "string"},
            "total": {"type": "number"},
            "currency": {"enum": ["EUR", "CHF"]},
            "iban": {"type": "string"},
        },
        "required": ["request_id", "total"],
    },
    "output": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    "errors": {"busy": {"class": "transient"}, "full": {"class": "permanent"}},
    "effects": {
        "kind": "write",
        "resources": ["ledger:invoice"],
        "undo": {"contract": "ledger.void", "in": {"id": "$.output.id"}},
    },
    "idempotency": {"key": "request_id"},
    "timeout": {"attempt_s": 20, "total_s": 120},
    "cost": {"per_call_usd": 0.002},
    "data": {"sensitive": ["/input/iban"], "sensitivity": "internal"},
    "requires": [{"id": "positive", "expr": "input.total > 0.0"}],
    "approval": {"when": {"expr": "input.total > 1000.0"}, "role": "approver"},
    "examples": [{"name": "plain", "input": {"request_id": "a", "total": 1.5}, "output": {"id": "x"}}],
}


def judged(change: Callable[[Document], object], *, version: str = "1.2.0", old: Document = POST) -> Difference:
    new = copy.deepcopy(old)
    change(new)
    new["version"] = version
    before, after = (definition_from_dict("contract", each) for each in (old, new))
    return difference(before, after)


def gone(*path: str) -> Callable[[Document], object]:
    def change(document: Document) -> None:
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]

    return change


def put(value: Any, *path: str) -> Callable[[Document], object]:
    def change(document: Document) -> None:
        inner = document
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = value

    return change


def asks_for_more(document: Document) -> None:
    document["input"]["required"].append("currency")
    del document["examples"]


CHANGES: list[tuple[str, Callable[[Document], object], Judgement]] = [
    ("summary", put("Book it.", "summary"), TEXT),
    ("examples", gone("examples"), TEXT),
    ("own keys", put(1, "x-owner"), TEXT),
    ("words in the input", put("In the currency given.", "input", "properties", "total", "description"), TEXT),
    ("input takes more", put({"enum": ["EUR", "CHF", "USD"]}, "input", "properties", "currency"), WIDENING),
    ("input takes less", put({"enum": ["EUR"]}, "input", "properties", "currency"), BREAKING),
    ("input asks for less", put(["request_id"], "input", "required"), WIDENING),
    ("input asks for more", asks_for_more, BREAKING),
    ("a new optional argument", put({"type": "string"}, "input", "properties", "note"), WIDENING),
    ("output gives one more", put({"type": "string"}, "output", "properties", "at"), WIDENING),
    ("output gives otherwise", put({"type": ["string", "integer"]}, "output", "properties", "id"), BREAKING),
    ("a heavier effect", put({"kind": "irreversible", "resources": ["ledger:invoice"]}, "effects"), BREAKING),
    ("no undo", gone("effects", "undo"), BREAKING),
    ("another undo", put("ledger.undo", "effects", "undo", "contract"), BREAKING),
    ("undone otherwise", put({"id": "$.output.id", "why": "undone"}, "effects", "undo", "in"), WIDENING),
    ("touches more", put(["ledger:invoice", "bank:account"], "effects", "resources"), BREAKING),
    ("touches less", put([], "effects", "resources"), WIDENING),
    ("no idempotency", gone("idempotency"), BREAKING),
    ("an error gone", gone("errors", "full"), BREAKING),
    ("an error more", put({"class": "conflict"}, "errors", "twice"), WIDENING),
    ("an error of another class", put({"class": "permanent"}, "errors", "busy"), BREAKING),
    ("an error of unknown outcome", put({"class": "transient", "outcome": "unknown"}, "errors", "busy"), BREAKING),
    ("an error that says when", put({"class": "transient", "retry_after": True}, "errors", "busy"), WIDENING),
    ("slower", put(240, "timeout", "total_s"), BREAKING),
    ("quicker", put(60, "timeout", "total_s"), WIDENING),
    ("dearer", put(0.003, "cost", "per_call_usd"), BREAKING),
    ("cheaper", put(0.001, "cost", "per_call_usd"), WIDENING),
    ("of unknown cost", gone("cost"), BREAKING),
    ("more sensitive", put("restricted", "data", "sensitivity"), BREAKING),
    ("no longer masked", put([], "data", "sensitive"), BREAKING),
    ("a demand written otherwise", put([{"id": "positive", "expr": "input.total > 1.0"}], "requires"), BREAKING),
    ("a demand less", gone("requires"), WIDENING),
    ("a promise more", put([{"id": "named", "expr": "output.id != ''"}], "ensures"), WIDENING),
    ("approval gone", gone("approval"), BREAKING),
    ("approval shows more", put(["$.input.total"], "approval", "show"), TEXT),
    ("approved by others", put("chief", "approval", "role"), BREAKING),
    ("retried otherwise", put({"max_attempts": 5}, "retry"), WIDENING),
    ("larger answers", put({"output_bytes": 2_000_000}, "limits"), BREAKING),
    ("a draft again", lambda d: d.update(status="draft", todo=["decide"]), BREAKING),
    ("deprecated", put({"since": "1.2.0"}, "deprecated"), WIDENING),
    ("nothing", lambda _: None, SAME),
]


@pytest.mark.parametrize(("what", "change", "judgement"), CHANGES, ids=[row[0] for row in CHANGES])
def test_each_change_is_judged_by_what_it_does_to_those_who_rely_on_it(
    what: str, change: Callable[[Document], object], judgement: Judgement
) -> None:
    found = judged(change)
    assert found.judgement is judgement, (what, found.changes)
    assert all(each.message for each in found.changes)


def test_a_lighter_effect_is_a_widening() -> None:
    bare = {**POST, "effects": {"kind": "write"}}
    assert judged(put({"kind": "read"}, "effects"), old=bare).judgement is WIDENING


@pytest.mark.parametrize(
    ("version", "judgement", "least"),
    [
        ("1.2.3", BREAKING, "2.0.0"),
        ("1.2.3", WIDENING, "1.3.0"),
        ("1.2.3", TEXT, "1.2.4"),
        ("1.2.3", SAME, "1.2.3"),
        ("0.2.3", BREAKING, "0.3.0"),
        ("0.2.3", WIDENING, "0.2.4"),
        ("0.2.3", TEXT, "0.2.4"),
        ("0.0.3", BREAKING, "0.0.4"),
        ("0.0.3", TEXT, "0.0.4"),
    ],
)
def test_the_least_version_is_one_that_no_earlier_range_takes_by_mistake(
    version: str, judgement: Judgement, least: str
) -> None:
    assert least_version(version, judgement) == least


@pytest.mark.parametrize(
    ("old", "new", "enough"),
    [
        ("1.2.0", "1.2.0", False),
        ("1.2.0", "1.9.0", False),
        ("1.2.0", "2.0.0-rc.1", True),
        ("1.2.0", "2.0.0", True),
        ("1.2.0", "3.1.0", True),
        ("1.2.0", "1.1.0", False),
        ("0.2.0", "0.3.0", True),
        ("0.2.0", "0.2.1", False),
        ("2.0.0-rc.1", "2.0.0-rc.2", True),
        ("2.0.0-rc.1", "2.0.0", True),
        ("2.0.0-rc.1", "2.0.0-rc.1", False),
    ],
)
def test_a_breaking_change_is_allowed_under_a_high_enough_version(old: str, new: str, *, enough: bool) -> None:
    found = judged(gone("idempotency"), version=new, old={**POST, "version": old})
    assert found.enough is enough


def test_a_version_that_went_down_is_never_enough() -> None:
    assert not judged(put("Book it.", "summary"), version="1.1.9").enough
    assert not judged(lambda _: None, version="1.1.9").enough


def test_a_breaking_change_shows_a_value_that_both_validators_tell_apart() -> None:
    found = judged(put({"enum": ["EUR"]}, "input", "properties", "currency"))
    [change] = found.changes
    assert change.pointer == "/input/properties/currency"
    assert change.witness == "CHF"
    assert found.bump is Bump.MAJOR


def test_process_types_are_contracts_too() -> None:
    old = {
        "process": "approve",
        "version": "1.0.0",
        "summary": "Approve.",
        "input": {"type": "object", "properties": {"a": {"type": "string"}}},
        "output": {"type": "object"},
        "contracts": ["ledger.post@^1"],
    }
    new = {**copy.deepcopy(old), "input": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    dearer = {**copy.deepcopy(old), "budget": {"usd": 3.0}}
    told = {**copy.deepcopy(old), "intake": {"keywords": ["bill"]}}
    before = definition_from_dict("process", old)
    found = [difference(before, definition_from_dict("process", each)).judgement for each in (new, dearer, told, old)]
    assert found == [BREAKING, WIDENING, TEXT, SAME]


def test_a_plan_that_gives_one_instead_of_true_has_changed() -> None:
    plan: Document = {"steps": [{"id": "wait", "wait": {"seconds": 1}}], "output": {"known": True}}
    old: Document = {
        "process": "desk",
        "version": "1.0.0",
        "summary": "For a test.",
        "input": {"type": "object"},
        "output": {"type": "object"},
        "plan": plan,
    }
    new = copy.deepcopy(old)
    new["plan"]["output"]["known"] = 1
    found = difference(definition_from_dict("process", old), definition_from_dict("process", new))
    assert [(each.judgement, each.pointer) for each in found.changes] == [(Judgement.WIDENING, "/plan")]
