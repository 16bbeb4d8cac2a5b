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
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import anyio
import anyio.abc
import anyio.to_thread
from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Agent, Contract
from process_orchestrator.checking.documents.model_agents import KIND, model_promise
from process_orchestrator.checking.documents.pins import Definition, Pins, bound_name
from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.plans.plan_document import PinnedAgent
from process_orchestrator.core.errors import AgentCallError, BodyError
from process_orchestrator.core.facts.values import Blame, ContractPin, Fact, FailureClass, Usage
from process_orchestrator.core.limits import CHILD_LIMITS, PIN_CHECK_S, ChildLimits
from process_orchestrator.core.ports import AgentHealth, Clock, InProcessAgent, InProcessCall
from process_orchestrator.llm.port import Model, NoModel
from process_orchestrator.performing.address import Resolver, resolved
from process_orchestrator.performing.agent_links import Folders, LinkMaker
from process_orchestrator.performing.answer import Reply, read_value, renamed
from process_orchestrator.performing.child_process import Lifeline
from process_orchestrator.performing.choice import WELL, Standing
from process_orchestrator.performing.deadlines import Deadlines
from process_orchestrator.performing.lane import Lane, Way
from process_orchestrator.performing.links import AgentCall, Link
from process_orchestrator.performing.model_agent import tokens_told
from process_orchestrator.performing.pin_watch import Describing, PinWatch
from process_orchestrator.performing.secrets import Secrets

if TYPE_CHECKING:
    from process_orchestrator.checking.a2a_card import Card
    from process_orchestrator.performing.mcp_agent import McpLink

RAW_CALL_MS: Final = 60_000
OPEN_AHEAD_S: Final = 30.0
COMPARE_S_MIN: Final = 0.2
"""Between two comparisons that nobody asked for: an agent that tells of changes without end costs no more."""

OPENED_AHEAD: Final = frozenset({"mcp_stdio", "http"})
"""Kinds with a program of ours to start. A remote server is not connected to before it is called."""

CLOSE_S: Final = 6.0
"""Longest that ending all agents may take: the kill grace, once, and the time to notice."""


class AgentDirectory(Protocol):
    """What of the registry is needed here."""

    @property
    def agents(self) -> tuple[Agent, ...]: ...

    def agent(self, name: str) -> Agent | None: ...

    @property
    def pins(self) -> Pins: ...


