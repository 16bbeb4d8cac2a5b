"""Timers: the near ones in memory, the others in the database alone, none missed."""

from __future__ import annotations

import anyio
import pytest

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.journal_view import TimerRow
from process_orchestrator.hosting.timers import WINDOW_MS, Stored, Timers

pytestmark = pytest.mark.anyio


class VirtualClock:
    """Time that stands still until everybody waits, then jumps to what the first one waits for."""

    def __init__(self) -> None:
        self.now = 0

    def now_ms(self) -> int:
        return self.now

    def jitter(self) -> int:
        return 0

    async def sleep_until(self, at_ms: int) -> None:
        await anyio.sleep(0)
        self.now = max(self.now, at_ms)


class Table:
    """Stored timers, and how often they were read."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.reads = 0
        self.failures = 0

    async def read(self, until: int) -> Stored:
        self.reads += 1
        if self.failures:
            self.failures -= 1
            raise StorageError("the disk is away")
        near = [TimerRow(process="p", timer=name, fire_at=at) for name, at in self.rows.items() if at <= until]
        return Stored(near, min((at for at in self.rows.values() if at > until), default=None))


async def fired(timers: Timers, table: Table, clock: VirtualClock, *, count: int) -> list[tuple[str, int]]:
    """The first `count` timers that fire, with the time they did."""
    seen: list[tuple[str, int]] = []
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:

            async def fire(_process: str, timer: str) -> None:
                seen.append((timer, clock.now))
                table.rows.pop(timer, None)
                if len(seen) == count:
                    tasks.cancel_scope.cancel()

            await timers.run(fire)
    return seen


async def test_far_timers_wait_in_the_database_and_each_fires_at_its_time() -> None:
    clock, table = VirtualClock(), Table()
    table.rows = {f"t{n}": n * WINDOW_MS // 2 for n in range(1, 9)}
    timers = Timers(clock, table.read)
    await timers.refill()
    assert len(timers) == 2
    assert await fired(timers, table, clock, count=8) == [(f"t{n}", n * WINDOW_MS // 2) for n in range(1, 9)]
    assert table.reads == 3


async def test_a_timer_set_for_later_costs_no_memory_and_is_read_when_its_time_comes() -> None:
    clock, table = VirtualClock(), Table()
    timers = Timers(clock, table.read)
    await timers.refill()
    for n in range(1000):
        table.rows[f"t{n}"] = 10 * WINDOW_MS + n
        timers.set("p", f"t{n}", 10 * WINDOW_MS + n)
    assert len(timers) == 0
    seen = await fired(timers, table, clock, count=1000)
    assert seen == [(f"t{n}", 10 * WINDOW_MS + n) for n in range(1000)]


async def test_a_near_timer_that_is_set_again_for_later_does_not_fire_early() -> None:
    clock, table = VirtualClock(), Table()
    timers = Timers(clock, table.read)
    await timers.refill()
    timers.set("p", "moved", 5)
    table.rows["moved"] = 3 * WINDOW_MS
    timers.set("p", "moved", 3 * WINDOW_MS)
    assert await fired(timers, table, clock, count=1) == [("moved", 3 * WINDOW_MS)]


async def test_a_read_that_fails_is_tried_again() -> None:
    clock, table = VirtualClock(), Table()
    timers = Timers(clock, table.read)
    await timers.refill()
    table.rows["late"] = 2 * WINDOW_MS
    timers.set("p", "late", 2 * WINDOW_MS)
    table.failures = 2
    (seen,) = await fired(timers, table, clock, count=1)
    assert seen == ("late", 2 * WINDOW_MS + 2000)
