"""The disk of a simulation: the real writer over a real SQLite file, in virtual time, failing and ending by a seed.

What a kill leaves is what was committed. Syncing is off: power cuts are the matter of `power`, not of this room.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TypeVar

import anyio

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.commits import GROUP_MAX, PROBE_S, ROOM
from process_orchestrator.hosting.database import reading_connection
from process_orchestrator.hosting.database_file import DATABASE_FILE
from process_orchestrator.hosting.journal import Journal
from process_orchestrator.hosting.journal_view import JournalView
from process_orchestrator.hosting.statements import load_statements
from process_orchestrator.hosting.writer import Lane, MetaWrite, Outcome, TurnWrite, Writer

T = TypeVar("T")
Write = TurnWrite | MetaWrite

COMMIT_S_MAX: Final = 0.02
READ_S_MAX: Final = 0.01
NO_ROOM_PAGES: Final = 1
"""A database that may not grow: SQLite takes the pages that it has for the least."""
ROOMY_PAGES: Final = 1_000_000


@dataclass(kw_only=True)
class Disk:
    """What outlives an engine: the folder, the moments of failure, and how many commits there were."""

    state: Path
    draw: random.Random
    fails: bool = False
    kill_at: tuple[int, str] | None = None  # number of a commit, "before" or "after"
    killed: Callable[[], None] = lambda: None
    pragmas: Sequence[str] = ("synchronous=OFF",)  # beside the journal's own
    acknowledged: Callable[[int, str], None] = lambda _rows, _head: None  # after each commit, before anybody is told
    commits: int = 0
    failures: int = 0
    bad_until: float = 0.0
    full_until: float = 0.0
    log: list[int] = field(default_factory=list[int])  # turns of each commit

    def weather(self, now: float) -> tuple[bool, bool]:
        """Whether this commit is broken off, and whether there is room, as it is drawn from time to time."""
        if self.fails and now >= max(self.bad_until, self.full_until):
            roll = self.draw.random()
            if roll < 0.01:
                self.bad_until = now + self.draw.random() * 3
            elif roll < 0.02:
                self.full_until = now + self.draw.random() * 5
        broken = self.fails and now < self.bad_until and self.draw.random() < 0.7
        return broken, not (self.fails and now < self.full_until)


class SimulatedWriter(Writer):
    """The real writer, whose statements are broken off and whose file may not grow when the weather is bad."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__(disk.state)
        for pragma in disk.pragmas:
            self._connection.execute(f"PRAGMA {pragma}")

    def _commit(self, group: Sequence[Write]) -> None:
        broken, room = self._disk.weather(asyncio.get_running_loop().time())
        self._connection.execute(f"PRAGMA max_page_count={ROOMY_PAGES if room else NO_ROOM_PAGES}")
        if broken:
            once = iter([1])  # a statement is broken off; the ROLLBACK after it is not
            self._connection.set_progress_handler(lambda: next(once, 0), self._disk.draw.randrange(1, 60))
        try:
            super()._commit(group)
        except Exception:
            self._disk.failures += 1
            raise
        finally:
            self._connection.set_progress_handler(None, 0)

    def drop(self) -> None:
        """End as a killed program does: nothing more is written."""
        self._connection.close()


class SimulatedJournal(Journal):
    """The journal without its threads: the same order of turns, groups and acknowledgements, in virtual time."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.state)
        self._disk = disk
        self._waiting: list[Write] = []
        self._committing = self._probing = False
        self._dead = False

    async def __aenter__(self) -> Self:
        writer = SimulatedWriter(self._disk)
        self._writer = writer
        self._reading = reading_connection(self._disk.state / DATABASE_FILE)
        self._view = JournalView(self._reading, load_statements("journal.sql"))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert isinstance(self._writer, SimulatedWriter)
        self._reading.close()
        if self._dead:
            self._writer.drop()
            return
        while self._waiting:
            self._write(self._waiting[:GROUP_MAX], last=len(self._waiting) <= GROUP_MAX)
            self._waiting = self._waiting[GROUP_MAX:]
        self._writer.close()

    def append(self, write: TurnWrite) -> None:
        self._queue_up(write)

    async def put_meta(self, key: str, value: str) -> None:
        answer: asyncio.Future[None] = self._loop.create_future()

        def done(error: StorageError | None) -> None:
            if answer.done():
                return
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)

        self._queue_up(MetaWrite(lane=Lane(), key=key, value=value, done=done))
        await answer

    def note(self, key: str, value: str | None) -> None:
        self._queue_up(MetaWrite(lane=Lane(), key=key, value=value, done=_nobody))

    async def read(self, run: Callable[[JournalView], T], *, empty: T) -> T:
        """What is read is of some moment between question and answer."""
        pause = self._disk.draw.random() * READ_S_MAX
        await anyio.sleep(pause)
        result = run(self._view)
        await anyio.sleep(self._disk.draw.random() * READ_S_MAX)
        return result

    def kill(self) -> None:
        """The program dies: what waits is lost, or is written and nobody hears of it."""
        if self._dead:
            return
        if self._waiting and self._disk.draw.random() < 0.5:
            self._write(self._waiting[:GROUP_MAX])
        self._dead = True
        self._waiting.clear()

    def _queue_up(self, write: Write) -> None:
        if self._dead:
            return
        self._waiting.append(write)
        if not self._committing:
            self._committing = True
            self._loop.call_later(self._disk.draw.random() * COMMIT_S_MAX, self._commit)

    def _commit(self) -> None:
        self._committing = False
        group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        if self._dead or not group:
            return
        number, moment = self._disk.kill_at or (0, "")
        if number == self._disk.commits + 1 and moment == "before":
            self._dead = True
            self._disk.killed()
            return
        outcome = self._write(group)
        if number == self._disk.commits and moment == "after":
            self._dead = True
            self._disk.killed()
            return
        self._disk.acknowledged(*self.head)
        self._finish(outcome)
        if self._waiting and not self._committing:
            self._committing = True
            self._loop.call_soon(self._commit)
        if self.stalled is not None and not self._waiting and not self._probing:
            self._probing = True
            self._loop.call_later(PROBE_S, self._probe)

    def _probe(self) -> None:
        """Look whether there is room again, as the writer's thread does from time to time."""
        self._probing = False
        if self.stalled is not None and not self._waiting:
            self._queue_up(MetaWrite(lane=Lane(), key=ROOM, value="1", done=_nobody))

    def _write(self, group: Sequence[Write], *, last: bool = False) -> Outcome:
        assert self._writer is not None
        outcome = self._writer.commit(group, last=last)
        self._disk.commits += 1
        self._disk.log.append(len(group))
        return outcome


def _nobody(_error: StorageError | None) -> None:
    """Nobody waits for it."""
