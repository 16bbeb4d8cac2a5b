"""The reading half of `Host` over a journal: states by folding, rows, listings, bodies. Drives nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

from process_orchestrator.core.errors import EngineError
from process_orchestrator.core.ports import JournalRow, Page
from process_orchestrator.core.status import settled as is_settled
from process_orchestrator.hosting.folding import fold
from process_orchestrator.hosting.refusals import unknown_process

if TYPE_CHECKING:
    from process_orchestrator.core.facts.events import OutsideEvent
    from process_orchestrator.core.facts.specs import ProcessSpec
    from process_orchestrator.core.facts.state import Process
    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.core.ports import (
        Bodies,
        DefinitionBody,
        EscalationQuery,
        EscalationRow,
        ProcessQuery,
        ProcessRow,
        Proof,
    )
    from process_orchestrator.hosting.folding import Core
    from process_orchestrator.hosting.journal import Journal, JournalReader
    from process_orchestrator.hosting.stored_artifacts import StoredArtifacts

ROWS_MAX: Final = 1000
LOOK_AGAIN_S: Final = 0.05
"""How often a reader without an engine looks for new rows, in seconds."""


class JournalHost:
    """Answers from what is durable. Base of the engine's host, and alone a host that only reads."""

    def __init__(self, journal: Journal | JournalReader, artifacts: StoredArtifacts, core: Core) -> None:
        self._journal = journal
        self._artifacts = artifacts
        self._core = core

    async def state(self, process_id: str) -> Process:
        """The state as its journal says. Raises RefusedError UNKNOWN_PROCESS."""
        folded = await self._journal.read(partial(fold, core=self._core, process=process_id), empty=None)
        if folded is None:
            raise unknown_process(process_id)
        return folded.state

    async def journal(self, process_id: str, *, after: int, limit: int) -> Page[JournalRow]:
        """Rows over `after`, oldest first; `next` is the seq to go on after. Raises RefusedError UNKNOWN_PROCESS."""
        limit = max(1, min(limit, ROWS_MAX))
        rows = await self._journal.read(lambda view: view.rows(process_id, after=after, limit=limit + 1), empty=[])
        if not rows and await self._version(process_id) is None:
            raise unknown_process(process_id)
        more = str(rows[limit - 1].seq) if len(rows) > limit else None
        return Page(items=tuple(rows[:limit]), next=more)

    async def processes(self, query: ProcessQuery) -> Page[ProcessRow]:
        return await self._journal.read(lambda view: view.processes(query), empty=Page(items=()))

    async def escalations(self, query: EscalationQuery) -> Page[EscalationRow]:
        return await self._journal.read(lambda view: view.escalations(query), empty=Page(items=()))

    async def body(self, ref: Ref) -> bytes:
        """Raises StorageError where it is missing."""
        return await self._artifacts.body(ref)

    async def definition(self, sha256: str) -> DefinitionBody:
        """Raises StorageError where it is missing."""
        return await self._artifacts.definition(sha256)

    async def wait(self, process_id: str, *, since: int, timeout_s: float, settled: bool = False) -> Process:
        """Look for a newer version every now and then: another program writes, and nothing tells us."""
        with anyio.move_on_after(timeout_s):
            while True:
                while (version := await self._version(process_id)) is not None and version <= since:  # noqa: ASYNC110
                    await anyio.sleep(LOOK_AGAIN_S)
                state = await self.state(process_id)
                if not settled or is_settled(state):
                    return state
                since = state.seq
        return await self.state(process_id)

    async def _version(self, process_id: str) -> int | None:
        return await self._journal.read(lambda view: view.version(process_id), empty=None)


class ReadOnlyHost(JournalHost):
    """A host that opens the database for reading alone, whether an engine runs or not."""

    async def start(self, spec: ProcessSpec, bodies: Bodies) -> Process:  # noqa: ARG002 - the port's signature
        _refuse()

    async def deliver(
        self,
        process_id: str,  # noqa: ARG002
        event: OutsideEvent,  # noqa: ARG002
        bodies: Bodies,  # noqa: ARG002
        *,
        request_id: str,  # noqa: ARG002
        proof: Proof | None,  # noqa: ARG002
    ) -> Process:
        _refuse()


def _refuse() -> NoReturn:
    raise EngineError("ENGINE_UNAVAILABLE", "ENGINE_UNAVAILABLE: this home is open for reading only.")
