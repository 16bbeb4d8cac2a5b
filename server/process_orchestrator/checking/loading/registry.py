"""All definitions in force, as one immutable snapshot: where intake, plans, performer and doors look names up.

A new snapshot is made when files change; processes that run are pinned and never look here for what they started
with. Plans are compiled at first need and kept for the life of the snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import TypeVar

from process_orchestrator.checking.documents.definitions import Agent, Contract, Problem, ProcessType, Serve
from process_orchestrator.checking.documents.lines import Document
from process_orchestrator.checking.documents.model_agents import may_keep
from process_orchestrator.checking.documents.pins import LOCK_FILE, Pins
from process_orchestrator.checking.documents.versions import order, reference
from process_orchestrator.checking.planning.line import drawn
from process_orchestrator.checking.plans.compile import CompiledProcess, compile_process
from process_orchestrator.checking.plans.fitting import Fitting
from process_orchestrator.checking.schemas.nearest import nearest
from process_orchestrator.core.facts.values import Assurance, Fact

Versioned = TypeVar("Versioned", Contract, ProcessType)

PlanKey = tuple[str, Assurance]
"""A type by its sha256, and the lowest assurance that the server asks for."""


class LoadedFile(Fact, frozen=True, kw_only=True):
    """One file as read: its definition if it is sound, what is wrong with it, and where everything stands in it."""

    file: str  # its name in problems: relative to the home
    path: str  # where it lies
    sha256: str  # of the bytes of the file
    kind: str | None
    definition: Contract | ProcessType | Agent | None
    problems: tuple[Problem, ...]
    document: Document


class Registry:
    """Contracts, process types and agents by name. Thread-safe to read; made by the loader or by `of`."""

    def __init__(
        self,
        *,
        contracts: Iterable[Contract] = (),
        processes: Iterable[ProcessType] = (),
        agents: Iterable[Agent] = (),
        problems: Iterable[Problem] = (),
        plans: Mapping[PlanKey, CompiledProcess] | None = None,
        files: Iterable[LoadedFile] = (),
        fitting: Fitting | None = None,
    ) -> None:
        """`plans` are those that are known already, some of which would not compile anew; `files` what was read.

        `fitting` is that of the snapshot before this one: what was decided there need not be decided again.
        """
        self._contracts = _versions(contracts)
        self._processes = _versions(processes)
        self._agents = {agent.name: agent for agent in agents}
        self._problems = tuple(problems)
        self._plans = dict(plans or {})
        self._files = {each.file: each for each in files}
        self.fitting = Fitting() if fitting is None else fitting
        self._pins = Pins()

    @classmethod
    def of(
        cls,
        contracts: Iterable[Contract] = (),
        processes: Iterable[ProcessType] = (),
        agents: Iterable[Agent] = (),
    ) -> Registry:
        """A registry of definitions made in code. They were checked one by one; plans are checked by `plan`."""
        return cls(contracts=contracts, processes=processes, agents=agents)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong in the files, by file and line."""
        return self._problems

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """Every version of every contract, by name, newest first."""
        return _all(self._contracts)

    @property
    def processes(self) -> tuple[ProcessType, ...]:
        """Every version of every process type, by name, newest first."""
        return _all(self._processes)

    @property
    def agents(self) -> tuple[Agent, ...]:
        """Every agent, by name."""
        return tuple(self._agents[name] for name in sorted(self._agents))

    def with_problems(self, problems: Iterable[Problem]) -> Registry:
        """The same definitions, and what else is wrong with their files."""
        changed = copy(self)
        every = (*self._problems, *problems)
        changed._problems = tuple(sorted(every, key=lambda each: (each.file, each.line, each.pointer)))  # noqa: SLF001
        return changed

    def with_pins(self, pins: Pins, problems: Iterable[Problem] = ()) -> Registry:
        """The same definitions beside other pins; `problems` are those of the lock, in place of any before."""
        changed = copy(self)
        changed._pins = pins  # noqa: SLF001 - of its own class
        changed._problems = tuple(each for each in self._problems if each.file != LOCK_FILE)  # noqa: SLF001
        return changed.with_problems(problems)

    @property
    def pins(self) -> Pins:
        """The live definitions of agents that were accepted."""
        return self._pins

    @property
    def files(self) -> Mapping[str, LoadedFile]:
        """What was read, by file: the loader keeps from it what is unchanged."""
        return self._files

    def plans_of(self, process_type: ProcessType) -> dict[PlanKey, CompiledProcess]:
        """The compiled plans of a type that are known, so that they can stay in force in the next snapshot."""
        return {key: plan for key, plan in self._plans.items() if key[0] == process_type.source.sha256}

    def contract(self, name: str) -> Contract | None:
        """The newest version that a reference (`ledger.post`, `ledger.post@^1`) takes; an active one before a draft."""
        found = self.matching(name)
        return next((contract for contract in found if contract.status == "active"), found[0] if found else None)

    def matching(self, name: str) -> tuple[Contract, ...]:
        """Every version that a reference takes, newest first."""
        return _match(self._contracts, name)

    def process(self, name: str, version: str | None = None) -> ProcessType | None:
        """A process type by reference, or by name and exact version; the newest where several will do."""
        found = _match(self._processes, name if version is None else f"{name}@{version}")
        return found[0] if found else None

    def agent(self, name: str) -> Agent | None:
        """An agent by name."""
        return self._agents.get(name)

    def serving(self, contract: Contract) -> tuple[tuple[Agent, Serve], ...]:
        """Who keeps a contract, in the order in which they are asked: by `prefer`, then name."""
        able = [agent for agent in self._agents.values() if may_keep(agent.transport.kind, contract.effect)]
        found = [(agent, serve) for agent in able for serve in _first(agent, contract)]
        return tuple(sorted(found, key=lambda pair: (pair[0].prefer, pair[0].name)))

    def nearest(self, kind: str, name: str) -> tuple[str, ...]:
        """The three names of a kind (contract, process, agent) that are most like `name`."""
        known = {"contract": self._contracts, "process": self._processes, "agent": self._agents}[kind]
        return nearest(reference(name).name, known)

    def broken(self, kind: str, name: str) -> Problem | None:
        """The first error of a file that would define `name` (a contract, process or agent), were it sound."""
        wanted = reference(name).name
        return next(
            (
                problem
                for problem in self._problems
                if problem.level == "error"
                and (read := self._files.get(problem.file)) is not None
                and isinstance(read.document.value, dict)
                and read.document.value.get(kind) == wanted
            ),
            None,
        )

    def plan(self, process_type: ProcessType, *, server_floor: Assurance = Assurance.A0) -> CompiledProcess:
        """The checked and compiled plan of a type, with every definition that a process of it must pin."""
        at = (process_type.source.sha256, server_floor)
        if at not in self._plans:
            compiled = compile_process(process_type, registry=self, server_floor=server_floor)
            self._plans[at] = drawn(compiled, process_type, registry=self, server_floor=server_floor)
        return self._plans[at]


def _versions(definitions: Iterable[Versioned]) -> dict[str, tuple[Versioned, ...]]:
    named: dict[str, list[Versioned]] = {}
    for each in definitions:
        named.setdefault(each.name, []).append(each)
    return {
        name: tuple(sorted(named[name], key=lambda each: order(each.version), reverse=True)) for name in sorted(named)
    }


def _all(named: Mapping[str, tuple[Versioned, ...]]) -> tuple[Versioned, ...]:
    return tuple(each for versions in named.values() for each in versions)


def _match(named: Mapping[str, tuple[Versioned, ...]], text: str) -> tuple[Versioned, ...]:
    wanted = reference(text)
    return tuple(each for each in named.get(wanted.name, ()) if wanted.matches(each.version))


def _first(agent: Agent, contract: Contract) -> list[Serve]:
    """At most one: an agent that serves a contract twice is asked in the first way."""
    for serve in agent.serves:
        wanted = reference(serve.contract)
        if wanted.name == contract.name and wanted.matches(contract.version):
            return [serve]
    return []
