"""MCP agents: one owner task and one shared client each, over stdio or streamable HTTP.

The only room here that knows the MCP SDK. It opens lazily, is shared by concurrent calls, and dies as a whole when its
agent does; the pool then makes a new one. What an answer means is `answer`'s business, what it must be `invoke`'s.

The SDK's own stdio transport is not used: it buffers a line without bound, parses before we can see a duplicate key,
and leaves its children behind when this process is killed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

import anyio
import anyio.abc
import anyio.to_thread
import mcp_types
import msgspec
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from process_orchestrator.checking.retry_after import told_retry_after_ms
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Blame
from process_orchestrator.performing.answer import Reply, refusal
from process_orchestrator.performing.child_process import KILL_GRACE_S, ChildProcess, Launch, Lifeline, start_child
from process_orchestrator.performing.framing import Broken, Flood, LineFramer, Message, Noise
from process_orchestrator.performing.links import AgentCall, told_to_stop
from process_orchestrator.performing.mcp_http_guard import TRANSPORT_FAILURE, Failures, LineCaps, Way, guarded_client
from process_orchestrator.performing.mcp_listing import Listing, Notices, all_tools
from process_orchestrator.performing.remote_process import RemoteProcess

CONNECT_S: Final = 30.0
"""Longest that a start and handshake may take; a call waits for it no longer than its own deadline."""

NOISE_BYTES_MAX: Final = 65_536
"""Bytes on stdout that are no message, during one call, before that call is given up."""

ENVELOPE_DEPTH: Final = 8
"""Levels that JSON-RPC and MCP put around an answer."""

ENVELOPE_BYTES: Final = 65_536
COPIES: Final = 4
"""An answer may stand in its line twice, once as structured content and once, escaped, as text."""

DROPPED_BYTES_MAX: Final = 256_000_000
"""Of one endless line, before the agent is ended: it will answer nobody else."""

NOISE_FLOOD_BYTES: Final = 4_000_000
"""Noise without a message between, before the agent is ended: reading it on would cost its neighbours."""

MUTE_GRACE_S: Final = 0.5
"""From asking an agent to end that has not answered a ping for the whole kill grace until it is killed."""

NOISE_KEPT: Final = 2000
PIPES_AFTER_EXIT_S: Final = 1.0
THREAD_BYTES: Final = 262_144
"""A line over this is parsed in a worker thread, so that neighbours go on."""

WRITES_WAITING_MAX: Final = 256
LINEAGE_META: Final = "process-orchestrator/lineage"
Result = TypeVar("Result")
TransportStreams = tuple[Any, Any]
TransportOpener = Callable[["McpLink"], AbstractAsyncContextManager[TransportStreams]]


async def _accept_result(name: str, result: mcp_types.CallToolResult) -> None:
    """Instead of the SDK's own check.

    It runs a pure-Python validator with the *server's* schema in the event loop: a 27-character string blocked it for
    9 s. Our pinned contract is checked by `invoke`.
    """


class McpLink:
    """One live client. `open_transport` says over what; `on_down` is told when it is over."""

    def __init__(
        self,
        name: str,
        open_transport: TransportOpener,
        *,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self.name = name
        self._open_transport, self._tasks = open_transport, tasks
        self._client: Client | None = None
        self._opened, self._over, self._ended = anyio.Event(), anyio.Event(), anyio.Event()
        self._started = False
        self._connecting, self._connect_s = anyio.CancelScope(), CONNECT_S
        self._failure: AgentCallError | None = None
        self.child: ChildProcess | None = None
        self.heard_at = 0.0
        self.stop_grace_s = KILL_GRACE_S
        self.failures = Failures()
        self.noise = ""
        self._told = Notices()

    @property
    def usable(self) -> bool:
        return not self._over.is_set()

    @property
    def pid(self) -> int | None:
        return self.child.pid if self.child is not None and self.child.returncode is None else None

    def lose(self) -> None:
        """The connection is gone: no further call may use it, and its owner winds it down."""
        self._over.set()

    async def open(self, timeout_s: float) -> None:
        with suppress(AgentCallError):
            await self._connected(timeout_s)

    async def aclose(self) -> None:
        self._over.set()
        if self._client is None:
            self._connecting.cancel()
        if self._started:
            await self._ended.wait()

    async def call(self, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Reply:
        timeout_s = call.timeout_ms / 1000
        deadline = anyio.current_time() + timeout_s
        client = await self._connected(timeout_s)
        meta: Any = {LINEAGE_META: list(call.lineage)} if call.lineage else None

        async def ask(tool: str, given: dict[str, Any]) -> Reply:
            return self._reply(await self._asked(client.call_tool(tool, given, meta=meta)))

        remote = RemoteProcess(ask, partial(self._resource, client), bind, call) if "process" in bind else None
        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                if remote is not None:
                    return await remote.run(arguments)
                reply = await ask(bind["tool"], arguments)
        except TimeoutError:
            self._tasks.start_soon(self._end_if_mute)
            message, answered = f"no answer within {call.timeout_ms} ms", remote is not None and remote.is_started
            raise AgentCallError("timeout", message, stderr=self._evidence(), answered=answered) from None
        except anyio.get_cancelled_exc_class():
            if remote is not None and told_to_stop():
                await remote.stop()
            raise
        if reply.failed:
            raise refusal(reply, bind)
        return reply

    async def _resource(self, client: Client, uri: str) -> bytes:
        found = await self._asked(client.read_resource(uri))
        texts = [each.text for each in found.contents if isinstance(each, mcp_types.TextResourceContents)]
        return "".join(texts).encode(errors="surrogatepass")

    async def call_raw(self, tool: str, arguments: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """A tool's result as the agent gave it, for people who look at an agent."""
        client = await self._connected(timeout_s)
        try:
            with anyio.fail_after(timeout_s):
                result = await self._asked(client.call_tool(tool, arguments))
        except TimeoutError:
            raise AgentCallError("timeout", f"no answer within {timeout_s:g} s", stderr=self._evidence()) from None
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    async def tools(self, timeout_s: float) -> list[dict[str, Any]]:
        """The tools that the agent lists, as it describes them. Its start may take as long as its answer."""
        deadline = anyio.current_time() + timeout_s
        if not self._started:
            self._connect_s = max(CONNECT_S, timeout_s)  # the first start of a package may have to fetch it
        client = await self._connected(timeout_s)

        async def page(cursor: str | None) -> Listing:
            request = mcp_types.ListToolsRequest(params=mcp_types.PaginatedRequestParams(cursor=cursor))
            return await self._asked(client.session.send_request(request, Listing))

        try:
            with anyio.fail_after(deadline - anyio.current_time()):
                return await all_tools(page)
        except TimeoutError:
            message = f"no list of tools within {timeout_s:g} s"
            raise AgentCallError("timeout", message, stderr=self._evidence()) from None

    async def definitions(self, timeout_s: float) -> dict[str, dict[str, Any]]:
        """Every tool by its name; of two with one name the first, which is whom a client finds."""
        return {str(tool.get("name")): tool for tool in reversed(await self.tools(timeout_s))}

    @property
    def notices(self) -> int:
        return self._told.count

    def subscribe(self, on_notice: Callable[[], None]) -> None:
        self._told.subscribe(on_notice)

    # --- connection ---------------------------------------------------------------------------------------------

    async def _connected(self, timeout_s: float) -> Client:
        if not self._started:
            self._started = True
            self._tasks.start_soon(self._own)
        if not self._opened.is_set():
            with anyio.move_on_after(timeout_s):
                await self._opened.wait()
        if self._client is not None and not self._over.is_set():
            return self._client
        if self._failure is not None:
            raise AgentCallError(self._failure.code, self._failure.message, stderr=self._failure.stderr)
        message = f"the agent is not ready after {timeout_s:g} s"
        raise AgentCallError("unreachable", message, stderr=self._evidence())

    async def _own(self) -> None:
        """The owner task: opens, waits until it is over, closes. The call boundary of an agent: nothing escapes."""
        try:
            await self._serve()
        except Exception as error:  # noqa: BLE001 - the call boundary of an agent
            if self._failure is None:
                self._failure = self._unreachable(error)
        finally:
            self._client = None
            self._over.set()
            self._opened.set()
            self._ended.set()

    async def _serve(self) -> None:
        with self._connecting as connecting:
            connecting.deadline = anyio.current_time() + self._connect_s
            transport = _Transport(self._open_transport(self))
            client = Client(transport, mode="auto", cache=None, message_handler=self._told.heard)
            async with client:
                connecting.deadline = float("inf")
                # The instance's own attribute wins over the method of its class.
                client.session.validate_tool_result = _accept_result
                self._client = client
                self._opened.set()
                async with anyio.create_task_group() as beside:
                    beside.start_soon(self._told.listen, client)
                    await self._over.wait()
                    beside.cancel_scope.cancel()
        if connecting.cancelled_caught:
            message = f"no MCP handshake within {self._connect_s:g} s"
            self._failure = AgentCallError("unreachable", message, stderr=self._evidence())

    async def _asked(self, question: Awaitable[Result]) -> Result:
        """The SDK's result, or its failure in our words."""
        try:
            return await question
        except MCPError as error:
            raise self._failed(error) from None
        except ValidationError as error:
            message = f"the answer is no MCP result ({error.error_count()} faults)"
            raise AgentCallError("output_mismatch", message, stderr=self._evidence()) from None
        except Exception as error:
            message = f"the MCP client failed: {type(error).__name__}"
            raise AgentCallError("undeclared_error", message, stderr=self._evidence()) from error

    def _failed(self, error: MCPError) -> AgentCallError:
        ours = self.failures.take(error.data)
        if ours is not None:
            ours.stderr = ours.stderr or self._evidence()
            return ours
        if self._over.is_set() or (error.code == mcp_types.CONNECTION_CLOSED and self.child is not None):
            code = None if self.child is None else self.child.returncode
            ended = "" if code is None else f" (exit status {code})"
            return AgentCallError("lost", f"the agent ended in the middle of the call{ended}", stderr=self._evidence())
        return AgentCallError(
            "undeclared_error", f"the agent refused: {error.message}", answer=error.message, stderr=self._evidence()
        )

    def _unreachable(self, error: BaseException) -> AgentCallError:
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        if isinstance(error, AgentCallError):
            return AgentCallError("unreachable", error.message, stderr=error.stderr or self._evidence())
        ours = self.failures.take(error.data) if isinstance(error, MCPError) else None
        if ours is not None:
            return AgentCallError("unreachable", ours.message, stderr=ours.stderr or self._evidence())
        if isinstance(error, OSError):
            message = f"the agent's program does not start: {error.strerror or type(error).__name__}"
        else:
            message = f"the agent does not complete the MCP handshake: {type(error).__name__}: {error}"
        return AgentCallError("unreachable", message, stderr=self._evidence())

    async def _end_if_mute(self) -> None:
        """After a timeout: an agent that does not even answer a ping within the kill grace is ended.

        One that only works slowly answers, and keeps its other calls.
        """
        asked_at, client = anyio.current_time(), self._client
        if client is None or self.child is None:
            return
        # The call boundary of an agent: any answer shows life, an error as well as a pong.
        with anyio.move_on_after(KILL_GRACE_S), suppress(Exception):
            await client.session.send_request(mcp_types.PingRequest(), mcp_types.EmptyResult)
        if self.heard_at < asked_at:
            self.stop_grace_s = MUTE_GRACE_S
            self.lose()

    def _evidence(self) -> str | None:
        tail = self.child.log.tail() if self.child is not None else None
        noise = f"[stdout] {self.noise}" if self.noise else None
        return "\n".join(part for part in (tail, noise) if part) or None

    def _reply(self, result: mcp_types.CallToolResult) -> Reply:
        texts = [block.text for block in result.content if isinstance(block, mcp_types.TextContent)]
        given = "structured_content" in result.model_fields_set and result.structured_content is not None
        return Reply(
            structured=result.structured_content if given else msgspec.UNSET,
            text="\n".join(texts) if texts else None,
            failed=bool(result.is_error),
            retry_after_ms=told_retry_after_ms(result.structured_content, result.meta) if result.is_error else None,
            stderr=self._evidence(),
        )


