"""The journal of an engine: one SQLite file, one writer, and a thread that reads.

Whatever waits goes into one transaction, synced before anything in it is acknowledged. An await never touches the
writer's connection, so a cancelled caller leaves nothing half done. How a group is written is `writer`'s, where and
when `commits`'; what rows mean is `turns`' and the core's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiosqlite
import anyio
import anyio.to_thread

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.chain import GENESIS
from process_orchestrator.hosting.commits import ROOM, Commits
from process_orchestrator.hosting.database import named_errors, reading_connection
from process_orchestrator.hosting.database_file import DATABASE_FILE, check_database_file
from process_orchestrator.hosting.journal_view import JournalView
from process_orchestrator.hosting.statements import load_statements
from process_orchestrator.hosting.writer import Lane, MetaWrite, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from process_orchestrator.hosting.writer import Outcome, TurnWrite, Write

T = TypeVar("T")
E = TypeVar("E")

_log = logging.getLogger(__name__)


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, which also runs closures in its thread.

    A read is several statements: as one closure it costs one hop between threads instead of one for each. Reads that
    are asked for while one is under way share the next hop: after a crash a hundred processes read at once.
    """

    def __init__(self, connector: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(connector, iter_chunk_size=1)
        self._loop = loop
        self._asked: list[tuple[Callable[[], object], asyncio.Future[Any]]] = []
        self._under_way = False

    async def run(self, work: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._asked.append((work, answer))
        if not self._under_way:
            self._hop()
        return await answer

    def _hop(self) -> None:
        asked, self._asked = self._asked, []
        if not self._running:
            for _, answer in asked:
                _answer(answer, None, StorageError("the journal was closed"))
            return
        self._under_way = True
        there: asyncio.Future[list[tuple[object, BaseException | None]]] = self._loop.create_future()
        there.add_done_callback(partial(self._back, [answer for _, answer in asked]))
        self._tx.put_nowait((there, partial(_run_all, [work for work, _ in asked])))

    def _back(
        self, answers: list[asyncio.Future[Any]], there: asyncio.Future[list[tuple[object, BaseException | None]]]
    ) -> None:
        self._under_way = False
        for answer, (result, error) in zip(answers, there.result(), strict=True):
            _answer(answer, result, error)
        if self._asked:
            self._hop()


def _run_all(works: list[Callable[[], object]]) -> list[tuple[object, BaseException | None]]:
    """Run in the reader's thread; what goes wrong in one is for who asked for it."""
    done: list[tuple[object, BaseException | None]] = []
    for work in works:
        try:
            done.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - carried over to the event loop, and raised there
            done.append((None, error))
    return done


class JournalReader:
    """Reads a journal in a thread of its own. An async context manager; opens the file at the first read."""

    def __init__(self, state: Path) -> None:
        self._state, self._path = state, state / DATABASE_FILE
        self._opening = anyio.Lock()
        self._opened: tuple[_Connection, JournalView] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            with anyio.CancelScope(shield=True):
                await self._opened[0].close()

    async def read(self, run: Callable[[JournalView], T], *, empty: T) -> T:
        """The result of `run` over the journal, or `empty` where there is no journal yet. Raises StorageError."""
        with named_errors(self._path):
            opened = self._opened or await self._open()
            if opened is None:
                return empty
            connection, view = opened
            return await connection.run(lambda: run(view))

    async def _open(self) -> tuple[_Connection, JournalView] | None:
        async with self._opening:
            if self._opened is None and await anyio.to_thread.run_sync(check_database_file, self._state):
                direct = await anyio.to_thread.run_sync(reading_connection, self._path)
                connection = _Connection(lambda: direct, asyncio.get_running_loop())
                await connection  # starts its thread
                self._opened = connection, JournalView(direct, load_statements("journal.sql"))
            return self._opened


def _answer(answer: asyncio.Future[object], result: object, error: BaseException | None) -> None:
    if answer.done():  # whoever asked was cancelled
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


class Journal:
    """The journal of an engine: appends and reads. An async context manager. At most one per state folder."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._reader = JournalReader(state)
        self._writer: Writer | None = None
        self._commits: Commits | None = None

    async def __aenter__(self) -> Self:
        self._writer = writer = await self._loop.run_in_executor(None, Writer, self._state)
        self._commits = Commits(writer, self._loop, self._finish)
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._reader.__aexit__()
            if self._commits is not None:
                self._commits.close()
                await self._loop.run_in_executor(None, self._commits.join)
        row, head = self.head
        _log.info("journal closed at row %d, chain head %s", row, head)

    @property
    def head(self) -> tuple[int, str]:
        """Id and chain link (hex) of the newest durable row: publish it, and a cut tail will show."""
        row, head = self._writer.head if self._writer else (0, GENESIS)
        return row, head.hex()

    def append(self, write: TurnWrite) -> None:
        """Queue a turn. Turns become durable in the order of these calls, or fail together from one on."""
        self._put(write)

    async def put_meta(self, key: str, value: str) -> None:
        """Write one value; returns once it is durable."""
        answer: asyncio.Future[object] = self._loop.create_future()
        self._put(MetaWrite(lane=Lane(), key=key, value=value, done=lambda error: _answer(answer, None, error)))
        await answer

    def note(self, key: str, value: str | None) -> None:
        """Write one value, or with None remove it, some time; lost where there is no room."""
        self._put(MetaWrite(lane=Lane(), key=key, value=value, done=_nobody))

    @property
    def stalled(self) -> StorageError | None:
        """Why nothing can be written now; None while writing goes well, as far as the last try has shown."""
        return self._writer.stalled if self._writer else None

    async def must_have_room(self) -> None:
        """Raise StorageFullError where nothing can be written now, before anything is let in."""
        if self.stalled is not None:
            await self.put_meta(ROOM, "1")

    def is_new(self, process: str) -> bool:
        """Whether it is sure that a process has no row and none on its way. Where the disk is slow nothing is sure."""
        return self._commits is not None and self._commits.is_new(process)

    async def read(self, run: Callable[[JournalView], T], *, empty: T) -> T:
        return await self._reader.read(run, empty=empty)

    def _put(self, write: Write) -> None:
        assert self._commits is not None
        self._commits.put(write)

    def _finish(self, outcome: Outcome) -> None:
        for write in outcome.settled:
            self._tell(write.done, write.error)
        for write in outcome.held:
            if write.held is not None and self.stalled is not None:
                self._tell(write.held, self.stalled)

    def _tell(self, told: Callable[[E], None], what: E) -> None:
        try:
            told(what)
        except Exception as error:  # noqa: BLE001 - a fault of one must not silence the others
            self._loop.call_exception_handler({"message": "telling how a turn was written failed", "exception": error})


def _nobody(_error: StorageError | None) -> None:
    """Nobody waits for a look whether there is room."""


@contextlib.asynccontextmanager
async def open_journal(state: Path) -> AsyncGenerator[Journal]:
    """Open, or in an empty folder create, the journal for writing. The caller holds the engine lock."""
    async with Journal(state) as journal:
        yield journal
