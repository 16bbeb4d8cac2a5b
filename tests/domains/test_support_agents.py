"""The agents of the support desk, each by itself: what a tool answers, refuses, and never does twice."""

import email
import email.policy
import http.client
import json
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import pytest

from domains.running import AGENTS, Agent, Keeper, at_hand, loaded

FOLDERS = ("ticket_desk", "shop_desk", "cash_desk", "knowledge_desk", "mail_desk")
SHIPMENT = {
    "tracking_number": "TN-40010042",
    "carrier": "Kurier Nord",
    "state": "delayed",
    "place": "Leipzig hub",
    "since": "2026-11-17",
    "expected_on": "2026-11-25",
}
REFUND = {"request_id": "r", "order_id": "SO-1042", "amount": 14.5, "currency": "EUR"}
ADDRESS = {"street": "Lindenweg 7", "postcode": "04109", "city": "Leipzig"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def modules(state: Path) -> Iterator[dict[str, ModuleType]]:
    databases = {f"{name.upper()}_DB": str(state / f"{name}.db") for name in ("ticket", "shop", "cash")}
    with ExitStack() as stack:
        given = databases | {"DRAFTS": str(state / "drafts")}
        found = {folder: stack.enter_context(loaded(folder, **given)) for folder in FOLDERS}
        yield found
        found["knowledge_desk"].shelf.close()


@pytest.fixture
async def tickets(modules: dict[str, ModuleType]) -> AsyncIterator[Agent]:
    async with at_hand(modules["ticket_desk"]) as agent:
        yield agent


@pytest.fixture
async def shop(modules: dict[str, ModuleType]) -> AsyncIterator[Agent]:
    async with at_hand(modules["shop_desk"]) as agent:
        yield agent


@pytest.fixture
async def cash(modules: dict[str, ModuleType]) -> AsyncIterator[Agent]:
    async with at_hand(modules["cash_desk"]) as agent:
        yield agent


@pytest.fixture
async def knowledge(modules: dict[str, ModuleType]) -> AsyncIterator[Agent]:
    async with at_hand(modules["knowledge_desk"]) as agent:
        yield agent


@pytest.fixture
async def mail(modules: dict[str, ModuleType]) -> AsyncIterator[Agent]:
    async with at_hand(modules["mail_desk"]) as agent:
        yield agent


async def test_a_ticket_is_read_as_it_was_written(tickets: Agent, keeper: Callable[[str], Keeper]) -> None:
    ticket = await tickets.answer("read_ticket", ticket_id="T-2004")
    keeper("ticket.read").check_output(ticket)
    assert (ticket["customer_email"], ticket["order_id"]) == ("dirk@example.com", "SO-1045")
    assert "order_id" not in await tickets.answer("read_ticket", ticket_id="T-2003")
    assert (await tickets.error("read_ticket", ticket_id="T-9999")).startswith("unknown_ticket: ")


async def test_a_ticket_is_changed_once_under_a_key(tickets: Agent, state: Path) -> None:
    change = {"request_id": "once", "ticket_id": "T-2005", "status": "answered", "draft_id": "D-000007"}
    first = await tickets.answer("update_ticket", **change)
    assert await tickets.answer("update_ticket", **change) == first
    assert (await tickets.answer("read_ticket", ticket_id="T-2005"))["status"] == "answered"
    assert (await tickets.error("update_ticket", **(change | {"status": "closed"}))).startswith("conflict: ")
    assert (await tickets.answer("read_ticket", ticket_id="T-2005"))["status"] == "answered"
    with closing(sqlite3.connect(state / "ticket.db")) as database:
        assert database.execute("SELECT count(*) FROM change WHERE ticket_id = 'T-2005'").fetchone() == (1,)


async def test_an_order_is_found_by_its_id_by_its_customer_or_by_both(shop: Agent) -> None:
    by_id = await shop.answer("find_order", order_id="SO-1042")
    assert await shop.answer("find_order", customer_email="ANA@example.com") == by_id  # the newest of two
    assert await shop.answer("find_order", order_id="SO-1042", customer_email="ana@example.com") == by_id
    assert by_id["order"]["items"][0] == {"name": "Ridge 2 tent", "quantity": 1}
    assert (await shop.error("find_order")).startswith("invalid: ")


async def test_the_order_of_somebody_else_is_as_unknown_as_none(shop: Agent) -> None:
    others = await shop.error("find_order", order_id="SO-1042", customer_email="ben@example.org")
    assert others == await shop.error("find_order", order_id="SO-4242", customer_email="ben@example.org")
    assert others.startswith("unknown_order: ")


async def test_a_new_address_redirects_only_what_is_not_shipped(shop: Agent) -> None:
    for _ in range(2):  # set, not added: again changes nothing
        changed = await shop.answer("change_address", customer_id="C-1004", new_address=ADDRESS)
        assert changed == {"address_change": {"customer_id": "C-1004", "redirected": "SO-1045"}}
    changed = await shop.answer("change_address", customer_id="C-1001", new_address=ADDRESS)
    assert changed["address_change"]["redirected"] == ""
    assert (await shop.error("change_address", customer_id="C-9999", new_address=ADDRESS)).startswith(
        "unknown_customer: "
    )


async def test_twenty_refunds_at_once_under_one_key_pay_once(cash: Agent, state: Path) -> None:
    answers: list[dict[str, Any]] = []

    async def pay() -> None:
        answers.append(await cash.answer("issue_refund", **(REFUND | {"request_id": "same"})))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(pay)
    assert all(answer == answers[0] for answer in answers)
    with closing(sqlite3.connect(state / "cash.db")) as books:
        assert books.execute("SELECT sum(cents) FROM refund WHERE request_id = 'same'").fetchone() == (1450,)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 500.0}, "exceeds_payment"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"order_id": "SO-4242"}, "unknown_payment"),
        ({"amount": 0.001}, "invalid"),
    ],
)
async def test_money_that_is_not_owed_is_not_paid(cash: Agent, state: Path, change: dict[str, Any], code: str) -> None:
    message = await cash.error("issue_refund", **(REFUND | {"request_id": "not owed"} | change))
    assert message.startswith(f"{code}: ")
    with closing(sqlite3.connect(state / "cash.db")) as books:
        assert books.execute("SELECT count(*) FROM refund WHERE request_id = 'not owed'").fetchone() == (0,)


