"""Brings a database to the newest schema: numbered files of statements, in order, in one transaction, after a copy.

Forward only, and the journal's rows are never rewritten: the chain covers them. A new file is made by the same
statements. What the tables are is said in docs/journal-format.md.
"""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.database_file import APPLICATION_ID, DATABASE_FILE, SCHEMA_VERSION, newer_schema
from process_orchestrator.hosting.kept_copies import BEFORE_MIGRATION, copy_name, prune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

COPIES_KEPT: Final = 3
"""Copies made before migrations that are kept, the newest."""
_NAME: Final = re.compile(r"(\d{3})_[a-z_]+\.sql")


class Migration(NamedTuple):
    """The step from schema `number` - 1 to schema `number`."""

    number: int
    name: str
    statements: tuple[str, ...]


def load_migrations() -> tuple[Migration, ...]:
    """Every migration, from the empty file on."""
    files = resources.files("process_orchestrator.hosting").joinpath("migrations").iterdir()
    named = sorted((file.name, file.read_text("utf-8")) for file in files if _NAME.fullmatch(file.name))
    return tuple(migration(name, text) for name, text in named)


def migration(name: str, text: str) -> Migration:
    """One migration, read from its file."""
    return Migration(int(name[:3]), name.removesuffix(".sql"), tuple(_statements(text)))


def _statements(text: str) -> Iterator[str]:
    """One at a time: `executescript` would commit what is open."""
    waiting = ""
    for line in text.splitlines(keepends=True):
        waiting += line
        if ";" in line and sqlite3.complete_statement(waiting):
            yield waiting.strip()
            waiting = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in waiting.splitlines()):
        raise ValueError(f"no statement of SQLite: {waiting.strip()}")


def schema_of(connection: sqlite3.Connection, path: Path, *, newest: int = SCHEMA_VERSION) -> int:
    """The schema as SQLite sees it, through the log. Raises StorageError for one that this version does not know."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > newest:
        raise newer_schema(path, found)
    return found


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Migration],
    state: Path,
    *,
    keep_copy: Callable[[Path, Path], None],
) -> None:
    """Bring a database to the last of `migrations`. The caller alone writes to it. Raises StorageError.

    Nothing has happened where it raises: the copy made before, by `keep_copy(state, file)`, is beside it.
    """
    path, newest = state / DATABASE_FILE, migrations[-1].number
    found = schema_of(connection, path, newest=newest)
    if found == newest:
        return
    copy = None
    if found:
        copy = copy_name(state, f"{BEFORE_MIGRATION}{newest}")
        keep_copy(state, copy)
    step = migrations[found]
    try:
        # All of a new file appears in one commit, before its log is switched on: its header is then readable
        # without SQLite.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        for step in migrations[found:]:
            for statement in step.statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={newest}")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if copy is None:
            raise
        raise StorageError(
            f"{path} stays at schema {found}: migration {step.name} failed: {error}. Nothing was changed; "
            f"a copy is {copy}. Do: go on with the version that wrote it, and report this."
        ) from error
    if found:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        prune(state, BEFORE_MIGRATION, keep=COPIES_KEPT)