class Answer(Fact, frozen=True, kw_only=True):
    """A value as the agent gave it, known secrets masked, not yet judged."""

    value: Any
    ms: int
    usd_micros: int | None = None
    tokens: int | None = None
    stderr: str | None = None
    metered: bool = False  # the agent says what each call took: None is then unknown, not the contract's price


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
        child_limits: ChildLimits = CHILD_LIMITS,
        resolve: Resolver = resolved,
    ) -> None:
        """`registry` gives the newest snapshot, at each call. `in_process` agents shadow its own and have no limits.

        `resolve` finds the addresses of names.
        """
        self._registry, self._clock = registry, clock
        self._state_dir, self._home = state_dir, home
        self._in_process = dict(in_process or {})
        self._child_limits, self._resolve = child_limits, resolve
        self.pin_check_s = PIN_CHECK_S  # how long a comparison with pins holds; may be set until the pool is opened
        self.model: Model = NoModel()  # what model agents ask, not closed here; may be set until the pool is opened
        self._capped_by: AgentDirectory | None = None  # the snapshot that `_caps_usd` was read from
        self._caps_usd: Mapping[str, float] = {}
        self.secrets = Secrets()
        self._lifeline = Lifeline()
        self._lanes: dict[str, Lane] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self._deadlines: Deadlines | None = None
        self._maker: LinkMaker | None = None
        self._stirred = anyio.Event()  # an agent has said that what it offers changed

    async def __aenter__(self) -> Self:
        self._deadlines = Deadlines(asyncio.get_running_loop())
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._maker = LinkMaker(
            folders=Folders(self._home, self._state_dir),
            secrets=self.secrets,
            lifeline=self._lifeline,
            tasks=self._tasks,
            child_limits=self._child_limits,
            model=self.model,
            resolve=self._resolve,
        )
        self._tasks.start_soon(self._keep_compared)
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
            if self._deadlines is not None:
                self._deadlines.close()
            await anyio.to_thread.run_sync(self._lifeline.close)
        # Without the block's own error, which would come out wrapped in a group.
        await tasks.__aexit__(None, None, None)
        for child in tuple(self._lifeline.children):  # whose owner was cut off: killed by now, its pipes still open
            await child.stop(0.0)

    def standing(self, pinned: PinnedAgent, contract: ContractPin) -> Standing:
        """How an agent stands now that promised, when a process began, to serve a contract."""
        if pinned.name in self._in_process:
            return WELL
        agent = self._registry().agent(pinned.name)
        if agent is None:
            return Standing(gone="is not registered")
        if agent.promise_sha256 != pinned.sha256 and not serves(agent, contract):
            return Standing(gone=f"does not serve {contract.name}@{contract.version} any more")
        unset = self._lacks_model(pinned, agent)
        if unset is not None:
            return unset
        lane = self._lanes.get(pinned.name)
        return lane.standing(agent.circuit) if lane is not None else WELL

    def _lacks_model(self, pinned: PinnedAgent, agent: Agent) -> Standing | None:
        """Why a model agent cannot be asked at all; None for one that can, and for agents of other kinds."""
        promise = model_promise(pinned.bind)
        if (promise is None) is (agent.transport.kind == KIND):
            return Standing(gone=f"is an agent of kind {agent.transport.kind} now")
        if promise is None or self.model.tier(promise.tier) is not None:
            return None
        return Standing(gone=f"asks a model of the tier {promise.tier}, and none is set up", unset=True)

    def price_usd_micros(self, bind: Mapping[str, Any], contract: Contract, *, arguments_bytes: int = 0) -> int | None:
        """The most that one call should cost: the contract's price, of a model its tokens at the price of its tier.

        A contract says what is usual; arguments that are longer are held back for as long as they are.
        """
        promise = model_promise(bind)
        if promise is None:
            return contract.price_usd_micros
        tier = self.model.tier(promise.tier)
        if tier is None:
            return None
        if contract.model_tokens is None:
            return contract.price_usd_micros
        tokens_in, tokens_out = contract.model_tokens
        tokens_in = max(tokens_in, tokens_told(promise, contract, arguments_bytes) if arguments_bytes else 0)
        return tier.most(tokens_in=tokens_in, tokens_out=tokens_out)

    def caps_usd(self) -> Mapping[str, float]:
        """What agents may cost in a day, as they are defined now; one without a cap is left out."""
        directory = self._registry()
        if directory is not self._capped_by:  # looked through once: this is asked twice a call
            self._capped_by = directory
            limits = {agent.name: agent.limits.usd_per_day for agent in directory.agents}
            self._caps_usd = {name: cap for name, cap in limits.items() if cap is not None}
        return self._caps_usd

    def place_wait_ms(self, name: str, process: str) -> int:
        """How long a process should stay away from a crowded agent; 0: it may call now, or wait in the pool."""
        agent = None if name in self._in_process else self._registry().agent(name)
        lane = self._lanes.get(name)
        return 0 if agent is None or lane is None else lane.turnstile.wait_ms(process, agent.limits)

    async def call(self, agent_name: str, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall) -> Answer:
        """One call of one agent. `arguments` become the agent's to keep. Raises AgentCallError and nothing else."""
        arguments = renamed(arguments, bind.get("input"))
        in_process = self._in_process.get(agent_name)
        if in_process is not None:
            assert self._deadlines is not None  # calls are made while the pool is open
            return await _call_in_process(in_process, arguments, call, deadlines=self._deadlines)
        agent = self._registry().agent(agent_name)
        if agent is None:
            raise AgentCallError("unreachable", f"no agent {agent_name} is registered any more")
        lane = self._lane(agent.name)
        lane.check(agent.circuit)
        await lane.turnstile.enter(call.process, agent.limits)
        started = time.perf_counter()
        try:
            reply, value = await self._counted(lane, agent, bind, arguments, call)
        finally:
            took_s = time.perf_counter() - started
            lane.turnstile.leave(took_s)
        billed = reply.billed or Usage()
        return Answer(
            value=value,
            ms=int(took_s * 1000),
            usd_micros=billed.usd_micros,
            tokens=billed.tokens,
            stderr=reply.stderr,
            metered=reply.billed is not None,
        )

    def open_ahead(self, agent_names: Iterable[str]) -> None:
        """Begin to open the ways to agents that will soon be called, beside each other.

        A program takes a second to start; a plan of five agents should cost one such second, not five.
        """
        for name in agent_names:
            agent = None if name in self._in_process else self._registry().agent(name)
            if agent is not None and agent.transport.kind in OPENED_AHEAD and self._tasks is not None:
                self._tasks.start_soon(self._open, agent)

    async def ready(self, agent_name: str) -> None:
        """Open the way to an agent and wait until it is open, or fails: then the first call will say how."""
        agent = self._registry().agent(agent_name)
        if agent is not None and agent_name not in self._in_process:
            await self._open(agent)

    async def _open(self, agent: Agent) -> None:
        with contextlib.suppress(AgentCallError):
            lane = self._lane(agent.name)
            way = await self._way(lane, agent)
            await way.link.open(OPEN_AHEAD_S)
            await self._compare(lane, agent.name, way.link)

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

    async def card(self, agent_name: str, *, timeout_s: float = RAW_CALL_MS / 1000) -> Card:
        """The card of an A2A agent, as it is now."""
        from process_orchestrator.performing.a2a_agent import A2aLink  # noqa: PLC0415 - see agent_links

        link = await self._link(agent_name)
        if not isinstance(link, A2aLink):
            raise AgentCallError("unreachable", f"{agent_name} is no A2A agent: it has no card")
        return await link.card(timeout_s)

    async def definitions(self, agent_name: str, *, timeout_s: float) -> Mapping[str, Definition]:
        """What an agent offers now, by the names that a `bind` uses, secrets masked. Raises AgentCallError."""
        link = await self._link(agent_name)
        if not isinstance(link, Describing):
            raise AgentCallError("unreachable", f"{agent_name} does not say what it offers: nothing can be compared")
        found = await link.definitions(timeout_s)
        return {name: self.secrets.mask_value(definition) for name, definition in found.items()}

    def health(self) -> tuple[AgentHealth, ...]:
        """Every registered agent, by name; counts are of this engine's life."""
        return tuple(self._health(agent) for agent in self._registry().agents)

    # --- one agent ----------------------------------------------------------------------------------------------

    def _health(self, agent: Agent) -> AgentHealth:
        kind = "in_process" if agent.name in self._in_process else agent.transport.kind
        lane = self._lanes.get(agent.name)
        if lane is None:
            return AgentHealth(agent=agent.name, kind=kind, health="idle")
        link = lane.way.link if lane.way is not None else None
        up = link is not None and link.usable
        return AgentHealth(
            agent=agent.name,
            kind=kind,
            health="down" if lane.last_error is not None else "up" if up else "idle",
            circuit=lane.standing(agent.circuit).circuit,
            waiting=lane.turnstile.waiting,
            pid=link.pid if link is not None else None,
            calls=lane.calls,
            failures=lane.failures,
            last_error=lane.last_error,
            pin=lane.watch.standing(self._registry().pins),
        )

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(
                PinWatch(name, every_s=self.pin_check_s, mask=self.secrets.mask_value, on_notice=self._stir)
            )
        return lane

    async def _counted(
        self, lane: Lane, agent: Agent, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall
    ) -> tuple[Reply, Any]:
        """One call and what it shows of its agent."""
        era = lane.begin(agent.circuit)  # asked again: the call may have waited for its place
        error: BaseException | None = None
        try:
            reply = await self._exchange(lane, agent, bind, arguments, call)
            value = self._value(reply, bind, call, agent)
        except AgentCallError as failure:
            error = failure
            lane.failures += 1
            lane.last_error = f"{failure.code}: {self.secrets.mask_cut(failure.message)[:200]}"
            raise
        except BaseException as broken_off:
            error = broken_off
            raise
        finally:
            lane.end(agent.circuit, era, error=error)
        lane.last_error = None
        return reply, value

    async def _exchange(
        self, lane: Lane, agent: Agent, bind: dict[str, Any], arguments: dict[str, Any], call: AgentCall
    ) -> Reply:
        """One call over the agent's link. The call boundary of an agent: what no link foresaw is a failure as well."""
        way = await self._way(lane, agent)
        way.calls += 1
        try:
            return await way.link.call(bind, arguments, await self._unchanged(lane, agent.name, way.link, bind, call))
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

    async def _way(self, lane: Lane, agent: Agent) -> Way:
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
                lane.way = Way(await self._maker.make(agent), agent.transport)
            return lane.way

    # --- pins ---------------------------------------------------------------------------------------------------

    async def _unchanged(self, lane: Lane, name: str, link: Link, bind: dict[str, Any], call: AgentCall) -> AgentCall:
        """The call as it may be made; less what was spent on comparing. Raises AgentCallError where it may not."""
        pins, bound = self._registry().pins, bound_name(bind)
        if call.effect is None or bound is None or not isinstance(link, Describing) or not pins.concern(name):
            return call
        began = anyio.current_time()
        await lane.watch.allow(link, bound, pins, effect=call.effect, timeout_s=call.timeout_ms / 1000)
        spent_ms = int((anyio.current_time() - began) * 1000)
        return replace(call, timeout_ms=max(1, call.timeout_ms - spent_ms)) if spent_ms else call

    async def _compare(self, lane: Lane, name: str, link: Link) -> float:
        """Compare ahead of calls what an agent offers, where that is due. What fails here meets the next call.

        Returns after how many seconds to look again, where it was put off; else 0.
        """
        pins = self._registry().pins
        if isinstance(link, Describing) and link.usable and pins.pinned(name):
            with contextlib.suppress(AgentCallError):
                return await lane.watch.look(link, pins)
        return 0.0

    async def _keep_compared(self) -> None:
        """Compare at each interval, and when an agent says that it changed: people see it before a call does."""
        wait_s = self.pin_check_s
        while True:
            with anyio.move_on_after(max(wait_s, COMPARE_S_MIN)):
                await self._stirred.wait()
            self._stirred = anyio.Event()
            ways = [(name, lane, lane.way) for name, lane in self._lanes.items() if lane.way is not None]
            put_off = [await self._compare(lane, name, way.link) for name, lane, way in ways]
            wait_s = min((each for each in put_off if each > 0), default=self.pin_check_s)
            wait_s = min(wait_s, self.pin_check_s)
            await anyio.sleep(COMPARE_S_MIN)

    def _stir(self) -> None:
        self._stirred.set()

    async def _link(self, agent_name: str) -> Link:
        agent = self._registry().agent(agent_name)
        if agent is None:
            raise AgentCallError("unreachable", f"no agent {agent_name} is registered")
        return (await self._way(self._lane(agent.name), agent)).link

    async def _mcp_link(self, agent_name: str) -> McpLink:
        from process_orchestrator.performing.mcp_agent import McpLink  # noqa: PLC0415 - see agent_links

        link = await self._link(agent_name)
        if not isinstance(link, McpLink):
            raise AgentCallError("unreachable", f"{agent_name} is no MCP agent: it has no tools to look at")
        return link

    def _value(self, reply: Reply, bind: dict[str, Any], call: AgentCall, agent: Agent) -> Any:
        try:
            cap = min(call.output_bytes, agent.limits.output_bytes)
            value = read_value(reply, bind, max_bytes=cap, depth=call.depth)
        except BodyError as error:
            answer = reply.text[:2000] if reply.text is not None else None
            raise AgentCallError(
                error.code, error.message, answer=answer, stderr=reply.stderr, billed=reply.billed
            ) from error
        return self.secrets.mask_value(value)


