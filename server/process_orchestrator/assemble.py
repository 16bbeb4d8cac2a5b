"""Builds the object graph, once, by hand: home and settings in, an orchestrator out.

The only place that knows which class stands behind which port. It decides nothing and holds no state of its own.

`performing` is imported where agents are reached, and `orchestrator` where use cases are offered, not above: a command
which only reads the journal must not pay for calling agents, nor an engine alone for the views that doors show.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import anyio
from msgspec.structs import replace

from process_orchestrator.checking.documents.model_agents import KIND
from process_orchestrator.checking.documents.versions import reference
from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.errors import AgentCallError, EngineError, StorageError
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.limits import CHILD_LIMITS, PIN_CHECK_S, PROCESSES_RUNNING_MAX, ChildLimits
from process_orchestrator.home import LiveHome
from process_orchestrator.hosting.bills import bills_since
from process_orchestrator.hosting.clock import SystemClock
from process_orchestrator.hosting.engine_address import connect, find_address
from process_orchestrator.hosting.journal import JournalReader
from process_orchestrator.hosting.open_host import HostParts, open_host
from process_orchestrator.hosting.precedents import precedents_of
from process_orchestrator.hosting.proofs import Derived, derive
from process_orchestrator.hosting.remote_host import engine_health
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.llm.configured import configured_model
from process_orchestrator.llm.port import NoModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from process_orchestrator.checking.a2a_card import Card
    from process_orchestrator.checking.documents.definitions import Agent, Contract
    from process_orchestrator.core.ports import (
        AgentHealth,
        Artifacts,
        Bill,
        ChangeListener,
        Clock,
        Host,
        InProcessAgent,
        Performer,
        Precedent,
        PrecedentQuery,
        Proof,
    )
    from process_orchestrator.home import Home
    from process_orchestrator.llm.port import Model
    from process_orchestrator.orchestrator import Orchestrator
    from process_orchestrator.performing.agent_pool import AgentPool
    from process_orchestrator.performing.secrets import Secrets
    from process_orchestrator.settings import Settings
    from process_orchestrator.usecases.verifying import VerifyRequest
    from process_orchestrator.views.verify_view import VerifyView

    BuildPerformer = Callable[[Artifacts], AbstractAsyncContextManager[Performer]]

HTTP_CALL: Final = re.compile(r"(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE):(?P<path>/.*)", re.IGNORECASE)
"""How `call_agent` is told a request of an HTTP agent: METHOD:/path."""

HEALTH_S: Final = 1.0
"""How long another engine is waited for to say how its agents stand, which is good to know and no more."""


class Mode(StrEnum):
    """What the one who opens a home wants to do there."""

    DRIVE = "drive"  # become the engine, or a door that takes over when the engine ends
    WRITE = "write"  # commit one thing: through the engine where one lives, else alone, driving nothing
    READ = "read"  # look only


@asynccontextmanager
async def open_orchestrator(
    home: Home,
    settings: Settings,
    *,
    mode: Mode = Mode.DRIVE,
    in_process: Mapping[str, InProcessAgent] | None = None,
    listener: ChangeListener | None = None,
    model: Model | None = None,
) -> AsyncGenerator[Orchestrator]:
    """Offer the use cases of a home for the life of this context.

    `in_process` agents shadow those of the registry, `model` that of the settings (tests, benchmark). `listener` hears
    of every committed change. Raises EngineError where an engine holds the home and does not answer, StorageError for
    an untrusted database.
    """
    from process_orchestrator.orchestrator import Orchestrator, Surroundings  # noqa: PLC0415 - see the docstring

    secrets = _known_secrets() if settings.models.setups else None
    model = model or model_of(settings, secrets=secrets)
    live = LiveHome(home)
    state = home.state if mode is Mode.READ else home.make_state()
    reviewers, fleet = (
        Reviewers(state),
        Fleet(
            live.registry,
            home=home.path,
            in_process=in_process,
            child_limits=settings.agents.limits,
            pin_check_s=settings.agents.pin_check_s,
            secrets=secrets,
            model=model,
        ),
    )
    engine = open_engine(
        state,
        fleet,
        mode=mode,
        listener=listener,
        processes_running_max=settings.engine.processes_running,
        model=model,
        server_floor=settings.assurance.floor,
    )
    async with _closed(model), engine as host:
        yield Orchestrator(
            host,
            live.registry,
            Compiler(),
            surroundings=Surroundings(
                server_floor=settings.assurance.floor,
                model=model,
                reviewers_exist=lambda: bool(reviewers.active()),
                agents_health=partial(agents_health, fleet, state),
            ),
        )


def model_of(settings: Settings, *, secrets: Secrets | None = None) -> Model:
    """The way to the models that the settings name; rules mode where they name none. Asks nobody."""
    models = settings.models
    if not models.setups:
        return NoModel()
    return configured_model(
        models.setups, cassette=models.cassette, mode=models.cassette_mode, secrets=secrets or _known_secrets()
    )


def _known_secrets() -> Secrets:
    from process_orchestrator.performing.secrets import Secrets  # noqa: PLC0415 - see the module's docstring

    return Secrets()


@asynccontextmanager
async def _closed(model: Model) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await model.aclose()


class Fleet:
    """The agents that an engine may call: the registry's, and those in process. Knows the pool once one is open."""

    def __init__(
        self,
        registry: Callable[[], Registry],
        *,
        home: Path,
        in_process: Mapping[str, InProcessAgent] | None = None,
        child_limits: ChildLimits = CHILD_LIMITS,
        pin_check_s: float = PIN_CHECK_S,
        secrets: Secrets | None = None,
        model: Model | None = None,
    ) -> None:
        """`secrets` are known to the pool from its beginning: what is masked elsewhere is masked in answers as well.

        `model` is what model agents ask; whoever made it closes it.
        """
        self.registry, self._home, self._in_process = registry, home, in_process
        self._secrets, self._model = secrets, model or NoModel()
        self._child_limits, self._pin_check_s = child_limits, pin_check_s
        self._pool: AgentPool | None = None

    @asynccontextmanager
    async def open(self, state: Path, clock: Clock) -> AsyncGenerator[AgentPool]:
        """Be able to call them for the life of this context."""
        from process_orchestrator.performing.agent_pool import AgentPool  # noqa: PLC0415 - see the module's docstring

        pool = AgentPool(
            self.registry,
            state_dir=state,
            home=self._home,
            clock=clock,
            in_process=self._in_process,
            child_limits=self._child_limits,
        )
        pool.pin_check_s, pool.model = self._pin_check_s, self._model
        if self._secrets is not None:
            pool.secrets = self._secrets
        async with pool:
            self._pool = pool
            try:
                yield pool
            finally:
                self._pool = None

    def health(self) -> tuple[AgentHealth, ...]:
        """How each agent stands, as far as calls of this engine have shown; nothing where this is none."""
        return self._pool.health() if self._pool is not None else ()


