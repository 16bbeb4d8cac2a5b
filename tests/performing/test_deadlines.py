"""Time limits of calls in this process: they end what `asyncio.timeout` would end, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from performing.virtual_time import run_virtually
from process_orchestrator.performing.deadlines import Deadlines

Within = Callable[[float], AbstractAsyncContextManager[object]]


def ours() -> Within:
    deadlines = Deadlines(asyncio.get_running_loop())

    @asynccontextmanager
    async def within(seconds: float) -> AsyncGenerator[None]:
        with deadlines.within(seconds):
            yield

    return within


def theirs() -> Within:
    return asyncio.timeout


@pytest.fixture(params=[ours, theirs], ids=["ours", "asyncio"])
def limits(request: pytest.FixtureRequest) -> Callable[[], Within]:
    return request.param


async def ending(block: Awaitable[object]) -> str:
    """How a block ended, and when, and how often its task is still asked to stop."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    try:
        how = f"gave {await block}"
    except (TimeoutError, asyncio.CancelledError, ValueError) as error:
        how = type(error).__name__
    return f"{how} at {loop.time():g}, {task.cancelling()} requests left"


async def limited(within: Within, seconds: float, work: Awaitable[object]) -> object:
    async with within(seconds):
        return await work


async def stubborn() -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(10)
    return "its answer"


async def failing() -> None:
    try:
        await asyncio.sleep(10)
    finally:
        raise ValueError


def test_a_block_that_ends_in_time_is_left_alone(limits: Callable[[], Within]) -> None:
    async def main() -> None:
        within = limits()
        assert await ending(limited(within, 2, asyncio.sleep(1, "an answer"))) == "gave an answer at 1, 0 requests left"
        await asyncio.sleep(5)
        assert asyncio.get_running_loop().time() == 6

    run_virtually(main())


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_block_that_takes_longer_ends_with_a_timeout(limits: Callable[[], Within], seconds: int) -> None:
    async def main() -> None:
        ended = await ending(limited(limits(), seconds, asyncio.sleep(10)))
        assert ended == f"TimeoutError at {seconds}, 0 requests left"

    run_virtually(main())


def test_an_answer_or_an_error_after_the_time_is_not_turned_into_a_timeout(limits: Callable[[], Within]) -> None:
    async def main() -> None:
        within = limits()
        assert await ending(limited(within, 2, stubborn())) == "gave its answer at 2, 0 requests left"
        assert await ending(limited(within, 2, failing())) == "ValueError at 4, 0 requests left"

    run_virtually(main())


@pytest.mark.parametrize("seconds", [1, 2, 3])
def test_a_cancel_from_outside_is_never_swallowed(limits: Callable[[], Within], seconds: int) -> None:
    """Before the deadline, in the same turn of the loop, and just after it."""

    async def main() -> None:
        within = limits()
        if seconds != 3:
            task = asyncio.create_task(ending(limited(within, 2, asyncio.sleep(10))))
        else:
            task = asyncio.create_task(ending(limited(within, 2, lingering())))
        asyncio.get_running_loop().call_later(seconds, task.cancel)
        assert await task == f"CancelledError at {seconds}, 1 requests left"

    async def lingering() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(10)

    run_virtually(main())


@pytest.mark.parametrize(("outer", "inner", "at"), [(1, 2, 1), (2, 1, 1), (1, 1, 1)])
def test_of_blocks_in_blocks_the_shortest_ends(limits: Callable[[], Within], outer: int, inner: int, at: int) -> None:
    async def main() -> None:
        within = limits()
        ended = await ending(limited(within, outer, limited(within, inner, asyncio.sleep(10))))
        assert ended == f"TimeoutError at {at}, 0 requests left"

    run_virtually(main())


def test_each_of_many_blocks_ends_at_its_own_time(limits: Callable[[], Within]) -> None:
    async def main() -> None:
        within = limits()
        tasks = [
            asyncio.create_task(ending(limited(within, seconds, asyncio.sleep(3.5, "an answer"))))
            for seconds in (5, 2, 3, 3, 1, 4)
        ]
        assert await asyncio.gather(*tasks) == [
            "gave an answer at 3.5, 0 requests left",
            "TimeoutError at 2, 0 requests left",
            "TimeoutError at 3, 0 requests left",
            "TimeoutError at 3, 0 requests left",
            "TimeoutError at 1, 0 requests left",
            "gave an answer at 3.5, 0 requests left",
        ]

    run_virtually(main())


def test_once_closed_nothing_is_timed_any_more() -> None:
    async def main() -> None:
        deadlines = Deadlines(asyncio.get_running_loop())
        with deadlines.within(1):
            deadlines.close()
            await asyncio.sleep(5)

    run_virtually(main())