def serves(agent: Agent, contract: ContractPin) -> bool:
    """Whether an agent, as it is defined now, keeps this very version of a contract."""
    wanted = (reference(serve.contract) for serve in agent.serves)
    return any(each.name == contract.name and each.matches(contract.version) for each in wanted)


def _is_cancelled() -> bool:
    """Whether this task was told to stop; else a cancellation leaked out of a library that awaits what it cancelled.

    Were that one believed, its call would never end.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _call_in_process(
    agent: InProcessAgent, arguments: dict[str, Any], call: AgentCall, *, deadlines: Deadlines
) -> Answer:
    started = time.perf_counter()
    told = InProcessCall(process=call.process, call=call.call, contract=call.contract, key=call.key)
    try:
        with deadlines.within(call.timeout_ms / 1000):
            value = await _answer_of(agent, arguments, told)
    except TimeoutError:
        raise AgentCallError("timeout", f"no answer within {call.timeout_ms} ms") from None
    return Answer(value=value, ms=int((time.perf_counter() - started) * 1000))


async def _answer_of(agent: InProcessAgent, arguments: dict[str, Any], told: InProcessCall) -> Any:
    """The agent's own answer; whatever it raises is its failure, never ours."""
    try:
        return await agent(arguments, told)
    except AgentCallError:
        raise
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        raise AgentCallError("lost", "the call was broken off from inside") from error
    except Exception as error:
        message = f"the agent failed: {type(error).__name__}: {error}"
        raise AgentCallError("undeclared_error", message, class_=FailureClass.PERMANENT) from error