async def test_an_order_is_never_paid_back_twice_whatever_the_keys(cash: Agent) -> None:
    whole = {"order_id": "SO-1047", "amount": 99.0, "currency": "EUR"}
    await cash.answer("issue_refund", request_id="first", **whole)
    message = await cash.error("issue_refund", request_id="second", **whole)
    assert message.startswith("exceeds_payment: 0.00 EUR of SO-1047")
    message = await cash.error("issue_refund", request_id="first", **(whole | {"amount": 1.0}))
    assert message.startswith("conflict: ")


QUESTIONS = {
    "How do I waterproof my leather boots?": "care-for-leather-boots.md",
    "my password does not work, how can I reset it": "account-and-password.md",
    "Can she return an opened gas cartridge?": "returns-and-refunds.md",
    "The Ember stove does not light in the cold. What can I do?": "stove-does-not-light.md",
    "How long is the warranty on a tent?": "warranty.md",
    "a pole of my tent broke, where do I get a segment": "spare-parts.md",
    'NEAR("a b") OR title:* AND NOT --; DROP TABLE paragraph gift card lost': "gift-cards.md",
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_the_best_article_answers_the_question(
    knowledge: Agent, keeper: Callable[[str], Keeper], question: str
) -> None:
    found = await knowledge.answer("search_articles", message=question)
    keeper("knowledge.search").check_output(found)
    assert found["articles"][0]["source"] == QUESTIONS[question]


@pytest.mark.parametrize("message", ["?!", "how do I", "zzyzx"])
async def test_a_question_that_no_article_speaks_of_finds_nothing(knowledge: Agent, message: str) -> None:
    assert (await knowledge.error("search_articles", message=message)).startswith("nothing_found: ")


def test_an_article_that_is_written_while_the_desk_runs_is_found(
    modules: dict[str, ModuleType], tmp_path: Path
) -> None:
    shelf = modules["knowledge_desk"].Shelf(tmp_path)
    assert shelf.search(["skis"]) == []
    (tmp_path / "waxing-skis.md").write_text("# Waxing skis\n\nUse a hot iron.\n", encoding="utf-8")
    (tmp_path / "Not An Article.md").write_text("# Skis\n\nskis skis skis\n", encoding="utf-8")
    assert shelf.search(["skis"]) == [
        {"source": "waxing-skis.md", "title": "Waxing skis", "excerpt": "Use a hot iron."}
    ]
    shelf.close()


async def test_a_draft_says_what_it_was_given_and_is_written_once(
    mail: Agent, state: Path, keeper: Callable[[str], Keeper]
) -> None:
    facts = {"customer_email": "ana@example.com", "shipment": SHIPMENT}
    draft = await mail.answer("draft_mail", request_id="tell", **facts)
    keeper("mail.draft").check_output(draft)
    assert draft["outcome"] == "delivery_explained"
    assert "expected on 2026-11-25" in draft["answer"]
    file = state / "drafts" / draft["file"]
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (message["To"], message["X-Unsent"]) == ("ana@example.com", "1")
    assert message.get_content().replace("\r\n", "\n") == draft["answer"]
    file.write_text("changed by hand", encoding="utf-8")
    assert await mail.answer("draft_mail", request_id="tell", **facts) == draft
    assert file.read_text(encoding="utf-8") == "changed by hand"
    file.unlink()  # as after a crash between the database and the file
    assert await mail.answer("draft_mail", request_id="tell", **facts) == draft
    assert file.exists()
    other = {**facts, "customer_email": "ben@example.org"}
    assert (await mail.error("draft_mail", request_id="tell", **other)).startswith("conflict: ")
    assert [part.name for part in file.parent.glob("*.part")] == []


async def test_a_draft_about_nothing_is_refused(mail: Agent) -> None:
    message = await mail.error("draft_mail", request_id="empty", customer_email="ana@example.com")
    assert message.startswith("invalid: a draft tells at least one of order, shipment, refund")


REFUNDED = {
    "refund_id": "R-000001",
    "order_id": "SO-1042",
    "amount": 214.5,
    "currency": "EUR",
    "issued_at": "2026-11-20T09:30:00Z",
}
ARTICLE = {"source": "warranty.md", "title": "Warranty", "excerpt": "Two years."}
TOLD: list[tuple[dict[str, Any], str, str]] = [
    ({"refund": REFUNDED, "shipment": SHIPMENT}, "refunded", "refunded 214.50 EUR for your order SO-1042"),
    ({"decision": {"reply": "We send a new one."}, "shipment": SHIPMENT}, "decided", "We send a new one."),
    ({"address_change": {"customer_id": "C-1004", "redirected": "SO-1045"}}, "address_changed", "SO-1045"),
    ({"address_change": {"customer_id": "C-1004", "redirected": ""}}, "address_changed", "No open order"),
    ({"articles": [ARTICLE, ARTICLE | {"title": "Repairs"}]}, "article_sent", "- Repairs (warranty.md)"),
]


@pytest.mark.parametrize(("facts", "outcome", "words"), TOLD)
async def test_the_weightiest_fact_names_the_outcome(
    mail: Agent, facts: dict[str, Any], outcome: str, words: str
) -> None:
    draft = await mail.answer("draft_mail", request_id=words, customer_email="ana@example.com", **facts)
    assert draft["outcome"] == outcome
    assert words in draft["answer"]


def test_a_parcel_is_tracked_over_http(tmp_path: Path, keeper: Callable[[str], Keeper]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "parcel_tracker/server.py", "--port", str(port), "--db", str(tmp_path / "p" / "parcels.db")]
    with subprocess.Popen(argv, cwd=AGENTS) as service:
        try:
            deadline = time.monotonic() + 20
            while not _answers(port):
                assert service.poll() is None
                assert time.monotonic() < deadline
            status, body = _asked(port, "/parcels/TN-40010042")
            keeper("shipment.track").check_output(body)
            assert (status, body) == (200, {"shipment": SHIPMENT})
            assert _asked(port, "/parcels/TN-99999999")[0] == 404
            assert {_asked(port, path)[0] for path in ("/parcels/1", "/parcels/..%2f..%2fetc", "/", "/x/y/z")} == {400}
        finally:
            service.terminate()


def _answers(port: int) -> bool:
    try:
        return _asked(port, "/health") == (200, {"status": "ok"})
    except OSError:
        return False


def _asked(port: int, path: str) -> tuple[int, dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