class _Transport:
    """An async context manager as the SDK wants it: a plain object, not a generator."""

    def __init__(self, inner: AbstractAsyncContextManager[TransportStreams]) -> None:
        self._inner = inner

    async def __aenter__(self) -> TransportStreams:
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


def http_opener(url: str, way: Way, *, body_bytes_max: int, depth_max: int) -> TransportOpener:
    """A transport over streamable HTTP whose reads are bounded and whose failures cost one call, not the client."""

    @asynccontextmanager
    async def open_http(link: McpLink) -> AsyncGenerator[TransportStreams]:
        caps = LineCaps(bytes=COPIES * body_bytes_max + ENVELOPE_BYTES, depth=depth_max + ENVELOPE_DEPTH)
        client = guarded_client(way, caps=caps, failures=link.failures)
        async with client, streamable_http_client(url, http_client=client, max_sse_event_size=caps.bytes) as streams:
            yield streams

    return open_http


def stdio_opener(
    launch: Callable[[], Awaitable[Launch]], *, lifeline: Lifeline, body_bytes_max: int, depth_max: int
) -> TransportOpener:
    """A transport to a program that speaks on its stdin and stdout."""

    @asynccontextmanager
    async def open_stdio(link: McpLink) -> AsyncGenerator[TransportStreams]:
        child = await start_child(await launch(), lifeline=lifeline, pipes=True)
        framer = LineFramer(
            line_bytes_max=COPIES * body_bytes_max + ENVELOPE_BYTES, depth_max=depth_max + ENVELOPE_DEPTH
        )
        pipes = _StdioPipes(child, framer, link)
        link.child = child
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pipes.read)
                tasks.start_soon(pipes.write)
                tasks.start_soon(pipes.watch)
                if child.stderr is not None:
                    tasks.start_soon(child.log.pump, child.stderr)
                try:
                    yield pipes.incoming, pipes.outgoing
                finally:
                    await child.stop(link.stop_grace_s)
                    tasks.cancel_scope.cancel()
        finally:
            pipes.close()

    return open_stdio


