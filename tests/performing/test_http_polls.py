"""Work that an HTTP agent accepts and does later: asked about at its pace, at its own origin, until time is up."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from performing.fleet import (
    Directory,
    Heard,
    Script,
    ScriptedServer,
    http,
    one_call,
    open_pool,
    says,
    scripted_server,
    until,
)
from performing.http_misdeeds import resets, silent
from performing.token_server import TokenDesk, client
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import FailureClass, Outcome
from process_orchestrator.performing.agent_pool import AgentPool

STATES: dict[str, Any] = {"status": "/state", "until": ["done"], "failed": ["broken", "lost"], "every_s": 0.01}


def bind(poll: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/jobs", "poll": STATES if poll is None else poll, **more}


def accepted(headers: str = "Location: /jobs/7\r\n", **body: Any) -> Script:
    return says(body or {"state": "queued"}, status=202, headers=headers)


def in_turn(*scripts: Script) -> Script:
    """Each request gets the next script's answer, the last one's for ever."""
    left = list(scripts)

    async def script(heard: Heard, stream: SocketStream) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(heard, stream)

    return script


@asynccontextmanager
async def desk(
    tmp_path: Path, first: Script, then: Script | None = None, **changes: Any
) -> AsyncGenerator[tuple[AgentPool, ScriptedServer]]:
    async with scripted_server() as server:
        server.scripts["/jobs"] = first
        server.scripts["/jobs/7"] = then or says({"state": "done", "total": 3})
        async with open_pool(Directory(http("desk", server.url, **changes)), tmp_path) as pool:
            yield pool, server


async def refused(pool: AgentPool, bound: dict[str, Any], timeout_ms: int = 5000) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("desk", bound, {}, one_call(timeout_ms))
    return raised.value


def told(server: ScriptedServer) -> list[str]:
    return [f"{heard.method} {heard.target}" for heard in server.heard]


async def test_the_answer_is_what_stands_there_when_the_work_is_done(tmp_path: Path) -> None:
    states = in_turn(says({"state": "queued"}), says({}, status=202), says({"state": "done", "total": 3}))
    async with desk(tmp_path, accepted(), states) as (pool, server):
        answer = await pool.call("desk", bind(), {"a": 1}, one_call())
    assert answer.value == {"state": "done", "total": 3}
    assert told(server) == ["POST /jobs", *["GET /jobs/7"] * 3]
    assert server.heard[1].body == b""


async def test_work_that_is_done_at_once_is_not_asked_about(tmp_path: Path) -> None:
    async with desk(tmp_path, says({"state": "done", "total": 1})) as (pool, server):
        assert (await pool.call("desk", bind(), {}, one_call())).value == {"state": "done", "total": 1}
    assert told(server) == ["POST /jobs"]


async def test_without_a_status_202_is_not_yet_and_any_other_success_is_done(tmp_path: Path) -> None:
    states = in_turn(says(b"", status=202), says({"total": 3}))
    async with desk(tmp_path, says(b"", status=202, headers="Location: /jobs/7\r\n"), states) as (pool, server):
        assert (await pool.call("desk", bind({"every_s": 0.01}), {}, one_call())).value == {"total": 3}
    assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("first", "poll", "asked"),
    [
        (accepted("Location: /no\r\nOperation-Location: /jobs/7\r\nContent-Location: /no\r\n"), {}, "/jobs/7"),
        (accepted("Content-Location: jobs/7?a=b#c\r\n"), {}, "/jobs/7?a=b"),
        (accepted("Location: /no\r\n", links={"self": "/jobs/7"}), {"url": "/links/self"}, "/jobs/7"),
        (accepted("", id="7"), {"path": "/jobs/{id}"}, "/jobs/7"),
        (accepted("", job={"id": 7}), {"path": "/jobs/{/job/id}"}, "/jobs/7"),
    ],
)
async def test_where_to_ask_stands_in_a_header_in_the_answer_or_in_a_path(
    tmp_path: Path, first: Script, poll: dict[str, Any], asked: str
) -> None:
    async with desk(tmp_path, first) as (pool, server):
        await pool.call("desk", bind(STATES | poll), {}, one_call())
    assert told(server)[1:] == [f"GET {asked}"]


@pytest.mark.parametrize(
    ("first", "poll", "message"),
    [
        (accepted(""), {}, "no header says where to ask"),
        (accepted("", url=7), {"url": "/url"}, "no address at /url"),
        (accepted("", id="../admin"), {"path": "/jobs/{id}"}, "no name for it at /id"),
        (accepted("", id=".."), {"path": "/jobs/{id}"}, "no name for it at /id"),
        (accepted("", id=""), {"path": "/jobs/{id}"}, "no name for it at /id"),
        (accepted("", id={"a": 1}), {"path": "/jobs/{id}"}, "no name for it at /id"),
    ],
)
async def test_an_answer_that_does_not_say_where_to_ask_breaks_its_word(
    tmp_path: Path, first: Script, poll: dict[str, Any], message: str
) -> None:
    async with desk(tmp_path, first) as (pool, server):
        error = await refused(pool, bind(STATES | poll))
    assert (error.code, message in error.message, len(server.heard)) == ("output_mismatch", True, 1)


@pytest.mark.parametrize(
    "named",
    [
        "http://127.0.0.1:1/jobs/7",
        "//127.0.0.1:1/jobs/7",
        "https://127.0.0.1/jobs/7",
        "http://localhost/jobs/7",
        "http://169.254.169.254/latest/meta-data",
        "http://user@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
    ],
)
async def test_nobody_is_asked_at_another_origin_and_what_became_of_the_work_is_open(
    tmp_path: Path, named: str
) -> None:
    async with desk(tmp_path, accepted(f"Location: {named}\r\n")) as (pool, server):
        error = await refused(pool, bind())
    assert (error.code, error.outcome, len(server.heard)) == ("undeclared_error", Outcome.UNKNOWN, 1)


async def test_a_state_of_failure_is_a_declared_error_or_leaves_open_what_happened(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), says({"state": "broken", "why": "no such vendor 9"})) as (pool, _server):
        error = await refused(pool, bind())
        assert (error.code, error.class_, error.outcome) == (
            "undeclared_error",
            FailureClass.PERMANENT,
            Outcome.UNKNOWN,
        )
        assert (error.answer, "broken" in error.message) == ({"state": "broken", "why": "no such vendor 9"}, True)
        declared = bind(errors={"unknown_vendor": {"text": "no such vendor"}, "gone": {"http_status": 404}})
        assert (await refused(pool, declared)).code == "unknown_vendor"


async def test_a_refused_question_is_no_error_of_the_contract(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), says({}, status=404)) as (pool, _server):
        error = await refused(pool, bind(errors={"gone": {"http_status": 404}}))
    assert (error.code, error.outcome, "status 404" in error.message) == ("undeclared_error", Outcome.UNKNOWN, True)


async def test_an_answer_that_says_nothing_of_the_work_breaks_its_word(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), says({"total": 3})) as (pool, _server):
        error = await refused(pool, bind())
    assert (error.code, "has no /state" in error.message) == ("output_mismatch", True)


async def test_the_output_may_stand_inside_the_last_answer(tmp_path: Path) -> None:
    done = says({"state": "done", "result": {"total": 3}})
    async with desk(tmp_path, accepted(), done) as (pool, _server):
        assert (await pool.call("desk", bind(STATES | {"result": "/result"}), {}, one_call())).value == {"total": 3}
        error = await refused(pool, bind(STATES | {"result": "/output"}))
        assert (error.code, "has no /output" in error.message) == ("output_mismatch", True)


async def test_states_are_compared_as_json(tmp_path: Path) -> None:
    poll = STATES | {"until": [True, 2], "failed": []}
    async with desk(tmp_path, accepted(), in_turn(says({"state": 1}), says({"state": 2.0}))) as (pool, server):
        assert (await pool.call("desk", bind(poll), {}, one_call())).value == {"state": 2.0}
    assert len(server.heard) == 3


async def test_an_agent_that_is_away_for_a_while_is_asked_again(tmp_path: Path) -> None:
    states = in_turn(
        resets,
        says({}, status=503),
        says({}, status=429, headers="Retry-After: 0\r\n"),
        resets,
        says({"state": "done"}),
    )
    async with desk(tmp_path, accepted(), states) as (pool, server):
        assert (await pool.call("desk", bind(), {}, one_call())).value == {"state": "done"}
    assert len(server.heard) == 6


async def test_an_agent_that_stays_away_is_given_up_and_its_work_is_open(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), resets) as (pool, server):
        error = await refused(pool, bind())
    assert (error.code, error.outcome, len(server.heard)) == ("lost", None, 12)  # `lost` leaves open what was done


async def test_a_pace_that_the_call_has_no_time_for_ends_it_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted("Location: /jobs/7\r\nRetry-After: 60\r\n")) as (pool, server):
        error = await refused(pool, bind(), timeout_ms=5000)
    assert (error.code, error.retry_after_ms, len(server.heard)) == ("timeout", 60_000, 1)


async def test_a_question_without_answer_ends_with_the_call(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), silent) as (pool, server):
        error = await refused(pool, bind(), timeout_ms=300)
    assert (error.code, error.outcome, len(server.heard)) == ("timeout", None, 2)


async def test_a_cancelled_call_stops_asking(tmp_path: Path) -> None:
    async with desk(tmp_path, accepted(), says({"state": "queued"})) as (pool, server):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pool.call, "desk", bind(), {}, one_call())
            await until(lambda: len(server.heard) > 3)
            tasks.cancel_scope.cancel()
        count = len(server.heard)
        server.scripts["/jobs"] = says({"state": "done"})
        await pool.call("desk", bind(), {}, one_call())  # the link is sound
        assert told(server)[count:] == ["POST /jobs"]


async def test_each_question_shows_who_asks_and_a_token_that_ends_meanwhile_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_SECRET", "secret-4711")

    async with scripted_server() as server:
        tokens = TokenDesk(server)

        async def state(heard: Heard, stream: SocketStream) -> None:
            tokens.revoked.add("token-1-0815")
            ended = heard.headers["authorization"].endswith("token-1-0815")
            await says({"state": "done"}, status=401 if ended else 200)(heard, stream)

        server.scripts |= {"/jobs": accepted(), "/jobs/7": state}
        async with open_pool(Directory(http("desk", server.url, auth=client(server.url))), tmp_path) as pool:
            bound = bind(headers={"X-Tenant": "tenant"})
            assert (await pool.call("desk", bound, {"tenant": "acme"}, one_call())).value == {"state": "done"}
    assert [heard.headers["x-tenant"] for heard in tokens.worked] == ["acme"] * 3
    assert len(tokens.asked) == 2


@pytest.mark.parametrize("then", [says({"state": "queued"}), silent])
async def test_work_that_was_accepted_and_takes_longer_than_a_call_is_no_outage(tmp_path: Path, then: Script) -> None:
    async with desk(tmp_path, accepted(), then) as (pool, server):

        async def too_short() -> None:
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", bind(), {}, one_call(300))
            assert raised.value.code == "timeout"

        for answers, circuit in ((accepted(), "closed"), (silent, "open")):
            server.scripts["/jobs"] = answers
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(too_short)
            assert pool.health()[0].circuit == circuit
