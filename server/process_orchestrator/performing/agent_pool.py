"""All ways to all agents: opened at first need, shared by concurrent calls, replaced when lost or redefined.

Where an agent lives and how hard it may be driven is read from the live registry at each call, so an endpoint or a
secret may change under parked processes. What an agent promised is pinned and arrives with the call. Retries, keys and
the judgement of answers are not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import anyio
import anyio.abc
import anyio.to_thread

from process_orchestrator.checking.definitions import Agent, Transport
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Blame, Fact, FailureClass
from process_orchestrator.core.ports import Clock, InProcessAgent, InProcessCall
from process_orchestrator.performing.agent_links import LinkMaker
from process_orchestrator.performing.answer import Reply, read_value, renamed
from process_orchestrator.performing.child_process import Lifeline
from process_orchestrator.performing.links import AgentCall, Link
from process_orchestrator.performing.mcp_agent import McpLink
from process_orchestrator.performing.secrets import Secrets

RAW_CALL_MS: Final = 60_000
RETIRE_S: Final = 600.0
"""Longest that a link of an earlier definition stays for the calls that run over it."""
OPEN_AHEAD_S: Final = 30.0
OPENED_AHEAD: Final = frozenset({"mcp_stdio", "http"})
"""Kinds with a program of ours to start. A remote server is not connected to before it is called."""

CLOSE_S: Final = 6.0
"""Longest that ending all agents may take: the kill grace, once, and the time to notice."""


class AgentDirectory(Protocol):
    """What of the registry is needed here."""

    @property
    def agents(self) -> tuple[Agent, ...]: ...

    def agent(self, name: str) -> Agent | None: ...


class Answer(Fact, frozen=True, kw_only=True):
    """A value as the agent gave it, known secrets masked, not yet judged."""

    value: Any
    ms: int
    usd_micros: int | None = None
    tokens: int | None = None
    stderr: str | None = None


class AgentHealth(Fact, frozen=True, kw_only=True):
    """How one agent stands, as far as calls have shown."""

    agent: str
    kind: str
    state: str  # idle | up | down
    pid: int | None = None
    calls: int = 0
    failures: int = 0
    last_error: str | None = None


class _Way:
    """A link in use, made for one definition of its agent."""

    def __init__(self, link: Link, transport: Transport) -> None:
        self.link, self.transport = link, transport
        self.calls = 0
        self.retired = False
        self.idle = anyio.Event()

    def fits(self, transport: Transport) -> bool:
        return self.link.usable and (self.transport is transport or self.transport == transport)

    def leave(self) -> None:
        self.calls -= 1
        if self.retired and not self.calls:
            self.idle.set()

    async def retire(self) -> None:
        """End the link once its last call is over: a new definition does not cut off what runs under the old one."""
        self.retired = True
        if self.calls and self.link.usable:
            with anyio.move_on_after(RETIRE_S):
                await self.idle.wait()
        await self.link.aclose()


class _Lane:
    """One agent's place in the pool: its link, its limits, its count."""

    def __init__(self, agent: Agent) -> None:
        self.concurrency = agent.limits.concurrency
        self.places = anyio.Semaphore(max(1, agent.limits.concurrency))
        self.lock = anyio.Lock()
        self.way: _Way | None = None
        self.next_start = 0.0
        self.calls = self.failures = 0
        self.last_error: str | None = None