class _StdioPipes:
    """Between a child's pipes and the SDK's streams: every line is scanned strictly, every verdict finds its call."""

    def __init__(self, child: ChildProcess, framer: LineFramer, link: McpLink) -> None:
        self._child, self._framer, self._link = child, framer, link
        self._deliver, self.incoming = anyio.create_memory_object_stream[SessionMessage | Exception](16)
        self.outgoing, self._orders = anyio.create_memory_object_stream[SessionMessage](WRITES_WAITING_MAX)
        self._waiting: dict[int, int] = {}  # request id -> bytes of noise that began while it waited
        self._disturbed: set[int] = set()  # requests that waited when the present line of noise began
        self._noise_unbroken = 0
        self._unasked = Flood()

    def close(self) -> None:
        for stream in (self._deliver, self.incoming, self.outgoing, self._orders):
            stream.close()

    async def write(self) -> None:
        """Carry requests to the child. A pipe that breaks ends the link."""
        stdin = self._child.stdin
        with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, OSError):
            async for order in self._orders:
                message = order.message
                if isinstance(message, mcp_types.JSONRPCRequest) and isinstance(message.id, int):
                    if not self._waiting:
                        self._link.noise = ""
                        self._child.log.forget()
                    self._waiting[message.id] = 0
                elif isinstance(message, mcp_types.JSONRPCNotification):
                    self._forget_cancelled(message)
                line = message.model_dump_json(by_alias=True, exclude_unset=True)
                if stdin is not None:
                    await stdin.send(line.encode() + b"\n")
        self._link.lose()

    async def read(self) -> None:
        """Carry answers from the child until its stdout ends or it is past saving."""
        stdout = self._child.stdout
        with self._deliver, suppress(anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream, OSError):
            while stdout is not None and self._link.usable and self._framer.dropped < DROPPED_BYTES_MAX:
                chunk = await stdout.receive()
                self._link.heard_at = anyio.current_time()
                for cut in self._framer.cut(chunk):
                    await self._take(cut)
                    if not self._link.usable:
                        break
                if self._noise_unbroken > NOISE_FLOOD_BYTES:
                    break
        self._link.lose()

    async def watch(self) -> None:
        """End the link when the child has exited although a grandchild holds its pipes open."""
        await self._child.wait(float("inf"), poll_s=PIPES_AFTER_EXIT_S)
        await anyio.sleep(PIPES_AFTER_EXIT_S)
        self._link.lose()

    async def _take(self, cut: bytes | Broken | Noise) -> None:
        if not isinstance(cut, bytes):
            frame = cut
        elif len(cut) > THREAD_BYTES:
            frame = await anyio.to_thread.run_sync(self._framer.scan, cut)
        else:
            frame = self._framer.scan(cut)
        if isinstance(frame, Message):
            self._noise_unbroken = 0
            await self._message(frame)
        elif isinstance(frame, Broken):
            for request in self._addressed(frame.ids):
                await self._fail(request, AgentCallError(frame.code, frame.message, answer=frame.sample))
        else:
            await self._noise(frame)

    async def _message(self, frame: Message) -> None:
        named = frame.value.get("id")
        answered = named if isinstance(named, int) and named in self._waiting and "method" not in frame.value else None
        try:
            message = mcp_types.jsonrpc_message_adapter.validate_python(frame.value, by_name=False)
        except ValidationError:
            if answered is not None:
                await self._fail(answered, AgentCallError("output_mismatch", "the answer is no JSON-RPC message"))
            return
        if answered is not None:
            self._waiting.pop(answered, None)
        elif self._unasked.one_more(anyio.current_time()):
            self._link.lose()
            return
        await self._deliver.send(SessionMessage(message))

    async def _noise(self, frame: Noise) -> None:
        self._noise_unbroken += frame.count
        if frame.sample:
            kept = f"{self._link.noise}\n{frame.sample}".strip()[-NOISE_KEPT:]
            self._link.noise = self._child.log.masked(kept)
        if frame.begins:
            self._disturbed = set(self._waiting)
        for request in self._disturbed & self._waiting.keys():
            self._waiting[request] += frame.count
            if self._waiting[request] > NOISE_BYTES_MAX:
                message = f"over {NOISE_BYTES_MAX} bytes on stdout that are no message"
                failure = AgentCallError("not_json", message, blame=Blame.TRANSPORT, answer=self._link.noise)
                await self._fail(request, failure)

    def _addressed(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The calls that a broken line ends: the one that it names, else all that it may have been meant for."""
        for named in ids:
            if named in self._waiting:
                return (named,)
        return tuple(self._waiting)

    async def _fail(self, request: int, failure: AgentCallError) -> None:
        self._waiting.pop(request, None)
        error = mcp_types.ErrorData(
            code=TRANSPORT_FAILURE, message=failure.code, data=self._link.failures.keep(failure)
        )
        await self._deliver.send(SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=request, error=error)))

    def _forget_cancelled(self, message: mcp_types.JSONRPCNotification) -> None:
        if message.method == "notifications/cancelled" and message.params is not None:
            self._waiting.pop(message.params.get("requestId", -1), None)
