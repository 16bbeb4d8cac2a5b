"""What a host sees before any call: tools, their texts, schemas and hints."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from doors.mcp.conftest import Connect

pytestmark = pytest.mark.anyio

# name: (read only, destructive, idempotent, open world)
HINTS = {
    "submit_process": (False, True, False, True),
    "get_state": (True, False, False, False),
    "list_trace": (True, False, False, False),
    "resolve_escalation": (False, True, False, False),
    "list_escalations": (True, False, False, False),
    "list_processes": (True, False, False, False),
    "cancel_process": (False, True, False, False),
    "estimate_cost": (True, False, False, True),
    "describe_agents": (True, False, False, False),
    "validate_contract": (True, False, False, False),
}
ARGUMENTS = {
    "submit_process": "task process_type input budget_usd approval idempotency_key label wait_s",
    "get_state": "process_id wait_s since include",
    "list_trace": "process_id step kind data after limit",
    "resolve_escalation": "escalation_id decision data note version",
    "list_escalations": "status process_id escalation_id limit cursor",
    "list_processes": "status process_type label since limit cursor",
    "cancel_process": "process_id reason",
    "estimate_cost": "task input process_type plan calls context_tokens output_tokens rate_usd_per_mtok "
    "manual_review_share review_usd cases",
    "describe_agents": "process_type contract agent",
    "validate_contract": "contract version direction payload definition",
}
RESULTS = {
    "submit_process": {"process_id", "status", "why", "version", "next_actions", "poll_after_ms", "cost", "steps"},
    "get_state": {"process_id", "status", "why", "version", "next_actions", "poll_after_ms", "cost", "steps"},
    "list_trace": {"entries", "next_after"},
    "resolve_escalation": {"status", "escalation", "process_status", "recorded", "required", "how", "expires_at"},
    "list_escalations": {"escalations", "next_cursor"},
    "list_processes": {"processes", "next_cursor"},
    "cancel_process": {"process_id", "status", "warnings", "undone"},
    "estimate_cost": {"verdict", "plan", "steps", "total_usd", "single_call_usd", "assumptions", "unknowns"},
    "describe_agents": {"process_types", "contracts", "agents"},
    "validate_contract": {"valid", "errors"},
}


async def test_ten_tools_stand_in_their_order_with_their_hints(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    hints = {
        tool.name: (
            tool.annotations.read_only_hint,
            tool.annotations.destructive_hint,
            tool.annotations.idempotent_hint,
            tool.annotations.open_world_hint,
        )
        for tool in tools
        if tool.annotations is not None
    }
    assert list(hints) == list(HINTS)
    assert hints == HINTS


async def test_every_description_together_costs_under_a_thousand_tokens(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    assert all(tool.description for tool in tools)
    assert sum(len(tool.description or "") for tool in tools) / 4 < 1000


async def test_every_argument_is_published_with_a_description(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    for tool in tools:
        Draft202012Validator.check_schema(tool.input_schema)
        properties: dict[str, Any] = tool.input_schema["properties"]
        assert list(properties) == ARGUMENTS[tool.name].split()
        assert all(schema.get("description") for schema in properties.values())
        assert tool.input_schema["additionalProperties"] is False


async def test_every_result_is_declared_as_an_object_without_a_union_at_its_root(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    for tool in tools:
        schema = tool.output_schema
        assert schema is not None
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf", "$ref", "if"} & schema.keys()
        assert RESULTS[tool.name] <= schema["properties"].keys()
        assert "error" in schema["properties"]


async def test_all_result_schemas_together_stay_short(connect: Connect) -> None:
    async with connect() as client:
        tools = (await client.list_tools()).tools
    sizes = {tool.name: len(json.dumps(tool.output_schema, separators=(",", ":"))) for tool in tools}
    assert sum(sizes.values()) <= 13_000, sizes


async def test_the_tools_that_list_show_the_fields_of_their_rows(connect: Connect) -> None:
    async with connect() as client:
        schemas: dict[str, Any] = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    rows = {
        "get_state": "steps",
        "list_trace": "entries",
        "list_escalations": "escalations",
        "list_processes": "processes",
    }
    shown = {tool: set(schemas[tool]["properties"][field]["items"]["properties"]) for tool, field in rows.items()}
    assert shown["get_state"] >= {"id", "contract", "agent", "status", "attempts", "why", "cost_usd", "items"}
    assert shown["list_trace"] >= {
        "seq",
        "at",
        "event",
        "step",
        "call",
        "verdict",
        "blame",
        "summary",
        "input",
        "output",
    }
    assert shown["list_escalations"] >= {"escalation_id", "question", "options", "evidence", "tried", "resolution"}
    assert shown["list_processes"] >= {"process_id", "status", "why", "version", "step", "cost_usd", "created_at"}


async def test_the_instructions_reach_the_host_and_stand_in_a_prompt_too(connect: Connect) -> None:
    async with connect() as client:
        prompt = await client.get_prompt("how_to_use")
        instructions = client.instructions
    assert instructions is not None
    assert instructions.startswith("This server runs multi-step processes: it calls several agents or services")
    assert 'Errors read "CODE: cause. Do: next call." Do what they say.' in instructions
    assert "estimate_cost if the user asks about price" in instructions
    assert len(instructions) <= 1311
    assert json.loads(prompt.messages[0].content.model_dump_json())["text"] == instructions


async def test_four_prompts_name_their_argument_and_use_it(connect: Connect) -> None:
    expected = {
        "how_to_use": [],
        "review_escalation": ["escalation_id"],
        "explain_failure": ["process_id"],
        "draft_process_type": ["task"],
    }
    async with connect() as client:
        prompts = (await client.list_prompts()).prompts
        assert {prompt.name: [each.name for each in prompt.arguments or []] for prompt in prompts} == expected
        for name, arguments in expected.items():
            if arguments:
                shown = await client.get_prompt(name, {arguments[0]: "the-value {value}"})
                assert "the-value {value}" in shown.messages[0].content.model_dump_json()
