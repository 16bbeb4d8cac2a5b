"""A2A agents that lie, break off, flood and move, every byte chosen here: typed, bounded, only where the file allows."""

from __future__ import annotations

import json
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
    agent,
    closed_port,
    one_call,
    open_pool,
    says,
    scripted_server,
)
from performing.http_misdeeds import endless, half, resets, silent, trickles
from process_orchestrator.checking.documents.definitions import Agent, Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.a2a_wire import same_id
from process_orchestrator.performing.agent_pool import AgentPool

pytestmark = pytest.mark.anyio

CARD = "/.well-known/agent-card.json"
BOOK = {"skill": "book"}
DONE = {"id": "t1", "contextId": "c", "status": {"state": "completed"}, "artifacts": [{"parts": [{"data": {"n": 1}}]}]}
WORKING = {"id": "t1", "contextId": "c", "status": {"state": "working"}}


def a2a(
    url: str, *, allow_loopback: bool = True, endpoint: str | None = None, auth: dict[str, Any] | None = None
) -> Agent:
    transport = Transport(kind="a2a", card=url, allow_loopback=allow_loopback, endpoint=endpoint, auth=auth)
    return agent("clerk", transport)


def card(url: str, *skills: str, version: str = "0.3.0") -> dict[str, Any]:
    return {
        "name": "x",
        "url": url,
        "protocolVersion": version,
        "skills": [{"id": each} for each in skills or ["book"]],
    }


def rpc(*results: Any, errors: tuple[Any, ...] = ()) -> Script:
    """Answers each request with the next result, the last one again and again."""
    left = [*({"error": each} for each in errors), *({"result": each} for each in results)]

    async def script(heard: Heard, stream: SocketStream) -> None:
        body = left.pop(0) if len(left) > 1 else left[0]
        await says({"jsonrpc": "2.0", "id": heard.json["id"], **body})(heard, stream)

    return script


@asynccontextmanager
async def clerk(
    tmp_path: Path, script: Script, auth: dict[str, Any] | None = None
) -> AsyncGenerator[tuple[AgentPool, ScriptedServer]]:
    async with scripted_server() as server:
        server.scripts[CARD] = says(card(f"{server.url}/rpc"))
        server.scripts["/rpc"] = script
        async with open_pool(Directory(a2a(server.url, auth=auth)), tmp_path) as pool:
            yield pool, server


async def refused(pool: AgentPool, bind: dict[str, Any] = BOOK, timeout_ms: int = 5000) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await pool.call("clerk", bind, {"a": 1}, one_call(timeout_ms))
    return raised.value


def methods(server: ScriptedServer) -> list[str]:
    return [heard.json["method"] for heard in server.heard if heard.method == "POST"]


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize(
    ("script", "code", "blame"),
    [
        (resets, "lost", None),
        (half, "lost", None),
        (trickles, "timeout", None),
        (silent, "timeout", None),
        (endless, "too_large", None),
        (says(b"all is well"), "not_json", None),
        (says(b"<html>Log in</html>", kind="text/html"), "not_json", "transport"),
        (says(b'{"a": NaN}'), "not_finite", None),
        (says(b'{"a": 1, "a": 2}'), "duplicate_key", None),
        (says(b"[" * 100_000 + b"]" * 100_000), "too_deep", None),
        (says([]), "not_json", None),
        (says({"jsonrpc": "2.0", "id": 77, "result": DONE}), "not_json", None),
        (says({"jsonrpc": "1.0", "id": 1, "result": DONE}), "not_json", None),
        (rpc({}), "not_json", None),
        (rpc({"id": 5, "status": {"state": "completed"}}), "not_json", None),
        (rpc({"id": "t1", "status": "done"}), "not_json", None),
        (rpc({"id": "t1", "status": {"state": "pondering"}}), "not_json", None),
        (rpc({**DONE, "artifacts": {"parts": []}}), "not_json", None),
        (rpc({**DONE, "artifacts": [{"parts": ["x"]}]}), "not_json", None),
        (rpc({**DONE, "artifacts": [{"parts": [{"text": "x" * 1_500_000}]}]}), "too_large", None),
        (rpc(WORKING, {**DONE, "id": "t2"}), "not_json", None),
        (rpc(WORKING, {"kind": "message", "messageId": "m", "parts": []}), "not_json", None),
    ],
)
async def test_each_misdeed_ends_as_its_code(tmp_path: Path, script: Script, code: str, blame: str | None) -> None:
    async with clerk(tmp_path, script) as (pool, _server):
        error = await refused(pool, timeout_ms=1000)
    assert (error.code, error.blame) == (code, blame)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"code": -32602, "message": "bad"}, "not_done"),
        ({"code": -32009, "message": "speak 2.0"}, "not_done"),
        ({"code": -32603, "message": "ill"}, "unknown"),
        ({"code": True}, "unknown"),
        ({}, "unknown"),
    ],
)
async def test_a_json_rpc_error_says_whether_the_message_was_taken(
    tmp_path: Path, error: dict[str, Any], outcome: str
) -> None:
    async with clerk(tmp_path, rpc({}, errors=(error, error))) as (pool, _server):
        failure = await refused(pool)
    assert (failure.code, failure.class_, failure.outcome) == ("undeclared_error", "permanent", outcome)


