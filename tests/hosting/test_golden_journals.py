"""Journals that earlier versions wrote: the same state, the same commands, the same digests, or a named migration.

The files are made by `golden/make.py`. Where one of these fails, either what changed must not change, or, as long as
the version that wrote it is not released, the script is run again.
"""

import base64
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from process_orchestrator.core.facts.state import Process
from process_orchestrator.hosting.chain import GENESIS, link, make_key
from process_orchestrator.hosting.database import copy_database, reading, writing_connection
from process_orchestrator.hosting.database_file import SCHEMA_VERSION
from process_orchestrator.hosting.folding import CORE, fold
from process_orchestrator.hosting.migrating import load_migrations, migrate
from process_orchestrator.hosting.rebuilding import rebuild
from process_orchestrator.hosting.verification import verify

GOLDEN = Path(__file__).with_name("golden")
FILES = sorted(GOLDEN.glob("*/*.jsonl"))
REFERENCES = {
    "sequence",
    "map",
    "approval",
    "retry",
    "compensation",
    "wait",
    "repeat",
    "planned",
    "planned-in-vain",
    "sub-process",
    "sub-process-part",
}


def write(state: Path, lines: list[dict[str, Any]], *, schema: int) -> None:
    """A database as the version of that schema left it. Its listings are empty."""
    key, head, row_id, process = make_key(state / "chain.key"), GENESIS, 0, lines[-1]["process"]
    with closing(sqlite3.connect(state / "orchestrator.db", isolation_level=None)) as database:
        migrate(database, load_migrations()[:schema], state, keep_copy=copy_database)
        database.execute("PRAGMA journal_mode=WAL")
        for line in lines[:-1]:
            if "definition" in line:
                body = base64.b64decode(line["definition"])
                pinned = (line["sha256"], "plan_facts", line["name"], "", body)
                database.execute("INSERT INTO definition VALUES (?, ?, ?, ?, ?)", pinned)
                continue
            row_id, turn = row_id + 1, base64.b64decode(line["turn"])
            head = link(key, head, row_id=row_id, process=process, seq=line["seq"], at=line["at"], turn=turn)
            row = (row_id, process, line["seq"], line["at"], turn, head)
            database.execute("INSERT INTO journal (id, process, seq, at, turn, chain) VALUES (?, ?, ?, ?, ?, ?)", row)


def holds(now: Any, then: Any) -> bool:
    """Whether all that was said then is said now; a later version may say more."""
    if isinstance(then, dict):
        return isinstance(now, dict) and all(key in now and holds(now[key], each) for key, each in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(holds, now, then))
    return now == then


@pytest.mark.behaviour("golden")
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name} {file.stem}")
@pytest.mark.anyio
async def test_a_journal_of_an_earlier_version_leads_to_the_same_state_by_the_same_commands(
    state: Path, file: Path
) -> None:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    write(state, lines, schema=int(file.parent.name))
    writing_connection(state).close()
    await rebuild(state)
    report = await verify(state)
    assert report.ok, report.first_bad
    with reading(state) as view:
        assert view is not None
        folded = fold(view, CORE, lines[-1]["process"])
        rows = list(view.every_row(lines[-1]["process"]))
    assert folded is not None
    told = [line for line in lines if "turn" in line]
    assert [list(row.decisions) for row in rows] == [line["decisions"] for line in told]
    assert [[type(event).__name__ for event in row.events] for row in rows] == [line["events"] for line in told]
    then = msgspec.to_builtins(msgspec.convert(lines[-1]["state"], Process))
    assert holds(msgspec.to_builtins(folded.state), then)


@pytest.mark.behaviour("golden")
def test_every_reference_process_has_a_golden_journal_of_this_version() -> None:
    assert {file.stem for file in FILES if file.parent.name == str(SCHEMA_VERSION)} >= REFERENCES
    assert {int(file.parent.name) for file in FILES} == set(range(1, SCHEMA_VERSION + 1))
