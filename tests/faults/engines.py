"""The engine of a simulation: the real parts over a simulated disk, in the order in which `open_host` joins them."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from faults.catalogue import catalogue
from faults.disk import Disk, SimulatedJournal
from faults.thinking import Thinker
from process_orchestrator.checking.plans.compiled import Compiler
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.ports import (
    ChangeListener,
    Clock,
    Host,
    InProcessAgent,
    JournalRow,
    Performer,
    ProcessQuery,
)
from process_orchestrator.hosting.embedded import embedded_host
from process_orchestrator.hosting.folding import CORE
from process_orchestrator.hosting.parts import Parts
from process_orchestrator.hosting.proofs import derive
from process_orchestrator.hosting.reviewers import Reviewers
from process_orchestrator.hosting.stored_artifacts import StoredArtifacts
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.performer import LocalPerformer

HOME_KEY: Final = b"simulated" * 4
LOOKS: Final = 20
"""How often state and journal are looked at before they are taken for different."""
MEMORY: Final = Path("/dev/shm")
"""A file system in memory, where there is one."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What an engine finds around itself."""

    disk: Disk
    clock: Clock
    agents: Mapping[str, InProcessAgent]
    listener: ChangeListener | None = None
    processes_running_max: int = 100
    compiler: Compiler = field(default_factory=Compiler)
    thinker: Thinker | None = None


@asynccontextmanager
async def simulated_engine(world: World) -> AsyncGenerator[tuple[Host, SimulatedJournal]]:
    """An engine for the life of this context, and the journal by which it can be killed."""
    state, reviewers = world.disk.state, Reviewers(world.disk.state)
    async with SimulatedJournal(world.disk) as journal:
        artifacts = StoredArtifacts(journal)
        pool = AgentPool(
            lambda: catalogue().registry, state_dir=state, home=state, clock=world.clock, in_process=world.agents
        )
        async with pool:
            performer: Performer = LocalPerformer(artifacts, world.compiler, pool, world.clock)
            if world.thinker is not None:
                performer = world.thinker.around(performer, artifacts, world.clock)
            parts = Parts(
                journal=journal,
                artifacts=artifacts,
                performer=performer,
                core=CORE,
                clock=world.clock,
                listener=world.listener,
                processes_running_max=world.processes_running_max,
            )
            host = embedded_host(parts, home_key=HOME_KEY, verify_proof=lambda proof: derive(proof, reviewers))
            async with host as opened:
                yield opened, journal


async def settled(host: Host, process: str) -> tuple[Process, list[JournalRow]]:
    """A state and the journal up to it: what comes late may still fall between two looks."""
    state, rows = await host.state(process), await journal_of(host, process)
    for _ in range(LOOKS):
        if rows[-1].seq == state.seq:
            break
        state, rows = await host.state(process), await journal_of(host, process)
    return state, rows


async def everyone(host: Host) -> list[str]:
    """Every process, also those whose start nobody was there to hear acknowledged."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await host.processes(ProcessQuery(limit=100, cursor=cursor))
        found += [row.process_id for row in page.items]
        if page.next is None:
            return found
        cursor = page.next


async def journal_of(host: Host, process: str) -> list[JournalRow]:
    rows: list[JournalRow] = []
    after = 0
    while True:
        page = await host.journal(process, after=after, limit=1000)
        rows.extend(page.items)
        if page.next is None:
            return rows
        after = int(page.next)
