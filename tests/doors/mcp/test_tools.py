"""Every tool through the official client: what it answers, and how it fails."""

from typing import Any

import anyio
import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.types import CallToolResult, TextContent

from doors.mcp.conftest import Connect
from doors.mcp.fake_orchestrator import (
    CANDIDATE,
    ESCALATION,
    FAILED,
    PROCESS,
    FakeOrchestrator,
    process,
    resolved,
)
from doors.mcp.interface import BY_THE_REQUEST
from process_orchestrator.core.errors import EngineError, RefusedError, StorageError, StorageFullError
from process_orchestrator.doors import mcp_server, tool_calls
from process_orchestrator.views.models import Progress

pytestmark = pytest.mark.anyio

HAPPY: dict[str, tuple[dict[str, Any], str, Any]] = {
    "submit_process": ({"process_type": "invoice_approval", "input": {"invoice": 4711}}, "process_id", PROCESS),
    "get_state": ({"process_id": PROCESS}, "status", "running"),
    "list_trace": ({"process_id": PROCESS, "step": "read", "data": True}, "next_after", 1),
    "resolve_escalation": ({"escalation_id": ESCALATION, "decision": "reject"}, "status", "resolved"),
    "list_escalations": ({}, "next_actions", []),
    "list_processes": ({"status": "running"}, "warnings", []),
    "cancel_process": ({"process_id": PROCESS, "reason": "wrong invoice"}, "status", "cancelled"),
    "estimate_cost": ({"process_type": "invoice_approval"}, "cases", 1),
    "describe_agents": ({}, "models", "rules"),
    "validate_contract": ({"contract": "ledger.post", "direction": "input", "payload": {}}, "valid", False),
}


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def conforming(client: Client, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    """Call, and check the structured result against the declared schema, errors included."""
    schemas = {each.name: each.output_schema for each in (await client.list_tools()).tools}
    result = await client.call_tool(tool, arguments)
    schema = schemas[tool]
    assert schema is not None
    Draft202012Validator(schema).validate(result.structured_content)
    return result


@pytest.mark.parametrize("tool", HAPPY)
async def test_a_tool_answers_with_what_it_declared_and_a_text(connect: Connect, tool: str) -> None:
    arguments, field, expected = HAPPY[tool]
    async with connect() as client:
        result = await conforming(client, tool, arguments)
    assert not result.is_error
    assert result.structured_content is not None
    assert "error" not in result.structured_content
    assert result.structured_content[field] == expected
    assert 0 < len(text_of(result).encode()) <= 8192


@pytest.mark.parametrize("tool", HAPPY)
async def test_every_refusal_reads_code_cause_and_what_to_do(
    connect: Connect, orchestrator: FakeOrchestrator, tool: str
) -> None:
    async with connect() as client:
        for code in BY_THE_REQUEST:
            orchestrator.failure = RefusedError(code, "this is why.", do="call get_state.", pointer="/input/x")
            result = await conforming(client, tool, HAPPY[tool][0])
            assert result.is_error
            assert text_of(result) == f"{code}: this is why. Do: call get_state."
            assert result.structured_content == {
                "error": {"code": code, "message": "this is why.", "do": "call get_state.", "pointer": "/input/x"}
            }


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StorageFullError("no room"), "STORAGE_FULL"),
        (EngineError("ENGINE_UNAVAILABLE", "the engine does not answer."), "ENGINE_UNAVAILABLE"),
        (EngineError("ENGINE_VERSION", "engine 0.3.1 holds this home."), "ENGINE_VERSION"),
        (StorageError("the chain is broken at row 17"), "ENGINE_UNAVAILABLE"),
        (ZeroDivisionError("secret detail"), "ENGINE_UNAVAILABLE"),
    ],
)
async def test_what_fails_below_has_a_code_and_tells_no_secret(
    connect: Connect, orchestrator: FakeOrchestrator, failure: Exception, code: str
) -> None:
    orchestrator.failure = failure
    async with connect() as client:
        result = await conforming(client, "list_processes", {})
    assert result.is_error
    assert text_of(result).startswith(f"{code}: ")
    assert " Do: " in text_of(result)
    assert "secret" not in text_of(result)


