"""kill -9 of the server in the middle of invoice_approval: the same outcome, one posting, nothing left behind."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
import pytest
from mcp import Client

from acceptance.driving import Connect, call, document, run_cli, until_settled
from acceptance.engines import Watch, engine_of, events, no_agents, postings
from process_orchestrator.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.slow]  # every day, programs of the engine alone: tests/faults

OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "straight.xml": {"invoice_number": "HF-2026-0117", "total": 384.07, "reviewed": False, "posted": True},
    "large.xml": {"invoice_number": "VD-88231", "total": 8107.0, "reviewed": False, "posted": True},
}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When to kill: as soon as the journal has an event, or the ledger a posting."""

    invoice: str
    event: str = ""
    resumed: bool = True  # calls were under way, so that the next engine says that it went on with them

    def reached(self, home: Home, process_id: str) -> Callable[[], bool]:
        if self.event:
            return lambda: self.event in events(home, process_id)
        return lambda: bool(postings(home, process_id))


BEFORE_AN_ANSWER: Final = {
    "started": Moment(invoice="straight.xml", event="ProcessStarted"),
    "read": Moment(invoice="straight.xml", event="CallSucceeded extract.1"),
    "vendor known": Moment(invoice="straight.xml", event="CallSucceeded vendor.1"),
    "first line checked": Moment(invoice="straight.xml", event="CallSucceeded lines[0].1"),
    "about to book": Moment(invoice="straight.xml", event="CallPrepared post.1"),
    "large one read": Moment(invoice="large.xml", event="CallSucceeded extract.1"),
    "person asked": Moment(invoice="large.xml", event="EscalationOpened", resumed=False),
}
"""Moments that come while nobody but the agents has anything to do."""


async def submit(client: Client, invoice: str, key: str | None = None) -> str:
    view = await call(
        client,
        "submit_process",
        process_type="invoice_approval",
        input={"document": document(invoice)},
        **({} if key is None else {"idempotency_key": key}),
    )
    return view["process_id"]


async def approve(client: Client, process_id: str) -> None:
    view = await call(client, "get_state", process_id=process_id)
    resolved = await call(
        client, "resolve_escalation", escalation_id=view["escalations"][0]["escalation_id"], decision="approve"
    )
    assert resolved["status"] == "resolved"


async def until_booked(client: Client, process_id: str, invoice: str) -> None:
    """The next server brings a process to its end; a person answers where one is still asked."""
    view = await until_settled(client, process_id)
    if view["status"] == "waiting_human":
        await approve(client, process_id)
        view = await until_settled(client, process_id)
    assert view["status"] == "completed", view
    assert OUTCOMES[invoice].items() <= view["output"].items()


def assert_done_once(home: Home, process_id: str) -> None:
    """One posting under the first key, and no step with two outcomes."""
    assert postings(home, process_id) == [f"{process_id}/post/g1"]
    ended = Counter(event for event in events(home, process_id) if event.startswith("CallSucceeded "))
    assert set(ended.values()) == {1}


def assert_verified(home: Home) -> None:
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True), report


async def resumptions(client: Client, process_id: str) -> int:
    trace = await call(client, "list_trace", process_id=process_id, kind="process", limit=100)
    return sum(entry["event"] == "EngineResumed" for entry in trace["entries"])


@pytest.mark.parametrize("name", BEFORE_AN_ANSWER)
async def test_a_server_killed_in_mid_process_is_followed_by_one_that_ends_it(
    lenient_home: Home, connect: Connect, name: str
) -> None:
    moment = BEFORE_AN_ANSWER[name]
    async with connect() as client:
        process_id = await submit(client, moment.invoice)
        await Watch(server=await engine_of(lenient_home), seen=moment.reached(lenient_home, process_id)).kill()
    await no_agents(lenient_home)
    async with connect() as client:
        await until_booked(client, process_id, moment.invoice)
        assert await resumptions(client, process_id) == int(moment.resumed)
    assert_done_once(lenient_home, process_id)
    assert_verified(lenient_home)


@pytest.mark.behaviour("P2-once")
async def test_a_server_killed_as_the_ledger_books_does_not_book_again(lenient_home: Home, connect: Connect) -> None:
    moment = Moment(invoice="straight.xml")
    async with connect() as client:
        process_id = await submit(client, moment.invoice)
        await Watch(server=await engine_of(lenient_home), seen=moment.reached(lenient_home, process_id)).kill()
    await no_agents(lenient_home)
    async with connect() as client:
        await until_booked(client, process_id, moment.invoice)
    assert_done_once(lenient_home, process_id)
    assert_verified(lenient_home)


@pytest.mark.behaviour("P1")
async def test_a_server_killed_right_after_its_answers_has_lost_neither(lenient_home: Home, connect: Connect) -> None:
    async with connect() as client:
        process_id = await submit(client, "large.xml", "invoice-1")
        await Watch(server=await engine_of(lenient_home), seen=lambda: True).kill()
    async with connect() as client:
        assert await submit(client, "large.xml", "invoice-1") == process_id
        assert (await until_settled(client, process_id))["status"] == "waiting_human"
        server = await engine_of(lenient_home)
        await approve(client, process_id)
        await Watch(server=server, seen=lambda: True).kill()
    await no_agents(lenient_home)
    async with connect() as client:
        began = time.perf_counter()
        view = await until_settled(client, process_id)
        print(f"ended {time.perf_counter() - began:.2f} s after the restart")
        assert view["status"] == "completed"
        assert OUTCOMES["large.xml"].items() <= view["output"].items()
    assert_done_once(lenient_home, process_id)
    assert_verified(lenient_home)


async def end(home: Home, client: Client, unfinished: list[tuple[str, str]]) -> None:
    """Bring what an earlier server left to its end."""
    while unfinished:
        process_id, invoice = unfinished.pop()
        await until_booked(client, process_id, invoice)
        assert_done_once(home, process_id)


@pytest.mark.parametrize("seed", [20261122, 7])
async def test_a_home_whose_server_is_killed_again_and_again_does_everything_once(
    lenient_home: Home, connect: Connect, seed: int
) -> None:
    draw = random.Random(seed)
    print(f"seed {seed}")
    unfinished: list[tuple[str, str]] = []
    for _ in range(5):
        async with connect() as client:
            await end(lenient_home, client, unfinished)
            await until_booked(client, await submit(client, "straight.xml"), "straight.xml")  # warms the agents
            invoice = draw.choice(sorted(OUTCOMES))
            server = await engine_of(lenient_home)
            delay_s = draw.uniform(0, 0.1)  # warm agents need about as long for an invoice
            process_id = await submit(client, invoice)
            unfinished.append((process_id, invoice))
            await anyio.sleep(delay_s)
            await Watch(server=server, seen=lambda: True).kill()
            print(f"killed {delay_s:.3f} s after submit, after {len(events(lenient_home, process_id))} events")
        await no_agents(lenient_home)
        assert_verified(lenient_home)
    async with connect() as client:
        await end(lenient_home, client, unfinished)
    assert_verified(lenient_home)
