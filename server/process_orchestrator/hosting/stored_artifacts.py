"""Bodies and definitions for the performer: those of turns not yet durable, the newest few, else the database.

A local command runs before the turn that its inputs came with is written, so what is queued must be readable at once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from process_orchestrator.core.facts.values import Ref
    from process_orchestrator.core.ports import Body, DefinitionBody
    from process_orchestrator.hosting.journal import Journal, JournalReader

KEPT_BYTES: Final = 4_000_000
"""Durable bodies kept in memory, in bytes: the outputs that the next step binds."""
DEFINITIONS_KEPT: Final = 64


class StoredArtifacts:
    """The `Artifacts` of an engine or of a reader."""

    def __init__(self, journal: Journal | JournalReader) -> None:
        self._journal = journal
        self._pending: dict[str, tuple[bytes, int]] = {}  # sha256 -> body and how many unwritten turns hold it
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._definitions: OrderedDict[str, DefinitionBody] = OrderedDict()

    def hold(self, bodies: Iterable[Body]) -> None:
        """Keep bodies of a turn readable until `release`."""
        for body in bodies:
            sha256 = body.ref.sha256
            held = self._pending.get(sha256)
            self._pending[sha256] = (body.data, 1 if held is None else held[1] + 1)

    def release(self, bodies: Iterable[Body], *, durable: bool) -> None:
        """The turn that held these bodies was written, or will never be."""
        for body in bodies:
            sha256 = body.ref.sha256
            data, holders = self._pending.pop(sha256)
            if holders > 1:
                self._pending[sha256] = (data, holders - 1)
            if durable:
                self._keep(sha256, data)

    def keep_definitions(self, bodies: Iterable[DefinitionBody]) -> None:
        """Keep the newest few definitions at hand; they are stored with the turn they came with."""
        for body in bodies:
            self._definitions[body.sha256] = body
        while len(self._definitions) > DEFINITIONS_KEPT:
            self._definitions.popitem(last=False)

    async def body(self, ref: Ref) -> bytes:
        """Raises StorageError where the body is missing."""
        held = self._pending.get(ref.sha256)
        if held is not None:
            return held[0]
        kept = self._kept.get(ref.sha256)
        if kept is not None:
            self._kept.move_to_end(ref.sha256)
            return kept
        found = await self._journal.read(lambda view: view.artifact(ref.sha256), empty=None)
        if found is None:
            raise StorageError(f"the body {ref.sha256} is missing from the database. Do: run verify.")
        self._keep(ref.sha256, found)
        return found

    async def definition(self, sha256: str) -> DefinitionBody:
        """Raises StorageError where the definition is missing."""
        kept = self._definitions.get(sha256)
        if kept is None:
            kept = await self._journal.read(lambda view: view.definition(sha256), empty=None)
            if kept is None:
                raise StorageError(f"the definition {sha256} is missing from the database. Do: run verify.")
            self.keep_definitions((kept,))
        return kept

    def _keep(self, sha256: str, data: bytes) -> None:
        if sha256 in self._kept or len(data) > KEPT_BYTES // 4:
            return
        self._kept[sha256] = data
        self._kept_bytes += len(data)
        while self._kept_bytes > KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)
