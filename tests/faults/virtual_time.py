"""Virtual time: an event loop whose clock jumps to the next timer, so that an hour of waiting costs nothing.

Everything that waits on the loop (asyncio, anyio) and everything that waits on the `Clock` port sees the same time.
Work for other threads is done at once, in the loop's own thread: a run has one order of steps, that of its seed.
"""

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from unittest import mock

import anyio
import anyio.lowlevel
import anyio.to_thread

T = TypeVar("T")

BEGAN_MS: Final = 1_790_000_000_000
"""Wall time at the beginning of every run."""
WAIT_S_MAX: Final = 10.0
"""As the system clock: after each such wait, wall time is looked at again."""


class StuckError(Exception):
    """Nothing is ready and no timer is set: everybody waits for ever."""


class _Jump(selectors.DefaultSelector):
    """Instead of waiting for the next timer, makes it the present. No file is ever waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is ready and no timer is set")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-6  # sums of floats: a timer is due although a last bit is missing

    def time(self) -> float:
        return self._jump.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the caller's, whatever it is
            done.set_exception(error)
        return done


class VirtualClock:
    """The `Clock` port in virtual time. Wall time can be set forward or back, as people and NTP do."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.offset_ms = 0

    def now_ms(self) -> int:
        return BEGAN_MS + self.offset_ms + round(asyncio.get_running_loop().time() * 1000)

    def jitter(self) -> int:
        return self._draw.randrange(1000)

    async def sleep_until(self, at_ms: int) -> None:
        while (left_ms := at_ms - self.now_ms()) > 0:
            await anyio.sleep(min(left_ms / 1000, WAIT_S_MAX))


async def _at_once(work: Callable[..., T], *arguments: Any, **_options: Any) -> T:
    await anyio.lowlevel.checkpoint()
    return work(*arguments)


@contextmanager
def threads_inline() -> Generator[None]:
    """Run what is meant for a thread of anyio's in the loop's own thread."""
    with mock.patch.object(anyio.to_thread, "run_sync", _at_once):
        yield


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]], *, complain: Callable[[str], None]) -> T:
    """Run a coroutine to its end in virtual time. `complain` hears of every error that nobody caught."""

    def heard(_: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        complain(f"{context.get('message')}: {context.get('exception')!r}")

    with threads_inline(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(heard)
        return runner.run(main())
