"""Pages: open questions by urgency, each once, and a look costs the same however many processes there are."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hosting.scripted import opened
from process_orchestrator.core.ports import EscalationQuery, EscalationRow, ProcessQuery
from process_orchestrator.hosting.database import reading_connection
from process_orchestrator.hosting.journal_view import JournalView
from process_orchestrator.hosting.statements import load_statements

DATABASE = "orchestrator.db"
ROLES = ("approver", "clerk")


async def asked(state: Path, count: int) -> list[EscalationRow]:
    """A database that lists so many parked processes, one with a closed question; deadlines and times repeat."""
    async with opened(state):
        pass
    rows = [
        EscalationRow(
            escalation_id=f"p_{number * 7919 % count:06}.e1",
            process_id=f"p_{number * 7919 % count:06}",
            process_type="t",
            step=None,
            kind="task",
            role=ROLES[number % 2],
            status="open" if number else "resolved",
            opened_at=1000 + number // 4,
            deadline_at=None if number % 3 else 5000 + number // 12,
        )
        for number in range(count)
    ]
    with closing(sqlite3.connect(state / DATABASE)) as connection, connection:
        connection.executemany(
            load_statements("journal.sql")["put_escalation"],
            [tuple(getattr(row, name) for name in EscalationRow.__struct_fields__) for row in rows],
        )
        connection.executemany(
            load_statements("journal.sql")["put_process"],
            [
                (row.process_id, "t", None, "local", "waiting_human", "human", 3, 0, 1, 0, None, row.opened_at, 0, 0)
                for row in rows
            ],
        )
    return rows


def paged(view: JournalView, **only: str) -> list[EscalationRow]:
    """All pages, one after the other."""
    seen: list[EscalationRow] = []
    cursor: str | None = None
    while True:
        page = view.escalations(EscalationQuery(limit=7, cursor=cursor, **only))
        seen.extend(page.items)
        cursor = page.next
        if cursor is None:
            return seen


def urgent(row: EscalationRow) -> tuple[bool, int, int, str]:
    return row.deadline_at is None, row.deadline_at or 0, -row.opened_at, row.escalation_id


@pytest.mark.anyio
async def test_open_questions_are_paged_by_deadline_then_newest_each_once(state: Path) -> None:
    rows = sorted((row for row in await asked(state, 100) if row.status == "open"), key=urgent)
    with closing(reading_connection(state / DATABASE)) as connection:
        view = JournalView(connection, load_statements("journal.sql"))
        assert paged(view) == rows
        assert paged(view, role="clerk") == [row for row in rows if row.role == "clerk"]
        assert paged(view, process_id=rows[50].process_id) == [rows[50]]
        assert [row for row in paged(view, status="all") if row.status == "open"] == rows


Ask = Callable[[JournalView], object]


def steps(state: Path, ask: Ask) -> int:
    """How many steps SQLite takes for what is asked."""
    taken = 0

    def step() -> None:
        nonlocal taken
        taken += 1

    with closing(reading_connection(state / DATABASE)) as connection:
        connection.set_progress_handler(step, 1)
        ask(JournalView(connection, load_statements("journal.sql")))
    return taken


@pytest.mark.parametrize(
    "ask",
    [
        lambda view: view.escalations(EscalationQuery(limit=20)),
        lambda view: view.escalations(EscalationQuery(limit=20, cursor="0:9007199254740991:1030:p_000120.e1")),
        lambda view: view.escalations(EscalationQuery(process_id="p_000120")),
        lambda view: view.processes(ProcessQuery(limit=20)),
        lambda view: view.processes(ProcessQuery(prefix="p_000120", limit=1)),
    ],
    ids=["open questions", "open questions without a deadline", "questions of one", "processes", "one process"],
)
@pytest.mark.anyio
async def test_a_look_costs_the_same_however_many_processes_are_parked(tmp_path: Path, ask: Ask) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    for state, count in ((few, 200), (many, 2000)):
        state.mkdir()
        await asked(state, count)
    assert steps(many, ask) < 4 * steps(few, ask)