class AgentPool:
    """Calls agents by name. An async context manager: leaving it ends every agent that it started."""

    def __init__(
        self,
        registry: Callable[[], AgentDirectory],
        *,
        state_dir: Path,
        home: Path,
        clock: Clock,
        in_process: Mapping[str, InProcessAgent] | None = None,
    ) -> None:
        """`registry` is asked at each call. `in_process` agents shadow those of the registry and have no limits."""
        self._registry, self._clock = registry, clock
        self._state_dir, self._home = state_dir, home
        self._in_process = dict(in_process or {})
        self.secrets = Secrets()
        self._lifeline = Lifeline()
        self._lanes: dict[str, _Lane] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._maker: LinkMaker | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._maker = LinkMaker(
            home=self._home,
            state_dir=self._state_dir,
            secrets=self.secrets,
            lifeline=self._lifeline,
            tasks=self._tasks,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = self._tasks
        assert tasks is not None
        self._maker = None
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(CLOSE_S):
                async with anyio.create_task_group() as closing:
                    for lane in self._lanes.values():
                        if lane.way is not None:
                            closing.start_soon(lane.way.link.aclose)
            tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(self._lifeline.close)
        # Without the block's own error, which would come out wrapped in a group.
        await tasks.__aexit__(None, None, None)

    def knows(self, name: str) -> bool:
        """Whether an agent of this name exists now."""
        return name in self._in_process or self._registry().agent(name) is not None

    async def call(self, agent_name: str, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Answer:
        """One call of one agent. `arguments` become the agent's to keep. Raises AgentCallError and nothing else."""
        arguments = renamed(arguments, bind.get("input"))
        in_process = self._in_process.get(agent_name)
        if in_process is not None:
            return await _call_in_process(in_process, arguments, call)
        agent = self._registry().agent(agent_name)
        if agent is None:
            raise AgentCallError("unreachable", f"no agent {agent_name} is registered any more")
        lane = self._lane(agent)
        places = await self._place(lane, agent, call.timeout_ms / 1000)
        started = time.perf_counter()
        lane.calls += 1
        try:
            reply = await self._exchange(lane, agent, bind, arguments, call)
            value = self._value(reply, bind, call, agent)
        except AgentCallError as error:
            lane.failures += 1
            lane.last_error = f"{error.code}: {self.secrets.mask_text(error.message)[:200]}"
            raise
        finally:
            places.release()
        lane.last_error = None
        return Answer(value=value, ms=int((time.perf_counter() - started) * 1000), stderr=reply.stderr)

    def open_ahead(self, agent_names: Iterable[str]) -> None:
        """Begin to open the ways to agents that will soon be called, beside each other.

        A program takes a second to start; a plan of five agents should cost one such second, not five.
        """
        for name in agent_names:
            agent = None if name in self._in_process else self._registry().agent(name)
            if agent is not None and agent.transport.kind in OPENED_AHEAD and self._tasks is not None:
                self._tasks.start_soon(self._open, agent)

    async def _open(self, agent: Agent) -> None:
        with contextlib.suppress(AgentCallError):
            way = await self._way(self._lane(agent), agent)
            await way.link.open(OPEN_AHEAD_S)

    async def call_tool_raw(
        self, agent_name: str, tool: str, arguments: dict[str, Any], *, timeout_ms: int = RAW_CALL_MS
    ) -> dict[str, Any]:
        """A tool's result as an MCP agent gave it, secrets masked; for people who look at an agent."""
        link = await self._mcp_link(agent_name)
        return self.secrets.mask_value(await link.call_raw(tool, arguments, timeout_ms / 1000))

    async def tools(self, agent_name: str, *, timeout_ms: int = RAW_CALL_MS) -> list[dict[str, Any]]:
        """The tools that an MCP agent lists."""
        link = await self._mcp_link(agent_name)
        return self.secrets.mask_value(await link.tools(timeout_ms / 1000))

    def health(self) -> tuple[AgentHealth, ...]:
        """Every registered agent, by name; counts are of this engine's life."""
        return tuple(self._health(agent) for agent in self._registry().agents)

    # --- one agent ----------------------------------------------------------------------------------------------

    def _health(self, agent: Agent) -> AgentHealth:
        kind = "in_process" if agent.name in self._in_process else agent.transport.kind
        lane = self._lanes.get(agent.name)
        if lane is None:
            return AgentHealth(agent=agent.name, kind=kind, state="idle")
        link = lane.way.link if lane.way is not None else None
        up = link is not None and link.usable
        return AgentHealth(
            agent=agent.name,
            kind=kind,
            state="down" if lane.last_error is not None else "up" if up else "idle",
            pid=link.pid if link is not None else None,
            calls=lane.calls,
            failures=lane.failures,
            last_error=lane.last_error,
        )

    def _lane(self, agent: Agent) -> _Lane:
        lane = self._lanes.get(agent.name)
        if lane is None:
            lane = self._lanes[agent.name] = _Lane(agent)
        if lane.concurrency != agent.limits.concurrency:
            # Calls under way keep their old places; for their rest both counts hold together.
            lane.concurrency = agent.limits.concurrency
            lane.places = anyio.Semaphore(max(1, agent.limits.concurrency))
        return lane

    async def _exchange(
        self, lane: _Lane, agent: Agent, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall
    ) -> Reply:
        """One call over the agent's link. The call boundary of an agent: what no link foresaw is a failure as well."""
        way = await self._way(lane, agent)
        way.calls += 1
        try:
            return await way.link.call(bind, arguments, call)
        except AgentCallError:
            raise
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            raise AgentCallError("lost", "the call was broken off from inside") from error
        except Exception as error:
            message = f"the call failed in an unforeseen way: {type(error).__name__}"
            raise AgentCallError("undeclared_error", message, blame=Blame.US) from error
        finally:
            way.leave()

    async def _place(self, lane: _Lane, agent: Agent, timeout_s: float) -> anyio.Semaphore:
        """Wait for a free place and the agent's pace. Nothing was sent where none comes free in time."""
        places = lane.places
        with anyio.move_on_after(timeout_s) as scope:
            await places.acquire()
            if agent.limits.per_s:
                try:
                    await self._pace(lane, agent.limits.per_s)
                except BaseException:
                    places.release()
                    raise
        if scope.cancelled_caught:
            raise AgentCallError("unreachable", f"{agent.name} had no free place within {timeout_s:g} s")
        return places

    async def _pace(self, lane: _Lane, per_s: float) -> None:
        now = anyio.current_time()
        at = max(now, lane.next_start)
        lane.next_start = at + 1 / per_s
        if at > now:
            await anyio.sleep(at - now)

    async def _way(self, lane: _Lane, agent: Agent) -> _Way:
        """The agent's link; a new one where it is lost or where the agent is defined otherwise now."""
        if lane.way is not None and lane.way.fits(agent.transport):
            return lane.way
        async with lane.lock:
            if self._maker is None or self._tasks is None:
                raise AgentCallError("unreachable", "the engine is stopping")
            if lane.way is None or not lane.way.fits(agent.transport):
                if lane.way is not None:
                    self._tasks.start_soon(lane.way.retire)
                lane.way = None
                lane.way = _Way(await self._maker.make(agent), agent.transport)
            return lane.way

    async def _mcp_link(self, agent_name: str) -> McpLink:
        agent = self._registry().agent(agent_name)
        if agent is None:
            raise AgentCallError("unreachable", f"no agent {agent_name} is registered")
        link = (await self._way(self._lane(agent), agent)).link
        if not isinstance(link, McpLink):
            raise AgentCallError("unreachable", f"{agent_name} is no MCP agent: it has no tools to look at")
        return link

    def _value(self, reply: Reply, bind: dict[str, Any], call: AgentCall, agent: Agent) -> Any:
        try:
            cap = min(call.output_bytes, agent.limits.output_bytes)
            value = read_value(reply, bind, max_bytes=cap, depth=call.depth)
        except BodyError as error:
            answer = reply.text[:2000] if reply.text is not None else None
            raise AgentCallError(error.code, error.message, answer=answer, stderr=reply.stderr) from error
        return self.secrets.mask_value(value)


def _is_cancelled() -> bool:
    """Whether this task was told to stop; else a cancellation leaked out of a library that awaits what it cancelled.

    Were that one believed, its call would never end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _call_in_process(agent: InProcessAgent, arguments: dict[str, Any], call: AgentCall) -> Answer:
    started = time.perf_counter()
    told = InProcessCall(process=call.process, call=call.call, contract=call.contract, key=call.key)
    value: Any = None
    with anyio.move_on_after(call.timeout_ms / 1000) as scope:
        try:
            value = await agent(arguments, told)
        except AgentCallError:
            raise
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            raise AgentCallError("lost", "the call was broken off from inside") from error
        except Exception as error:
            message = f"the agent failed: {type(error).__name__}: {error}"
            raise AgentCallError("undeclared_error", message, class_=FailureClass.PERMANENT) from error
    if scope.cancelled_caught:
        raise AgentCallError("timeout", f"no answer within {call.timeout_ms} ms")
    return Answer(value=value, ms=int((time.perf_counter() - started) * 1000))
