"""Turns that wait for room on the disk: answers of agents that were paid for must not be asked for again.

In the order in which they were made, and bounded. Data of the writer; what there is room for is its business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from process_orchestrator.core.errors import StorageFullError
    from process_orchestrator.hosting.writer import Lane, TurnWrite

TURNS_MAX: Final = 5000
"""Turns that wait at most. The processes of further ones are dropped from memory and folded again later."""
BYTES_MAX: Final = 64_000_000
"""Their rows and bodies at most, in bytes."""


class Backlog:
    """What waits for room, and why."""

    def __init__(self) -> None:
        self._waiting: list[TurnWrite] = []
        self._bytes = 0
        self.why: StorageFullError | None = None

    def stalled(self, error: StorageFullError) -> None:
        """Something could not be written. The first reason stays: it says when it began."""
        self.why = self.why or error

    def freed(self) -> None:
        """Something was written. While one still waits there is no room for it."""
        if not self._waiting:
            self.why = None

    def keep(self, write: TurnWrite) -> bool:
        """Whether a turn may wait, and now does."""
        size = len(write.turn) + sum(body.ref.bytes for body in write.artifacts)
        if not write.patient or len(self._waiting) >= TURNS_MAX or self._bytes + size > BYTES_MAX:
            return False
        self._waiting.append(write)
        self._bytes += size
        return True

    def holds(self, lane: Lane) -> bool:
        return any(write.lane is lane for write in self._waiting)

    def forget(self, lane: Lane) -> list[TurnWrite]:
        """Take what waits on a lane, to fail it."""
        taken = [write for write in self._waiting if write.lane is lane]
        self._refill([write for write in self._waiting if write.lane is not lane])
        return taken

    def take(self) -> list[TurnWrite]:
        """Take all, oldest first, to try once more."""
        taken = self._waiting
        self._refill([])
        return taken

    def _refill(self, waiting: list[TurnWrite]) -> None:
        self._waiting = waiting
        self._bytes = sum(len(write.turn) + sum(body.ref.bytes for body in write.artifacts) for write in waiting)
