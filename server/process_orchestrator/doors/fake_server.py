"""An MCP server over stdio whose tools answer from contracts: translates, and decides nothing.

A tool has the name of its contract. Annotations are evaluated at run time by the SDK, hence no future import.
"""

import json
import signal
import sys
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from process_orchestrator import __version__
from process_orchestrator.core.facts.values import Effect, Idempotency
from process_orchestrator.doors import standard_streams
from process_orchestrator.usecases.faking import FakeAgent


def build_fake_server(agent: FakeAgent) -> Server[Any]:
    """The server of one fake agent."""
    tools = [_tool(agent, name) for name in sorted(agent.contracts)]

    async def list_tools(_context: Any, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.name not in agent.contracts:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:100]}")
        # One after the other: the agent remembers keys, and is not made for two threads.
        async with one_at_a_time:
            answer = await anyio.to_thread.run_sync(agent.answer, params.name, params.arguments or {})
        if answer.error is not None:
            text = f"{answer.error}: {answer.message}"
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
        text = json.dumps(answer.value, ensure_ascii=False)
        return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer.value)

    one_at_a_time = anyio.Lock()
    instructions = "Answers are made up from contracts: for trying out and for tests."
    return Server(
        "process-orchestrator-fakes",
        version=__version__,
        instructions=instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_fakes(agent: FakeAgent) -> None:
    """Speak MCP on the standard streams until the host closes its side, or a signal asks to end."""
    server = build_fake_server(agent)
    with standard_streams.endable_stdin() as end_input:
        async with anyio.create_task_group() as group:
            if sys.platform != "win32":
                group.start_soon(_end_on_signal, end_input)
            try:
                async with stdio_server() as (received, sent):
                    with standard_streams.prints_go_to_stderr():
                        await server.run(received, sent, server.create_initialization_options())
            finally:
                standard_streams.close_the_wire()
                group.cancel_scope.cancel()


async def _end_on_signal(end_input: Callable[[], None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            end_input()


def _tool(agent: FakeAgent, name: str) -> Tool:
    contract = agent.contracts[name]
    changes = contract.effect in {Effect.WRITE, Effect.IRREVERSIBLE}
    return Tool(
        name=name,
        description=contract.summary,
        input_schema=contract.input,
        output_schema=contract.output,
        annotations=ToolAnnotations(
            read_only_hint=not changes,
            destructive_hint=contract.effect is Effect.IRREVERSIBLE,
            idempotent_hint=contract.idempotency is not Idempotency.UNSAFE,
        ),
    )
