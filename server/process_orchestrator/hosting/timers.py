"""The timers of an engine: those of the next minutes in one heap, later ones in the database alone.

So a hundred thousand parked processes cost no memory. A timer may be set again or dropped at any time; the newest word
counts. What a timer means is the core's.
"""

from __future__ import annotations

import heapq
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from process_orchestrator.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from process_orchestrator.core.ports import Clock
    from process_orchestrator.hosting.journal_view import TimerRow

WINDOW_MS: Final = 300_000
"""How far ahead timers are kept in memory, in milliseconds."""
READ_AGAIN_MS: Final = 1000
"""How long after a failed read the timers are read again, in milliseconds."""
SLACK: Final = 1000
"""Dropped timers that may stand in the heap beside as many as are live, before it is built anew."""

_log = logging.getLogger(__name__)


class Stored(NamedTuple):
    """The stored timers up to some moment, and when the first one after it is due."""

    timers: Sequence[TimerRow] = ()
    later: int | None = None


class Timers:
    """Timers by (process, name). `run` calls back when one is due. `read` gives the stored ones up to a moment."""

    def __init__(self, clock: Clock, read: Callable[[int], Awaitable[Stored]]) -> None:
        self._clock, self._read = clock, read
        self._due: dict[tuple[str, str], int] = {}
        self._heap: list[tuple[int, str, str]] = []
        self._until = -1  # what is due later stands in the database alone
        self._later: int | None = None  # when the first of those is due, or was
        self._waiting: anyio.CancelScope | None = None
        self._waiting_until: int | None = None

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._due)

    def set(self, process: str, timer: str, fire_at: int) -> None:
        """Know of a timer that is stored, or stood in what `read` gave."""
        if fire_at > self._until:
            self._due.pop((process, timer), None)
            self._later = fire_at if self._later is None else min(self._later, fire_at)
        elif self._due.get((process, timer)) != fire_at:
            self._due[process, timer] = fire_at
            heapq.heappush(self._heap, (fire_at, process, timer))
        if self._waiting is not None and (self._waiting_until is None or fire_at < self._waiting_until):
            self._waiting.cancel()

    def drop(self, process: str, timer: str) -> None:
        """Forget a timer; what stands of it in the heap is skipped when it comes up."""
        self._due.pop((process, timer), None)
        if len(self._heap) > 2 * len(self._due) + SLACK:
            self._heap = [(fire_at, *name) for name, fire_at in self._due.items()]
            heapq.heapify(self._heap)

    async def refill(self) -> None:
        """Read the timers of the next minutes. Raises StorageError."""
        # Before the read, so that one that is set meanwhile is not missed: it is stored, or it comes here.
        self._until, self._later = self._clock.now_ms() + WINDOW_MS, None
        stored = await self._read(self._until)
        for row in stored.timers:
            self.set(row.process, row.timer, row.fire_at)
        if stored.later is not None:
            self._later = stored.later if self._later is None else min(self._later, stored.later)

    async def run(self, fire: Callable[[str, str], Awaitable[None]]) -> None:
        """Call `fire(process, timer)` for each timer that is due, one after the other, for ever."""
        while True:
            await self._sleep()
            if self._later is not None and self._later <= self._clock.now_ms():
                await self._refill_or_later()
            while self._heap and self._heap[0][0] <= self._clock.now_ms():
                fire_at, process, timer = heapq.heappop(self._heap)
                if self._due.get((process, timer)) == fire_at:
                    del self._due[process, timer]
                    await fire(process, timer)

    async def _refill_or_later(self) -> None:
        try:
            await self.refill()
        except StorageError as error:
            _log.warning("timers are read again soon: %s", error)
            self._until, self._later = -1, self._clock.now_ms() + READ_AGAIN_MS

    async def _sleep(self) -> None:
        """Wait until the earliest timer is due, or until an earlier one is set."""
        ahead = [at for at in (self._heap[0][0] if self._heap else None, self._later) if at is not None]
        with anyio.CancelScope() as self._waiting:
            self._waiting_until = min(ahead, default=None)
            if self._waiting_until is None:
                await anyio.sleep_forever()
            else:
                await self._clock.sleep_until(self._waiting_until)
        self._waiting = None
