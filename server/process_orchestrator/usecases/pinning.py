"""The use cases about pins: accept what agents offer now, and say how that differs from what was accepted.

It asks agents through a function that it is given, writes `agents.lock` and nothing else, and calls no tool. The
comparison itself is `checking.live_change`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from process_orchestrator.checking.changes.live_change import LiveChange, PinVerdict, compare
from process_orchestrator.checking.documents.model_agents import KIND
from process_orchestrator.checking.documents.pins import (
    DESCRIBED,
    Definition,
    Pin,
    Pins,
    PinState,
    bound_name,
    bound_names,
    document_of,
    pin,
    state_of,
)
from process_orchestrator.core.errors import AgentCallError, RefusedError
from process_orchestrator.core.facts.values import Fact

if TYPE_CHECKING:
    from process_orchestrator.checking.documents.definitions import Agent, ProcessType
    from process_orchestrator.checking.loading.registry import Registry

    Ask = Callable[[Agent, float], Awaitable[Mapping[str, Definition]]]
    """What an agent offers now, within so many seconds. Raises AgentCallError."""


class BoundDrift(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """One tool, operation or skill beside its pin, and who relies on it. `change` None: it is not pinned."""

    name: str
    contracts: tuple[str, ...]
    process_types: tuple[str, ...]
    change: LiveChange | None = None


class AgentDrift(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """One agent. `why` says what stands in the way of a comparison."""

    agent: str
    kind: str
    state: PinState
    why: str | None = None
    bound: tuple[BoundDrift, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing differs from what was accepted."""
        if self.state is PinState.UNREACHABLE:
            return False
        return all(each.change is None or each.change.verdict is PinVerdict.SAME for each in self.bound)


def named_agents(registry: Registry, names: Iterable[str]) -> tuple[Agent, ...]:
    """The agents of these names, or all. Raises RefusedError UNKNOWN_AGENT with the nearest."""
    found: list[Agent] = []
    for name in names:
        agent = registry.agent(name)
        if agent is None:
            near = ", ".join(registry.nearest("agent", name)) or "none"
            raise RefusedError("UNKNOWN_AGENT", f"no agent {name!r} is registered.", do=f"use one of: {near}.")
        found.append(agent)
    return tuple(found) or registry.agents


async def drift(registry: Registry, agents: Iterable[Agent], ask: Ask, *, timeout_s: float) -> tuple[AgentDrift, ...]:
    """How what agents offer now differs from their pins. Those without pins are not asked."""
    return tuple([await _drift(registry, agent, ask, timeout_s=timeout_s) for agent in agents])


async def _drift(registry: Registry, agent: Agent, ask: Ask, *, timeout_s: float) -> AgentDrift:
    state = state_of(agent, registry.pins)
    names = bound_names(agent)
    if state is not PinState.PINNED:
        return AgentDrift(agent=agent.name, kind=agent.transport.kind, state=state, why=_not_asked(agent))
    try:
        live = await ask(agent, timeout_s)
    except AgentCallError as error:
        why = f"{error.code}: {error.message}"
        return AgentDrift(agent=agent.name, kind=agent.transport.kind, state=PinState.UNREACHABLE, why=why)
    pins = registry.pins.of(agent.name)
    bound = tuple(_bound(registry, agent, name, pins.get(name), live.get(name)) for name in names)
    return AgentDrift(agent=agent.name, kind=agent.transport.kind, state=state, bound=bound)


def _not_asked(agent: Agent) -> str | None:
    """Why nothing of an agent is kept in the lock, where that may surprise."""
    if agent.transport.kind != KIND:
        return None
    return "a model says nothing of itself; its tier and instructions are pinned with each process that begins"


def _bound(registry: Registry, agent: Agent, name: str, pinned: Pin | None, live: Definition | None) -> BoundDrift:
    contracts = serving_through(registry, agent, name)
    return BoundDrift(
        name=name,
        contracts=contracts,
        process_types=types_using(registry, contracts),
        change=None if pinned is None else compare(name, pinned, live),
    )


class Pinned(Fact, frozen=True, kw_only=True, omit_defaults=False):
    """What pinning did: how each agent stood before, the pins as they are now, and what could not be pinned."""

    agents: tuple[AgentDrift, ...]
    pins: Pins
    refused: tuple[str, ...] = ()


async def pin_agents(registry: Registry, agents: Iterable[Agent], ask: Ask, *, timeout_s: float, whole: bool) -> Pinned:
    """Accept what agents offer now. Who does not answer keeps its pins; `whole` drops those of agents that are gone."""
    known = dict(registry.pins.agents)
    if whole:
        registered = {agent.name for agent in registry.agents}
        known = {name: bound for name, bound in known.items() if name in registered}
    rows: list[AgentDrift] = []
    refused: list[str] = []
    for agent in agents:
        names = bound_names(agent)
        described = agent.transport.kind in DESCRIBED or document_of(agent) is not None
        if not described or not names:
            kind, why = agent.transport.kind, _not_asked(agent)
            rows.append(AgentDrift(agent=agent.name, kind=kind, state=PinState.NOT_COMPARABLE, why=why))
            continue
        try:
            live = await ask(agent, timeout_s)
        except AgentCallError as error:
            why = f"{error.code}: {error.message}"
            rows.append(AgentDrift(agent=agent.name, kind=agent.transport.kind, state=PinState.UNREACHABLE, why=why))
            refused.append(f"{agent.name} was not pinned: {why}")
            continue
        before = known.get(agent.name, {})
        bound = tuple(_bound(registry, agent, name, before.get(name), live.get(name)) for name in names)
        fresh: dict[str, Pin] = {}
        for name in names:
            if name not in live:
                refused.append(f"{agent.name} offers no {name}, which it is bound to")
                if name in before:  # what was accepted is not taken back because it is missing
                    fresh[name] = before[name]
                continue
            try:
                fresh[name] = pin(live[name])
            except RefusedError as error:
                refused.append(f"{agent.name} {name} was not pinned: {error.message}")
        known[agent.name] = fresh
        state = PinState.PINNED if fresh else PinState.NOT_PINNED
        rows.append(AgentDrift(agent=agent.name, kind=agent.transport.kind, state=state, bound=bound))
    return Pinned(agents=tuple(rows), pins=Pins(agents=known), refused=tuple(refused))


def serving_through(registry: Registry, agent: Agent, name: str) -> tuple[str, ...]:
    """The contracts that an agent keeps through one tool, operation or skill."""
    references = [serve.contract for serve in agent.serves if bound_name(serve.bind) == name]
    found = {f"{each.name}@{each.version}" for reference in references for each in registry.matching(reference)}
    return tuple(sorted(found)) or tuple(sorted(references))


def types_using(registry: Registry, contracts: Iterable[str]) -> tuple[str, ...]:
    """The process types whose plan or map takes one of these contracts."""
    wanted = set(contracts)
    return tuple(
        f"{each.name}@{each.version}"
        for each in registry.processes
        if any(
            f"{found.name}@{found.version}" in wanted
            for reference in _references(each)
            for found in registry.matching(reference)
        )
    )


def _references(process_type: ProcessType) -> tuple[str, ...]:
    steps = process_type.plan.steps if process_type.plan else ()
    return (*process_type.contracts, *(step.contract for step in steps if step.contract is not None))
