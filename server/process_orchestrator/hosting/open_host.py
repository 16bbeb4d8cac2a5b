"""Opens the host of a state folder: as its engine, as a door to the engine, or for reading.

One engine per database, any number of doors. Who finds the lock free becomes the engine.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from process_orchestrator.core.limits import PROCESSES_RUNNING_MAX
from process_orchestrator.core.ports import AgentHealth, Artifacts, ChangeListener, Clock, Host, Performer, Proof
from process_orchestrator.hosting.chain import HOME_KEY_FILE, make_key
from process_orchestrator.hosting.embedded import embedded_host
from process_orchestrator.hosting.engine_socket import serve_doors
from process_orchestrator.hosting.folding import CORE, Core, Derived
from process_orchestrator.hosting.journal import Journal, JournalReader, open_journal
from process_orchestrator.hosting.journal_host import ReadOnlyHost
from process_orchestrator.hosting.lock import EngineLock, try_lock
from process_orchestrator.hosting.parts import Parts
from process_orchestrator.hosting.stored_artifacts import StoredArtifacts
from process_orchestrator.hosting.switching_host import switching_host
from process_orchestrator.hosting.wire import EngineHealth

Mode: TypeAlias = Literal["drive", "write", "read"]
BuildPerformer: TypeAlias = Callable[[Artifacts], AbstractAsyncContextManager[Performer]]


@dataclass(frozen=True, kw_only=True)
class HostParts:
    """What a host is built of, whichever part this program plays."""

    state: Path
    build_performer: BuildPerformer
    clock: Clock
    verify_proof: Callable[[Proof], Derived]
    core: Core = CORE
    listener: ChangeListener | None = None
    processes_running_max: int = PROCESSES_RUNNING_MAX
    agents_health: Callable[[], tuple[AgentHealth, ...]] = tuple


@asynccontextmanager
async def open_host(parts: HostParts, *, mode: Mode = "drive") -> AsyncGenerator[Host]:
    """The host of a state folder for the life of this context.

    drive: become the engine, or a door that takes over when the engine ends. write: a door where an engine lives,
    else take the lock, commit and leave, driving nothing. read: open the database for reading. Raises StorageError
    for a database that cannot be trusted, EngineError where the engine does not answer or speaks another version.
    """
    if mode == "read":
        async with JournalReader(parts.state) as reader:
            yield ReadOnlyHost(reader, StoredArtifacts(reader), parts.core)
        return
    drives = mode == "drive"
    lock = try_lock(parts.state)
    if lock is not None:
        async with engine(parts, lock, drives=drives) as host:
            yield host
        return
    async with switching_host(parts.state, partial(engine, parts, drives=drives)) as host:
        yield host


@asynccontextmanager
async def engine(parts: HostParts, lock: EngineLock, *, drives: bool) -> AsyncGenerator[Host]:
    """Be the engine: journal, performer, host. Lets the lock go at the end, after the journal is closed."""
    async with AsyncExitStack() as stack:
        stack.callback(lock.close)
        home_key = make_key(parts.state / HOME_KEY_FILE)
        journal = await stack.enter_async_context(open_journal(parts.state))
        artifacts = StoredArtifacts(journal)
        performer = await stack.enter_async_context(parts.build_performer(artifacts)) if drives else None
        driven = Parts(
            journal=journal,
            artifacts=artifacts,
            performer=performer,
            core=parts.core,
            clock=parts.clock,
            listener=parts.listener,
            processes_running_max=parts.processes_running_max,
        )
        host = await stack.enter_async_context(
            embedded_host(driven, home_key=home_key, verify_proof=parts.verify_proof)
        )
        if drives:
            await stack.enter_async_context(serve_doors(parts.state, host, partial(_health, journal, parts)))
        yield host


def _health(journal: Journal, parts: HostParts) -> EngineHealth:
    rows, head = journal.head
    stalled = journal.stalled
    storage = str(stalled) if stalled else None
    return EngineHealth(pid=os.getpid(), rows=rows, head=head, storage=storage, agents=parts.agents_health())
