"""The system clock: wall time, jitter and waiting. A simulation puts another `Clock` in its place."""

from __future__ import annotations

import random
import time
from typing import Final

import anyio

WAIT_S_MAX: Final = 10.0
"""Longest single wait, in seconds: after each, wall time is looked at again, so that a clock set back or forward
while we wait is met within this time."""


class SystemClock:
    """The `Clock` of a real engine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def jitter(self) -> int:
        return random.randrange(1000)  # noqa: S311 - spreads retries, guards nothing

    async def sleep_until(self, at_ms: int) -> None:
        """Return once wall time has reached `at_ms`, never before."""
        while (left_ms := at_ms - self.now_ms()) > 0:  # noqa: ASYNC110 - time is polled, nobody announces it
            await anyio.sleep(min(left_ms / 1000, WAIT_S_MAX))
