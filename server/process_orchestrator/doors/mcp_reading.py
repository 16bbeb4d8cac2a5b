"""What the MCP door offers beside its tools: resources to read, prompts, and completions of their arguments.

Registers and translates; `resources` knows what stands at an address. Annotations are evaluated at run time by the SDK,
hence no `from __future__ import`.
"""

from collections.abc import Awaitable, Callable

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.prompts.base import Prompt, PromptArgument
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.core.limits import TOOL_CALL_S_MAX
from process_orchestrator.doors.resources import COMPLETIONS_MAX, Completer, ResourceReader
from process_orchestrator.doors.tool_texts import PromptText


async def _read(reading: Awaitable[str]) -> str:
    """A resource's text; what is unknown is not found, as the protocol names it."""
    try:
        with anyio.fail_after(TOOL_CALL_S_MAX):
            return await reading
    except TimeoutError:
        raise ResourceError("ENGINE_UNAVAILABLE: the engine did not answer in time. Do: read again.") from None
    except OrchestratorError as error:
        kind = ResourceNotFoundError if error.code.startswith("UNKNOWN_") else ResourceError
        raise kind(str(error)) from error


def add_resources(server: MCPServer[None], reader: ResourceReader) -> None:
    """Every address of the second door, concrete ones first. Parameter names are the parts of the address."""
    json_type, text_type = "application/json", "text/markdown"

    @server.resource("contracts://index", title="All contracts and process types", mime_type=json_type)
    async def contracts_index() -> str:
        return await _read(reader.contracts())

    @server.resource("processes://index", title="All process types", mime_type=json_type)
    async def processes_index() -> str:
        return await _read(reader.processes())

    @server.resource("agents://index", title="All agents", mime_type=json_type)
    async def agents_index() -> str:
        return await _read(reader.agents())

    @server.resource("contracts://{name}/{version}", title="One version of a contract", mime_type=json_type)
    async def contract(name: str, version: str) -> str:
        return await _read(reader.contract(name, version))

    @server.resource("processes://{name}/{version}", title="One version of a process type", mime_type=json_type)
    async def process_type(name: str, version: str) -> str:
        return await _read(reader.process_type(name, version))

    @server.resource("process://{process_id}/state", title="Where a process stands", mime_type=json_type)
    async def process_state(process_id: str) -> str:
        return await _read(reader.state(process_id))

    @server.resource("process://{process_id}/trace", title="Trace, one entry a line", mime_type="application/jsonl")
    async def process_trace(process_id: str) -> str:
        return await _read(reader.trace(process_id))

    @server.resource("process://{process_id}/diagram", title="Mermaid diagram", mime_type="text/vnd.mermaid")
    async def process_diagram(process_id: str) -> str:
        return await _read(reader.diagram(process_id))

    @server.resource("process://{process_id}/steps/{step}/input", title="Input of a step", mime_type=json_type)
    async def step_input(process_id: str, step: str) -> str:
        return await _read(reader.step_body(process_id, step, "input"))

    @server.resource("process://{process_id}/steps/{step}/output", title="Output of a step", mime_type=json_type)
    async def step_output(process_id: str, step: str) -> str:
        return await _read(reader.step_body(process_id, step, "output"))

    @server.resource("escalation://{escalation_id}", title="One question with its package", mime_type=json_type)
    async def escalation(escalation_id: str) -> str:
        return await _read(reader.escalation(escalation_id))

    @server.resource("report://{process_id}", title="Closing report", mime_type=text_type)
    async def report(process_id: str) -> str:
        return await _read(reader.report(process_id))


def prompt_of(text: PromptText) -> Prompt:
    async def render(**given: str) -> str:
        value = given[text.argument] if text.argument else ""
        return text.text.replace("{value}", value)

    named = (
        [PromptArgument(name=text.argument, description=text.argument_description, required=True)]
        if text.argument
        else []
    )
    return Prompt(
        name=text.name,
        title=text.title,
        description=text.description,
        arguments=named,
        fn=render,
        icons=None,
        context_kwarg=None,
    )


def completion_of(completer: Completer) -> Callable[..., Awaitable[Completion | None]]:
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        address = ref.uri if isinstance(ref, ResourceTemplateReference) else ""
        known = (context.arguments if context is not None else None) or {}
        try:
            with anyio.fail_after(TOOL_CALL_S_MAX):
                values = await completer.values(address, argument.name, argument.value, known)
        except (OrchestratorError, TimeoutError):
            return None  # a suggestion that cannot be had is none
        shown = values[:COMPLETIONS_MAX]
        return Completion(values=list(shown), total=len(values), has_more=len(values) > len(shown))

    return complete
