"""Where groups of turns are committed: on the event loop while the disk is quick, else in a thread.

While nothing else waits for the disk, a hop to a thread and back costs more than the commit, and the two threads take
the interpreter's lock from one another at every statement. A slow disk must not hold up the loop: as long as a slow
commit is remembered, and while there is no room, groups go to the thread. Their order is that of `put` in any case.
What a group is, and how it is written, is `writer`'s.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.writer import Lane, MetaWrite, Outcome, TurnWrite

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from process_orchestrator.hosting.writer import Write, Writer

QUICK_S: Final = 0.005
"""The slowest commit, in seconds beyond the work of its turns, that the event loop may wait for."""
HERE_MAX: Final = 100
"""Turns committed on the event loop at once at most, some milliseconds of work."""
HERE_BYTES_MAX: Final = 500_000
"""Bytes of their bodies at most; larger ones are the thread's."""
GROUP_MAX: Final = 500
"""Turns in one transaction at most: bounds what one failure undoes."""
PROBE_S: Final = 0.25
"""How long after a write that had no room the next look is, in seconds; doubled up to the maximum."""
PROBE_S_MAX: Final = 2.0
ROOM: Final = "room"
"""Key in `meta` that is written to see whether there is room."""

_log = logging.getLogger(__name__)


class Commits:
    """Commits what is put, in order; `finish` is called on the event loop with every outcome."""

    def __init__(self, writer: Writer, loop: asyncio.AbstractEventLoop, finish: Callable[[Outcome], None]) -> None:
        self._writer, self._loop, self._finish = writer, loop, finish
        self._here: list[Write] = []  # waits for the end of this round of the loop
        self._queue: SimpleQueue[Write | None] = SimpleQueue()  # waits for the thread
        self._handed = 0  # writes given to the thread whose outcome is not told yet
        self._reached = self._told = 0  # outcomes that the thread has reached, and those that the loop has heard of
        self._closed = False
        # What follows a commit is nobody's in particular: not in the context of whoever came first.
        self._context = contextvars.copy_context()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    def put(self, write: Write) -> None:
        """Queue a write. Only on the event loop. After `close` it fails."""
        if self._closed:
            write.error = write.lane.broken = StorageError("the journal was closed")
            self._call_soon(self._finish, Outcome(settled=[write]))
        elif self._here:
            self._here.append(write)
        elif self._handed and not self._is_quick():
            self._hand(write)
        else:
            self._here.append(write)
            if not self._handed:  # else it follows what the thread has, once that is told
                self._call_soon(self._commit_here)

    def is_new(self, process: str) -> bool:
        """Whether it is sure that a process has no row and none on its way; told at once, or not at all."""
        if any(isinstance(write, TurnWrite) and write.process == process for write in self._here):
            return False
        if not self._take_writer():
            return False
        try:
            return not self._writer.may_have(process)
        finally:
            self._writing.release()

    def close(self) -> None:
        """Commit all that waits, in the thread, and end it. Its outcomes are told on the event loop."""
        self._closed = True
        self._hand_all()
        self._queue.put(None)

    def join(self) -> None:
        """Wait for the end of the thread; not on the event loop."""
        self._thread.join()

    def _hand(self, write: Write) -> None:
        self._handed += 1
        self._queue.put(write)

    def _hand_all(self) -> None:
        here, self._here = self._here, []
        for write in here:
            self._hand(write)

    def _call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        self._loop.call_soon(call, *arguments, context=self._context)

    def _commit_here(self) -> None:
        """Commit what waits, or hand it to the thread where that may take long."""
        group = self._here[:HERE_MAX]
        if not (group and _bytes_of(group) <= HERE_BYTES_MAX and self._take_writer()):
            self._hand_all()
            return
        try:
            outcome = self._writer.commit(group)
            del self._here[: len(group)]  # not before: an interrupt may break a commit off, and it is made again
        finally:
            self._writing.release()
            if self._here:
                self._call_soon(self._commit_here)
        if self._writer.stalled is not None:
            _log.warning("%s", self._writer.stalled)
            self._hand(_look())  # wakes the thread, which looks from time to time whether there is room
        self._finish(outcome)

    def _take_writer(self) -> bool:
        """Whether the event loop may use the writer now, which it then must release."""
        if self._handed or not (self._is_quick() and self._writing.acquire(blocking=False)):
            return False
        if self._reached == self._told and self._writer.stalled is None:
            return True
        self._writing.release()  # what the thread has just written is told first
        return False

    def _is_quick(self) -> bool:
        writer = self._writer
        return writer.slowest_s <= QUICK_S and not writer.wants_checkpoint and writer.stalled is None

    # -- in the thread --

    def _work(self) -> None:
        closing, patience_s = False, PROBE_S
        while not closing:
            closing, patience_s = self._commit_next(patience_s)
        with self._writing:
            self._writer.close()

    def _commit_next(self, patience_s: float) -> tuple[bool, float]:
        """One group; whether it was the last, and how long to wait for the next. Afterwards nothing is held of it."""
        writer = self._writer
        stalled = writer.stalled is not None
        group, closing = self._next_group(patience_s if stalled else None)
        handed = len(group)
        if stalled and not group:
            group = [_look()]
        with self._writing:
            outcome = writer.commit(group, last=closing) if group or closing else Outcome()
            if stalled is (writer.stalled is None):
                _log.warning("%s", "writing goes on" if stalled else writer.stalled)
            tells = bool(handed or outcome.settled or outcome.held)
            self._reached += tells
        if tells:  # once the writer is free, so that the loop may go on with it
            self._tell(outcome, handed)
        if writer.wants_checkpoint:
            with self._writing:
                writer.checkpoint()
        return closing, min(2 * patience_s, PROBE_S_MAX) if stalled and not handed else PROBE_S

    def _next_group(self, timeout_s: float | None) -> tuple[list[Write], bool]:
        """All that waits, up to a bound, once something does or the time is over; and whether this is the end."""
        group: list[Write] = []
        try:
            write = self._queue.get(timeout=timeout_s)
            while write is not None:
                group.append(write)
                if len(group) >= GROUP_MAX:
                    break
                write = self._queue.get_nowait()
        except Empty:
            return group, False
        return group, write is None

    def _tell(self, outcome: Outcome, handed: int) -> None:
        # The loop is gone only when its program ends in the middle of a commit; nobody waits any more then.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._hear, outcome, handed, context=self._context)

    def _hear(self, outcome: Outcome, handed: int) -> None:
        self._told += 1
        self._handed -= handed
        self._finish(outcome)
        if self._here and not self._handed:
            self._call_soon(self._commit_here)


def _bytes_of(group: Sequence[Write]) -> int:
    """Bytes of the bodies of a group."""
    return sum(body.ref.bytes for write in group if isinstance(write, TurnWrite) for body in write.artifacts)


def _look() -> MetaWrite:
    """A write that only shows whether there is room."""
    return MetaWrite(lane=Lane(), key=ROOM, value="1", done=_nobody)


def _nobody(_error: object) -> None:
    """Nobody waits for a look whether there is room."""
