"""A journal that cannot be trusted: tampering is named, foreign and broken files are refused and left as they are."""

import hashlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hosting.scripted import Script, chain, failure, opened, run, spec, until
from process_orchestrator.core.errors import StorageError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import Event
from process_orchestrator.core.facts.specs import RetryFacts
from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.ports import Bodies
from process_orchestrator.hosting.packing import pack, unpack
from process_orchestrator.hosting.verification import verify

DATABASE = "orchestrator.db"


async def written(state: Path) -> tuple[str, str]:
    """Two finished processes and one that waits, in a closed database; the ids of the finished ones."""

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call) if call.step == "s2" else None

    async with opened(state, Script(work=work)) as host:
        first, second = await run(host, chain(2)), await run(host, chain(2))
        third = await host.start(spec(chain(3)), Bodies())
        await until(host, third.spec.process_id, lambda seen: seen.status is Status.WAITING_HUMAN)
    return first.spec.process_id, second.spec.process_id


def change(state: Path, *statements: str) -> None:
    with sqlite3.connect(state / DATABASE) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.anyio
async def test_a_journal_that_nobody_touched_verifies_beside_its_engine_and_after_it(state: Path) -> None:
    await written(state)
    async with opened(state) as host:
        await run(host, chain(1))
        beside = await verify(state)
    after = await verify(state)
    assert beside.ok, beside.first_bad
    assert after == beside
    assert after.rows == 3 + 3 + 4 + 2
    assert (await verify(state, published=(after.rows, after.head))).ok


@pytest.mark.anyio
async def test_an_edited_row_is_named(state: Path) -> None:
    await written(state)
    with closing(sqlite3.connect(state / DATABASE)) as connection:
        (turn,) = connection.execute("SELECT turn FROM journal WHERE id = 2").fetchone()
    edited = pack(unpack(turn).replace(b"CallSucceeded", b"CallSucceedef"))
    change(state, f"UPDATE journal SET turn = x'{edited.hex()}' WHERE id = 2")
    bad = (await verify(state)).first_bad
    assert bad is not None
    assert (bad.id, bad.seq) == (2, 4)
    assert "chain" in bad.what


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET turn = x'00' WHERE id = 1",
        "DELETE FROM journal WHERE id = 1",
    ],
)
@pytest.mark.anyio
async def test_a_process_that_cannot_be_read_is_set_aside_and_takes_no_other_with_it(state: Path, damage: str) -> None:
    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        return failure(call.call)

    later = RetryFacts(max_attempts=2, on=("transient",), initial_ms=20_000, jitter=False)
    async with opened(state, Script(work=work)) as host:
        started = await host.start(spec(chain(1, retry=later)), Bodies())
        await until(host, started.spec.process_id, lambda seen: bool(seen.live_timers))
    change(state, damage, "UPDATE timer SET fire_at = 0")  # nobody can hear of its timer
    async with opened(state) as host:
        assert (await run(host, chain(2))).status is Status.COMPLETED
        assert (await run(host, chain(2))).status is Status.COMPLETED


@pytest.mark.anyio
async def test_an_edited_time_is_named(state: Path) -> None:
    _, second = await written(state)
    change(state, "UPDATE journal SET at = at + 1 WHERE id = 5")
    bad = (await verify(state)).first_bad
    assert bad is not None
    assert (bad.id, bad.process, bad.seq) == (5, second, 4)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE artifact SET bytes = 'no bytes'",
        "UPDATE artifact SET sha256 = hex(sha256)",
        "UPDATE definition SET body = 'no bytes'",
        "UPDATE definition SET sha256 = CAST(sha256 AS BLOB)",
    ],
)
async def test_a_body_that_is_none_any_more_is_named(state: Path, statement: str) -> None:
    await written(state)
    change(state, statement)
    report = await verify(state)
    assert report.first_bad is not None
    assert not report.ok


