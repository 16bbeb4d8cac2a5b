"""Pages of questions: the most urgent first, every one once, and a page costs the same however many are open."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hosting.scripted import opened
from process_orchestrator.core.ports import EscalationQuery, EscalationRow
from process_orchestrator.hosting.database import reading_connection
from process_orchestrator.hosting.journal_view import JournalView
from process_orchestrator.hosting.statements import load_statements

DATABASE = "orchestrator.db"
ROLES = ("approver", "clerk")


async def asked(state: Path, count: int) -> list[EscalationRow]:
    """A database that lists so many open questions and one that is closed; deadlines and times repeat."""
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


async def steps_of_a_page(state: Path, count: int) -> int:
    """How many steps SQLite takes for the first page, and for one amid those without a deadline."""
    rows = sorted(await asked(state, count), key=urgent)
    amid = next(row for row in rows if row.deadline_at is None)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    with closing(reading_connection(state / DATABASE)) as connection:
        connection.set_progress_handler(step, 1)
        view = JournalView(connection, load_statements("journal.sql"))
        view.escalations(EscalationQuery(limit=20))
        view.escalations(EscalationQuery(limit=20, cursor=f"0:9007199254740991:{amid.opened_at}:{amid.escalation_id}"))
    return steps


@pytest.mark.anyio
async def test_a_page_of_open_questions_costs_the_same_however_many_are_open(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    for state in (few, many):
        state.mkdir()
    assert await steps_of_a_page(many, 4000) < 4 * await steps_of_a_page(few, 400)
