"""Writes turns into the journal's file, a group in one transaction: bodies, rows, projections. One writer an engine.

The writer owns the only connection that writes or checkpoints (SQLite before 3.51.3 can corrupt a log that two
connections write). It knows neither thread nor event loop: where and when a group is written is `commits`', and one
group is written at a time.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from process_orchestrator.core.errors import StorageError, StorageFullError
from process_orchestrator.hosting.backlog import Backlog
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE, GENESIS, link, make_key, read_key
from process_orchestrator.hosting.database import closed_on_failure, named_errors, writing_connection
from process_orchestrator.hosting.database_file import DATABASE_FILE
from process_orchestrator.hosting.packing import pack
from process_orchestrator.hosting.projection import columns
from process_orchestrator.hosting.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from process_orchestrator.core.ports import Body, DefinitionBody, EscalationRow, ProcessRow

KNOWN_MAX: Final = 20_000
"""Hashes of stored bodies that the writer remembers, so that a body met again costs no statement."""
LOG_PAGES: Final = 4000
"""Pages that the write-ahead log grows by, as they are guessed, before it is folded into the file."""
LOG_PAGES_MAX: Final = 16_000
"""Where SQLite folds the log in the middle of a commit: only where `checkpoint` was not asked for in time."""
PAGE_BYTES: Final = 4096
"""A page of the file, in bytes."""
UNKNOWN_S: Final = 0.02
"""What a disk that is not known yet counts for, in seconds: slow."""
WORK_S: Final = 0.000_15
"""What a commit may take a turn, in seconds, without the disk being slow."""
FADES: Final = 0.8
"""What a slow commit still counts for after each later one."""


class Lane:
    """The way of one process's turns to the file. Once a turn on it has failed, every later one fails as well.

    So a row can be missing at the end of a process, never in its middle. Who gets the error folds the process again
    and goes on in a new lane.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken: StorageError | None = None


class TurnWrite(msgspec.Struct, kw_only=True, eq=False):
    """One turn to be written. `done` is called on the event loop, with None once it is durable, else with the error."""

    lane: Lane
    process: str
    seq: int
    at: int
    turn: bytes  # its JSON; packed by the writer
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


Write: TypeAlias = TurnWrite | MetaWrite


class Writer:
    """Writes groups, and remembers how slow the disk was. `state` is the folder of the file."""

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
            self._connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES_MAX}")
        self.slowest_s = UNKNOWN_S  # of late
        self._log_pages = 0

    @property
    def stalled(self) -> StorageFullError | None:
        """Why nothing can be written now."""
        return self._backlog.why

    @property
    def wants_checkpoint(self) -> bool:
        """Whether the write-ahead log has grown enough to be folded into the file."""
        return self._log_pages >= LOG_PAGES

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, as far as no reader needs it: syncs that nobody waits for."""
        self._log_pages = 0
        with contextlib.suppress(sqlite3.Error):  # what it did not do stays in the log, which is as safe
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def may_have(self, process: str) -> bool:
        """Whether a process has a row, or it cannot be told: who then reads it learns why."""
        try:
            [(version,)] = self._connection.execute(self._sql["version_of_process"], (process,)).fetchall()
        except sqlite3.Error:
            return True
        return version is not None

    def commit(self, group: Sequence[Write], *, last: bool = False) -> Outcome:
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

    def _attempt(self, group: Sequence[Write], outcome: Outcome) -> None:
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
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach those who wait, and the writer live on
            _fail(whole, StorageError(f"{self._path} was not written: {error!r}"))
            outcome.settled.extend(whole)
        else:
            outcome.settled.extend(whole)
            self._backlog.freed()

    def _wait_for_room(self, group: Sequence[Write], error: StorageFullError, outcome: Outcome) -> None:
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

    def _commit(self, group: Sequence[Write]) -> None:
        turns = [write for write in group if isinstance(write, TurnWrite)]
        stored: list[str] = []
        connection, began = self._connection, time.perf_counter()
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
            finally:
                waited_s = time.perf_counter() - began - WORK_S * len(group)
                self.slowest_s = max(waited_s, FADES * self.slowest_s)
        self._log_pages += sum(
            2 + sum(1 + body.ref.bytes // PAGE_BYTES for body in turn.artifacts) for turn in turns
        )  # hashes and processes are spread: a page for each
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


def _fail(group: Sequence[Write], error: StorageError) -> None:
    for write in group:
        write.error = write.lane.broken = error


@dataclass(slots=True)
class Outcome:
    """Of an attempt to write: whose outcome is known, and who begins to wait for room."""

    settled: list[Write] = field(default_factory=list)
    held: list[TurnWrite] = field(default_factory=list)