def open_engine(
    state: Path,
    fleet: Fleet,
    *,
    mode: Mode = Mode.DRIVE,
    listener: ChangeListener | None = None,
    processes_running_max: int = PROCESSES_RUNNING_MAX,
    model: Model | None = None,
    server_floor: Assurance = Assurance.A0,
) -> AbstractAsyncContextManager[Host]:
    """Open the host of a state folder with real parts behind every port."""
    clock = SystemClock()
    model = model or NoModel()
    reviewers = Reviewers(state)

    def verify_proof(proof: Proof) -> Derived:
        return derive(proof, reviewers)

    parts = HostParts(
        state=state,
        build_performer=_drives_nothing
        if mode is not Mode.DRIVE
        else _performing(fleet, state=state, clock=clock, model=model, server_floor=server_floor),
        clock=clock,
        verify_proof=verify_proof,
        listener=listener,
        processes_running_max=processes_running_max,
        agents_health=fleet.health,
    )
    return open_host(parts, mode=mode.value)


async def agents_health(fleet: Fleet, state: Path) -> dict[str, AgentHealth]:
    """How each agent stands: as the engine of a state folder knows, be it this program or another."""
    rows = fleet.health()
    if not rows:
        with suppress(EngineError), anyio.move_on_after(HEALTH_S):
            engine = await engine_health(state)
            rows = engine.agents if engine is not None else ()
    return {row.agent: row for row in rows}


async def engine_answers(home: Home) -> bool:
    """Whether an engine that drives processes runs on this home now. Creates nothing."""
    address = find_address(home.state)
    if address is None:
        return False
    try:
        stream = await connect(address)
    except OSError:  # the address of an engine that died
        return False
    await stream.aclose()
    return True


@asynccontextmanager
async def open_agents(
    home: Home,
    settings: Settings | None = None,
    *,
    registry: Callable[[], Registry] | None = None,
) -> AsyncGenerator[AgentPool]:
    """Reach the agents of a home directly, outside any process; of `registry`, where it is given.

    Without settings there is no model, so model agents answer nothing.
    """
    secrets = _known_secrets()
    model = model_of(settings, secrets=secrets) if settings is not None else NoModel()
    found = registry or LiveHome(home).registry
    limits = settings.agents.limits if settings is not None else CHILD_LIMITS
    fleet = Fleet(found, home=home.path, child_limits=limits, secrets=secrets, model=model)
    async with _closed(model), fleet.open(home.make_state(), SystemClock()) as pool:
        yield pool


async def verify_agent(home: Home, request: VerifyRequest, settings: Settings | None = None) -> VerifyView:
    """Hold an agent against a contract. Raises RefusedError, or AgentCallError where the agent cannot be reached."""
    from process_orchestrator.usecases.verifying import Verifier, choose, patient  # noqa: PLC0415 - see the docstring

    chosen = choose(LiveHome(home).registry(), request)
    async with open_agents(home, settings, registry=lambda: patient(chosen)) as pool:
        return await Verifier(chosen, pool, request).run()


