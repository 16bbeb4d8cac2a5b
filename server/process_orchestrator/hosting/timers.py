"""One heap for every timer of an engine. A timer may be set again or dropped at any time; the newest word counts."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from process_orchestrator.core.ports import Clock

SLACK: Final = 1000
"""Dropped timers that may stand in the heap beside as many as are live, before it is built anew."""


class Timers:
    """Timers by (process, name). `run` calls back when one is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[tuple[str, str], int] = {}
        self._heap: list[tuple[int, str, str]] = []
        self._waiting: anyio.CancelScope | None = None
        self._waiting_until: int | None = None

    def set(self, process: str, timer: str, fire_at: int) -> None:
        if self._due.get((process, timer)) == fire_at:
            return
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

    async def run(self, fire: Callable[[str, str], Awaitable[None]]) -> None:
        """Call `fire(process, timer)` for each timer that is due, one after the other, for ever."""
        while True:
            await self._sleep()
            while self._heap and self._heap[0][0] <= self._clock.now_ms():
                fire_at, process, timer = heapq.heappop(self._heap)
                if self._due.get((process, timer)) == fire_at:
                    del self._due[process, timer]
                    await fire(process, timer)

    async def _sleep(self) -> None:
        """Wait until the earliest timer is due, or until an earlier one is set."""
        with anyio.CancelScope() as self._waiting:
            if self._heap:
                self._waiting_until = self._heap[0][0]
                await self._clock.sleep_until(self._waiting_until)
            else:
                self._waiting_until = None
                await anyio.sleep_forever()
        self._waiting = None
