"""Places and pace of one agent, on virtual time."""

import asyncio

import anyio
import pytest

from performing.virtual_time import run_virtually
from process_orchestrator.checking.documents.definitions import AgentLimits
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.turnstile import HOLD_S, REST_S_MAX, WAITING_MAX, Turnstile

ONE = AgentLimits(concurrency=1)


class Busy:
    """Calls through one turnstile: who was let in, and when; who was sent away, and for how long."""

    def __init__(self, limits: AgentLimits) -> None:
        self.turnstile, self.limits = Turnstile(), limits
        self.let_in: list[tuple[str, float]] = []
        self.sent_away: list[tuple[str, float]] = []
        self.inside = self.most_inside = 0

    async def call(self, process: str, takes_s: float) -> None:
        try:
            await self.turnstile.enter(process, self.limits)
        except AgentCallError as error:
            self.sent_away.append((process, (error.retry_after_ms or 0) / 1000))
            return
        self.let_in.append((process, round(anyio.current_time(), 3)))
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        try:
            await anyio.sleep(takes_s)
        finally:
            self.inside -= 1
            self.turnstile.leave(takes_s)

    @property
    def order(self) -> str:
        return "".join(process for process, _ in self.let_in)


def test_processes_take_turns_however_many_calls_one_of_them_has() -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            for process in "aaaaaabbc":
                tasks.create_task(busy.call(process, 0.1))
        assert busy.order == "abcabaaaa"

    run_virtually(main())


@pytest.mark.behaviour("fair-turns")
def test_a_process_with_one_call_waits_for_one_round_and_not_for_a_thousand_calls() -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WAITING_MAX - 1):
                tasks.create_task(busy.call("big", 0.001))
            await asyncio.sleep(0)
            tasks.create_task(busy.call("small", 0.001))
        assert busy.order.replace("big", "b").index("small") <= 2

    run_virtually(main())


def test_never_more_calls_than_places_and_none_is_left_over() -> None:
    async def main() -> None:
        busy = Busy(AgentLimits(concurrency=3))
        async with asyncio.TaskGroup() as tasks:
            for number in range(30):
                tasks.create_task(busy.call(f"p{number % 7}", 0.1))
        assert (busy.most_inside, len(busy.let_in), busy.turnstile.waiting) == (3, 30, 0)
        assert anyio.current_time() == pytest.approx(1.0)

    run_virtually(main())


def test_calls_begin_at_the_pace_and_in_turn() -> None:
    async def main() -> None:
        busy = Busy(AgentLimits(concurrency=10, per_s=2))
        async with asyncio.TaskGroup() as tasks:
            for process in "aaab":
                tasks.create_task(busy.call(process, 0.01))
        assert busy.let_in == [("a", 0.0), ("b", 0.5), ("a", 1.0), ("a", 1.5)]
        await anyio.sleep(10)
        await busy.call("c", 0)
        assert busy.let_in[-1] == ("c", round(anyio.current_time(), 3))  # after a pause at once, without a burst

    run_virtually(main())


def test_who_would_wait_too_long_is_sent_away_and_all_come_again_one_after_another() -> None:
    async def main() -> None:
        busy = Busy(AgentLimits(concurrency=10, per_s=1))
        async with asyncio.TaskGroup() as tasks:
            for number in range(40):
                tasks.create_task(busy.call(f"p{number}", 0.01))
        assert len(busy.let_in) == 11  # at once, or within ten seconds
        waits = [wait for _, wait in busy.sent_away]
        assert waits == sorted(waits)
        assert waits[1] - waits[0] == pytest.approx(1.0)
        assert max(waits) <= REST_S_MAX

    run_virtually(main())


def test_behind_calls_that_do_not_end_nobody_waits_here_for_ever() -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(busy.call("a", 100))
            tasks.create_task(busy.call("b", 1))
            await anyio.sleep(HOLD_S + 1)
            assert [process for process, _ in busy.sent_away] == ["b"]
            assert busy.turnstile.waiting == 0

    run_virtually(main())


def test_being_sent_away_says_that_nothing_was_sent_and_when_to_come_again() -> None:
    async def main() -> None:
        busy = Busy(AgentLimits(per_s=0.01))
        await busy.call("a", 0)
        with pytest.raises(AgentCallError) as raised:
            await busy.turnstile.enter("b", busy.limits)
        assert (raised.value.code, raised.value.retry_after_ms) == ("rate_limited", 60_000)

    run_virtually(main())


def test_the_queue_is_bounded() -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            for number in range(WAITING_MAX + 6):
                tasks.create_task(busy.call(f"p{number}", 0.0001))
            await asyncio.sleep(0)
            assert busy.turnstile.waiting == WAITING_MAX
        assert len(busy.sent_away) == 5

    run_virtually(main())


@pytest.mark.parametrize("moment_s", [0.05, 0.1])
def test_a_call_that_is_cancelled_while_it_waits_or_is_let_in_leaves_its_place_to_the_next(moment_s: float) -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(busy.call("a", 0.1))
            await asyncio.sleep(0)
            given_up = tasks.create_task(busy.call("b", 0.1))
            tasks.create_task(busy.call("c", 0.1))
            await anyio.sleep(moment_s)
            given_up.cancel()
        assert busy.order in {"ac", "abc"}
        await busy.call("d", 0.1)
        assert busy.turnstile.waiting == busy.inside == 0

    run_virtually(main())


def test_limits_that_change_hold_for_the_next_call() -> None:
    async def main() -> None:
        busy = Busy(ONE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(busy.call("a", 1))
            tasks.create_task(busy.call("b", 1))
            await anyio.sleep(0.1)
            busy.limits = AgentLimits(concurrency=3)
            tasks.create_task(busy.call("c", 1))
        assert busy.let_in == [("a", 0.0), ("b", 0.1), ("c", 0.1)]

    run_virtually(main())
