"""Arguments are read generously and answered exactly."""

from typing import Any

import pytest
from mcp.types import TextContent

from doors.mcp.conftest import Connect
from doors.mcp.fake_orchestrator import ESCALATION, PROCESS, FakeOrchestrator
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.doors.arguments import read_arguments
from process_orchestrator.doors.tool_texts import TOOLS

TEXTS = {tool.name: tool for tool in TOOLS}

ACCEPTED: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    # tool, as sent, as read, warnings
    ("submit_process", {"task": "a", "input": '{"n": [1, {"m": null}]}'}, {"task": "a", "input": {"n": [1, {"m": None}]}}, 1),
    ("submit_process", {"task": "a", "input": {"n": "1"}}, {"task": "a", "input": {"n": "1"}}, 0),
    ("submit_process", {"task": "a", "budget_usd": "1.50"}, {"task": "a", "budget_usd": 1.5}, 1),
    ("submit_process", {"task": "a", "idempotency_key": 4711}, {"task": "a", "idempotency_key": "4711"}, 0),
    ("submit_process", {"task": "a", "label": None, "input": None}, {"task": "a"}, 0),
    ("submit_process", {"task": "a", "label": ""}, {"task": "a"}, 1),
    ("submit_process", {"task": "a", "input": ""}, {"task": "a"}, 1),
    ("submit_process", {"task": "a", "approval": " Plan "}, {"task": "a", "approval": "plan"}, 0),
    ("submit_process", {"task": "a", "wait_s": 3600}, {"task": "a", "wait_s": 25}, 1),
    ("submit_process", {"task": "[1]"}, {"task": "[1]"}, 0),
    ("get_state", {"process_id": PROCESS, "since": "7", "wait_s": "20"}, {"process_id": PROCESS, "since": 7, "wait_s": 20}, 2),
    ("get_state", {"process_id": PROCESS, "wait_s": 20.0}, {"process_id": PROCESS, "wait_s": 20}, 0),
    ("get_state", {"process_id": PROCESS, "include": "plan, report"}, {"process_id": PROCESS, "include": ["plan", "report"]}, 1),
    ("get_state", {"process_id": PROCESS, "include": '["plan"]'}, {"process_id": PROCESS, "include": ["plan"]}, 1),
    ("get_state", {"process_id": PROCESS, "include": ["plan", "plan"]}, {"process_id": PROCESS, "include": ["plan"]}, 0),
    ("list_trace", {"process_id": PROCESS, "data": "false", "limit": 5000}, {"process_id": PROCESS, "data": False, "limit": 100}, 2),
    ("list_escalations", {"status": "OPEN"}, {"status": "open"}, 0),
    ("validate_contract", {"contract": "c", "direction": "input", "payload": "[1]"}, {"contract": "c", "direction": "input", "payload": [1]}, 1),
    ("validate_contract", {"contract": "c", "direction": "input", "payload": None}, {"contract": "c", "direction": "input", "payload": None}, 0),
    ("validate_contract", {"contract": "c", "direction": "input", "payload": "{no"}, {"contract": "c", "direction": "input", "payload": "{no"}, 0),
]  # fmt: skip

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    # tool, as sent, pointer, what the message says
    ("get_state", {}, "/process_id", "process_id is missing."),
    ("get_state", {"process_id": ""}, "/process_id", "process_id is missing."),
    ("get_state", {"processId": PROCESS}, "/processId", "processId is no argument of get_state, the nearest is process_id"),
    ("get_state", {"process_id": PROCESS, "zzzz": 1}, "/zzzz", "zzzz is no argument of get_state."),
    ("get_state", {"process_id": PROCESS, "a/b~c": 1}, "/a~1b~0c", "a/b~c is no argument"),
    ("get_state", {"process_id": ["p"]}, "/process_id", "process_id must be a string, not a list"),
    ("get_state", {"process_id": True}, "/process_id", "process_id must be a string, not true or false"),
    ("get_state", {"process_id": PROCESS, "wait_s": -1}, "/wait_s", "wait_s must be at least 0, not -1"),
    ("get_state", {"process_id": PROCESS, "wait_s": 2.5}, "/wait_s", "wait_s must be a whole number, not a fraction"),
    ("get_state", {"process_id": PROCESS, "wait_s": "soon"}, "/wait_s", "wait_s must be a whole number, not a string"),
    ("get_state", {"process_id": PROCESS, "wait_s": True}, "/wait_s", "wait_s must be a whole number, not true or false"),
    ("get_state", {"process_id": PROCESS, "include": ["steps"]}, "/include", "include must be a list of plan, report, diagram"),
    ("get_state", {"process_id": PROCESS, "include": "[plan"}, "/include", "the string sent instead is no JSON"),
    ("submit_process", {}, "/process_type", "task or process_type is missing"),
    ("submit_process", {"task": "a", "input": [1]}, "/input", "input must be an object, not a list"),
    ("submit_process", {"task": "a", "input": "4711"}, "/input", "input must be an object, not a number"),
    ("submit_process", {"task": "a", "input": "{'a': 1}"}, "/input", "the string sent instead is no JSON (line 1, column 2)"),
    ("submit_process", {"task": "a", "input": '{"a": 1, "a": 2}'}, "/input", "JSON with a key that stands twice"),
    ("submit_process", {"task": "a", "input": '{"a": NaN}'}, "/input", "JSON with NaN"),
    ("submit_process", {"task": "a", "input": '{"a": 1e999}'}, "/input", "input must be free of NaN and Infinity"),
    ("submit_process", {"task": "a", "input": {"a": [float("nan")]}}, "/input", "input must be free of NaN and Infinity"),
    ("submit_process", {"task": "a", "input": '{"a":' * 100_000}, "/input", "nested too deeply"),
    ("submit_process", {"task": "a", "budget_usd": "$5"}, "/budget_usd", "budget_usd must be a number, not other text"),
    ("submit_process", {"task": "a", "budget_usd": "inf"}, "/budget_usd", "budget_usd must be a finite number"),
    ("submit_process", {"task": "a", "approval": "none"}, "/approval", "approval must be one of policy, plan, every_step"),
    ("list_trace", {"process_id": PROCESS, "data": True}, "/step", "data=true needs step"),
    ("list_trace", {"process_id": PROCESS, "data": "yes"}, "/data", "data must be true or false, not a string"),
    ("list_trace", {"process_id": PROCESS, "limit": 0}, "/limit", "limit must be at least 1, not 0"),
    ("list_processes", {"status": "done"}, "/status", "status must be one of queued, running, waiting_human"),
    ("cancel_process", {"process_id": PROCESS}, "/reason", "reason is missing"),
    ("describe_agents", {"agent": "a", "contract": "c"}, "/contract", "only one of process_type, contract and agent"),
    ("resolve_escalation", {"escalation_id": ESCALATION, "data": {}}, "/decision", "data without decision"),
    ("validate_contract", {"contract": "c", "payload": {}}, "/direction", "direction is missing (or give definition alone)"),
    ("validate_contract", {"definition": "a: 1", "contract": "c"}, "/definition", "definition stands alone"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "sent", "read", "warnings"), ACCEPTED)