async def test_errors_are_declared_by_status_too(tmp_path: Path) -> None:
    bind = BOOK | {"errors": {"taken": {"http_status": 409}}}
    async with clerk(tmp_path, says({"why": "taken"}, status=409)) as (pool, _server):
        assert (await refused(pool, bind)).code == "taken"


async def test_a_task_that_takes_longer_than_a_call_is_no_outage(tmp_path: Path) -> None:
    async with clerk(tmp_path, rpc(WORKING)) as (pool, _server):
        assert (await pool.card("clerk")).skills  # read once, not by each call
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(refused, pool, BOOK, 300)
        assert pool.health()[0].circuit == "closed"


KNOWN: dict[str, Any] = {"id": "t", "contextId": same_id("context", one_call().key)} | {
    "status": {"state": "TASK_STATE_COMPLETED"}
}


def by_method(**scripts: Script) -> Script:
    """Each method has its own answer."""

    async def script(heard: Heard, stream: SocketStream) -> None:
        await scripts[heard.json["method"]](heard, stream)

    return script


@asynccontextmanager
async def modern_clerk(tmp_path: Path, **scripts: Script) -> AsyncGenerator[tuple[AgentPool, ScriptedServer]]:
    async with clerk(tmp_path, by_method(**scripts)) as (pool, server):
        place = {"url": f"{server.url}/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        server.scripts[CARD] = says({"name": "x", "supportedInterfaces": [place], "skills": [{"id": "book"}]})
        yield pool, server


@pytest.mark.parametrize("busy", [says({}, status=503), says({}, status=429), says({}, status=502)])
async def test_nothing_is_sent_again_while_an_agent_is_too_busy_to_say_what_it_has(
    tmp_path: Path, busy: Script
) -> None:
    async with modern_clerk(tmp_path, ListTasks=busy, SendMessage=rpc(DONE)) as (pool, server):
        with pytest.raises(AgentCallError) as raised:
            await pool.call("clerk", BOOK, {"a": 1}, one_call(delivery=2))
    assert (methods(server), raised.value.class_) == (["ListTasks"], "transient")


@pytest.mark.parametrize("answer", [says({}, status=503), rpc({}, errors=({"code": -32005, "message": "no"},) * 2)])
async def test_an_earlier_task_that_cannot_be_read_may_have_been_done(tmp_path: Path, answer: Script) -> None:
    listed = rpc({"tasks": [KNOWN]})
    async with modern_clerk(tmp_path, ListTasks=listed, GetTask=answer) as (pool, server):
        with pytest.raises(AgentCallError) as raised:
            await pool.call("clerk", BOOK, {"a": 1}, one_call(call="post.2"))
    assert (methods(server), raised.value.outcome) == (["ListTasks", "GetTask"], "unknown")


@pytest.mark.behaviour("P5-deadline")
@pytest.mark.parametrize("state", ["WORKING", "COMPLETED"])
async def test_a_task_that_no_answer_has_named_by_the_deadline_is_found_and_cancelled(
    tmp_path: Path, state: str
) -> None:
    known = KNOWN | {"status": {"state": f"TASK_STATE_{state}"}}
    scripts = {"SendMessage": silent, "ListTasks": rpc({"tasks": [known]}), "CancelTask": rpc(known)}
    async with modern_clerk(tmp_path, **scripts) as (pool, server):
        assert (await refused(pool, timeout_ms=400)).code == "timeout"
    cancels = ["CancelTask"] if state == "WORKING" else []
    assert methods(server) == ["SendMessage", "ListTasks", *cancels]


async def test_a_busy_agent_is_asked_for_its_task_again(tmp_path: Path) -> None:
    async with clerk(tmp_path, rpc(WORKING)) as (pool, server):
        answers = [rpc(WORKING), says({}, status=503), resets, rpc(DONE)]

        async def script(heard: Heard, stream: SocketStream) -> None:
            await answers.pop(0)(heard, stream)

        server.scripts["/rpc"] = script
        assert (await pool.call("clerk", BOOK, {}, one_call())).value == {"n": 1}
    assert methods(server) == ["message/send", "tasks/get", "tasks/get", "tasks/get"]


@pytest.mark.parametrize(
    ("answer", "code", "class_"),
    [
        (says({}, status=404), "undeclared_error", "permanent"),
        (rpc({}, errors=({"code": -32001, "message": "gone"},) * 2), "undeclared_error", "permanent"),
        (resets, "lost", None),
    ],
)
async def test_a_task_that_cannot_be_followed_may_have_been_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Script, code: str, class_: str | None
) -> None:
    monkeypatch.setattr("process_orchestrator.performing.a2a_agent.POLL_FACTOR", 1.0)
    async with clerk(tmp_path, rpc(WORKING)) as (pool, server):

        async def script(heard: Heard, stream: SocketStream) -> None:
            await (rpc(WORKING) if heard.json["method"] == "message/send" else answer)(heard, stream)

        server.scripts["/rpc"] = script
        error = await refused(pool)
    assert (error.code, error.class_, error.outcome) == (code, class_, "unknown")
    assert methods(server)[-1] == "tasks/cancel"


