"""The performer of this machine: carries out local and outward commands; every failure of theirs is an event.

It only hands each command to the room that answers it. Above it stands a host, which makes the event durable; below it
are the rooms `prepare`, `collect`, `invoke`, and the agent pool.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from process_orchestrator.checking.loading.registry import Registry
from process_orchestrator.checking.pinned.definitions import Pinned
from process_orchestrator.checking.pinned.recent import Recent
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.facts.commands import (
    BuildOutput,
    CheckPlan,
    ClassifyTask,
    CollectItems,
    Command,
    InvokeAgent,
    OpenEscalation,
    OpenMap,
    PrepareCall,
    ProposePlan,
    WriteBrief,
)
from process_orchestrator.core.facts.values import Assurance
from process_orchestrator.core.ports import Artifacts, BillsSince, Clock, Performed, PrecedentsOf
from process_orchestrator.llm.port import Model, NoModel
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.body_cache import BodyCache
from process_orchestrator.performing.collect import Collector
from process_orchestrator.performing.day_caps import DayCaps, nothing_billed
from process_orchestrator.performing.escalation_package import Packages, no_precedents
from process_orchestrator.performing.invoke import Invoker
from process_orchestrator.performing.prepare import Preparer
from process_orchestrator.performing.scopes import Scopes
from process_orchestrator.performing.stages.brief import Briefs
from process_orchestrator.performing.stages.intake import Intake
from process_orchestrator.performing.stages.planner import Planner
from process_orchestrator.performing.stages.surroundings import StageParts

PLANS_OPENED_MAX: Final = 256
"""Plans whose agents were opened ahead, as far as is remembered."""


class PackageBuilder(Protocol):
    """Computes the evidence package of a question."""

    def __call__(self, command: OpenEscalation, *, at: int) -> Awaitable[Performed]: ...


@dataclass(frozen=True, kw_only=True)
class Thinking:
    """What stages and questions know of this installation. The default: rules mode, an empty map, no past."""

    model: Model = field(default_factory=NoModel)
    registry: Callable[[], Registry] = Registry.of
    server_floor: Assurance = Assurance.A0
    precedents: PrecedentsOf = no_precedents


class LocalPerformer:
    """The `Performer` of all hosts. Owns its caches; one per engine."""

    def __init__(
        self,
        artifacts: Artifacts,
        compiler: Compiler,
        agents: AgentPool,
        clock: Clock,
        *,
        build_package: PackageBuilder | None = None,
        bills: BillsSince = nothing_billed,
        thinking: Thinking | None = None,
    ) -> None:
        self._agents, self._clock = agents, clock
        self._opened = Recent[str](PLANS_OPENED_MAX)
        bodies = BodyCache(artifacts)
        self._pinned = pinned = Pinned(artifacts, compiler)
        thinking = thinking or Thinking()
        self._build_package = build_package or Packages(bodies, pinned, thinking.precedents).build
        scopes = Scopes(bodies)
        self._caps = DayCaps(agents.caps_usd, bills=bills, clock=clock)
        self._preparer = Preparer(
            bodies=bodies, pinned=pinned, scopes=scopes, clock=clock, roster=agents, caps=self._caps
        )
        self._collector = Collector(bodies=bodies, pinned=pinned, scopes=scopes, preparer=self._preparer, clock=clock)
        self._invoker = Invoker(
            bodies=bodies, pinned=pinned, agents=agents, clock=clock, from_caller=self._preparer.from_caller
        )
        parts = StageParts(
            bodies=bodies,
            pinned=pinned,
            clock=clock,
            model=thinking.model,
            registry=thinking.registry,
            secrets=agents.secrets,
            server_floor=thinking.server_floor,
        )
        self._intake, self._planner, self._briefs = Intake(parts), Planner(parts), Briefs(parts)

    async def perform(self, command: Command, *, delivery: int, heartbeat: Callable[[], None]) -> Performed:
        """Carry out a command; `delivery` is 1 the first time. Raises StorageError where a body cannot be read."""
        if isinstance(command, PrepareCall):
            if self._opened.get(command.context.plan) is None:
                await self._open_agents(command.context.plan)
            return await self._preparer.prepare(command)
        if isinstance(command, InvokeAgent):
            if not self._caps.live_usd():
                return await self._invoker.invoke(command, delivery=delivery, heartbeat=heartbeat)
            return await self._caps.paid(
                command,
                reserve=await self._invoker.worst_usd_micros(command),
                delivery=delivery,
                call=lambda: self._invoker.invoke(command, delivery=delivery, heartbeat=heartbeat),
            )
        if isinstance(command, OpenMap):
            return await self._collector.open_map(command)
        if isinstance(command, CollectItems):
            return await self._collector.collect(command)
        if isinstance(command, BuildOutput):
            return await self._collector.build_output(command)
        if isinstance(command, OpenEscalation):
            return await self._build_package(command, at=self._clock.now_ms())
        return await self._stage(command)

    async def _open_agents(self, plan: str) -> None:
        """Open the agents that a plan met for the first time will ask, each step's first choice."""
        steps = (await self._pinned.plan(self._opened.put(plan, plan))).steps
        self._agents.open_ahead({step.agents[0].name: None for step in steps if step.agents})

    async def _stage(self, command: Command) -> Performed:
        """A command that may ask a model."""
        match command:
            case ClassifyTask():
                return await self._intake.classify(command)
            case ProposePlan():
                return await self._planner.propose(command)
            case CheckPlan():
                return await self._planner.check(command)
            case WriteBrief():
                return await self._briefs.write(command)
            case _:
                raise TypeError(f"{type(command).__name__} is a host's command, none of the performer's")
