"""Agents made with the official SDK and third-party servers, over stdio and over HTTP, in both protocol eras."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp.client.session
import pytest

from performing.fleet import (
    FOLDER,
    Directory,
    agent,
    closed_port,
    failing,
    one_call,
    open_pool,
    says,
    scripted_server,
    stdio,
    tool,
)
from performing.token_server import TokenDesk, client
from process_orchestrator.checking.documents.definitions import AgentLimits, Transport
from process_orchestrator.core.errors import AgentCallError


@asynccontextmanager
async def http_tools(*flags: str) -> AsyncGenerator[str]:
    """The SDK agent over HTTP; its URL."""
    port = closed_port()
    command = [sys.executable, str(FOLDER / "agents" / "sdk_tools.py"), "http", str(port), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with anyio.fail_after(20):
            while True:
                try:
                    stream = await anyio.connect_tcp("127.0.0.1", port)
                    await stream.aclose()
                    break
                except OSError:
                    await anyio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def mcp_http(url: str, **changes: Any) -> Transport:
    return Transport(kind="mcp_http", url=url, allow_loopback=changes.pop("allow_loopback", True), **changes)


async def test_an_sdk_agent_answers_over_stdio_in_the_modern_era_with_our_lineage(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        assert (await tool(pool, "tools", "add", a=1, b=2)).value == {"sum": 3}
        told = await pool.call("tools", {"tool": "told"}, {}, one_call(lineage=("p_a", "p_b")))
    assert told.value == {"lineage": ["p_a", "p_b"], "era": "2026-07-28"}


async def test_five_first_calls_share_one_process(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "hostile.py")), tmp_path) as pool:
        pids: set[int] = set()

        async def ask() -> None:
            pids.add((await tool(pool, "tools", "environment")).value["pid"])

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
    assert len(pids) == 1


async def test_a_crashed_agent_is_started_anew_by_the_next_call(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        assert (await failing(pool, "tools", "die")).code == "lost"
        assert (await tool(pool, "tools", "add", a=1, b=2)).value == {"sum": 3}


async def test_a_declared_error_is_found_in_the_text_that_the_sdk_prefixes(tmp_path: Path) -> None:
    bind = {"tool": "refuse", "errors": {"unknown_vendor": {"text": "unknown vendor"}}}
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("tools", bind, {"why": "unknown vendor V-1"}, one_call())
        assert raised.value.code == "unknown_vendor"
        with pytest.raises(AgentCallError) as raised:
            await pool.call("tools", bind, {"why": "tired"}, one_call())
        assert raised.value.code == "undeclared_error"


async def test_a_slow_call_times_out_and_the_agent_keeps_its_other_calls(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        await tool(pool, "tools", "add", a=0, b=0)
        results: list[Any] = []

        async def patient() -> None:
            results.append((await tool(pool, "tools", "slow", seconds=1.0)).value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient)
            with pytest.raises(AgentCallError) as raised:
                await tool(pool, "tools", "slow", 300, seconds=60.0)
            assert raised.value.code == "timeout"
    assert results == [{"slept": 1.0}]


async def test_a_third_party_server_answers_in_text_that_is_json(tmp_path: Path) -> None:
    clock = stdio("clock", "-m", "mcp_server_time")
    async with open_pool(Directory(clock), tmp_path) as pool:
        answer = await tool(pool, "clock", "get_current_time", timezone="Europe/Berlin")
        listed = await pool.tools("clock")
    assert answer.value["timezone"] == "Europe/Berlin"
    assert {"get_current_time", "convert_time"} <= {each["name"] for each in listed}


@pytest.mark.parametrize("flags", [(), ("json",)], ids=["events", "json"])
async def test_an_sdk_agent_answers_over_http(tmp_path: Path, flags: tuple[str, ...]) -> None:
    async with http_tools(*flags) as url:
        directory = Directory(agent("tools", mcp_http(url), AgentLimits(output_bytes=10_000)))
        async with open_pool(directory, tmp_path) as pool:
            assert (await tool(pool, "tools", "add", a=1, b=2)).value == {"sum": 3}
            assert (await failing_with(pool, "slow", 300, seconds=30.0)) == "timeout"
            assert (await failing_with(pool, "large", 5000, size=3_000_000)) == "too_large"
            assert (await tool(pool, "tools", "add", a=1, b=3)).value == {"sum": 4}
            assert (await failing_with(pool, "die", 5000)) == "lost"
            # A kept connection whose end has not been noticed yet is tried first: then it may have been sent.
            assert (await failing_with(pool, "add", 5000, a=1, b=1)) in {"unreachable", "lost"}


async def failing_with(pool: Any, name: str, timeout_ms: int, **arguments: Any) -> str:
    with pytest.raises(AgentCallError) as raised:
        await tool(pool, "tools", name, timeout_ms, **arguments)
    return raised.value.code


async def test_loopback_over_http_must_be_allowed(tmp_path: Path) -> None:
    transport = mcp_http(f"http://127.0.0.1:{closed_port()}/mcp", allow_loopback=False)
    async with open_pool(Directory(agent("tools", transport)), tmp_path) as pool:
        error = await failing(pool, "tools", "add")
    assert (error.code, "may not reach" in error.message) == ("unreachable", True)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (b'{"content": [], "structuredContent": {"a": NaN}}', "not_finite"),
        (b'{"content": [], "structuredContent": {"a": 1, "a": 2}}', "duplicate_key"),
        (b'{"content": [], "structuredContent": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"content": [', "not_json"),
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_broken_answer_over_http_ends_as_its_code(tmp_path: Path, result: bytes, code: str, kind: str) -> None:
    async def script(heard: Any, stream: Any) -> None:
        if heard.method != "POST" or "id" not in heard.json:
            await says(b"", status=405 if heard.method != "POST" else 202)(heard, stream)
            return
        method, number = heard.json["method"], heard.json["id"]
        if method == "initialize":
            found = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            await says({"jsonrpc": "2.0", "id": number, "result": found})(heard, stream)
        elif method == "tools/call":
            line = b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (number, result)
            body = line if kind == "application/json" else b"event: message\ndata: " + line + b"\n\n"
            await says(body, kind=kind)(heard, stream)
        else:
            await says({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no"}})(heard, stream)

    async with scripted_server() as server:
        server.scripts["/mcp"] = script
        transport = mcp_http(server.url + "/mcp", auth={"header": {"X-Key": "literal"}})
        async with open_pool(Directory(agent("tools", transport)), tmp_path) as pool:
            assert (await failing(pool, "tools", "add", 5000)).code == code
    assert all(heard.headers["x-key"] == "literal" for heard in server.heard)


async def test_statuses_of_mcp_over_http_are_classed(tmp_path: Path) -> None:
    async with scripted_server() as server:
        server.scripts["/mcp"] = says({}, status=401)
        async with open_pool(Directory(agent("tools", mcp_http(server.url + "/mcp"))), tmp_path) as pool:
            error = await failing(pool, "tools", "add", 5000)
    assert error.code == "unreachable"
    assert "401" in error.message


async def test_a_raw_call_shows_the_tool_result_as_it_is(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        raw = await pool.call_tool_raw("tools", "add", {"a": 2, "b": 3})
    assert raw["structuredContent"] == {"sum": 5}
    assert json.loads(raw["content"][0]["text"]) == {"sum": 5}


def test_the_sdk_still_checks_results_where_we_switch_it_off() -> None:
    """If the SDK renames the method, our override would silently do nothing."""
    session = mcp.client.session.ClientSession
    source = Path(mcp.client.session.__file__).read_text()
    assert callable(session.validate_tool_result)
    assert "await self.validate_tool_result(name, result)" in source


async def test_the_servers_own_schema_is_not_checked_in_our_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_args: object) -> None:
        raise AssertionError("the SDK compiled the server's schema")

    monkeypatch.setattr(mcp.client.session.ClientSession, "_output_schema_validator", never)
    async with open_pool(Directory(stdio("tools", "sdk_tools.py")), tmp_path) as pool:
        assert (await tool(pool, "tools", "add", a=1, b=2)).value == {"sum": 3}


def mcp_script(answer: Any) -> Any:
    """A legacy MCP server over HTTP whose answer to tools/call is another script."""

    async def script(heard: Any, stream: Any) -> None:
        if heard.method != "POST" or "id" not in heard.json:
            await says(b"", status=405 if heard.method != "POST" else 202)(heard, stream)
            return
        method, number = heard.json["method"], heard.json["id"]
        if method == "initialize":
            found = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            head = "Mcp-Session-Id: s1\r\n"
            await says({"jsonrpc": "2.0", "id": number, "result": found}, headers=head)(heard, stream)
        elif method == "tools/call":
            await answer(heard, stream)
        else:
            await says({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "no"}})(heard, stream)

    return script


async def test_a_token_that_ended_is_renewed_in_the_middle_of_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESK_SECRET", "secret-0815")

    async def result(heard: Any, stream: Any) -> None:
        told = {"content": [], "structuredContent": {"seen": heard.headers["authorization"]}}
        await says({"jsonrpc": "2.0", "id": heard.json["id"], "result": told})(heard, stream)

    async with scripted_server() as server:
        desk = TokenDesk(server)

        async def guarded(heard: Any, stream: Any) -> None:
            token = heard.headers.get("authorization", "").removeprefix("Bearer ")
            known = token in desk.granted and token not in desk.revoked
            await (mcp_script(result) if known else says({}, status=401))(heard, stream)

        server.scripts["/mcp"] = guarded
        transport = mcp_http(server.url + "/mcp", auth=client(server.url))
        async with open_pool(Directory(agent("tools", transport)), tmp_path) as pool:
            assert (await tool(pool, "tools", "add")).value == {"seen": "Bearer [secret]"}
            desk.revoked.add("token-1-0815")
            assert (await tool(pool, "tools", "add")).value == {"seen": "Bearer [secret]"}
            assert len(desk.asked) == 2
            desk.revoked.add("token-2-0815")
            server.scripts["/token"] = says({"error": "invalid_client"}, status=401)
            error = await failing(pool, "tools", "add", 5000)
    assert (error.code, error.class_, "invalid_client" in error.message) == ("unreachable", "denied", True)


async def half_an_event(_heard: Any, stream: Any) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 500\r\n\r\ndata: {")


async def endless_event(_heard: Any, stream: Any) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ")
    while True:
        await stream.send(b"x" * 65_536)


async def half_a_body(_heard: Any, stream: Any) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{")


async def closes(_heard: Any, stream: Any) -> None:
    await stream.aclose()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (closes, "lost"),
        (half_an_event, "lost"),
        (half_a_body, "lost"),
        (endless_event, "too_large"),
        (says({"x": "y" * 6_000_000}), "too_large"),
        (says(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"), "not_json"),
        (says({}, status=404), "unreachable"),
        (says({}, status=503, headers="Retry-After: 3\r\n"), "undeclared_error"),
        (
            says({"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "no"}}, status=400),
            "undeclared_error",
        ),
        (says({}, status=302, headers="Location: http://127.0.0.1:1/\r\n"), "undeclared_error"),
        (says(b"hello", kind="text/html"), "not_json"),
    ],
)
async def test_each_misdeed_of_an_mcp_agent_over_http_ends_as_its_code(tmp_path: Path, answer: Any, code: str) -> None:
    async with scripted_server() as server:
        server.scripts["/mcp"] = mcp_script(answer)
        transport = mcp_http(server.url + "/mcp", auth={"query": {"key": "literal"}})
        async with open_pool(Directory(agent("tools", transport)), tmp_path) as pool:
            error = await failing(pool, "tools", "add", 5000)
    assert error.code == code
    assert all(heard.target == "/mcp?key=literal" for heard in server.heard)


async def test_looking_at_an_agent_ends_at_its_deadline(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("tools", "hostile.py")), tmp_path) as pool:
        await tool(pool, "tools", "echo")
        with pytest.raises(AgentCallError) as raised:
            await pool.call_tool_raw("tools", "silent", {}, timeout_ms=200)
        assert raised.value.code == "timeout"
        with pytest.raises(AgentCallError) as raised:
            await pool.tools("tools", timeout_ms=5000)
        assert raised.value.code == "undeclared_error"