async def test_an_agent_that_is_mute_when_it_is_cancelled_holds_nobody_up(tmp_path: Path) -> None:
    async def script(heard: Heard, stream: SocketStream) -> None:
        await (silent if heard.json["method"] == "tasks/cancel" else rpc(WORKING))(heard, stream)

    async with clerk(tmp_path, script) as (pool, _server):
        started = anyio.current_time()
        assert (await refused(pool, timeout_ms=500)).code == "timeout"
        assert anyio.current_time() - started < 2.3


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (says({}, status=404), "status 404"),
        (says({}, status=302, headers="Location: /card\r\n"), "status 302"),
        (says(b"{"), "cannot be read"),
        (says([]), "JSON object"),
        (says({"url": "http://127.0.0.1:1/", "skills": 5}), "`skills`"),
        (says({"url": "http://127.0.0.1:1/", "skills": [{"id": "book"}, {"id": "book"}]}), "same id"),
        (says(card("http://127.0.0.1:1/rpc")), "another place than its own"),
        (says(card("http://evil.example/rpc")), "another place than its own"),
        (says(card("http://127.0.0.1:99999/rpc")), "is no address"),
        (says(card("file:///etc/passwd")), "no JSON-RPC interface"),
        (says(card("http://127.0.0.1/rpc", version="2.0")), "it offers JSONRPC 2.0"),
        (says({**card("http://127.0.0.1:1/"), "preferredTransport": "GRPC"}), "it offers GRPC 0.3.0"),
        (says(b"x" * 1_100_000), "cannot be read"),
    ],
)
async def test_a_card_that_cannot_be_used_says_why_and_nothing_is_sent(tmp_path: Path, said: Script, text: str) -> None:
    async with clerk(tmp_path, rpc(DONE)) as (pool, server):
        server.scripts[CARD] = said
        error = await refused(pool)
    assert error.code == "unreachable"
    assert text in error.message
    assert methods(server) == []


