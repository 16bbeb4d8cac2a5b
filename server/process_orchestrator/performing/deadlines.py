"""Time limits of calls that are made in this process: kept as `asyncio.timeout` keeps them, by one timer for all.

That one asks the kernel for the process id three times and puts a timer of its own into the loop's heap, where it stays
after the call: for a call that takes microseconds, more than the rest of it costs. What is called is not known here.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadlines:
    """The deadlines of one event loop's tasks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._kept: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, timeout_s: float) -> Deadline:
        """Cancel what the current task does in a `with` block of this once so many seconds have passed.

        The block then ends with TimeoutError, unless somebody else has cancelled the task too: that is never swallowed.
        """
        task = asyncio.current_task(self._loop)
        assert task is not None  # calls are made in tasks
        return Deadline(self, task, self._loop.time() + timeout_s)

    def keep(self, deadline: Deadline) -> None:
        """A block was entered."""
        self._kept.add(deadline)
        if self._timer is None or deadline.at < self._timer.when():
            self._look_at(deadline.at)

    def drop(self, deadline: Deadline) -> None:
        """A block was left. The timer stays as it is: whoever is the next to be due finds it set."""
        self._kept.discard(deadline)

    def close(self) -> None:
        """No timer is left behind; one that is needed after all is set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        self._timer, now = None, self._loop.time()
        for deadline in [each for each in self._kept if each.at <= now]:
            self._kept.remove(deadline)
            deadline.expire()
        if self._kept:
            self._look_at(min(each.at for each in self._kept))


class Deadline:
    """One block's. `at` is a time of the loop."""

    __slots__ = ("_deadlines", "_expired", "_requests", "_task", "at")

    def __init__(self, deadlines: Deadlines, task: asyncio.Task[object], at: float) -> None:
        self._deadlines, self._task, self.at = deadlines, task, at
        self._requests, self._expired = task.cancelling(), False

    def __enter__(self) -> None:
        self._deadlines.keep(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.drop(self)
        # Taken back even where the block ended otherwise. What is left of requests to cancel is somebody else's.
        if self._expired and self._task.uncancel() <= self._requests and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """Too late: called by the loop, never by the task itself."""
        self._expired = True
        self._task.cancel()
