"""The journal: one SQLite file, one thread that writes it, one that reads.

The writer owns the only connection that writes or checkpoints (SQLite before 3.51.3 can corrupt a log that two
connections write). Whatever waits goes into one transaction, synced before anything in it is acknowledged; the event
loop is woken once per transaction. An await never touches the connection, so a cancelled caller leaves nothing half
done. What rows mean is `turns`' and the core's; when they are written is `embedded`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Self, TypeVar

import aiosqlite
import anyio
import anyio.to_thread
import msgspec

from process_orchestrator.core.errors import StorageError, StorageFullError
from process_orchestrator.hosting.backlog import Backlog
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE, GENESIS, link, make_key, read_key
from process_orchestrator.hosting.database import (
    closed_on_failure,
    named_errors,
    reading_connection,
    writing_connection,
)
from process_orchestrator.hosting.database_file import DATABASE_FILE, check_database_file
from process_orchestrator.hosting.journal_view import JournalView
from process_orchestrator.hosting.packing import pack
from process_orchestrator.hosting.projection import columns
from process_orchestrator.hosting.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from process_orchestrator.core.ports import Body, DefinitionBody, EscalationRow, ProcessRow

T = TypeVar("T")

GROUP_MAX: Final = 500
"""Turns in one transaction at most: bounds what one failure undoes."""
KNOWN_MAX: Final = 20_000
"""Hashes of stored bodies that the writer remembers, so that a body met again costs no statement."""
PROBE_S: Final = 0.25
"""How long after a write that had no room the next look is, in seconds; doubled up to the maximum."""
PROBE_S_MAX: Final = 2.0
ROOM: Final = "room"
"""Key in `meta` that is written to see whether there is room."""

_log = logging.getLogger(__name__)


class Lane:
    """The way of one process's turns to the file. Once a turn on it has failed, every later one fails as well.

    So a row can be missing at the end of a process, never in its middle. Who gets the error folds the process again
    and goes on in a new lane.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken: StorageError | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class TurnWrite:
    """One turn to be written. `done` is called on the event loop, with None once it is durable, else with the error."""

    lane: Lane
    process: str
    seq: int
    at: int
    turn: bytes  # its JSON; packed by the writer, beside the event loop
    done: Callable[[StorageError | None], None]
    artifacts: Sequence[Body] = ()
    definitions: Sequence[DefinitionBody] = ()
    row: ProcessRow | None = None
    due: bool = False
    escalations: Sequence[EscalationRow] = ()
    timers: Sequence[tuple[str, int | None]] = ()  # (timer, fire_at), None where it stopped; in order
    patient: bool = False  # nobody was promised an answer: where there is no room it is kept, and written later
    held: Callable[[StorageError], None] | None = None  # called on the event loop when it begins to wait for room
    error: StorageError | None = None  # set by the writer


@dataclass(slots=True, kw_only=True, eq=False)
class MetaWrite:
    """One value of the `meta` table to be written, or with None to be removed."""

    lane: Lane
    key: str
    value: str | None
    done: Callable[[StorageError | None], None]
    error: StorageError | None = None


