import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from domains.running import Agent, Connect, Keeper

PROGRAM = "ledger/server.py"
INVOICE: dict[str, Any] = {
    "invoice_number": "HF-2026-0117",
    "vendor_id": "V-1001",
    "issue_date": "2026-11-03",
    "due_date": "2026-12-03",
    "currency": "EUR",
    "net": 322.75,
    "tax": 61.32,
    "total": 384.07,
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledger") / "ledger.db"


@pytest.fixture(scope="module")
async def ledger(connect: Connect, books: Path) -> AsyncIterator[Agent]:
    async with connect(PROGRAM, LEDGER_DB=str(books)) as agent:
        yield agent


def rows(books: Path, request_id: str) -> int:
    with closing(sqlite3.connect(books)) as database:
        return database.execute("SELECT count(*) FROM posting WHERE request_id = ?", (request_id,)).fetchone()[0]


async def test_an_invoice_is_booked_and_answered_as_the_contract_says(
    ledger: Agent, books: Path, keeper: Callable[[str], Keeper]
) -> None:
    posting = await ledger.answer("post_invoice", request_id="plain", **INVOICE)
    keeper("ledger.post").check_output(posting)
    assert (posting["invoice_number"], posting["total"], posting["currency"]) == ("HF-2026-0117", 384.07, "EUR")
    assert rows(books, "plain") == 1


async def test_twenty_posts_at_once_under_one_key_book_once(connect: Connect, ledger: Agent, books: Path) -> None:
    answers: list[dict[str, Any]] = []

    async def post(agent: Agent) -> None:
        answers.append(await agent.answer("post_invoice", request_id="same", **INVOICE))

    async with connect(PROGRAM, LEDGER_DB=str(books)) as second, anyio.create_task_group() as group:
        for agent in [ledger, second] * 10:
            group.start_soon(post, agent)
    assert len(answers) == 20
    assert all(answer == answers[0] for answer in answers)
    assert rows(books, "same") == 1


async def test_another_invoice_under_a_used_key_is_a_conflict_and_books_nothing(ledger: Agent, books: Path) -> None:
    first = await ledger.answer("post_invoice", request_id="used", **INVOICE)
    other = INVOICE | {"invoice_number": "HF-2026-0118"}
    message = await ledger.error("post_invoice", request_id="used", **other)
    assert message.startswith(f"conflict: this key has booked another invoice as {first['id']}")
    assert rows(books, "used") == 1
    assert await ledger.answer("post_invoice", request_id="used", **INVOICE) == first


async def test_two_keys_make_two_postings(ledger: Agent) -> None:
    one = await ledger.answer("post_invoice", request_id="one", **INVOICE)
    two = await ledger.answer("post_invoice", request_id="two", **INVOICE)
    assert one["id"] != two["id"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"total": 384.08}, "unbalanced: net and tax do not make the total"),
    ({"net": 322.7512}, "invalid: net must be an amount with at most three decimals"),
    ({"issue_date": "3.11.2026"}, "invalid: issue_date must be a date like 2026-11-03"),
    ({"vendor_id": ""}, "invalid: vendor_id must have 1 to 300 characters"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
async def test_what_cannot_be_booked_is_refused_with_its_reason(
    ledger: Agent, books: Path, change: dict[str, Any], message: str
) -> None:
    assert await ledger.error("post_invoice", request_id="refused", **(INVOICE | change)) == message
    assert rows(books, "refused") == 0


async def test_amounts_keep_the_digits_that_were_given(ledger: Agent, books: Path) -> None:
    tenths = INVOICE | {"net": 0.1, "tax": 0.2, "total": 0.3}
    posting = await ledger.answer("post_invoice", request_id="tenths", **tenths)
    assert posting["total"] == 0.3
    with closing(sqlite3.connect(books)) as database:
        stored = database.execute("SELECT net, tax, total FROM posting WHERE request_id = 'tenths'").fetchone()
    assert stored == ("0.1", "0.2", "0.3")


async def test_voiding_again_changes_nothing_and_the_posting_stays(
    ledger: Agent, books: Path, keeper: Callable[[str], Keeper]
) -> None:
    posting = await ledger.answer("post_invoice", request_id="to void", **INVOICE)
    voided = await ledger.answer("void_invoice", id=posting["id"], reason="Booked by mistake.")
    keeper("ledger.void").check_output(voided)
    assert await ledger.answer("void_invoice", id=posting["id"], reason="Again.") == voided
    assert await ledger.answer("post_invoice", request_id="to void", **INVOICE) == posting
    with closing(sqlite3.connect(books)) as database:
        row = database.execute("SELECT void_reason FROM posting WHERE request_id = 'to void'").fetchone()
    assert row == ("Booked by mistake.",)


@pytest.mark.parametrize("posting_id", ["L-999999", "17", "L-1; DROP TABLE posting"])
async def test_what_was_never_booked_cannot_be_voided(ledger: Agent, posting_id: str) -> None:
    assert (await ledger.error("void_invoice", id=posting_id)).startswith("not_found: ")


async def test_a_posting_outlives_the_program(connect: Connect, tmp_path: Path) -> None:
    books = str(tmp_path / "deep" / "ledger.db")
    answers: list[dict[str, Any]] = []
    for _ in range(2):
        async with connect(PROGRAM, LEDGER_DB=books) as agent:
            answers.append(await agent.answer("post_invoice", request_id="kept", **INVOICE))
    assert answers[0] == answers[1]


async def test_books_locked_by_another_writer_answer_busy(connect: Connect, tmp_path: Path) -> None:
    books = tmp_path / "ledger.db"
    async with connect(PROGRAM, LEDGER_DB=str(books)) as agent:
        with closing(sqlite3.connect(books, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert (await agent.error("post_invoice", request_id="late", **INVOICE)).startswith("busy: ")
            writer.execute("ROLLBACK")
        assert (await agent.answer("post_invoice", request_id="late", **INVOICE))["id"] == "L-000001"
