"""Opens the SQLite file of a state folder: to write, to read, to copy. Every error leaves by a name of ours.

Trusts a file only after `database_file` has looked at it and, before anything may write, after its newest row has shown
that it continues the chain. What stands in the tables is `journal_view`'s and `journal`'s; their form is `migrating`'s.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from process_orchestrator.core.errors import StorageError, StorageFullError
from process_orchestrator.hosting.chain import CHAIN_KEY_FILE, GENESIS, link, read_key
from process_orchestrator.hosting.database_file import APPLICATION_ID, DATABASE_FILE, check_database_file
from process_orchestrator.hosting.disk_room import why_not_writable
from process_orchestrator.hosting.journal_view import JournalView, RawRow
from process_orchestrator.hosting.migrating import load_migrations, migrate, schema_of
from process_orchestrator.hosting.put_in_place import put_in_place
from process_orchestrator.hosting.statements import load_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

BUSY_TIMEOUT_MS: Final = 5000
COPIED_AT_ONCE: Final = 1000
"""Pages copied between two reports of progress."""
PRIMARY: Final = 0xFF
"""Mask that leaves the primary code of an SQLite error."""

WritingConnection: TypeAlias = sqlite3.Connection
"""What a room that writes listings is given."""

_NO_ROOM: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
    }
)
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_NO_RIGHT: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN})


@contextlib.contextmanager
def named_errors(path: Path) -> Generator[None]:
    """Turn the library's errors into ours, naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise _named(path, error) from error


def _named(path: Path, error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0)
    if code in _NO_ROOM or code & PRIMARY in _NO_RIGHT:
        return StorageFullError(
            f"STORAGE_FULL: {path} cannot be written: {why_not_writable(path, str(error))} "
            "What was acknowledged is safe; writing resumes alone."
        )
    if code & PRIMARY in _LOCKED:
        return StorageFullError(
            f"STORAGE_FULL: {path} cannot be written: another program keeps it locked ({error}). Do: end that program. "
            "What was acknowledged is safe; writing resumes alone."
        )
    return StorageError(f"{path} cannot be trusted or used: {error}. Do: run `orchestrator verify`, restore a backup.")


@contextlib.contextmanager
def closed_on_failure(connection: sqlite3.Connection) -> Generator[None]:
    """Leave no connection behind to a file that turns out to be none of ours."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def reading_connection(path: Path) -> sqlite3.Connection:
    """A read-only connection to a database, which is there. Any one thread at a time may use it."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    with closed_on_failure(connection):
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def writing_connection(state: Path) -> sqlite3.Connection:
    """The one connection that writes, to a database in its newest form; made where there is none.

    The caller holds the engine lock. Raises StorageError, and leaves the file as it was, where it cannot be trusted.
    """
    path = state / DATABASE_FILE
    existed = check_database_file(state, migrates=True)
    with named_errors(path):
        if existed:
            _check_continues(state)
        else:
            _make(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with closed_on_failure(connection):
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            migrate(connection, load_migrations(), state, keep_copy=_keep_copy)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
                connection.execute(f"PRAGMA {pragma}")
            return connection


def _make(path: Path) -> None:
    """A new database, by its name only once it is whole: a power cut while it is made leaves nothing to refuse."""
    draft = path.with_name(f"{path.name}.new")
    for left in (draft, draft.with_name(f"{draft.name}-journal"), draft.with_name(f"{draft.name}-wal")):
        left.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        migrate(connection, load_migrations(), path.parent, keep_copy=_keep_copy)
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
    put_in_place(draft, path)


def _check_continues(state: Path) -> None:
    """Whether what SQLite sees through the write-ahead log is ours: its newest row follows the one before it.

    Through a connection that cannot write: a log of another database must not be folded into this one.
    """
    path = state / DATABASE_FILE
    with contextlib.closing(reading_connection(path)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID:
            raise StorageError(f"{path}-wal belongs to another database. Do: move it away, or restore a backup.")
        schema_of(connection, path)
        statements = load_statements("journal.sql")
        newest = [RawRow(*row) for row in connection.execute(statements["newest_rows"]).fetchall()]
    if newest and not _continues(newest, read_key(state / CHAIN_KEY_FILE)):
        raise StorageError(
            f"{path}: its newest row does not continue its chain: the row, {CHAIN_KEY_FILE} or the write-ahead log is "
            "of another database. Do: keep the files, run `orchestrator verify`, restore a backup."
        )


def _continues(newest: list[RawRow], key: bytes) -> bool:
    row, *before = newest
    previous = before[0].chain if before else GENESIS
    if row.id != (before[0].id if before else 0) + 1:
        return True  # the row before it is gone: `verify` names the gap, and other processes live on
    try:
        here = link(key, previous, row_id=row.id, process=row.process, seq=row.seq, at=row.at, turn=row.turn)
    except (TypeError, AttributeError, struct.error):  # a field of another type was put there
        return False
    return here == row.chain


@contextlib.contextmanager
def reading(state: Path) -> Generator[JournalView | None]:
    """A view of one moment of the journal, for a long look; None where there is no journal. Raises StorageError."""
    if not check_database_file(state):
        yield None
        return
    with reading_file(state / DATABASE_FILE) as view:
        yield view


@contextlib.contextmanager
def reading_file(path: Path) -> Generator[JournalView]:
    """A view of one moment of a database file."""
    with named_errors(path), contextlib.closing(reading_connection(path)) as connection:
        connection.execute("BEGIN")
        yield JournalView(connection, load_statements("journal.sql"))


@contextlib.contextmanager
def rewriting(state: Path) -> Generator[tuple[WritingConnection, Mapping[str, str], JournalView]]:
    """Rewrite listings in one transaction: a connection, the statements, and a view that sees what was written.

    The caller holds the engine lock. Nothing has happened where the body raises.
    """
    statements = load_statements("journal.sql")
    with contextlib.closing(writing_connection(state)) as connection, named_errors(state / DATABASE_FILE):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection, statements, JournalView(connection, statements)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def copy_database(source: Path, target: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Copy one moment of a live database into a new file, which needs no log beside it. Raises StorageError.

    The backup interface of SQLite, within one read transaction: an engine goes on writing meanwhile.
    """
    # Made by us, not by SQLite, so that nobody but the owner can ever read it.
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with named_errors(source), contextlib.closing(reading_connection(source)) as from_here:
        from_here.execute("BEGIN")
        from_here.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with named_errors(target), contextlib.closing(sqlite3.connect(target, isolation_level=None)) as to_there:
            from_here.backup(to_there, pages=COPIED_AT_ONCE, progress=_reporting(progress))
            to_there.execute("PRAGMA journal_mode=DELETE").fetchone()
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _reporting(progress: Callable[[int, int], None] | None) -> Callable[[int, int, int], None] | None:
    if progress is None:
        return None
    return lambda _status, left, total: progress(total - left, total)


def _keep_copy(state: Path, target: Path) -> None:
    copy_database(state / DATABASE_FILE, target)
