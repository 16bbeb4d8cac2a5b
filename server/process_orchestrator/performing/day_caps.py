"""What agents may cost in a day (`limits.usd_per_day`, UTC): counted over all processes, held back while a call runs.

Not the budget of a process, which is the core's. What was spent before this engine began is read from the journal once,
when an agent with a cap is first met; from then on every call is counted here. An engine that ended in the middle of a
call left it open in the journal: its worst case stays held back until the call is sent again, or the day ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import anyio
from msgspec.structs import replace

from process_orchestrator.core.budget import billed
from process_orchestrator.core.facts.events import CallFailed, CallSucceeded
from process_orchestrator.core.money import MICROS_PER_USD, usd
from process_orchestrator.performing.failure import Failed, Spent, call_failed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from process_orchestrator.core.facts.commands import InvokeAgent
    from process_orchestrator.core.ports import Bill, BillsSince, Clock, Performed
    from process_orchestrator.performing.choice import Standing

DAY_MS: Final = 86_400_000
LOOK_AGAIN_MS: Final = 1000
"""When a call that found all money held back by others asks again."""


async def nothing_billed(_since: int) -> tuple[Bill, ...]:
    """Of an engine without a past."""
    return ()


@dataclass(kw_only=True)
class _Book:
    """What one agent has cost on a day, and what its calls under way may cost, by process and call.

    `left_open` are calls that an engine before this one made: one that is never sent again counts until midnight.
    """

    day: int
    spent: int = 0
    held: dict[str, int] = field(default_factory=dict[str, int])
    left_open: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def held_back(self) -> int:
        return sum(self.held.values()) + sum(self.left_open.values())


class DayCaps:
    """`live_usd` tells the caps by agent, as they are now; one that may cost what it likes stands not in them.

    Where nobody has a cap, nothing else needs to be asked.
    """

    def __init__(self, live_usd: Callable[[], Mapping[str, float]], *, bills: BillsSince, clock: Clock) -> None:
        self.live_usd, self._bills, self._clock = live_usd, bills, clock
        self._books: dict[str, _Book] = {}
        self._reading = anyio.Lock()

    async def learn(self, agents: Iterable[str]) -> None:
        """Read what agents with a cap have cost today, those that are met for the first time."""
        met = [name for name in agents if name not in self._books and self._cap(name) is not None]
        if not met:
            return
        async with self._reading:
            met = [name for name in met if name not in self._books]
            if not met:
                return
            day = self._today()
            books = {name: _Book(day=day) for name in met}
            for bill in await self._bills(day * DAY_MS):
                book = books.get(bill.agent)
                if book is not None and bill.open:
                    book.left_open[bill.slot] = bill.usd_micros
                elif book is not None:
                    book.spent += bill.usd_micros
            self._books.update(books)

    def standing(self, standing: Standing, agent: str, *, reserve: int | None) -> Standing:
        """How an agent stands once its cap is looked at. One that was set after it was learned counts for the next."""
        cap = self._cap(agent)
        if cap is None or agent not in self._books or self._fits(agent, cap, reserve or 0):
            return standing
        book = self._book(agent)
        frees = datetime.fromtimestamp((book.day + 1) * DAY_MS // 1000, tz=UTC).strftime("%Y-%m-%dT%H:%MZ")
        held = book.held_back
        used = f"{usd(book.spent)} USD spent" + (f" and {usd(held)} USD held back" if held else "")
        return replace(standing, capped=f"{agent} has {used} of its {usd(cap)} USD a day, which frees at {frees}")

    async def paid(
        self, command: InvokeAgent, *, reserve: int | None, delivery: int, call: Callable[[], Awaitable[Performed]]
    ) -> Performed:
        """Make a call within the cap of its agent. One that was sent before is under way already: it is let through."""
        agent = command.agent.name
        cap = self._cap(agent)
        if cap is None:
            return await call()
        await self.learn((agent,))
        slot, worst = f"{command.process}/{command.call}", reserve or 0
        if delivery == 1 and not self._fits(agent, cap, worst):
            message = f"the {usd(cap)} USD that {agent} may cost in a day are held back by other calls"
            failed = Failed(code="rate_limited", message=message, retry_after_ms=LOOK_AGAIN_MS)
            return call_failed(command.call, failed, clock=self._clock, spent=Spent(usd_micros=0))
        book = self._book(agent)
        book.left_open.pop(slot, None)
        book.held[slot] = worst
        cost = worst  # of a call that is broken off: it may have been billed
        try:
            performed = await call()
            if isinstance(performed.event, CallSucceeded | CallFailed):
                cost = billed(performed.event, worst) or 0
            return performed
        finally:
            book = self._book(agent)
            book.held.pop(slot, None)
            book.spent += cost

    def _cap(self, agent: str) -> int | None:
        cap = self.live_usd().get(agent)
        return None if cap is None else round(cap * MICROS_PER_USD)

    def _fits(self, agent: str, cap: int, worst: int) -> bool:
        """Whether one more call fits. At a cap that is reached not even a call without a price does."""
        book = self._book(agent)
        used = book.spent + book.held_back
        return used < cap and used + worst <= cap

    def _book(self, agent: str) -> _Book:
        """The book of today. What is under way at midnight counts on the day it ends."""
        book, today = self._books[agent], self._today()
        if book.day < today:
            book.day, book.spent, book.left_open = today, 0, {}
        return book

    def _today(self) -> int:
        return self._clock.now_ms() // DAY_MS