@pytest.mark.anyio
async def test_a_deleted_row_is_named_by_the_one_after_it(state: Path) -> None:
    _, second = await written(state)
    change(state, "DELETE FROM journal WHERE id = 4")
    bad = (await verify(state)).first_bad
    assert bad is not None
    assert (bad.id, bad.process) == (5, second)
    assert "gone" in bad.what


@pytest.mark.anyio
async def test_reordered_rows_are_named(state: Path) -> None:
    await written(state)
    change(
        state,
        "UPDATE journal SET id = 1000 WHERE id = 2",
        "UPDATE journal SET id = 2 WHERE id = 3",
        "UPDATE journal SET id = 3 WHERE id = 1000",
    )
    bad = (await verify(state)).first_bad
    assert bad is not None
    assert bad.id == 2


@pytest.mark.anyio
async def test_a_cut_tail_shows_against_a_published_head(state: Path) -> None:
    await written(state)
    whole = await verify(state)
    change(state, "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)")
    cut = await verify(state, published=(whole.rows, whole.head))
    assert cut.first_bad is not None
    assert "cut" in cut.first_bad.what


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "about"),
    [
        ("UPDATE process SET status = 'completed' WHERE status = 'waiting_human'", "listing of processes"),
        ("UPDATE escalation SET status = 'resolved'", "listing of escalations"),
        ("DELETE FROM escalation", "listing of escalations"),
        ("UPDATE artifact SET bytes = '{}' WHERE sha256 = (SELECT min(sha256) FROM artifact)", "body"),
        ("DELETE FROM artifact WHERE sha256 = (SELECT min(sha256) FROM artifact)", "missing"),
        ("UPDATE definition SET body = replace(body, 'worker', 'walker')", "definition"),
        (
            "INSERT INTO process SELECT 'p_forged', process_type, label, principal, status, why, version, steps_done,"
            " steps_total, usd_micros, input_sha256, created_at, updated_at, due FROM process LIMIT 1",
            "no row of it",
        ),
    ],
)
async def test_a_table_that_does_not_fit_the_journal_is_named(state: Path, statement: str, about: str) -> None:
    await written(state)
    change(state, statement)
    report = await verify(state)
    assert not report.ok
    assert report.first_bad is not None
    assert about in report.first_bad.what


def overwrite(start: int, data: bytes) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        with file.open("r+b") as opened_file:
            opened_file.seek(start)
            opened_file.write(data)

    return spoil


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


@pytest.mark.behaviour("P7")
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (overwrite(68, b"\x00\x00\x00\x07"), "another program"),
        (overwrite(60, b"\x00\x00\x00\x63"), "schema 99"),
        (overwrite(0, b"not a database at all"), "header is damaged"),
        (cut, "is cut"),
        (empty, "header is damaged"),
    ],
    ids=["application id", "newer schema", "corrupt header", "truncated", "emptied"],
)
async def test_a_file_that_cannot_be_trusted_is_refused_by_name_and_left_as_it_is(
    state: Path, spoil: Callable[[Path], None], why: str
) -> None:
    await written(state)
    file = state / DATABASE
    spoil(file)
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    for mode in ("drive", "write", "read"):
        with pytest.raises(StorageError, match=why) as error:
            async with opened(state, mode=mode) as host:
                await host.state("p_any")
        assert str(file) in str(error.value)
    with pytest.raises(StorageError, match=why):
        await verify(state)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert sorted(path.name for path in state.iterdir() if path.name.startswith("orch")) == [DATABASE]


@pytest.mark.anyio
async def test_a_database_that_is_gone_is_not_made_anew(state: Path) -> None:
    await written(state)
    (state / DATABASE).unlink()
    with pytest.raises(StorageError, match="is missing"):
        async with opened(state):
            pass
    assert not (state / DATABASE).exists()


@pytest.mark.anyio
async def test_a_journal_without_its_key_is_refused(state: Path) -> None:
    await written(state)
    (state / "chain.key").unlink()
    with pytest.raises(StorageError, match=r"chain\.key is missing"):
        async with opened(state):
            pass
