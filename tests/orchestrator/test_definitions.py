"""Describing and validating definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.home import AGENTS, CONTRACTS, PROCESSES, Desk, open_desk, process_type
from process_orchestrator.checking.documents.definitions import Problem
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.views.text_definitions import description_text

pytestmark = pytest.mark.anyio


async def refusal(call: Any) -> RefusedError:
    with pytest.raises(RefusedError) as raised:
        await call
    return raised.value


async def test_the_index_names_types_contracts_and_agents(desk: Desk) -> None:
    index = await desk.orchestrator.describe()

    types = {row.name: row for row in index.process_types or []}
    assert set(types) == {"booking", "dreaming", "reading", "reminders", "review"}
    assert (types["booking"].plan, types["dreaming"].plan) == ("fixed", "made")
    assert types["booking"].input_required == ["text"]
    assert [(row.contract, row.agents) for row in types["booking"].map] == [
        ("doc.read", ["reader", "backup"]),
        ("line.check", ["policy"]),
        ("ledger.post", ["ledger"]),
    ]
    contracts = {row.name: row for row in index.contracts or []}
    assert (contracts["ledger.post"].effect, contracts["ledger.post"].approval) == ("write", True)
    assert {row.name for row in index.agents or []} == {
        "approver",
        "backup",
        "ledger",
        "policy",
        "post_office",
        "reader",
    }
    assert index.models == "rules"


async def test_a_process_that_a_step_starts_stands_in_the_map(tmp_path: Path) -> None:
    steps = [
        {"id": "read", "process": "reading", "in": {"text": "$.input.text"}},
        {"id": "check", "contract": "line.check", "in": {"line": {"const": {"name": "paper", "amount": 1}}}},
    ]
    plan = {"steps": steps, "output": {"number": "$.steps.read.output.number"}}
    whole = process_type("whole", plan=plan)
    mapped = process_type("mapped", plan=plan, contracts=["line.check@^1"])
    registry = Registry.of(CONTRACTS, (*PROCESSES, whole, mapped), AGENTS)
    async with open_desk(tmp_path, registry=registry) as desk:
        index = await desk.orchestrator.describe()

    types = {row.name: row for row in index.process_types or []}
    assert [row.payload() for row in types["whole"].map] == [
        {"process": "reading", "agents": []},
        {"contract": "line.check", "agents": ["policy"]},
    ]
    assert [row.payload() for row in types["mapped"].map] == [
        {"contract": "line.check@^1", "agents": ["policy"]},
        {"process": "reading", "agents": []},
    ]
    told = description_text(index)
    assert "Uses process reading, line.check [policy]." in told


async def test_one_name_gives_its_whole_definition(desk: Desk) -> None:
    booking = (await desk.orchestrator.describe("Booking")).process_type
    post = (await desk.orchestrator.describe(contract="ledger.post@^1")).contract
    reader = (await desk.orchestrator.describe(agent="reader")).agent

    assert booking is not None
    assert (booking.input["required"], booking.budget_usd) == (["text"], "0.50")
    assert booking.definition["plan"]["steps"][0]["id"] == "read"
    assert booking.verdict is not None
    assert post is not None
    assert (post.price_usd, post.errors) == ("0.001", {"closed": {"class": "permanent", "outcome": "not_done"}})
    assert reader is not None
    assert (reader.prefer, reader.serves) == (10, ["doc.read@^1"])


@pytest.mark.parametrize(
    ("arguments", "code", "nearest"),
    [
        ({"process_type": "bookin"}, "UNKNOWN_PROCESS_TYPE", "booking"),
        ({"contract": "ledger.pots"}, "UNKNOWN_CONTRACT", "ledger.post"),
        ({"contract": "ledger.post@^9"}, "UNKNOWN_CONTRACT", "ledger.post"),
        ({"agent": "leger"}, "UNKNOWN_AGENT", "ledger"),
        ({"agent": "ledger", "contract": "ledger.post"}, "BAD_ARGUMENT", None),
    ],
)
async def test_an_unknown_name_names_the_nearest(
    desk: Desk, arguments: dict[str, Any], code: str, nearest: str | None
) -> None:
    error = await refusal(desk.orchestrator.describe(**arguments))

    assert error.code == code
    if nearest is not None:
        assert (desk.orchestrator.error_view(error).error.nearest or [])[0] == nearest


async def test_problems_of_files_are_reported(tmp_path: Path) -> None:
    problem = Problem(
        level="error", code="SHAPE", file="contracts/x.yaml", line=3, pointer="/input", message="wrong", fix="mend"
    )
    registry = Registry(contracts=CONTRACTS, processes=PROCESSES, agents=AGENTS, problems=(problem,))
    async with open_desk(tmp_path, registry=registry) as desk:
        index = await desk.orchestrator.describe()

    assert [(each.file, each.line, each.fix) for each in index.problems] == [("contracts/x.yaml", 3, "mend")]
    assert "contracts/x.yaml" in index.warnings[0]


GOOD = {"number": "1", "total": 5.0, "iban": "x", "request_id": "k"}


@pytest.mark.parametrize(
    ("contract", "direction", "payload", "rules"),
    [
        ("ledger.post", "input", GOOD, []),
        ("ledger.post", "INPUT", {**GOOD, "total": "5"}, ["type"]),
        ("ledger.post", "input", {**GOOD, "total": -1.0}, ["positive"]),
        ("ledger.post", "output", {"id": "x"}, ["required"]),
        ("ledger.post", "output", {"id": "x", "total": 1.0}, []),
        ("booking", "input", {}, ["required"]),
        ("booking", "input", {"text": "x"}, []),
    ],
)
async def test_a_payload_is_held_against_a_contract(
    desk: Desk, contract: str, direction: str, payload: Any, rules: list[str]
) -> None:
    validation = await desk.orchestrator.validate(contract=contract, direction=direction, payload=payload)

    assert (validation.valid, [error.rule for error in validation.errors]) == (not rules, rules)


async def test_a_mismatch_tells_a_type_and_never_the_value(desk: Desk) -> None:
    validation = await desk.orchestrator.validate(
        contract="ledger.post", direction="input", payload={**GOOD, "total": "secret-4711"}
    )

    [error] = validation.errors
    assert (error.pointer, error.expected, error.got) == ("/total", "number", "string of 11 characters")
    assert "secret-4711" not in validation.model_dump_json()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "BAD_ARGUMENT"),
        ({"contract": "ledger.post", "payload": {}}, "BAD_ARGUMENT"),
        ({"contract": "ledger.post", "direction": "sideways", "payload": {}}, "BAD_ARGUMENT"),
        ({"contract": "nothing", "direction": "input", "payload": {}}, "UNKNOWN_CONTRACT"),
        ({"contract": "ledger.post", "direction": "input", "payload": {"number": "x" * 1_100_000}}, "TOO_LARGE"),
        ({"definition": "x" * 1_000_001}, "TOO_LARGE"),
    ],
)
async def test_what_cannot_be_validated_is_refused(desk: Desk, arguments: dict[str, Any], code: str) -> None:
    assert (await refusal(desk.orchestrator.validate(**arguments))).code == code


async def test_a_definition_is_checked_beside_those_in_force(desk: Desk) -> None:
    text = """
process: small
version: 1.0.0
summary: Reads one invoice.
input: {type: object, required: [text], properties: {text: {type: string}}}
output: {type: object}
plan:
  steps:
    - {id: read, contract: doc.read, in: {text: $.input.text}}
  output: {number: $.steps.read.output.NUMBER}
"""
    good = await desk.orchestrator.validate(definition=text.replace("NUMBER", "number"))
    bad = await desk.orchestrator.validate(definition=text.replace("NUMBER", "numbr"))

    assert good.valid
    assert not bad.valid
    assert bad.report is not None
    assert bad.report.files[0].problems[0].line > 1
    assert (await desk.orchestrator.describe()).problems == []


async def test_the_check_report_counts_every_plan(desk: Desk) -> None:
    assert (await desk.orchestrator.check()).ok
