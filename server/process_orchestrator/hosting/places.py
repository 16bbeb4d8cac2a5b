"""The bounded number of places to be driven at, and the queue before them, first come first served."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Places:
    """Who is driven now, and who waits for it. `call` is told of each process whose turn has come."""

    def __init__(self, count: int, call: Callable[[str], None]) -> None:
        self._count = count
        self._call = call
        self._taken: set[str] = set()
        self._queue: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, process: str) -> bool:
        """Whether a process has a place."""
        return process in self._taken

    def take(self, process: str) -> bool:
        """Whether a process may be driven now. If not it is queued, and called later."""
        if process in self._taken:
            return True
        if len(self._taken) < self._count and not self._queue:
            self._taken.add(process)
            return True
        self._queue[process] = None
        return False

    def queue(self, process: str) -> None:
        """Have a process called as soon as there is a place, even at once."""
        if process not in self._taken:
            self._queue[process] = None
            self._fill()

    def leave(self, process: str) -> None:
        """Give up a place, if the process has one; the next in the queue is called."""
        self._taken.discard(process)
        self._fill()

    def _fill(self) -> None:
        while self._queue and len(self._taken) < self._count:
            process, _ = self._queue.popitem(last=False)
            self._taken.add(process)
            self._call(process)
