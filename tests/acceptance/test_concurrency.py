"""Fifty at once: under one idempotency key, and at one escalation. One wins, and all others learn what it got."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from mcp import Client
from mcp.types import CallToolResult

from acceptance.driving import call, document, run_cli, server, until_settled
from acceptance.engines import events, postings
from process_orchestrator.home import Home, seed_home

pytestmark = pytest.mark.anyio

AT_ONCE: Final = 50


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Home, list[Client]]]:
    """A home where anybody may approve, its engine and two doors."""
    folder = tmp_path_factory.mktemp("home")
    home = Home(path=folder, state=folder / "state")
    seed_home(home)
    home.make_state()
    for file in (folder / "contracts" / "payables").glob("*.yaml"):
        allow_everybody(file)
    async with AsyncExitStack() as stack:
        yield home, [await stack.enter_async_context(Client(server(home), mode="auto")) for _ in range(3)]


def allow_everybody(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("min_assurance: A1", "min_assurance: A0"), encoding="utf-8")


async def at_once(clients: list[Client], ask: Callable[[Client, int], Awaitable[CallToolResult]]) -> list[Any]:
    """What fifty calls answer, spread over all clients and sent together."""
    answers: list[Any] = [None] * AT_ONCE

    async def one(number: int) -> None:
        answers[number] = (await ask(clients[number % len(clients)], number)).structured_content

    async with anyio.create_task_group() as tasks:
        for number in range(AT_ONCE):
            tasks.start_soon(one, number)
    return answers


@pytest.mark.behaviour("P4-same")
@pytest.mark.behaviour("P4-reused")
async def test_fifty_submits_under_one_key_are_one_process_and_another_body_is_refused(
    crowd: tuple[Home, list[Client]],
) -> None:
    home, clients = crowd

    async def submit(client: Client, number: int) -> CallToolResult:
        invoice = "large.xml" if number % 5 == 4 else "straight.xml"
        if number < len(clients):
            invoice = "straight.xml"  # whichever comes first decides what the key means
        return await client.call_tool(
            "submit_process",
            {
                "process_type": "invoice_approval",
                "input": {"document": document(invoice)},
                "idempotency_key": "one piece of work",
                "label": f"submit {number}",
            },
        )

    first = await submit(clients[1], 0)
    assert isinstance(first.structured_content, dict)
    process_id = first.structured_content["process_id"]
    answers = await at_once(clients, submit)
    met = Counter(answer.get("process_id") for answer in answers)
    refused = Counter(answer.get("error", {}).get("code") for answer in answers)
    assert met == {process_id: 40, None: 10}
    assert refused == {"KEY_REUSED": 10, None: 40}
    assert (await until_settled(clients[2], process_id))["status"] == "completed"
    assert len((await call(clients[0], "list_processes"))["processes"]) == 1
    assert postings(home, process_id) == [f"{process_id}/post/g1"]


@pytest.mark.behaviour("P4-same")
async def test_fifty_first_submits_at_the_same_moment_are_one_process(crowd: tuple[Home, list[Client]]) -> None:
    home, clients = crowd

    async def submit(client: Client, number: int) -> CallToolResult:
        return await client.call_tool(
            "submit_process",
            {
                "process_type": "invoice_approval",
                "input": {"document": document("straight.xml")},
                "idempotency_key": "nobody was first",
                "label": f"submit {number}",
            },
        )

    answers = await at_once(clients, submit)
    (process_id,) = {answer["process_id"] for answer in answers}
    assert (await until_settled(clients[0], process_id))["status"] == "completed"
    assert events(home, process_id).count("ProcessStarted") == 1


def decided(escalation: dict[str, Any]) -> dict[str, Any]:
    """Who decided what and when; the events that followed are told as far as they had come."""
    return {name: value for name, value in escalation["resolution"].items() if name != "effect"}


@pytest.mark.behaviour("P3")
async def test_fifty_resolves_have_one_winner_whose_record_all_others_get(crowd: tuple[Home, list[Client]]) -> None:
    home, clients = crowd
    submitted = await call(
        clients[0], "submit_process", process_type="invoice_approval", input={"document": document("large.xml")}
    )
    process_id = submitted["process_id"]
    (question,) = (await until_settled(clients[0], process_id))["escalations"]

    async def resolve(client: Client, number: int) -> CallToolResult:
        return await client.call_tool(
            "resolve_escalation",
            {
                "escalation_id": question["escalation_id"],
                "decision": "approve" if number % 2 else "reject",
                "note": f"from {number}",
            },
        )

    answers = await at_once(clients, resolve)
    winners = [answer for answer in answers if "error" not in answer]
    losers = [answer["error"] for answer in answers if "error" in answer]
    assert len(winners) == 1
    assert Counter(error["code"] for error in losers) == {"ALREADY_RESOLVED": AT_ONCE - 1}
    won = decided(winners[0]["escalation"])
    assert all(decided(error["record"]) == won for error in losers)
    view = await until_settled(clients[1], process_id)
    approved = won["decision"] == "approve"
    assert view["status"] == ("completed" if approved else "failed")
    assert postings(home, process_id) == ([f"{process_id}/post/g1"] if approved else [])
    assert events(home, process_id).count("EscalationResolved") == 1
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True), report