class _Writer:
    """The writer's side: everything here runs in its thread."""

    def __init__(self, state: Path) -> None:
        self._path = state / DATABASE_FILE
        self._sql = load_statements("journal.sql")
        self._known: OrderedDict[str, None] = OrderedDict()
        self._backlog = Backlog()
        self._connection = writing_connection(state)
        with named_errors(self._path), closed_on_failure(self._connection):
            last = self._connection.execute(self._sql["last_row"]).fetchone()
            self.head: tuple[int, bytes] = last or (0, GENESIS)
            key_file = state / CHAIN_KEY_FILE
            self._key = read_key(key_file) if last else make_key(key_file)

    @property
    def stalled(self) -> StorageFullError | None:
        """Why nothing can be written now."""
        return self._backlog.why

    def commit(self, group: Sequence[TurnWrite | MetaWrite], *, last: bool = False) -> Outcome:
        """Write what waits for room, then a group. What has no room now and may wait is kept, unless it is the last."""
        waiting = self._backlog.take()
        outcome = Outcome()
        self._attempt([*waiting, *group], outcome)
        if last:
            kept = self._backlog.take()
            _fail(kept, self._backlog.why or StorageError(f"{self._path} was closed"))
            outcome.settled.extend(kept)
        told = set(map(id, waiting))
        outcome.held = [write for write in outcome.held if id(write) not in told]
        return outcome

    def _attempt(self, group: Sequence[TurnWrite | MetaWrite], outcome: Outcome) -> None:
        """Write a group, leaving each one's `error`. A group that fails for a fault of one is written one by one."""
        for write in group:
            write.error = write.lane.broken
        whole = [write for write in group if write.error is None]
        outcome.settled.extend(write for write in group if write.error is not None)
        if not whole:
            return
        if self._backlog.why is not None and any(self._backlog.holds(write.lane) for write in whole):
            self._wait_for_room(whole, self._backlog.why, outcome)  # written one by one, behind one that waits
            return
        try:
            self._commit(whole)
        except StorageFullError as error:
            self._wait_for_room(whole, error, outcome)
        except StorageError as error:
            if len(whole) > 1:
                for write in whole:
                    self._attempt((write,), outcome)
                return
            _fail(whole, error)
            outcome.settled.extend(whole)
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach those who wait, and the thread live on
            _fail(whole, StorageError(f"{self._path} was not written: {error!r}"))
            outcome.settled.extend(whole)
        else:
            outcome.settled.extend(whole)
            self._backlog.freed()

    def _wait_for_room(self, group: Sequence[TurnWrite | MetaWrite], error: StorageFullError, outcome: Outcome) -> None:
        self._backlog.stalled(error)
        for write in group:
            if write.lane.broken is None and isinstance(write, TurnWrite) and self._backlog.keep(write):
                outcome.held.append(write)
                continue
            # Who was promised an answer gets it now. What waits on the same lane is before it, and fails with it.
            failed = [*self._backlog.forget(write.lane), write]
            _fail(failed, write.lane.broken or error)
            outcome.settled.extend(failed)
            outcome.held = [each for each in outcome.held if each not in failed]

    def _commit(self, group: Sequence[TurnWrite | MetaWrite]) -> None:
        turns = [write for write in group if isinstance(write, TurnWrite)]
        stored: list[str] = []
        connection = self._connection
        with named_errors(self._path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                self._write_bodies(turns, stored)
                head = self._write_turns(turns)
                self._write_projections(turns)
                for write in group:
                    if isinstance(write, MetaWrite):
                        self._write_meta(write)
                connection.execute("COMMIT")
            except BaseException:
                # A full disk rolls back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        self.head = head
        self._remember(stored)

    def _write_meta(self, write: MetaWrite) -> None:
        if write.value is None:
            self._connection.execute(self._sql["drop_meta"], (write.key,))
        else:
            self._connection.execute(self._sql["put_meta"], (write.key, write.value))

    def _write_bodies(self, turns: Sequence[TurnWrite], stored: list[str]) -> None:
        artifacts = {body.ref.sha256: body for turn in turns for body in turn.artifacts}
        definitions = {body.sha256: body for turn in turns for body in turn.definitions}
        fresh = [body for sha256, body in artifacts.items() if sha256 not in self._known]
        if fresh:
            self._connection.executemany(
                self._sql["store_artifact"],
                [(bytes.fromhex(body.ref.sha256), body.ref.media_type, body.data) for body in fresh],
            )
            stored.extend(body.ref.sha256 for body in fresh)
        pinned = [body for sha256, body in definitions.items() if f"definition {sha256}" not in self._known]
        if pinned:
            self._connection.executemany(
                self._sql["store_definition"],
                [(body.sha256, body.kind, body.name, body.version, body.data) for body in pinned],
            )
            stored.extend(f"definition {body.sha256}" for body in pinned)

    def _write_turns(self, turns: Sequence[TurnWrite]) -> tuple[int, bytes]:
        row_id, previous = self.head
        rows: list[tuple[int, str, int, int, bytes, bytes]] = []
        for turn in turns:
            row_id += 1
            packed = pack(turn.turn)
            previous = link(
                self._key, previous, row_id=row_id, process=turn.process, seq=turn.seq, at=turn.at, turn=packed
            )
            rows.append((row_id, turn.process, turn.seq, turn.at, packed, previous))
        self._connection.executemany(self._sql["append"], rows)
        return row_id, previous

    def _write_projections(self, turns: Sequence[TurnWrite]) -> None:
        rows = {turn.process: columns(turn.row, due=turn.due) for turn in turns if turn.row is not None}
        if rows:
            self._connection.executemany(self._sql["put_process"], list(rows.values()))
        for turn in turns:
            if turn.escalations:
                self._connection.executemany(
                    self._sql["put_escalation"], [msgspec.structs.astuple(row) for row in turn.escalations]
                )
            for timer, fire_at in turn.timers:
                if fire_at is None:
                    self._connection.execute(self._sql["drop_timer"], (turn.process, timer))
                else:
                    self._connection.execute(self._sql["put_timer"], (turn.process, timer, fire_at))

    def _remember(self, stored: Sequence[str]) -> None:
        for sha256 in stored:
            self._known[sha256] = None
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


def _fail(group: Sequence[TurnWrite | MetaWrite], error: StorageError) -> None:
    for write in group:
        write.error = write.lane.broken = error


@dataclass(slots=True)
class Outcome:
    """Of an attempt to write: whose outcome is known, and who begins to wait for room."""

    settled: list[TurnWrite | MetaWrite] = field(default_factory=list)
    held: list[TurnWrite] = field(default_factory=list)


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, which also runs a closure in its thread.

    A read is several statements: as one closure it costs one hop between threads instead of one for each.
    """

    async def run(self, work: Callable[[], T]) -> T:
        return await self._execute(work)


class JournalReader:
    """Reads a journal in a thread of its own. An async context manager; opens the file at the first read."""

    def __init__(self, state: Path) -> None:
        self._state = state
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
        with named_errors(self._state / DATABASE_FILE):
            opened = self._opened or await self._open()
            if opened is None:
                return empty
            connection, view = opened
            return await connection.run(lambda: run(view))

    async def _open(self) -> tuple[_Connection, JournalView] | None:
        async with self._opening:
            if self._opened is None and await anyio.to_thread.run_sync(check_database_file, self._state):
                direct = await anyio.to_thread.run_sync(reading_connection, self._state / DATABASE_FILE)
                connection = _Connection(lambda: direct, iter_chunk_size=1)
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
        self._queue: SimpleQueue[TurnWrite | MetaWrite | None] = SimpleQueue()
        self._reader = JournalReader(state)
        self._thread: threading.Thread | None = None
        self._writer: _Writer | None = None

    async def __aenter__(self) -> Self:
        self._writer = await self._loop.run_in_executor(None, _Writer, self._state)
        self._thread = threading.Thread(target=self._work, args=(self._writer,), name="journal-writer", daemon=True)
        self._thread.start()
        await self._reader.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._reader.__aexit__()
            if self._thread is not None:
                self._queue.put(None)
                await self._loop.run_in_executor(None, self._thread.join)
        row, head = self.head
        _log.info("journal closed at row %d, chain head %s", row, head)

    @property
    def head(self) -> tuple[int, str]:
        """Id and chain link (hex) of the newest durable row: publish it, and a cut tail will show."""
        row, head = self._writer.head if self._writer else (0, GENESIS)
        return row, head.hex()

    def append(self, write: TurnWrite) -> None:
        """Queue a turn. Turns become durable in the order of these calls, or fail together from one on."""
        self._queue.put(write)

    async def put_meta(self, key: str, value: str) -> None:
        """Write one value; returns once it is durable."""
        answer: asyncio.Future[object] = self._loop.create_future()
        self._queue.put(MetaWrite(lane=Lane(), key=key, value=value, done=lambda error: _answer(answer, None, error)))
        await answer

    def note(self, key: str, value: str | None) -> None:
        """Write one value, or with None remove it, some time; lost where there is no room."""
        self._queue.put(MetaWrite(lane=Lane(), key=key, value=value, done=_nobody))

    @property
    def stalled(self) -> StorageError | None:
        """Why nothing can be written now; None while writing goes well, as far as the last try has shown."""
        return self._writer.stalled if self._writer else None

    async def must_have_room(self) -> None:
        """Raise StorageFullError where nothing can be written now, before anything is let in."""
        if self.stalled is not None:
            await self.put_meta(ROOM, "1")

    async def read(self, run: Callable[[JournalView], T], *, empty: T) -> T:
        return await self._reader.read(run, empty=empty)

    def _work(self, writer: _Writer) -> None:
        closing, patience_s = False, PROBE_S
        while not closing:
            stalled = writer.stalled is not None
            group, closing = self._next_group(patience_s if stalled else None)
            patience_s = min(2 * patience_s, PROBE_S_MAX) if stalled and not group else PROBE_S
            if stalled and not group:
                group = [MetaWrite(lane=Lane(), key=ROOM, value="1", done=_nobody)]
            outcome = writer.commit(group, last=closing) if group or closing else Outcome()
            if stalled is (writer.stalled is None):
                _log.warning("%s", "writing goes on" if stalled else writer.stalled)
            self._tell(outcome)
        writer.close()

    def _next_group(self, timeout_s: float | None) -> tuple[list[TurnWrite | MetaWrite], bool]:
        """All that waits, up to a bound, once something does or the time is over; and whether this is the end."""
        group: list[TurnWrite | MetaWrite] = []
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

    def _finish(self, outcome: Outcome) -> None:
        # Each in a callback of its own: a fault of one must not silence the others.
        for write in outcome.settled:
            self._loop.call_soon(write.done, write.error)
        for write in outcome.held:
            if write.held is not None and self.stalled is not None:
                self._loop.call_soon(write.held, self.stalled)

    def _tell(self, outcome: Outcome) -> None:
        # The loop is gone only when its program ends in the middle of a commit; nobody waits any more then.
        if outcome.settled or outcome.held:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._finish, outcome)


def _nobody(_error: StorageError | None) -> None:
    """Nobody waits for a look whether there is room."""


@contextlib.asynccontextmanager
async def open_journal(state: Path) -> AsyncGenerator[Journal]:
    """Open, or in an empty folder create, the journal for writing. The caller holds the engine lock."""
    async with Journal(state) as journal:
        yield journal
