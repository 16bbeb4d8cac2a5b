"""Backups of a database that is being written, restoring them, and rebuilding its listings."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from hosting.programs import first_line, kill, program
from hosting.scripted import Script, chain, failure, finished, opened, run, spec, until
from process_orchestrator.core.errors import EngineError, RefusedError, StorageError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.specs import RetryFacts
from process_orchestrator.core.facts.values import Effect, Idempotency, Status
from process_orchestrator.core.ports import Bodies, ProcessQuery
from process_orchestrator.hosting.backup import backup, last_backup
from process_orchestrator.hosting.lock import try_lock
from process_orchestrator.hosting.rebuilding import rebuild
from process_orchestrator.hosting.verification import verify

DATABASE = "orchestrator.db"
LATER = RetryFacts(max_attempts=2, on=("transient",), initial_ms=50_000, jitter=False)


def rows_of(file: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT id, process, seq, at, turn, chain FROM journal ORDER BY id").fetchall()


def restore(state: Path, file: Path) -> None:
    """As docs/operating.md says."""
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (state / name).unlink(missing_ok=True)
    shutil.copyfile(file, state / DATABASE)


async def lived(state: Path) -> dict[str, str]:
    """Processes that ended, one that waits for a human, one that waits for its retry."""

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call) if call.step == "s2" or call.effect is Effect.WRITE else None

    async with opened(state, Script(work=work)) as host:
        done = await run(host, chain(2))
        asking = (await host.start(spec(chain(3)), Bodies())).spec.process_id
        await until(host, asking, lambda seen: seen.status is Status.WAITING_HUMAN)
        waiting = (
            await host.start(spec(chain(1, effect=Effect.WRITE, idempotency=Idempotency.KEYED, retry=LATER)), Bodies())
        ).spec.process_id
        await until(host, waiting, lambda seen: bool(seen.live_timers))
    return {"done": done.spec.process_id, "asking": asking, "waiting": waiting}


def change(state: Path, *statements: str) -> None:
    with closing(sqlite3.connect(state / DATABASE, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.behaviour("backup")
@pytest.mark.anyio
async def test_a_backup_taken_under_load_is_one_moment_of_the_journal_and_verifies(state: Path, tmp_path: Path) -> None:
    heads: list[tuple[int, str]] = []
    files = [tmp_path / f"backup{number}.db" for number in range(5)]
    with program(state, "start", "400", "3") as engine:
        for _ in range(40):
            first_line(engine)
        for file in files:
            made = await backup(state, file)
            heads.append((made.rows, made.head))
            assert made.bytes == file.stat().st_size
            assert file.stat().st_mode & 0o777 == 0o600
        for _ in range(20):
            first_line(engine)
        kill(engine)
    assert len({rows for rows, _ in heads}) > 1, "nothing was written meanwhile"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("backup")) == [
        file.name for file in files
    ]
    whole = rows_of(state / DATABASE)
    for file, head in zip(files, heads, strict=True):
        held = rows_of(file)
        assert held == whole[: len(held)]
        assert (len(held), held[-1][-1]) == (head[0], bytes.fromhex(head[1]))
        assert (await verify(state, published=head)).ok


@pytest.mark.behaviour("restore")
@pytest.mark.anyio
async def test_a_restored_backup_goes_on_where_it_stood(state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with program(state, "start", "30", "4") as engine:
        assert first_line(engine) == "ready"
        for _ in range(20):
            first_line(engine)
        made = await backup(state, copy)
        for _ in range(5):
            first_line(engine)
        kill(engine)
    restore(state, copy)
    assert (await verify(state)).rows == made.rows
    async with opened(state) as host:
        listed = (await host.processes(ProcessQuery(limit=100))).items
        assert len(listed) >= 20
        for row in listed:
            assert (await finished(host, row.process_id)).status is Status.COMPLETED
    assert (await verify(state, published=(made.rows, made.head))).ok


@pytest.mark.behaviour("restore")
@pytest.mark.anyio
async def test_a_log_that_was_left_beside_a_restored_backup_is_refused_and_nothing_is_touched(
    state: Path, tmp_path: Path
) -> None:
    await lived(state)
    await backup(state, tmp_path / "copy.db")
    with program(state, "start", "10", "2") as engine:
        for _ in range(5):
            first_line(engine)
        kill(engine)
    shutil.copyfile(tmp_path / "copy.db", state / DATABASE)
    before = {file.name: file.read_bytes() for file in state.glob(f"{DATABASE}*")}
    assert f"{DATABASE}-wal" in before
    for mode in ("drive", "write", "read"):
        with pytest.raises(StorageError, match="is the log of another state"):
            async with opened(state, mode=mode) as host:
                await host.state("p_any")
    assert {file.name: file.read_bytes() for file in state.glob(f"{DATABASE}*")} == before


@pytest.mark.anyio
async def test_a_backup_of_nothing_or_over_something_is_refused(state: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="no database yet"):
        await backup(state)
    await lived(state)
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(RefusedError, match="is there already"):
        await backup(state, there)
    assert there.read_text() == "mine"
    with pytest.raises(RefusedError, match="is no folder"):
        await backup(state, tmp_path / "no such folder" / "copy.db")


@pytest.mark.anyio
async def test_a_backup_without_a_name_lies_in_the_state_folder_and_is_noted(state: Path) -> None:
    await lived(state)
    assert last_backup(state) is None
    made = await backup(state)
    second = await backup(state)
    assert last_backup(state) == second
    assert sorted((state / "backups").iterdir()) == sorted((Path(made.file), Path(second.file)))


@pytest.mark.anyio
async def test_a_copy_of_a_journal_that_does_not_verify_gets_no_name(state: Path, tmp_path: Path) -> None:
    await lived(state)
    change(state, "UPDATE journal SET at = at + 1 WHERE id = 2")
    with pytest.raises(StorageError, match="does not verify"):
        await backup(state, tmp_path / "copy.db")
    assert not list(tmp_path.glob("copy*"))


@pytest.mark.behaviour("rebuild")
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("damage", "named", "mended", "removed"),
    [
        ("UPDATE process SET status = 'completed', due = 0", "listing of processes", 2, 0),
        ("DELETE FROM process", "listing of processes", 3, 0),
        ("UPDATE escalation SET role = 'anyone'", "listing of escalations", 1, 0),
        ("DELETE FROM escalation", "listing of escalations", 1, 0),
        ("DELETE FROM timer", "list of timers", 2, 0),
        ("UPDATE timer SET fire_at = fire_at + 1", "list of timers", 2, 0),
        ("INSERT INTO timer VALUES ('p_forged', 't', 1)", "no row of it", 0, 1),
        ("INSERT INTO timer SELECT process_id, 'forged', 1 FROM process WHERE due = 0 LIMIT 1", "list of timers", 1, 0),
    ],
)
async def test_listings_that_were_tampered_with_are_named_by_verify_and_mended_by_rebuild(
    state: Path, damage: str, named: str, mended: int, removed: int
) -> None:
    await lived(state)
    whole = await verify(state)
    assert whole.ok, whole.first_bad
    change(state, damage)
    found = await verify(state)
    assert found.first_bad is not None
    assert named in found.first_bad.what
    report = await rebuild(state)
    assert (report.processes, report.mended, report.removed, report.unreadable) == (3, mended, removed, ())
    assert await verify(state) == whole
    assert (await rebuild(state)).mended == 0


@pytest.mark.behaviour("rebuild")
@pytest.mark.anyio
async def test_a_rebuild_is_refused_while_an_engine_holds_the_home(state: Path) -> None:
    await lived(state)
    async with opened(state):
        with pytest.raises(EngineError, match="ENGINE_UNAVAILABLE: an engine holds this home"):
            await rebuild(state)
    await rebuild(state)
    lock = try_lock(state)
    assert lock is not None, "a rebuild lets the lock go"
    lock.close()


@pytest.mark.anyio
async def test_a_rebuild_of_nothing_makes_nothing(state: Path) -> None:
    assert (await rebuild(state)).processes == 0
    assert list(state.iterdir()) == []


@pytest.mark.anyio
async def test_a_process_that_cannot_be_read_stays_as_it_was_listed(state: Path) -> None:
    ids = await lived(state)
    change(state, f"UPDATE journal SET turn = x'00' WHERE process = '{ids['asking']}' AND seq > 2 AND id < 6")
    change(state, "DELETE FROM timer")
    report = await rebuild(state)
    assert (report.mended, report.unreadable) == (1, (ids["asking"],))


@pytest.mark.anyio
async def test_a_verification_tells_how_far_it_is(state: Path) -> None:
    await lived(state)
    told: list[tuple[str, int, int]] = []
    report = await verify(state, progress=lambda what, done, total: told.append((what, done, total)))
    assert [what for what, _, _ in told] == ["chain", "folds", "folds", "folds"]
    assert (told[0][1:], told[-1][1:]) == ((report.rows, report.rows), (report.rows, report.rows))


@pytest.mark.anyio
async def test_a_verification_gives_way_to_an_engine_that_writes(state: Path) -> None:
    with program(state, "start", "200", "2") as engine:
        with anyio.fail_after(30):
            for _ in range(5):
                for _ in range(10):
                    assert first_line(engine)
                assert (await verify(state)).ok
        kill(engine)