async def test_an_ambiguous_task_lists_its_candidates_in_both_forms(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.failure = RefusedError(
        "AMBIGUOUS_TASK", "two types fit.", do="name one.", details={"candidates": [CANDIDATE]}
    )
    async with connect() as client:
        result = await conforming(client, "submit_process", {"task": "pay this"})
    assert result.structured_content is not None
    assert result.structured_content["error"]["candidates"][0]["input_required"] == ["invoice"]
    assert "- invoice_approval (input: invoice): Approve an invoice." in text_of(result)


async def test_a_lost_race_shows_the_winners_record_in_both_forms(
    connect: Connect, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.question = resolved("approve", assurance="A2", channel="passphrase")
    async with connect() as client:
        result = await conforming(client, "resolve_escalation", {"escalation_id": ESCALATION, "decision": "reject"})
    assert result.is_error
    assert result.structured_content is not None
    assert result.structured_content["error"]["record"]["resolution"]["decision"] == "approve"
    assert "approve by local (passphrase, A2)" in text_of(result)


async def test_an_unknown_tool_is_answered_with_the_names_there_are(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("start_process", {})
    assert result.is_error
    assert text_of(result).startswith("BAD_ARGUMENT: there is no tool start_process. Do: call one of submit_process,")


async def test_submit_hands_on_exactly_what_was_given(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    async with connect() as client:
        await client.call_tool(
            "submit_process",
            {"task": "Approve 4711", "input": {"a": [1, None]}, "idempotency_key": "invoice-4711", "label": "x"},
        )
    (request,) = orchestrator.seen.submits
    assert request.model_dump(exclude_none=True) == {
        "task": "Approve 4711",
        "input": {"a": [1, None]},
        "idempotency_key": "invoice-4711",
        "label": "x",
        "approval": "policy",
        "wait_s": 0,
        "warnings": (),
    }


async def test_submit_waits_for_the_end_and_reports_progress(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    orchestrator.view = process(warnings=["another one runs"])
    orchestrator.later = (process(version=5, step=Progress(done=2, total=3)), FAILED)
    heard: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    async with connect() as client:
        result = await client.call_tool(
            "submit_process", {"process_type": "invoice_approval", "wait_s": 20}, progress_callback=hear
        )
    assert result.structured_content is not None
    assert result.structured_content["status"] == "failed"
    assert "another one runs" in result.structured_content["warnings"]
    assert heard == [(1, 3), (2, 3), (1, 3)]


async def test_a_wait_reports_progress_before_and_after(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    orchestrator.later = (process(version=5),)
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with connect() as client:
        result = await client.call_tool(
            "get_state", {"process_id": PROCESS, "wait_s": 5, "since": 3}, progress_callback=hear
        )
    assert result.structured_content is not None
    assert result.structured_content["version"] == 5
    assert heard == [1, 1]


async def test_no_call_outlasts_its_ceiling(
    connect: Connect, orchestrator: FakeOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "TOOL_CALL_S_MAX", 0.05)
    orchestrator.hang = True
    async with connect() as client:
        with anyio.fail_after(10):
            for tool, (arguments, _, _) in HAPPY.items():
                result = await conforming(client, tool, arguments)
                assert text_of(result).startswith("ENGINE_UNAVAILABLE: the engine did not answer in time")


async def test_the_longest_wait_leaves_room_under_the_ceiling(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    async with connect() as client:
        result = await client.call_tool("get_state", {"process_id": PROCESS, "wait_s": 300})
    assert result.structured_content is not None
    assert "wait_s 300 was lowered to 25, the most there is." in result.structured_content["warnings"]
    (name, arguments) = orchestrator.seen.calls[-1]
    assert (name, arguments["wait_s"]) == ("state", 24)
    assert tool_calls.WAIT_S_MAX < mcp_server.TOOL_CALL_S_MAX <= 25


async def test_an_escalation_asked_for_by_id_comes_whole(connect: Connect) -> None:
    async with connect() as client:
        result = await conforming(client, "list_escalations", {"escalation_id": ESCALATION})
        listed = await conforming(client, "list_escalations", {"status": "ALL"})
        other = await conforming(client, "list_escalations", {"escalation_id": ESCALATION, "process_id": "p_other"})
    assert result.structured_content is not None
    assert listed.structured_content is not None
    assert result.structured_content["escalations"][0]["evidence"][0]["from"] == "input"
    assert "evidence" not in listed.structured_content["escalations"][0]
    assert text_of(other).startswith("UNKNOWN_ESCALATION: ")


async def test_the_processes_above_travel_in_meta(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    above: Any = {"process-orchestrator/lineage": ["p_one", "p_two"]}
    async with connect() as client:
        await client.call_tool("get_state", {"process_id": PROCESS}, meta=above)
        assert orchestrator.seen.callers[-1].lineage == ("p_one", "p_two")
        for unreadable in ("p_one", [1], {"ids": []}):
            refused = await client.call_tool(
                "get_state", {"process_id": PROCESS}, meta={"process-orchestrator/lineage": unreadable}
            )
            assert text_of(refused).startswith("BAD_ARGUMENT: _meta process-orchestrator/lineage is no list")
