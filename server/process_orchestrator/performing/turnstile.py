"""The places and the pace of one agent, given to processes in turn: one with a thousand calls does not starve others.

Waiting costs a call nothing of its own time and no attempt. It is bounded twice: only so many calls wait here, and only
those whose turn is near; the others are sent away with the time after which to come again, which a journal can hold.
What is called, and whether it may be, is not decided here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Final

import anyio

from process_orchestrator.checking.documents.definitions import AgentLimits
from process_orchestrator.core.errors import AgentCallError

HOLD_S: Final = 10.0
"""Longest that a call waits here. A longer wait is a timer in the journal: seen by people, kept over a crash."""

WAITING_MAX: Final = 1000
REST_S_MIN: Final = 1.0
REST_S_MAX: Final = 60.0
"""Bounds of the time for which a call is sent away: no crowd that asks each moment, none that sleeps a free agent
away."""

MEAN_SHARE: Final = 0.2
"""Weight of the newest call in the mean time of a call."""


class Turnstile:
    """One agent's. `enter` and `leave` enclose a call; limits are those of the newest `enter`."""

    def __init__(self) -> None:
        self._limits = AgentLimits()
        self._queues: OrderedDict[str, deque[anyio.Event]] = OrderedDict()
        self._taken = self.waiting = 0
        self._last = ""  # the process that was let in last
        self._next_at = 0.0  # when the agent's pace lets the next call begin
        self._promised_at = 0.0  # when the last call that was sent away is to come again
        self._mean_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wait_ms(self, process: str, limits: AgentLimits) -> int:
        """How long to stay away, where a call of the process would wait too long here; else 0."""
        self._limits = limits
        if self.waiting < WAITING_MAX and self._expected_s(process) <= HOLD_S:
            return 0
        return self._sent_away_ms(process)

    async def enter(self, process: str, limits: AgentLimits) -> None:
        """Take a place as soon as it is the process's turn.

        Raises AgentCallError: `rate_limited` where that is not soon; nothing was sent.
        """
        self._limits = limits
        if not self._queues and self._free():
            self._take(process)
            return
        away_ms = self.wait_ms(process, limits)
        if away_ms:
            raise _sent_away(away_ms)
        turn = anyio.Event()
        self._queues.setdefault(process, deque()).append(turn)
        self.waiting += 1
        self._let_in()
        try:
            with anyio.move_on_after(HOLD_S):
                await turn.wait()
        except BaseException:
            if turn.is_set():
                self._give_back()
            else:
                self._withdraw(process, turn)
            raise
        if not turn.is_set():
            self._withdraw(process, turn)
            raise _sent_away(self._sent_away_ms(process))

    def leave(self, took_s: float) -> None:
        """Give the place back after a call that took so long."""
        self._mean_s = took_s if not self._mean_s else self._mean_s + MEAN_SHARE * (took_s - self._mean_s)
        self._give_back()

    def _give_back(self) -> None:
        self._taken -= 1
        self._let_in()

    def _free(self) -> bool:
        return self._taken < max(1, self._limits.concurrency) and not self._pause_s()

    def _pause_s(self) -> float:
        return max(0.0, self._next_at - _now_s()) if self._limits.per_s else 0.0

    def _take(self, process: str) -> None:
        self._taken += 1
        self._last = process
        if self._limits.per_s:
            self._next_at = max(self._next_at, _now_s()) + 1 / self._limits.per_s

    def _let_in(self) -> None:
        """Let in whoever's turn it is, each process once before any of them twice."""
        while self._queues and self._free():
            if next(iter(self._queues)) == self._last:
                self._queues.move_to_end(self._last)
            process, queue = self._queues.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._queues[process] = queue  # behind all others
            self.waiting -= 1
            self._take(process)
            turn.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queues and self._taken < max(1, self._limits.concurrency):
            self._timer = asyncio.get_running_loop().call_at(self._next_at, self._let_in)

    def _withdraw(self, process: str, turn: anyio.Event) -> None:
        queue = self._queues[process]
        queue.remove(turn)
        self.waiting -= 1
        if not queue:
            del self._queues[process]

    def _expected_s(self, process: str) -> float:
        """When a further call of the process would have its turn, as far as can be told."""
        own = len(self._queues.get(process, ()))
        before = own + sum(min(len(queue), own + 1) for name, queue in self._queues.items() if name != process)
        expected = self._pause_s() + (before / self._limits.per_s if self._limits.per_s else 0.0)
        places = max(1, self._limits.concurrency)
        if self._taken >= places:
            expected = max(expected, (before + 1) * self._mean_s / places)
        return expected

    def _sent_away_ms(self, process: str) -> int:
        """Those who are sent away come again one after another, at the pace at which calls are let in."""
        now = _now_s()
        each_s = max(1 / self._limits.per_s if self._limits.per_s else 0.0, self._mean_s / self._limits.concurrency)
        soonest = now + max(REST_S_MIN, self._expected_s(process) - HOLD_S / 2)
        self._promised_at = min(max(self._promised_at + each_s, soonest), now + REST_S_MAX)
        return max(1, round((self._promised_at - now) * 1000))


def _now_s() -> float:
    """Of the loop, as a timer of the loop itself may ask."""
    return asyncio.get_running_loop().time()


def _sent_away(away_ms: int) -> AgentCallError:
    message = "the agent's limits let no further call through soon; nothing was sent"
    return AgentCallError("rate_limited", message, retry_after_ms=away_ms)
