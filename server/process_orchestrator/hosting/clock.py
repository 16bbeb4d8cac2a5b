"""The engine's clock: wall time that does not jump, jitter and waiting. A simulation puts another `Clock` in its place.

Calls are timed by the event loop's clock, never by this one. This one tells the core how long things took, and timers
when they are due: by an hour that somebody sets the clock forward no call may seem to have taken an hour, no timer fire
early; set back, no retry of a second may wait for an hour.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

import anyio

WAIT_S_MAX: Final = 10.0
"""Longest single wait, in seconds: after each, the time is looked at again, so that one that the machine slept through
is met within this time of its waking."""
CATCH_UP: Final = 100
"""One part in this many of the time that passes makes up for a jump of the wall clock."""
JUMP_NS_MAX: Final = 2 * 3_600_000_000_000
"""Up to here the wall clock was set. Beyond it time did pass, in a machine that was stopped, or the clock was wrong
before: it is followed at once, but never back."""
LOOK_NS: Final = 1_000_000_000
"""How long the wall clock is not looked at."""

Nanoseconds = Callable[[], int]


def steady_ns() -> int:
    """Time that nobody can set, and that goes on while the machine sleeps, from no particular moment."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux: there CLOCK_MONOTONIC stands still in sleep, elsewhere it does not
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()


class SystemClock:
    """The `Clock` of a real engine: wall time as it was at the beginning, going on with steady time."""

    def __init__(self, *, wall: Nanoseconds = time.time_ns, steady: Nanoseconds = steady_ns) -> None:
        self._wall, self._steady = wall, steady
        self._looked = steady()
        self._ahead = wall() - self._looked  # of wall time, as it was taken to be then, before steady time
        self._off = 0  # by how much it was wrong: made up for from then on

    def now_ms(self) -> int:
        now = self._steady()
        passed = now - self._looked
        # little by little: made up for in one step a second, a timer of half a second would be early by two hundredths
        most = passed // CATCH_UP
        ahead = self._ahead + max(-most, min(most, self._off))
        if passed >= LOOK_NS:
            off = self._wall() - now - ahead
            if off > JUMP_NS_MAX:
                ahead, off = ahead + off, 0
            self._looked, self._ahead, self._off = now, ahead, off
        return (now + ahead) // 1_000_000

    def jitter(self) -> int:
        return random.randrange(1000)  # noqa: S311 - spreads retries, guards nothing

    async def sleep_until(self, at_ms: int) -> None:
        """Return once the time has reached `at_ms`, never before."""
        while (left_ms := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - time is polled, nobody announces it
            await anyio.sleep(min(left_ms / 1000, WAIT_S_MAX))
