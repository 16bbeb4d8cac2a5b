"""Agents, a directory of them, and a pool over it, for tests of the data plane."""

import json
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute, SocketStream

from process_orchestrator.checking.documents.definitions import Agent, AgentLimits, Circuit, SourceFile, Transport
from process_orchestrator.checking.documents.pins import Pins
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.ports import InProcessAgent
from process_orchestrator.performing.address import Resolver, resolved
from process_orchestrator.performing.agent_pool import AgentPool, Answer
from process_orchestrator.performing.links import AgentCall

FOLDER = Path(__file__).parent


class FixedClock:
    """A clock that stands still; nothing under test waits by it."""

    def now_ms(self) -> int:
        return 1_700_000_000_000

    def jitter(self) -> int:
        return 7

    async def sleep_until(self, at_ms: int) -> None:
        raise AssertionError("the data plane keeps no timers")


class Directory:
    """A registry of agents that a test may change while calls run."""

    def __init__(self, *agents: Agent, pins: Pins | None = None) -> None:
        self.pins = pins or Pins()
        self._agents = {agent.name: agent for agent in agents}

    @property
    def agents(self) -> tuple[Agent, ...]:
        return tuple(self._agents.values())

    def agent(self, name: str) -> Agent | None:
        return self._agents.get(name)

    def put(self, agent: Agent) -> None:
        self._agents[agent.name] = agent

    def remove(self, name: str) -> None:
        del self._agents[name]


def agent(name: str, transport: Transport, limits: AgentLimits | None = None) -> Agent:
    return Agent(
        name=name,
        summary="",
        transport=transport,
        serves=(),
        limits=limits or AgentLimits(),
        circuit=Circuit(),
        prefer=100,
        promise_sha256="",
        promise=b"",
        source=SourceFile(path="agents/any.agent.yaml", sha256="", canonical=b""),
    )


def stdio(name: str, *command: str, env: Mapping[str, str] | None = None, limits: AgentLimits | None = None) -> Agent:
    """An MCP agent over stdio, run by this interpreter in the folder of the test agents."""
    transport = Transport(kind="mcp_stdio", command=("{python}", *command), env=dict(env or {}))
    return agent(name, transport, limits)


def http(name: str, url: str, *, auth: dict[str, Any] | None = None, loopback: bool = True) -> Agent:
    return agent(name, Transport(kind="http", url=url, auth=auth, allow_loopback=loopback))


def local_http(argument: str = "{port}") -> Agent:
    """An HTTP agent that the pool starts and supervises."""
    command = ("{python}", "local_http.py", argument)
    transport = Transport(kind="http", url="http://127.0.0.1:{port}", start_command=command, start_ready="/ready")
    return agent("local", transport)


@asynccontextmanager
async def open_pool(
    directory: Directory,
    tmp_path: Path,
    in_process: Mapping[str, InProcessAgent] | None = None,
    *,
    resolve: Resolver = resolved,
) -> AsyncGenerator[AgentPool]:
    async with AgentPool(
        lambda: directory, state_dir=tmp_path, home=FOLDER, clock=FixedClock(), in_process=in_process, resolve=resolve
    ) as pool:
        yield pool


def one_call(timeout_ms: int = 20_000, **changes: Any) -> AgentCall:
    call = AgentCall(
        process="p_x", call="post.1", contract="ledger.post@1.0.0", key="p_x/post/g1", timeout_ms=timeout_ms
    )
    return msgspec.structs.replace(call, **changes)


async def tool(pool: AgentPool, name: str, tool: str, timeout_ms: int = 20_000, **arguments: Any) -> Answer:
    return await pool.call(name, {"tool": tool}, arguments, one_call(timeout_ms))


async def failing(pool: AgentPool, name: str, tool_name: str, timeout_ms: int = 20_000) -> AgentCallError:
    with pytest.raises(AgentCallError) as raised:
        await tool(pool, name, tool_name, timeout_ms)
    return raised.value


async def until(condition: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait, bounded, for a condition that nobody announces."""
    with anyio.fail_after(within_s):
        while not condition():
            await anyio.sleep(0.01)


class Heard:
    """One request as the scripted server received it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Heard, SocketStream], Any]


class ScriptedServer:
    """A loopback HTTP server whose every byte the test chooses; one request per connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.heard: list[Heard] = []
        self.scripts: dict[str, Script] = {}

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
                await self._serve(stream)

    async def _serve(self, stream: SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        heard = Heard(head, body)
        while len(heard.body) < int(heard.headers.get("content-length", "0")):
            heard.body += await stream.receive()
        self.heard.append(heard)
        await self.scripts[heard.target.partition("?")[0]](heard, stream)


@asynccontextmanager
async def scripted_server() -> AsyncGenerator[ScriptedServer]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    server = ScriptedServer(listener.extra(SocketAttribute.local_port))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


def says(body: Any, *, status: int = 200, kind: str = "application/json", headers: str = "") -> Script:
    """A script that answers with a whole response. A body of bytes goes out as it is."""

    async def script(_heard: Heard, stream: SocketStream) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
        await stream.send(head.encode() + data)

    return script


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
