"""Wall clocks that somebody sets, by an hour or for the summer: nothing is early, nothing waits for an hour."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.scripted import Script, chain, failure, finished, opened, spec
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.specs import RetryFacts
from process_orchestrator.core.facts.values import Effect, Idempotency, Phase, Status
from process_orchestrator.core.limits import Limits
from process_orchestrator.core.ports import Bill, Bodies, Host, JournalRow
from process_orchestrator.hosting.clock import CATCH_UP, SystemClock, steady_ns
from process_orchestrator.performing.choice import Standing
from process_orchestrator.performing.day_caps import DAY_MS, DayCaps

HOUR_NS: Final = 3_600_000_000_000
SECOND_NS: Final = 1_000_000_000
RETRY_MS: Final = 500
RETRY: Final = RetryFacts(
    max_attempts=4, on=("transient",), initial_ms=RETRY_MS, factor=1.0, max_ms=RETRY_MS, jitter=False
)


class Hands:
    """A wall clock that can be set, over steady time that cannot."""

    def __init__(self) -> None:
        self.set_by_ns = 0
        self.clock = SystemClock(wall=lambda: time.time_ns() + self.set_by_ns)


class Virtual:
    """Wall and steady time as numbers."""

    def __init__(self) -> None:
        self.steady, self.wall = 5 * HOUR_NS, 500_000 * HOUR_NS
        self.clock = SystemClock(wall=lambda: self.wall, steady=lambda: self.steady)

    def passes(self, ns: int, *, set_by_ns: int = 0) -> int:
        """Let time pass and somebody set the clock; how many milliseconds the engine's clock went on."""
        before = self.clock.now_ms()
        self.steady += ns
        self.wall += ns + set_by_ns
        return self.clock.now_ms() - before


@pytest.mark.behaviour("clock")
@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.anyio
async def test_an_hour_on_the_wall_is_no_hour_of_a_process(state: Path, hours: int) -> None:
    """Three more tries of a step are due, each after the same time; the clock is set, and later set back."""
    hands, called = Hands(), list[float]()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        called.append(time.monotonic())
        hands.set_by_ns = hours * HOUR_NS * (len(called) in (1, 2))
        return failure(call.call) if len(called) < 4 else None

    async with opened(state, Script(work=work), clock=hands.clock) as host:
        plan = chain(1, effect=Effect.WRITE, idempotency=Idempotency.KEYED, retry=RETRY)
        limits = Limits(total_ms=60_000)
        started = await host.start(spec(plan, limits=limits), Bodies())
        done = await finished(host, started.spec.process_id)
        rows = await journal_of(host, started.spec.process_id)
    assert done.status is Status.COMPLETED, "an hour would have been over total_ms and the step's total_s"
    waited_ms = [(later - sooner) * 1000 for sooner, later in pairwise(called)]
    assert min(waited_ms) >= RETRY_MS * (1 - 1 / CATCH_UP) - 1, "no timer was early"
    assert [row.seq for row in rows] == sorted(row.seq for row in rows)
    times = [event.at for row in rows for event in row.events if event.at]
    assert times[-1] - times[0] < 60_000
    assert done.running_ms < 60_000


@pytest.mark.anyio
async def test_a_call_under_way_while_the_clock_is_set_is_answered_as_ever(state: Path) -> None:
    hands, began, answer = Hands(), anyio.Event(), anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        await answer.wait()
        return None

    async with opened(state, Script(work=work), clock=hands.clock) as host:
        started = await host.start(spec(chain(1), limits=Limits(total_ms=60_000)), Bodies())
        await began.wait()
        for by in (HOUR_NS, -HOUR_NS, 0):
            hands.set_by_ns = by
            assert (await host.state(started.spec.process_id)).units["s0"].phase is Phase.CALLING
        answer.set()
        assert (await finished(host, started.spec.process_id)).status is Status.COMPLETED


async def journal_of(host: Host, process: str) -> list[JournalRow]:
    return list((await host.journal(process, after=0, limit=1000)).items)


