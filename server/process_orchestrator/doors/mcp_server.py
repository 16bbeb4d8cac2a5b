"""The MCP door: publishes tools, resources and prompts over an orchestrator, in every protocol revision the SDK serves.

It translates and decides nothing. Here are the server and its tools; `mcp_reading` has what else it offers. Only these
two import `mcp`: texts, argument reading, results, forms and resources stand beside them. Annotations are evaluated at
run time by the SDK, hence no `from __future__ import`.
"""

import logging
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import anyio
from mcp.server.caching import CacheHint
from mcp.server.mcpserver import (
    AcceptedElicitation,
    Context,
    DeclinedElicitation,
    Elicit,
    ElicitationResult,
    MCPServer,
    RequestStateSecurity,
    Resolve,
)
from mcp.server.mcpserver.exceptions import (
    ToolError,
    UnexpectedToolError,
)
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import (
    CallToolResult,
    InputRequiredResult,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel, ConfigDict

from process_orchestrator import __version__
from process_orchestrator.core.errors import OrchestratorError, RefusedError
from process_orchestrator.core.limits import TOOL_CALL_S_MAX
from process_orchestrator.doors import standard_streams
from process_orchestrator.doors.arguments import LINEAGE_META, read_arguments, read_lineage
from process_orchestrator.doors.change_feed import ChangeFeed
from process_orchestrator.doors.decision_form import DecisionForm, Suggestion, build_form, read_form
from process_orchestrator.doors.mcp_reading import add_resources, completion_of, prompt_of
from process_orchestrator.doors.request_state_key import request_state_key
from process_orchestrator.doors.resources import Completer, ResourceReader
from process_orchestrator.doors.results import (
    VIEWS,
    Answer,
    answer_of,
    answer_of_error,
    published_output_schema,
)
from process_orchestrator.doors.tool_calls import ToolCall, ToolCalls
from process_orchestrator.doors.tool_texts import INSTRUCTIONS, PROMPTS, TOOLS, ToolText
from process_orchestrator.orchestrator import Orchestrator
from process_orchestrator.views.models import Caller, View

logger = logging.getLogger(__name__)

NAME: Final = "process-orchestrator"
ASKING_TOOL: Final = "resolve_escalation"
QUESTION_S_MAX: Final = 270
"""Longest that a call waits for the user's answer to a form: with the calls around it, 300 s."""
STATE_TTL_S: Final = 86_400
"""How long an answer to a question asked through the host still counts."""


def build_server(
    orchestrator: Orchestrator,
    *,
    changes: ChangeFeed | None = None,
    state_key: bytes | None = None,
    on_serving: Callable[[], Any] | None = None,
) -> MCPServer[None]:
    """The MCP server of one orchestrator.

    `changes` feeds subscribers; without it nobody hears of changes. `state_key` is the kept key that lets open
    questions outlive a restart; without it they do not. `on_serving` is a context manager entered while the server
    runs.
    """
    bus = InMemorySubscriptionBus()

    @asynccontextmanager
    async def lifespan(_: MCPServer[None]) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            if on_serving is not None:
                stack.enter_context(on_serving())
            if changes is not None:
                group = await stack.enter_async_context(anyio.create_task_group())
                group.start_soon(_publish, changes, bus)
                stack.callback(group.cancel_scope.cancel)
            yield

    security = (
        RequestStateSecurity.ephemeral(ttl=STATE_TTL_S)
        if state_key is None
        else RequestStateSecurity(keys=[state_key], ttl=STATE_TTL_S)
    )
    return OrchestratorServer(orchestrator, lifespan=lifespan, bus=bus, security=security)


async def serve_stdio(orchestrator: Orchestrator, *, state_dir: Path, changes: ChangeFeed | None = None) -> None:
    """Speak MCP on the standard streams until the host closes its side, or a signal asks to end."""
    server = build_server(
        orchestrator,
        changes=changes,
        state_key=await anyio.to_thread.run_sync(request_state_key, state_dir),
        on_serving=standard_streams.prints_go_to_stderr,
    )
    with standard_streams.endable_stdin() as end_input:
        async with anyio.create_task_group() as group:
            if sys.platform != "win32":
                group.start_soon(_end_on_signal, end_input)
            try:
                await server.run_stdio_async()
            finally:
                standard_streams.close_the_wire()
                group.cancel_scope.cancel()


async def _end_on_signal(end_input: Callable[[], None]) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            end_input()


async def _publish(changes: ChangeFeed, bus: InMemorySubscriptionBus) -> None:
    async with aclosing(changes.batches()) as batches:
        async for batch in batches:
            for address in batch:
                await bus.publish(ResourceUpdated(uri=address))


class OrchestratorServer(MCPServer[None]):
    """Gives every call its ceiling and every failure its form; the SDK's own forms have neither code nor advice."""

    def __init__(
        self,
        orchestrator: Orchestrator,
        *,
        lifespan: Callable[[MCPServer[None]], Any],
        bus: InMemorySubscriptionBus,
        security: RequestStateSecurity,
    ) -> None:
        self._desk = _Desk(orchestrator)
        super().__init__(
            NAME,
            title="Process Orchestrator",
            instructions=INSTRUCTIONS,
            version=__version__,
            tools=[self._desk.tool(text) for text in TOOLS],
            lifespan=lifespan,
            subscriptions=bus,
            request_state_security=security,
            cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="public")},
            log_level="WARNING",
        )
        add_resources(self, ResourceReader(orchestrator, Caller()))
        for text in PROMPTS:
            self.add_prompt(prompt_of(text))
        self.completion()(completion_of(Completer(orchestrator, Caller())))

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; every failure but one of the protocol is an answer with a code."""
        if name not in VIEWS:
            return _result(self._desk.unknown_tool(name))
        if name == ASKING_TOOL:
            return await self._ask_and_call(arguments, context)
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            return _result(self._desk.failed(error))

    async def _ask_and_call(
        self, arguments: dict[str, Any], context: Context[None, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        """The one call that may wait for a person. A host that cannot carry the question leaves it open."""
        with anyio.move_on_after(QUESTION_S_MAX):
            try:
                return await super().call_tool(ASKING_TOOL, arguments, context)
            except UnexpectedToolError as error:
                return _result(self._desk.failed(error))
            except (ToolError, MCPError) as error:
                logger.info("the host brought no usable answer: %s", error)
                return await self._desk.left_open(arguments, context, "The host brought back no usable answer.")
        return await self._desk.left_open(arguments, context, "The user did not answer in time.")


@dataclass(frozen=True)
class _NotAsked:
    """The user was not asked. Explicit, because the SDK hands on a value that nobody accepted as an accepted one."""


class _FormModel(BaseModel):
    """What `Elicit` takes: publishes the form, accepts whatever comes back. `read_form` judges it."""

    model_config = ConfigDict(extra="allow")
    form: ClassVar[DecisionForm]

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
        return dict(cls.form.schema)


class _WholeArguments(FuncMetadata):
    """Hands the arguments on as they came: reading them is `arguments`' work, not pydantic's."""

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        return {"arguments": arguments_to_validate}


class _Desk:
    """Carries calls from MCP's form into ours, and answers back."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._calls = ToolCalls(orchestrator)

    def tool(self, text: ToolText) -> Tool:
        """The published tool of one text."""
        asking = text.name == ASKING_TOOL
        tool = Tool.from_function(
            self._asking_function(text) if asking else self._plain_function(text),
            name=text.name,
            title=text.title,
            description=text.description,
            annotations=ToolAnnotations(
                title=text.title,
                read_only_hint=text.read_only,
                destructive_hint=text.destructive,
                idempotent_hint=text.idempotent,
                open_world_hint=text.open_world,
            ),
        )
        tool.parameters = text.input_schema()
        tool.fn_metadata = _WholeArguments(arg_model=ArgModelBase, output_schema=published_output_schema(text.name))
        return tool

    def _plain_function(self, text: ToolText) -> Callable[..., Any]:
        async def run(arguments: dict[str, Any], ctx: Context[None, Any]) -> CallToolResult:
            return _result(await self._answer(lambda: self._carry_out(text, arguments, ctx)))

        return run

    def _asking_function(self, text: ToolText) -> Callable[..., Any]:
        async def decision(arguments: dict[str, Any], ctx: Context[None, Any]) -> _NotAsked | Elicit[_FormModel]:
            form = await self._form(text, arguments, ctx)
            if form is None:
                return _NotAsked()
            return Elicit(form.message, type("Decision", (_FormModel,), {"form": form, "__module__": __name__}))

        async def run(
            arguments: dict[str, Any],
            ctx: Context[None, Any],
            answer: Annotated[ElicitationResult[Any], Resolve(decision)],
        ) -> CallToolResult:
            return _result(await self._answer(lambda: self._decide(text, arguments, ctx, answer)))

        return run

    async def _answer(self, work: Callable[[], Awaitable[View]]) -> Answer:
        """The top of the door: whatever happens below becomes an answer, and within the ceiling."""
        try:
            with anyio.fail_after(TOOL_CALL_S_MAX):
                return answer_of(await work())
        except MCPError:
            raise
        except Exception as error:  # noqa: BLE001  the top of a door: nothing may pass it as a traceback
            return self.failed(error)

    def failed(self, error: Exception) -> Answer:
        """The answer to a failure; a fault of our own goes to the log as well."""
        if not isinstance(error, OrchestratorError | TimeoutError):
            logger.error("a call met an unexpected fault", exc_info=error)
        return answer_of_error(error, self._orchestrator)

    def unknown_tool(self, name: str) -> Answer:
        return self.failed(
            RefusedError(
                "BAD_ARGUMENT",
                f"there is no tool {name[:64]}.",
                do=f"call one of {', '.join(VIEWS)}.",
            )
        )

    async def left_open(
        self, arguments: Mapping[str, Any], ctx: Context[None, Any] | None, message: str
    ) -> CallToolResult:
        """The answer where the user was asked and nothing usable came back: nothing is recorded."""
        text = next(tool for tool in TOOLS if tool.name == ASKING_TOOL)
        return _result(
            await self._answer(
                lambda: self._calls.leave_open(_call(text, arguments, ctx), refused=False, message=message)
            )
        )

    async def _carry_out(self, text: ToolText, arguments: Mapping[str, Any], ctx: Context[None, Any]) -> View:
        return await self._calls.call(text.name, _call(text, arguments, ctx))

    async def _form(self, text: ToolText, arguments: Mapping[str, Any], ctx: Context[None, Any]) -> DecisionForm | None:
        """The form to show, or None where the user is not asked; whatever is wrong is said by the call itself."""
        if not _host_asks(ctx):
            return None
        try:
            with anyio.fail_after(TOOL_CALL_S_MAX):
                call = _call(text, arguments, ctx)
                escalation = await self._calls.escalation(call)
        except (OrchestratorError, TimeoutError):
            return None
        given = call.arguments
        if escalation.status != "open" or given.get("version", escalation.version) != escalation.version:
            return None
        if escalation.process_id in call.caller.lineage:
            return None
        suggested = Suggestion(decision=given.get("decision"), data=given.get("data"), note=given.get("note"))
        return build_form(escalation, suggested)

    async def _decide(
        self,
        text: ToolText,
        arguments: Mapping[str, Any],
        ctx: Context[None, Any],
        answer: ElicitationResult[Any],
    ) -> View:
        call = _call(text, arguments, ctx)
        if isinstance(answer, AcceptedElicitation):
            if isinstance(answer.data, _NotAsked):
                if ctx.input_responses:
                    return await self._calls.leave_open(
                        call, refused=False, message="The question changed while the user answered; ask again."
                    )
                return await self._calls.call(text.name, call)
            form: DecisionForm = answer.data.form
            chosen = read_form(form, answer.data.model_extra or {})
            if chosen is None:
                return await self._calls.leave_open(
                    call, refused=False, message="The form came back without one of its decisions."
                )
            return await self._calls.resolve_by_form(call, chosen, version=form.version)
        if isinstance(answer, DeclinedElicitation):
            return await self._calls.leave_open(call, refused=True, message="The user declined to answer here.")
        return await self._calls.leave_open(call, refused=False, message="The user closed the form without an answer.")


def _call(text: ToolText, arguments: Mapping[str, Any], ctx: Context[None, Any] | None) -> ToolCall:
    """Read one call. Raises RefusedError (BAD_ARGUMENT)."""
    meta: Mapping[str, Any] = (ctx.request_context.meta if ctx is not None else None) or {}
    return ToolCall(
        arguments=read_arguments(text, arguments),
        caller=Caller(lineage=read_lineage(meta.get(LINEAGE_META)), channel="mcp"),
        progress=ctx.report_progress if ctx is not None else None,  # says nothing where the host did not ask
    )


def _result(answer: Answer) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=answer.text)],
        structured_content=answer.structured,
        is_error=answer.is_error,
    )


def _host_asks(ctx: Context[None, Any]) -> bool:
    """Whether the host can show a form: it said so, and did not name other modes only."""
    capabilities = ctx.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)
