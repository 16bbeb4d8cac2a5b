"""Databases that cannot be trusted: each is refused by name at every way in, and not one byte of it changes."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from hosting.programs import first_line, kill, program
from hosting.scripted import chain, opened, run
from process_orchestrator.core.errors import StorageError
from process_orchestrator.hosting.backup import backup
from process_orchestrator.hosting.rebuilding import rebuild
from process_orchestrator.hosting.verification import verify

NAME: Final = "orchestrator.db"
MODES: Final = ("drive", "write", "read")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def put(start: int, data: bytes) -> Callable[[Path], None]:
    def spoil(state: Path) -> None:
        with (state / NAME).open("r+b") as file:
            file.seek(start)
            file.write(data)

    return spoil


def cut(state: Path) -> None:
    os.truncate(state / NAME, (state / NAME).stat().st_size // 2)


def emptied(state: Path) -> None:
    os.truncate(state / NAME, 0)


def foreign(state: Path) -> None:
    (state / NAME).unlink()
    with closing(sqlite3.connect(state / NAME)) as other:
        other.executescript("PRAGMA application_id=7; CREATE TABLE photo (name TEXT)")


def linked(state: Path) -> None:
    (state / NAME).rename(state / "elsewhere.db")
    (state / NAME).symlink_to(state / "elsewhere.db")


def folder(state: Path) -> None:
    (state / NAME).unlink()
    (state / NAME).mkdir()


def gone(state: Path) -> None:
    (state / NAME).unlink()


REFUSED: Final[dict[str, tuple[Callable[[Path], None], str]]] = {
    "corrupt header": (put(0, b"not a database at all"), "header is damaged"),
    "impossible page size": (put(16, b"\x03\x03"), "header is damaged"),
    "wrong application id": (put(68, b"\x00\x00\x00\x07"), "belongs to another program"),
    "another program's file": (foreign, "belongs to another program"),
    "newer schema": (put(60, b"\x00\x00\x00\x63"), "has schema 99"),
    "no schema": (put(60, b"\x00\x00\x00\x00"), "names no schema"),
    "truncated": (cut, "is cut"),
    "emptied": (emptied, "header is damaged"),
    "a link": (linked, "is no plain file"),
    "a folder": (folder, "is no plain file"),
    "gone": (gone, "is missing"),
}


async def used(state: Path) -> None:
    state.mkdir(mode=0o700)
    async with opened(state) as host:
        await run(host, chain(3))


def files(state: Path) -> dict[str, bytes]:
    found = [path for path in state.iterdir() if path.name.startswith(("orchestrator", "elsewhere")) and path.is_file()]
    held = {path.name: path.read_bytes() for path in found if not path.name.endswith("-shm")}
    return {
        name: data for name, data in held.items() if data or not name.endswith("-wal")
    }  # a reader leaves an empty log


@pytest.mark.behaviour("P7")
@pytest.mark.anyio
@pytest.mark.parametrize("name", REFUSED)
async def test_a_database_that_cannot_be_trusted_is_refused_at_every_way_in_and_left_as_it_is(
    tmp_path: Path, name: str
) -> None:
    state = tmp_path / "state"
    await used(state)
    spoil, why = REFUSED[name]
    spoil(state)
    before = files(state)
    for mode in MODES:
        with pytest.raises(StorageError, match=why):
            async with opened(state, mode=mode) as host:
                await host.state("p_any")
    for ask in (verify, rebuild, backup):
        with pytest.raises(StorageError, match=why):
            await ask(state)
    assert files(state) == before


@pytest.mark.behaviour("P7")
@pytest.mark.anyio
async def test_the_log_of_another_database_is_refused_before_it_is_folded_in(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    await used(ours)
    theirs.mkdir(mode=0o700)
    with program(theirs, "start", "20", "3") as engine:
        for _ in range(15):
            first_line(engine)
        kill(engine)
    shutil.copyfile(theirs / f"{NAME}-wal", ours / f"{NAME}-wal")
    before = files(ours)
    for mode in ("drive", "write"):
        with pytest.raises(StorageError):
            async with opened(ours, mode=mode):
                pass
    assert files(ours) == before


@pytest.mark.behaviour("P7")
@pytest.mark.anyio
async def test_a_damaged_page_or_payload_is_named_when_it_is_read_and_nothing_is_made_anew(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await used(state)
    data = (state / NAME).read_bytes()
    at = data.index(b"worker")
    put(at, b"w\xffrker")(state)
    before = files(state)
    report = await verify(state)
    assert report.first_bad is not None
    assert "changed" in report.first_bad.what or "chain is broken" in report.first_bad.what
    with pytest.raises(StorageError, match="does not verify"):
        await backup(state, tmp_path / "copy.db")
    assert files(state) == before


@pytest.mark.behaviour("P7")
@pytest.mark.anyio
async def test_a_journal_beside_a_key_that_is_not_its_own_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    await used(state)
    (state / "chain.key").write_bytes(bytes(32))
    before = files(state)
    with pytest.raises(StorageError, match="does not continue its chain"):
        async with opened(state):
            pass
    assert files(state) == before
