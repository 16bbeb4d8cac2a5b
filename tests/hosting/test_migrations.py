"""An older database is brought to the newest schema: a copy first, all in one transaction, or nothing at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hosting.scripted import chain, opened, run
from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.database import copy_database
from process_orchestrator.hosting.database_file import SCHEMA_VERSION
from process_orchestrator.hosting.migrating import Migration, load_migrations, migrate, migration
from process_orchestrator.hosting.verification import verify

DATABASE = "orchestrator.db"
NEXT = SCHEMA_VERSION + 1
LATER = migration(
    f"{NEXT:03}_remarks.sql",
    "-- What people remark.\nCREATE TABLE remark (at INTEGER NOT NULL, said TEXT NOT NULL);\n"
    "INSERT INTO remark\nVALUES (1, 'a; b');\n",
)
BROKEN = Migration(NEXT, f"{NEXT:03}_broken", (*LATER.statements, "INSERT INTO remark VALUES (NULL, 'x')"))


def keep_copy(state: Path, target: Path) -> None:
    copy_database(state / DATABASE, target)


def bring(state: Path, *further: Migration) -> None:
    with closing(sqlite3.connect(state / DATABASE, isolation_level=None)) as connection:
        migrate(connection, (*load_migrations(), *further), state, keep_copy=keep_copy)


def asked(file: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()


async def used(state: Path) -> None:
    async with opened(state) as host:
        await run(host, chain(2))


def test_the_files_of_migrations_are_numbered_without_gaps_up_to_the_schema_of_this_version() -> None:
    assert [step.number for step in load_migrations()] == list(range(1, SCHEMA_VERSION + 1))


def test_a_file_of_migrations_is_read_statement_by_statement() -> None:
    assert [statement.split()[-1] for statement in LATER.statements] == ["NULL);", "b');"]
    with pytest.raises(ValueError, match="no statement"):
        migration("002_half.sql", "CREATE TABLE half (")


@pytest.mark.behaviour("migrations")
@pytest.mark.anyio
async def test_an_older_database_is_migrated_and_a_copy_of_it_as_it_was_is_kept(state: Path) -> None:
    await used(state)
    before = asked(state / DATABASE, "SELECT id, turn, chain FROM journal")
    bring(state, LATER)
    assert asked(state / DATABASE, "SELECT said FROM remark") == [("a; b",)]
    assert asked(state / DATABASE, "PRAGMA user_version") == [(NEXT,)]
    assert asked(state / DATABASE, "SELECT id, turn, chain FROM journal") == before
    (copy,) = (state / "backups").iterdir()
    assert copy.name.startswith(f"before-schema-{NEXT}-")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert asked(copy, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert asked(copy, "SELECT id, turn, chain FROM journal") == before


@pytest.mark.anyio
async def test_a_migration_that_fails_changes_nothing_and_says_where_the_copy_is(state: Path) -> None:
    await used(state)
    with pytest.raises(StorageError, match=rf"stays at schema {SCHEMA_VERSION}: migration {NEXT:03}_broken failed"):
        bring(state, BROKEN)
    assert asked(state / DATABASE, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert asked(state / DATABASE, "SELECT name FROM sqlite_schema WHERE name = 'remark'") == []
    async with opened(state) as host:
        await run(host, chain(1))
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_the_newest_three_copies_before_migrations_are_kept_and_every_backup(state: Path) -> None:
    await used(state)
    (state / "backups").mkdir()
    asked_for = state / "backups" / "backup-20200101T000000Z.db"
    asked_for.touch()
    for number in range(NEXT, NEXT + 5):
        bring(state, *(Migration(each, f"{each:03}_nothing", ()) for each in range(NEXT, number + 1)))
    kept = sorted(file.name.split("-2")[0] for file in (state / "backups").iterdir() if file != asked_for)
    assert kept == [f"before-schema-{number}" for number in range(NEXT + 2, NEXT + 5)]
    assert asked_for.exists()


@pytest.mark.anyio
async def test_a_database_already_at_the_newest_schema_is_not_copied(state: Path) -> None:
    await used(state)
    bring(state)
    assert not (state / "backups").exists()


@pytest.mark.anyio
async def test_a_migrated_database_is_refused_by_the_version_before(state: Path) -> None:
    await used(state)
    bring(state, LATER)
    for mode in ("drive", "write", "read"):
        with pytest.raises(StorageError, match=f"has schema {NEXT}"):
            async with opened(state, mode=mode) as host:
                await host.state("p_any")
