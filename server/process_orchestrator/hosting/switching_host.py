"""A host that is handed out once and stays the same while what stands behind it changes: door, then perhaps engine.

When the engine leaves, its doors try the lock: one becomes the engine, the others its doors. Requests under way are
sent again, which is safe: `start` and `deliver` meet their own first try.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
from msgspec.structs import replace

from process_orchestrator.core.errors import OrchestratorError
from process_orchestrator.hosting.embedded import random_process_id
from process_orchestrator.hosting.lock import try_lock
from process_orchestrator.hosting.remote_host import ANSWER_S, DoorLostError, remote_host, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from process_orchestrator.core.facts.events import OutsideEvent
    from process_orchestrator.core.facts.specs import ProcessSpec
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.core.ports import (
        Bodies,
        DefinitionBody,
        EscalationQuery,
        EscalationRow,
        Host,
        JournalRow,
        Page,
        ProcessQuery,
        ProcessRow,
        Proof,
    )
    from process_orchestrator.hosting.lock import EngineLock

T = TypeVar("T")

RETRY_S: Final = 0.2
"""How often a door without an engine tries the lock and the socket, in seconds."""


class SwitchingHost:
    """Delegates to whatever is behind it now; waits a bounded time while nothing is."""

    def __init__(self) -> None:
        self._behind: Host | None = None
        self._failure: OrchestratorError | None = None
        self._changed = asyncio.Event()

    def put(self, host: Host | None, failure: OrchestratorError | None = None) -> None:
        """Set what stands behind; with none, why."""
        self._behind, self._failure = host, failure
        self._changed.set()
        self._changed = asyncio.Event()

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:
        # The id is chosen here, so that a second try meets the first.
        if spec.key is None and not spec.process_id:
            spec = replace(spec, process_id=random_process_id())
        return await self._ask(lambda host: host.start(spec, bodies))

    async def deliver(
        self, process_id: str, event: OutsideEvent, bodies: Bodies, *, request_id: str, proof: Proof | None
    ) -> Process:
        return await self._ask(lambda host: host.deliver(process_id, event, bodies, request_id=request_id, proof=proof))

    async def state(self, process_id: str) -> Process:
        return await self._ask(lambda host: host.state(process_id))

    async def journal(self, process_id: str, *, after: int, limit: int) -> Page[JournalRow]:
        return await self._ask(lambda host: host.journal(process_id, after=after, limit=limit))

    async def processes(self, query: ProcessQuery) -> Page[ProcessRow]:
        return await self._ask(lambda host: host.processes(query))

    async def escalations(self, query: EscalationQuery) -> Page[EscalationRow]:
        return await self._ask(lambda host: host.escalations(query))

    async def body(self, ref: Ref) -> bytes:
        return await self._ask(lambda host: host.body(ref))

    async def definition(self, sha256: str) -> DefinitionBody:
        return await self._ask(lambda host: host.definition(sha256))

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        until = anyio.current_time() + timeout_s
        return await self._ask(
            lambda host: host.wait(
                process_id, since=since, timeout_s=max(0.0, until - anyio.current_time()), settled=settled
            )
        )

    async def _ask(self, ask: Callable[[Host], Awaitable[T]]) -> T:
        """Ask what stands behind, again where it left before it answered."""
        while True:
            host = await self.present()
            try:
                return await ask(host)
            except DoorLostError:
                if self._behind is host:
                    self.put(None)

    async def present(self) -> Host:
        """What stands behind, within a bounded time. Raises EngineError, StorageError."""
        try:
            with anyio.fail_after(ANSWER_S):
                while self._behind is None:
                    if self._failure is not None:
                        raise self._failure
                    await self._changed.wait()
        except TimeoutError:
            raise unavailable() from None
        return self._behind


class Seats:
    """Finds a place at a state folder, again and again: as engine where the lock is free, else as door."""

    def __init__(self, state: Path, become_engine: Callable[[EngineLock], AbstractAsyncContextManager[Host]]) -> None:
        self._state = state
        self._become_engine = become_engine
        self._closing = asyncio.Event()
        self.host = SwitchingHost()

    async def open(self) -> None:
        """Wait until there is a place. Raises EngineError, StorageError."""
        await self.host.present()

    def close(self) -> None:
        self._closing.set()

    async def keep(self) -> None:
        """Hold a place; find another whenever the engine leaves; until `close`."""
        while not self._closing.is_set():
            try:
                await self._sit()
            except DoorLostError:
                await self._pause()
            except OrchestratorError as error:
                self.host.put(None, error)
                await self._pause()

    async def _sit(self) -> None:
        lock = try_lock(self._state)
        if lock is not None:
            async with self._become_engine(lock) as host:
                self.host.put(host)
                await self._closing.wait()
            return
        async with remote_host(self._state) as door:
            self.host.put(door)
            try:
                await _first(door.lost, self._closing)
            finally:
                self.host.put(None)

    async def _pause(self) -> None:
        with anyio.move_on_after(RETRY_S):
            await self._closing.wait()


async def _first(*events: asyncio.Event) -> None:
    """Wait until one of some events is set."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waiting:
            wait.cancel()


@asynccontextmanager
async def switching_host(
    state: Path, become_engine: Callable[[EngineLock], AbstractAsyncContextManager[Host]]
) -> AsyncGenerator[SwitchingHost]:
    """A door that outlives its engine, for the life of this context. Raises EngineError, StorageError."""
    seats = Seats(state, become_engine)
    # No task group: it would wrap what the caller's body raises. Joined below, whatever happens.
    keeping = asyncio.create_task(seats.keep(), name="seat")
    try:
        await seats.open()
        yield seats.host
    finally:
        seats.close()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([keeping])
    keeping.result()