async def test_an_endpoint_elsewhere_is_spoken_to_only_where_the_file_names_it(tmp_path: Path) -> None:
    async with scripted_server() as other, scripted_server() as server:
        other.scripts["/rpc"] = rpc(DONE)
        server.scripts["/card"] = says(card(f"{other.url}/rpc"))
        directory = Directory(a2a(f"{server.url}/card", endpoint=f"{other.url}/rpc"))
        async with open_pool(directory, tmp_path) as pool:
            assert (await pool.call("clerk", BOOK, {}, one_call())).value == {"n": 1}
            directory.put(a2a(f"{server.url}/card"))
            assert "another place" in (await refused(pool)).message
            directory.put(a2a(f"{server.url}/card", endpoint=f"{other.url}/else"))
            assert "no JSON-RPC interface at" in (await refused(pool)).message
    assert methods(other) == ["message/send"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "10.0.0.1", "169.254.169.254"])
async def test_no_address_inside_is_reached_unless_allowed(tmp_path: Path, host: str) -> None:
    async with open_pool(Directory(a2a(f"http://{host}:9", allow_loopback=False)), tmp_path) as pool:
        error = await refused(pool)
    assert error.code == "unreachable"
    assert "may not reach" in error.message or "not resolve" in error.message or "disguise" in error.message


async def test_a_card_is_read_once_and_again_when_it_led_nowhere(tmp_path: Path) -> None:
    async with clerk(tmp_path, rpc(DONE)) as (pool, server):
        for _ in range(3):
            await pool.call("clerk", BOOK, {}, one_call())
        assert [heard.method for heard in server.heard] == ["GET", "POST", "POST", "POST"]
        server.scripts["/moved"] = rpc(DONE)
        server.scripts["/rpc"] = says({}, status=404)
        server.scripts[CARD] = says(card(f"{server.url}/moved"))
        assert (await refused(pool)).code == "undeclared_error"
        assert (await pool.call("clerk", BOOK, {}, one_call())).value == {"n": 1}


async def test_a_card_that_never_comes_leaves_no_doubt_about_the_effect(tmp_path: Path) -> None:
    async with clerk(tmp_path, rpc(DONE)) as (pool, server):
        server.scripts[CARD] = silent
        error = await refused(pool, timeout_ms=200)
    assert (error.code, error.outcome) == ("timeout", "not_done")


async def test_nobody_there_was_not_reached(tmp_path: Path) -> None:
    async with open_pool(Directory(a2a(f"http://127.0.0.1:{closed_port()}")), tmp_path) as pool:
        assert (await refused(pool)).code == "unreachable"


async def test_credentials_go_to_card_and_endpoint_and_an_echoed_one_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLERK_TOKEN", "tok-123456")

    async def echo(heard: Heard, stream: SocketStream) -> None:
        parts = [{"kind": "text", "text": heard.headers["authorization"]}]
        await rpc({"kind": "message", "messageId": "m", "parts": parts})(heard, stream)

    async with clerk(tmp_path, echo, auth={"bearer": "env:CLERK_TOKEN"}) as (pool, server):
        value = (await pool.call("clerk", BOOK, {}, one_call())).value
    assert value == {"text": "Bearer [secret]"}
    assert [heard.headers["authorization"] for heard in server.heard] == ["Bearer tok-123456"] * 2


async def test_files_are_told_by_name_and_place_and_numbers_stay_as_they_are(tmp_path: Path) -> None:
    files = [{"kind": "file", "file": {"name": "a.pdf", "mimeType": "application/pdf", "uri": "https://x.example/a"}}]
    whole = {"parts": [{"data": {"n": 9_007_199_254_740_993, "five": 5.0, "half": [0.5], "vast": 1e300}}]}
    async with clerk(tmp_path, rpc({**DONE, "artifacts": [{"parts": files}]}, {**DONE, "artifacts": [whole]})) as (
        pool,
        _,
    ):
        first = await pool.call("clerk", BOOK, {}, one_call())
        second = await pool.call("clerk", BOOK, {}, one_call())
    assert first.value == {"files": [{"name": "a.pdf", "media_type": "application/pdf", "url": "https://x.example/a"}]}
    assert json.dumps(second.value) == '{"n": 9007199254740993, "five": 5, "half": [0.5], "vast": 1e+300}'