# --- the clock itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-2, -1, 1, 2])
def test_a_wall_clock_that_is_set_is_followed_a_hundredth_at_a_time(hours: int) -> None:
    time_ = Virtual()
    time_.passes(10 * SECOND_NS, set_by_ns=hours * HOUR_NS)
    assert time_.passes(10 * SECOND_NS) == 10_000 + 10_000 // CATCH_UP * sign(hours)
    time_.passes(100 * abs(hours) * HOUR_NS)
    assert time_.clock.now_ms() == time_.wall // 1_000_000, "it is made up for in the end"
    assert time_.passes(10 * SECOND_NS) == 10_000


@given(st.lists(st.integers(0, 3 * SECOND_NS), min_size=1, max_size=40), st.sampled_from([-1, 1]))
def test_no_wait_is_shorter_or_longer_by_more_than_a_hundredth(waits: list[int], hours: int) -> None:
    """Wherever the wait begins and ends, and whenever the wall clock is looked at meanwhile."""
    time_ = Virtual()
    time_.passes(SECOND_NS, set_by_ns=hours * HOUR_NS)
    for ns in waits:
        assert abs(time_.passes(ns) - ns / 1_000_000) <= ns / 1_000_000 / CATCH_UP + 1, "but for the rounding"


def test_a_machine_that_stood_still_for_a_night_is_met_by_its_morning() -> None:
    time_ = Virtual()
    assert time_.passes(2 * SECOND_NS, set_by_ns=8 * HOUR_NS) == 2000 + 8 * 3_600_000


def test_a_clock_that_is_set_back_by_a_year_still_goes_on() -> None:
    time_ = Virtual()
    time_.passes(SECOND_NS, set_by_ns=-365 * 24 * HOUR_NS)
    assert time_.passes(100 * SECOND_NS) == 99_000


@given(st.lists(st.tuples(st.integers(0, HOUR_NS), st.integers(-3 * HOUR_NS, 3 * HOUR_NS)), max_size=30))
def test_the_clock_never_goes_back(moves: list[tuple[int, int]]) -> None:
    time_ = Virtual()
    assert all(time_.passes(ns, set_by_ns=by) >= 0 for ns, by in moves)


def test_steady_time_is_counted_in_nanoseconds_and_goes_on() -> None:
    before, began = steady_ns(), time.monotonic_ns()
    while time.monotonic_ns() - began < 2_000_000:
        pass
    assert 1_000_000 < steady_ns() - before < 60 * SECOND_NS


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a running program is POSIX's")
def test_summer_time_is_no_time(zone: pytest.MonkeyPatch) -> None:
    """Neither a zone that changes under a running engine nor the night in which an hour is there twice."""
    clock = SystemClock()
    before = clock.now_ms()
    for name in ("Europe/Berlin", "Pacific/Kiritimati", "America/New_York"):
        zone.setenv("TZ", name)
        time.tzset()
        assert 0 <= clock.now_ms() - before < 60_000
    night = datetime(2026, 10, 25, 2, 59, 59, tzinfo=ZoneInfo("Europe/Berlin"))
    time_ = Virtual()
    time_.wall = int(night.timestamp()) * SECOND_NS
    time_.clock = SystemClock(wall=lambda: time_.wall, steady=lambda: time_.steady)
    assert time_.passes(2 * SECOND_NS) == 2000


# --- what an agent may cost a day --------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.anyio
async def test_a_clock_that_is_set_over_midnight_and_back_gives_no_second_cap(hours: int) -> None:
    time_ = Virtual()
    midnight = (time_.wall // 1_000_000 // DAY_MS + 1) * DAY_MS * 1_000_000
    time_.wall = midnight + (-30 if hours > 0 else 30) * 60 * SECOND_NS
    time_.clock = SystemClock(wall=lambda: time_.wall, steady=lambda: time_.steady)

    async def spent(since: int) -> tuple[Bill, ...]:
        return (Bill(agent="worker", slot="p/a.1", usd_micros=900_000, open=False),)

    caps = DayCaps(lambda: {"worker": 1.0}, bills=spent, clock=time_.clock)
    await caps.learn(["worker"])
    for by in (hours * HOUR_NS, -hours * HOUR_NS):
        time_.passes(60 * SECOND_NS, set_by_ns=by)
        assert caps.standing(Standing(), "worker", reserve=200_000).capped is not None
    time_.passes(24 * HOUR_NS)
    assert caps.standing(Standing(), "worker", reserve=200_000).capped is None


def sign(number: int) -> int:
    return 1 if number > 0 else -1
