"""The circuit of one agent: closed, open, half-open with exactly one probe. Pure: facts and a time in, facts out.

Only calls that the agent did not answer count against it: `unreachable`, `timeout` and `lost`. An answer, even a bad
one, shows that it lives, and takes one failure back, so that an agent that mostly answers keeps its calls. The rules
come with each question, because an agent's file may change at any time. Who is called is chosen in `choice`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from process_orchestrator.checking.documents.definitions import Circuit
from process_orchestrator.core.facts.values import Fact

COUNTED: Final = frozenset({"unreachable", "timeout", "lost"})
"""Codes of calls that were not answered."""

PROBE_WAIT_MS_MIN: Final = 1000
PROBE_WAIT_SHARE: Final = 10
"""Who finds a probe under way asks again after a tenth of the open time, but not before a second."""


class CircuitState(StrEnum):
    """How a circuit stands at a moment."""

    CLOSED = "closed"  # calls are made
    HALF_OPEN = "half_open"  # one call may try whether the agent is back
    OPEN = "open"  # no call is made


class Ending(StrEnum):
    """What a call showed of its agent."""

    ANSWERED = "answered"
    FAILED = "failed"
    BROKEN_OFF = "broken_off"  # we ended it ourselves: it shows nothing


class Breaker(Fact, frozen=True, kw_only=True):
    """What is remembered of one agent. Times are milliseconds of a clock that never goes back.

    `era` counts the openings and closings: a call that began in an earlier one ends without a say.
    """

    failed_at: tuple[int, ...] = ()
    opened_at: int | None = None  # None: closed
    probing: bool = False
    era: int = 0


def state_of(breaker: Breaker, rules: Circuit, now: int) -> CircuitState:
    """How the circuit stands now."""
    if breaker.opened_at is None:
        return CircuitState.CLOSED
    return CircuitState.OPEN if now < breaker.opened_at + rules.open_ms else CircuitState.HALF_OPEN


def wait_ms(breaker: Breaker, rules: Circuit, now: int) -> int:
    """How long no call may be made; 0: one may be made now. With a probe under way, when to ask again."""
    if breaker.opened_at is None:
        return 0
    left = breaker.opened_at + rules.open_ms - now
    if left > 0:
        return left
    if breaker.probing:
        return max(1, min(rules.open_ms, max(PROBE_WAIT_MS_MIN, rules.open_ms // PROBE_WAIT_SHARE)))
    return 0


def began(breaker: Breaker) -> tuple[Breaker, int]:
    """A call begins, `wait_ms` being 0: the circuit after it, and the era to end it with."""
    return (breaker if breaker.opened_at is None else replace(breaker, probing=True)), breaker.era


def ended(breaker: Breaker, rules: Circuit, now: int, *, era: int, ending: Ending) -> Breaker:
    """A call is over. While the circuit is not closed, only its probe has a say."""
    if era != breaker.era:
        return breaker
    if breaker.opened_at is not None:
        if ending is Ending.BROKEN_OFF:
            return replace(breaker, probing=False)
        return Breaker(era=era + 1) if ending is Ending.ANSWERED else Breaker(era=era + 1, opened_at=now)
    if ending is Ending.FAILED:
        failed_at = (*(at for at in breaker.failed_at if at > now - rules.window_ms), now)
        if len(failed_at) >= rules.failures:
            return Breaker(era=era + 1, opened_at=now)
        return replace(breaker, failed_at=failed_at)
    if ending is Ending.ANSWERED and breaker.failed_at:
        return replace(breaker, failed_at=breaker.failed_at[1:])
    return breaker