async def call_agent(
    home: Home,
    agent: str,
    tool: str,
    arguments: Sequence[dict[str, Any]],
    *,
    timeout_s: float,
    settings: Settings | None = None,
) -> list[Any]:
    """Call a tool of an MCP agent, METHOD:/path of an HTTP agent, a skill of an A2A agent, or a contract of a model.

    Outside any process, one call after the other, each within the time; their answers in that order. Raises
    AgentCallError for a failed call.
    """
    from process_orchestrator.performing.links import AgentCall  # noqa: PLC0415 - see the module's docstring

    timeout_ms = round(timeout_s * 1000)
    request = HTTP_CALL.fullmatch(tool)
    registry = LiveHome(home).registry()
    found = registry.agent(agent)
    bind: dict[str, Any] | None = _bind_of_skill(found, tool)
    keeps: Contract | None = None
    if found is not None and found.transport.kind == KIND:
        bind, keeps = _kept(registry, found, tool)
    elif request is not None:
        bind = {"method": request["method"].upper(), "path": request["path"]}
    async with open_agents(home, settings) as pool:
        if bind is None:
            return [await pool.call_tool_raw(agent, tool, each, timeout_ms=timeout_ms) for each in arguments]
        by_hand = AgentCall(
            process="none", call="by_hand", contract="none", key="by_hand", timeout_ms=timeout_ms, keeps=keeps
        )
        keyed = [replace(by_hand, key=f"by_hand/{token_hex(16)}") for _ in arguments]  # none of them is a repetition
        return [(await pool.call(agent, bind, *each)).value for each in zip(arguments, keyed, strict=True)]


def _kept(registry: Registry, agent: Agent, named: str) -> tuple[dict[str, Any], Contract]:
    """How a model is bound to a contract, by the contract's name. Raises AgentCallError where it keeps no such one."""
    wanted = reference(named)
    for serve in agent.serves:
        contract = registry.contract(serve.contract)
        if contract is not None and contract.name == wanted.name and wanted.matches(contract.version):
            return dict(serve.bind), contract
    names = ", ".join(serve.contract for serve in agent.serves)
    message = f"{agent.name} is a model and is asked by the name of a contract; it keeps {names}, not {named}"
    raise AgentCallError("unreachable", message)


def _bind_of_skill(agent: Agent | None, skill: str) -> dict[str, Any] | None:
    """How an A2A agent is asked for a skill; its text goes as the file binds it. None for agents of another kind."""
    if agent is None or agent.transport.kind != "a2a":
        return None
    written = next((each.bind for each in agent.serves if each.bind.get("skill") == skill), {})
    return {"skill": skill, **{key: written[key] for key in ("text",) if key in written}}


async def list_tools(home: Home, agent: Agent, *, timeout_s: float) -> list[dict[str, Any]]:
    """What an MCP agent says of its tools, whether or not a file of the home defines it. Ends what it started.

    Raises AgentCallError for an agent that does not start, hangs, ends, or answers what is no list of tools.
    """
    alone = Registry.of(agents=(agent,))
    async with Fleet(lambda: alone, home=home.path).open(home.make_state(), SystemClock()) as pool:
        return await pool.tools(agent.name, timeout_ms=round(timeout_s * 1000))


async def read_card(home: Home, agent: Agent, *, timeout_s: float) -> Card:
    """The card of an A2A agent, whether or not a file of the home defines it. Raises AgentCallError."""
    alone = Registry.of(agents=(agent,))
    async with Fleet(lambda: alone, home=home.path).open(home.make_state(), SystemClock()) as pool:
        return await pool.card(agent.name, timeout_s=timeout_s)


def _performing(fleet: Fleet, *, state: Path, clock: Clock, model: Model, server_floor: Assurance) -> BuildPerformer:
    """Make what an engine builds its performer with. Imports now, so that a take-over does not wait for it."""
    from process_orchestrator.performing.performer import (  # noqa: PLC0415 - see the module's docstring
        LocalPerformer,
        Thinking,
    )

    @asynccontextmanager
    async def build_performer(artifacts: Artifacts) -> AsyncGenerator[Performer]:
        async with fleet.open(state, clock) as pool, JournalReader(state) as reader:

            async def bills(since: int) -> tuple[Bill, ...]:
                return await reader.read(lambda view: bills_since(view, since), empty=())

            async def precedents(query: PrecedentQuery) -> tuple[Precedent, ...]:
                with suppress(StorageError):  # a question is whole without them
                    return await reader.read(lambda view: precedents_of(view, query), empty=())
                return ()

            thinking = Thinking(model=model, registry=fleet.registry, server_floor=server_floor, precedents=precedents)
            model.preload()
            yield LocalPerformer(artifacts, Compiler(), pool, clock, bills=bills, thinking=thinking)

    return build_performer


def _drives_nothing(_: Artifacts) -> AbstractAsyncContextManager[Performer]:
    raise AssertionError("only who drives builds a performer")