def test_what_can_only_mean_one_thing_is_accepted(
    tool: str, sent: dict[str, Any], read: dict[str, Any], warnings: int
) -> None:
    arguments = read_arguments(TEXTS[tool], sent)
    assert arguments.values == read
    assert len(arguments.warnings) == warnings


@pytest.mark.parametrize(("tool", "sent", "pointer", "says"), REFUSED)
def test_what_would_change_meaning_is_refused(tool: str, sent: dict[str, Any], pointer: str, says: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_arguments(TEXTS[tool], sent)
    assert refused.value.code == "BAD_ARGUMENT"
    assert says in refused.value.message
    assert refused.value.pointer == pointer
    assert refused.value.do.startswith(f"call {tool} again with ")


def test_all_faults_of_a_call_are_named_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        read_arguments(TEXTS["get_state"], {"proces_id": PROCESS, "since": "x"})
    assert refused.value.message == (
        "proces_id is no argument of get_state, the nearest is process_id; since must be a whole number, not a string; "
        "process_id is missing."
    )


def test_the_refusal_of_a_huge_value_stays_small() -> None:
    with pytest.raises(RefusedError) as refused:
        read_arguments(TEXTS["get_state"], {"x" * 1_000_000: 1, "process_id": "p"})
    assert len(str(refused.value)) < 1000


@pytest.mark.anyio
async def test_a_bad_argument_reaches_the_model_without_any_library_text(connect: Connect) -> None:
    sent = [(tool, arguments, says) for tool, arguments, _, says in REFUSED if "NaN" not in says]
    async with connect() as client:
        for tool, arguments, says in sent:
            result = await client.call_tool(tool, arguments)
            (content,) = result.content
            assert isinstance(content, TextContent)
            assert result.is_error
            assert content.text.startswith("BAD_ARGUMENT: ")
            assert says in content.text
            assert "pydantic" not in content.text
            assert result.structured_content is not None
            assert result.structured_content["error"]["code"] == "BAD_ARGUMENT"


@pytest.mark.anyio
async def test_what_was_corrected_is_named_in_the_answer(connect: Connect, orchestrator: FakeOrchestrator) -> None:
    async with connect() as client:
        result = await client.call_tool("submit_process", {"process_type": "t", "input": '{"invoice": 4711}'})
    assert result.structured_content is not None
    assert result.structured_content["warnings"] == [
        "input came as a string and was read as JSON; send it as an object."
    ]
    assert orchestrator.seen.submits[0].input == {"invoice": 4711}
