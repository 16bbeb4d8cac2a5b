"""Bounds at every edge to an agent: items, pages, floods, headers, streams, memory, open files."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from measuring import peak_memory
from performing.fleet import (
    FOLDER,
    Directory,
    FixedClock,
    Heard,
    agent,
    failing,
    http,
    one_call,
    open_pool,
    says,
    scripted_server,
    stdio,
    tool,
)
from process_orchestrator.checking.documents.definitions import Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.limits import ChildLimits
from process_orchestrator.core.ports import InProcessCall
from process_orchestrator.performing.agent_pool import AgentPool
from process_orchestrator.performing.framing import ITEMS_MAX, UNASKED_PER_S_MAX, Flood

GROWTH_MAX = 60_000_000
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits are set on Linux only")


def edgy(*arguments: str) -> Directory:
    return Directory(stdio("edgy", "edgy.py", *arguments))


async def code_of(pool: AgentPool, name: str, bind: dict[str, Any], timeout_ms: int = 20_000, **arguments: Any) -> str:
    with pytest.raises(AgentCallError) as raised:
        await pool.call(name, bind, arguments, one_call(timeout_ms))
    return raised.value.code


# --- counts --------------------------------------------------------------------------------------------------------


async def test_a_result_of_more_items_than_anybody_reads_is_too_large_and_the_agent_serves_on(tmp_path: Path) -> None:
    async with open_pool(edgy(), tmp_path) as pool:
        assert (await tool(pool, "edgy", "items", count=ITEMS_MAX)).value == {"text": "\n" * (ITEMS_MAX - 1)}
        assert await code_of(pool, "edgy", {"tool": "items"}, count=ITEMS_MAX + 1) == "too_large"
        assert (await tool(pool, "edgy", "pid")).value["pid"] == pool.health()[0].pid


async def test_a_list_of_tools_is_read_page_by_page(tmp_path: Path) -> None:
    async with open_pool(edgy(), tmp_path) as pool:
        names = [each["name"] for each in await pool.tools("edgy")]
    assert names == ["tool_0_0", "tool_0_1", "tool_1_0", "tool_1_1", "tool_2_0", "tool_2_1"]


@pytest.mark.parametrize("kind", ["endless", "crowd"])
async def test_a_list_of_tools_without_end_is_too_large(tmp_path: Path, kind: str) -> None:
    async with open_pool(edgy(kind), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.tools("edgy")
    assert raised.value.code == "too_large"


# --- floods --------------------------------------------------------------------------------------------------------


def test_what_an_agent_says_unasked_is_counted_by_the_second() -> None:
    flood = Flood()
    assert not any(flood.one_more(0.5) for _ in range(UNASKED_PER_S_MAX))
    assert flood.one_more(0.9)
    assert not flood.one_more(1.6)


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize("method", ["notifications/message", "notifications/progress", "notifications/nobody_knows"])
async def test_an_agent_that_talks_without_end_is_ended_and_started_anew(tmp_path: Path, method: str) -> None:
    async with open_pool(edgy(), tmp_path) as pool:
        await tool(pool, "edgy", "pid")
        with peak_memory() as peak:
            assert await code_of(pool, "edgy", {"tool": "flood"}, method=method) == "lost"
        assert peak.bytes < GROWTH_MAX
        assert (await tool(pool, "edgy", "pid")).value["pid"] == pool.health()[0].pid


@pytest.mark.behaviour("P5-bounded")
async def test_an_agent_that_writes_stderr_without_end_is_read_at_a_bounded_pace(tmp_path: Path) -> None:
    async with open_pool(edgy(), tmp_path) as pool:
        await tool(pool, "edgy", "pid")
        busy = time.process_time()
        assert (await tool(pool, "edgy", "flood_stderr", seconds=2.0)).value == {"done": True}
        assert time.process_time() - busy < 1.5


# --- HTTP ----------------------------------------------------------------------------------------------------------


async def endless_headers(_heard: Heard, stream: SocketStream) -> None:
    await stream.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await stream.send(b"X-More: " + b"z" * 8000 + b"\r\n")


async def endless_interim_answers(_heard: Heard, stream: SocketStream) -> None:
    while True:
        await stream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 100)


@pytest.mark.behaviour("P5-bounded")
@pytest.mark.parametrize("script", [endless_headers, endless_interim_answers], ids=["headers", "interim"])
async def test_headers_without_end_end_the_call_in_bounded_memory(tmp_path: Path, script: Any) -> None:
    async with scripted_server() as server:
        server.scripts["/x"] = script
        directory = Directory(http("desk", server.url))
        async with open_pool(directory, tmp_path) as pool:
            with peak_memory() as peak:
                assert await code_of(pool, "desk", {"method": "GET", "path": "/x"}, timeout_ms=9000) == "lost"
            assert peak.bytes < GROWTH_MAX


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [("7", 7000), ("0", 0), ("99999999999999999", 604_800_000), ("soon", None), ("-3", None)],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_an_http_agent_says_when_it_may_be_asked_again(
    tmp_path: Path, status: int, header: str, wait_ms: int | None
) -> None:
    async with scripted_server() as server:
        server.scripts["/x"] = says({}, status=status, headers=f"Retry-After: {header}\r\n")
        async with open_pool(Directory(http("desk", server.url)), tmp_path) as pool:
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", {"method": "GET", "path": "/x"}, {}, one_call())
    assert raised.value.retry_after_ms == wait_ms


# --- MCP over HTTP -------------------------------------------------------------------------------------------------


async def trickled_event(_heard: Heard, stream: SocketStream) -> None:
    """One event of megabytes in small pieces: whoever searches it from its start each time never ends."""
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ")
    for _ in range(20_000):
        await stream.send(b"x" * 200)


@pytest.mark.behaviour("P5-bounded")
async def test_an_event_in_small_pieces_costs_no_more_than_its_bytes(tmp_path: Path) -> None:
    async with scripted_server() as server:
        server.scripts["/mcp"] = trickled_event
        there = agent("there", Transport(kind="mcp_http", url=f"{server.url}/mcp", allow_loopback=True))
        async with open_pool(Directory(there), tmp_path) as pool:
            assert (await failing(pool, "there", "x", timeout_ms=8000)).code == "unreachable"


# --- errors that say when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "wait_ms"),
    [
        ({"meta": 2.5}, 2500),
        ({"field": 3}, 3000),
        ({"meta": 1, "field": 9}, 1000),
        ({"field": -4}, 0),
        ({"field": 1e12}, 604_800_000),
        ({"field": "soon"}, None),
        ({"field": True}, None),
        ({}, None),
    ],
)
async def test_an_mcp_agent_says_when_it_may_be_asked_again(
    tmp_path: Path, told: dict[str, Any], wait_ms: int | None
) -> None:
    async with open_pool(edgy(), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await tool(pool, "edgy", "later", **told)
    assert raised.value.retry_after_ms == wait_ms


# --- what a program may take -----------------------------------------------------------------------------------------


@LINUX
@pytest.mark.behaviour("child-limits")
async def test_a_program_may_take_what_the_settings_say_and_writes_no_core(tmp_path: Path) -> None:
    async with AgentPool(
        edgy,
        state_dir=tmp_path,
        home=FOLDER,
        clock=FixedClock(),
        child_limits=ChildLimits(memory_mb=300, open_files=64, processes=5000),
    ) as pool:
        shown = (await tool(pool, "edgy", "limits")).value
        assert shown["Max core file size"] == "0"
        assert shown["Max open files"] == "64"
        assert shown["Max data size"] == str(300 << 20)
        assert shown["Max processes"] == "5000"
        assert (await tool(pool, "edgy", "hog", mb=100)).value["held"] == 100 << 20
        assert (await tool(pool, "edgy", "hog", mb=400)).value == {"held": 0}
        assert (await tool(pool, "edgy", "pid")).value["pid"] == pool.health()[0].pid


@LINUX
async def test_a_limit_of_zero_is_none(tmp_path: Path) -> None:
    none = ChildLimits(memory_mb=0, open_files=0, processes=0)
    async with AgentPool(edgy, state_dir=tmp_path, home=FOLDER, clock=FixedClock(), child_limits=none) as pool:
        assert (await tool(pool, "edgy", "hog", mb=400)).value["held"] == 400 << 20


@LINUX
@pytest.mark.skipif(shutil.which("node") is None, reason="no Node here")
def test_node_starts_under_the_bound_on_its_memory() -> None:
    """The reason for RLIMIT_DATA: under the same bound on address space Node does not start."""
    import resource  # noqa: PLC0415 - Linux only

    def run(kind: int) -> int:
        node = subprocess.Popen(
            ["node", "-e", "process.stdin.resume().on('end', () => process.exit(0))"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        resource.prlimit(node.pid, kind, (512 << 20, 512 << 20))
        node.communicate(timeout=30)
        return node.returncode

    assert run(resource.RLIMIT_DATA) == 0


# --- agents in this process ------------------------------------------------------------------------------------------


async def test_an_agent_in_this_process_that_never_answers_ends_at_its_deadline(tmp_path: Path) -> None:
    async def never(_arguments: dict[str, Any], _call: InProcessCall) -> Any:
        await anyio.sleep_forever()

    async with open_pool(Directory(), tmp_path, {"never": never}) as pool:
        assert await code_of(pool, "never", {}, timeout_ms=50) == "timeout"
