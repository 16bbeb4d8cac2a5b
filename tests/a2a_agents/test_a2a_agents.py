"""A2A agents against the SDK's own server on loopback: both dialects, messages, tasks, refusals, deadlines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest
from google.protobuf.json_format import MessageToDict

from a2a_agents.serving import a2a_server
from performing.fleet import Directory, agent, one_call, open_pool, until
from process_orchestrator.checking.documents.definitions import Agent, Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.agent_pool import AgentPool

pytestmark = pytest.mark.anyio

BOOK = {"skill": "book"}


def a2a(url: str) -> Agent:
    return agent("clerk", Transport(kind="a2a", card=url, allow_loopback=True))


async def refused(
    pool: AgentPool, bind: dict[str, Any], arguments: dict[str, Any], timeout_ms: int = 5000
) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("clerk", bind, arguments, one_call(timeout_ms))
    return raised.value


async def answer(pool: AgentPool, arguments: dict[str, Any], bind: dict[str, Any] | None = None) -> Any:
    return (await pool.call("clerk", bind or BOOK, arguments, one_call(5000))).value


OLDER = pytest.param("0.3", marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "versions",
    [pytest.param(("1.0",), marks=pytest.mark.slow), ("0.3",), pytest.param(("0.3", "1.0"), marks=pytest.mark.slow)],
)
async def test_a_message_and_a_task_are_answered_in_every_dialect(tmp_path: Path, versions: tuple[str, ...]) -> None:
    async with a2a_server(*versions) as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        assert await answer(pool, {"do": "echo", "n": 3, "deep": [{"a": None}]}) == {
            "do": "echo",
            "n": 3,
            "deep": [{"a": None}],
        }
        assert await answer(pool, {"do": "work", "for_s": 0.3, "total": 12.5}) == {"total": 12.5, "id": 5}
        assert await answer(pool, {"do": "work"}, BOOK | {"result": "text"}) == {"text": "booked"}
        assert await answer(pool, {"do": "several"}) == {"data": [{"n": 1}, {"n": 2}]}
    assert server.clerk.cancelled == []


@pytest.mark.parametrize("version", ["1.0", "0.3"])
async def test_every_delivery_of_a_call_is_the_same_message(tmp_path: Path, version: str) -> None:
    async with a2a_server(version) as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        for key in ("p_x/post/g1", "p_x/post/g1", "p_x/post/g2"):
            call = one_call(keyed=True, key=key, lineage=("p_parent", "p_x"))
            await pool.call("clerk", BOOK, {"do": "echo"}, call)
    first, again, other = server.clerk.heard
    assert (first.message_id, first.context_id) == (again.message_id, again.context_id)
    assert first.message_id != other.message_id
    assert first.context_id != other.context_id
    metadata = MessageToDict(first.metadata)
    assert metadata == {
        "skillId": "book",
        "process-orchestrator/key": "p_x/post/g1",
        "process-orchestrator/lineage": ["p_parent", "p_x"],
    }


async def test_a_call_that_its_engine_left_is_taken_up_where_the_agent_has_it(tmp_path: Path) -> None:
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        first = asyncio.create_task(pool.call("clerk", BOOK, {"do": "work", "for_s": 1, "total": 7}, one_call()))
        await until(lambda: bool(server.clerk.asked_for))
        first.cancel()
        again = await pool.call("clerk", BOOK, {"do": "work", "total": 8}, one_call(delivery=2))
        other = await pool.call("clerk", BOOK, {"do": "work", "total": 9}, one_call(delivery=2, key="p_x/post/g2"))
    assert again.value["total"] == 7  # of the first delivery: nothing was begun twice
    assert other.value["total"] == 9
    assert len(server.clerk.heard) == 2


async def test_a_further_try_takes_up_what_was_completed_and_not_what_was_told_to_stop(tmp_path: Path) -> None:
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        await refused(pool, BOOK, {"do": "hang"}, timeout_ms=1000)
        second = one_call(5000, call="post.2")
        assert (await pool.call("clerk", BOOK, {"do": "work", "total": 3}, second)).value["total"] == 3
        third = one_call(5000, call="post.3")
        assert (await pool.call("clerk", BOOK, {"do": "work", "total": 4}, third)).value["total"] == 3
    assert len(server.clerk.heard) == 2


async def test_the_argument_that_is_declared_as_text_goes_as_text(tmp_path: Path) -> None:
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        asked = {"skill": "talk", "text": "question"}
        assert await answer(pool, {"question": "how?"}, asked) == {"text": "You said: how?"}
        await answer(pool, {"question": "how?", "do": "echo"}, asked)
    kinds = [[part.WhichOneof("content") for part in heard.parts] for heard in server.clerk.heard]
    assert kinds == [["text"], ["text", "data"]]


ENDS: list[tuple[str, str, str, str | None, str | None, str]] = [
    # what the agent does, what it says, and then: code, class, outcome, what the message holds
    ("failed", "disk full", "undeclared_error", "permanent", "unknown", "ended failed: disk full"),
    ("reject", "not mine", "undeclared_error", "permanent", "not_done", "ended rejected: not mine"),
    ("cancel", "stopped", "undeclared_error", "permanent", "unknown", "ended canceled: stopped"),
    ("requires_input", "Which one?", "undeclared_error", "needs_human", "unknown", "Which one?"),
    ("requires_auth", "Log in", "undeclared_error", "needs_human", "unknown", "Log in"),
    ("raise", "", "undeclared_error", "permanent", "unknown", ""),
    ("refuse", "", "undeclared_error", "permanent", "not_done", "JSON-RPC error -32602: no such vendor"),
    ("failed", "E42: vendor is unknown", "unknown_vendor", None, None, "E42"),
]


@pytest.mark.parametrize("version", ["1.0", OLDER])
async def test_each_end_of_a_task_has_its_code(tmp_path: Path, version: str) -> None:
    bind = BOOK | {"errors": {"unknown_vendor": {"text": "vendor is unknown", "state": "failed"}}}
    async with a2a_server(version) as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        for does, say, code, class_, outcome, holds in ENDS:
            error = await refused(pool, bind, {"do": does, "say": say})
            assert (does, error.code, error.class_, error.outcome) == (does, code, class_, outcome)
            assert holds in error.message
            assert error.blame is None
            if class_ == "needs_human":
                state = does.replace("requires_", "") + "-required"
                assert error.answer == {"state": state, "said": say}
    assert len(server.clerk.cancelled) == 2  # nobody will answer what the agent asks


@pytest.mark.behaviour("P5-deadline")
@pytest.mark.parametrize("version", ["1.0", OLDER])
async def test_a_task_past_its_deadline_is_cancelled_at_the_agent(tmp_path: Path, version: str) -> None:
    async with a2a_server(version) as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        with anyio.fail_after(5):
            error = await refused(pool, BOOK, {"do": "hang"}, timeout_ms=1200)
    assert (error.code, error.outcome) == ("timeout", None)
    assert len(server.clerk.cancelled) == 1


async def test_a_call_that_is_broken_off_is_cancelled_at_the_agent(tmp_path: Path) -> None:
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.call, "clerk", BOOK, {"do": "hang"}, one_call())
            await until(lambda: bool(server.clerk.asked_for))
            tasks.cancel_scope.cancel()
        assert server.clerk.cancelled == server.clerk.asked_for[:1]


async def test_an_engine_that_stops_leaves_the_task_alone(tmp_path: Path) -> None:
    """It takes the call up at its next start, under the same key."""
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        calling = asyncio.create_task(pool.call("clerk", BOOK, {"do": "hang"}, one_call()))
        await until(lambda: bool(server.clerk.asked_for))
        calling.cancel()  # as a task group cancels what runs in it: no scope of the call was told
        with pytest.raises(asyncio.CancelledError):
            await calling
    assert server.clerk.cancelled == []


async def test_a_skill_that_the_card_does_not_list_is_drift_and_nothing_is_sent(tmp_path: Path) -> None:
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:
        error = await refused(pool, {"skill": "void"}, {"do": "echo"})
    assert error.code == "drifted"
    assert "lists no skill void" in error.message
    assert "book, talk" in error.message
    assert server.clerk.heard == []


async def test_two_calls_at_once_get_their_own_answers(tmp_path: Path) -> None:
    found: dict[int, Any] = {}
    async with a2a_server() as server, open_pool(Directory(a2a(server.url)), tmp_path) as pool:

        async def ask(number: int) -> None:
            value = await pool.call("clerk", BOOK, {"do": "work", "total": number}, one_call(key=f"p_x/a[{number}]/g1"))
            found[number] = value.value["total"]

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(ask, number)
    assert found == {0: 0, 1: 1, 2: 2, 3: 3}
    assert len({heard.context_id for heard in server.clerk.heard}) == 4
