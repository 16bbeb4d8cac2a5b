"""Several programs at one home: one engine, the others its doors; one takes over; foreign and frozen engines."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import anyio
import msgspec
import pytest
from mcp import Client

from acceptance.driving import PROGRAM, Connect, call, document, environment, run_cli, until_settled
from acceptance.engines import Watch, agents, engine_of, events, no_agents, postings, servers
from process_orchestrator.home import Home
from process_orchestrator.hosting.lock import try_lock

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(os.name != "posix", reason="the engine's socket is POSIX's")]

TAKEOVER_S: Final = 3.0
STRAIGHT: Final = {"process_type": "invoice_approval", "input": {"document": document("straight.xml")}}


async def submit(client: Client, **arguments: Any) -> str:
    return (await call(client, "submit_process", **STRAIGHT, **arguments))["process_id"]


def assert_verified(home: Home) -> None:
    code, report, _ = run_cli(home, "verify")
    assert (code, report["ok"]) == (0, True), report


@pytest.mark.slow
@pytest.mark.behaviour("P6-one")
@pytest.mark.behaviour("P6-takeover")
async def test_the_second_server_answers_beside_the_engine_and_takes_over_when_it_is_killed(
    home: Home, connect: Connect
) -> None:
    async with connect(), connect() as door:
        engine = await engine_of(home)
        assert len(servers(home)) == 2
        process_id = await submit(door)
        began = await Watch(server=engine, seen=lambda: "CallPrepared vendor.1" in events(home, process_id)).kill()
        view = await call(door, "get_state", process_id=process_id)
        took_s = time.perf_counter() - began
        assert view["status"] == "running"
        assert took_s < TAKEOVER_S
        settled = await until_settled(door, process_id)
        print(f"takeover {took_s:.2f} s, ended {time.perf_counter() - began:.2f} s after the kill")
        assert settled["status"] == "completed"
        successor = await engine_of(home)
        assert successor != engine
        assert all(agent.ppid() == successor.pid for agent in agents(home))
    assert postings(home, process_id) == [f"{process_id}/post/g1"]
    assert "EngineResumed" in events(home, process_id)
    assert_verified(home)


@asynccontextmanager
async def many(connect: Connect, count: int) -> AsyncGenerator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect()) for _ in range(count)]


@pytest.mark.slow
async def test_ten_servers_answer_and_lose_nothing_when_the_engine_is_killed(home: Home, connect: Connect) -> None:
    async with many(connect, 10) as clients:
        engine = await engine_of(home)
        assert servers(home)[0] == engine
        doors = clients[1:]
        submitted = [await submit(client, label=f"door {number}") for number, client in enumerate(clients)]
        engine.kill()
        began = time.perf_counter()
        answered: list[float] = []

        async def ask(client: Client, process_id: str) -> None:
            await call(client, "get_state", process_id=process_id)
            answered.append(time.perf_counter() - began)

        async with anyio.create_task_group() as tasks:
            for client, process_id in zip(doors, submitted, strict=False):
                tasks.start_soon(ask, client, process_id)
        print(f"all nine doors answered {max(answered):.2f} s after the kill")
        assert max(answered) < TAKEOVER_S
        submitted += [await submit(client) for client in doors]
        for number, process_id in enumerate(submitted):
            view = await until_settled(doors[number % len(doors)], process_id)
            assert view["status"] == "completed"
        assert await engine_of(home) != engine
    assert [len(postings(home, process_id)) for process_id in submitted] == [1] * len(submitted)
    assert_verified(home)


@pytest.mark.slow
async def test_a_frozen_engine_is_reported_and_never_joined_by_a_second_writer(home: Home, connect: Connect) -> None:
    async with connect() as first, connect() as door:
        process_id = await submit(first)
        await until_settled(first, process_id)
        engine = await engine_of(home)
        engine.send_signal(signal.SIGSTOP)
        try:
            began = time.perf_counter()
            refused = await door.call_tool("submit_process", {**STRAIGHT, "idempotency_key": "while frozen"})
            took_s = time.perf_counter() - began
            print(f"ENGINE_UNAVAILABLE after {took_s:.2f} s")
            assert isinstance(refused.structured_content, dict)
            assert refused.structured_content["error"]["code"] == "ENGINE_UNAVAILABLE"
            assert took_s < 7
            assert try_lock(home.state) is None
            code, printed, _ = run_cli(home, "cancel", process_id)
            assert (code, printed["error"]["code"]) == (4, "ENGINE_UNAVAILABLE")
            assert run_cli(home, "state", process_id)[1]["status"] == "completed"
        finally:
            engine.send_signal(signal.SIGCONT)
        again = await submit(door, idempotency_key="while frozen")
        assert (await until_settled(door, again))["status"] == "completed"
        assert await engine_of(home) == engine
    assert postings(home, again) == [f"{again}/post/g1"]
    assert_verified(home)


@asynccontextmanager
async def foreign_engine(home: Home) -> AsyncGenerator[None]:
    """Holds the home as an engine of another protocol would: the lock, the socket, and a greeting of its own."""
    lock = try_lock(home.state)
    assert lock is not None
    said = msgspec.msgpack.encode({"protocol": 99, "version": "9.9.9", "pid": 4242, "token": ""})

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
        writer.write(len(said).to_bytes(4, "big") + said)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(greet, home.state / "engine.sock")
    try:
        yield
    finally:
        server.close()
        lock.close()


@pytest.mark.slow
async def test_an_engine_of_another_version_is_named_with_what_to_do(home: Home) -> None:
    input_file = home.path / "invoice.json"
    input_file.write_text(json.dumps(STRAIGHT["input"]), encoding="utf-8")
    async with foreign_engine(home):
        code, printed, _ = await anyio.to_thread.run_sync(
            lambda: run_cli(home, "submit", "invoice_approval", "--input", str(input_file))
        )
        assert (code, printed["error"]["code"]) == (4, "ENGINE_VERSION")
        assert "engine 9.9.9 (pid 4242) holds this home" in printed["error"]["message"]
        assert "use the 9.9.9 command" in printed["error"]["do"]
        served = await anyio.run_process(
            [str(PROGRAM), "serve", "--home", str(home.path)], check=False, env=environment(), input=b""
        )
        assert served.returncode == 4
        assert served.stderr.decode().startswith("ENGINE_VERSION: engine 9.9.9 (pid 4242) holds this home")
        assert served.stdout == b""


async def test_the_engine_names_itself_to_a_door_of_another_version_and_hangs_up(home: Home, connect: Connect) -> None:
    async with connect() as client:
        engine = await engine_of(home)
        async with await anyio.connect_unix(home.state / "engine.sock") as stream:
            said = msgspec.msgpack.encode({"protocol": 99, "version": "9.9.9", "pid": 1, "token": ""})
            await stream.send(len(said).to_bytes(4, "big") + said)
            answer = msgspec.msgpack.decode((await stream.receive())[4:])
            assert (answer["pid"], answer["protocol"]) == (engine.pid, 1)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
        assert (await call(client, "list_processes"))["processes"] == []


@pytest.mark.slow
async def test_what_is_submitted_without_an_engine_is_driven_by_the_next_one(home: Home, connect: Connect) -> None:
    input_file = home.path / "invoice.json"
    input_file.write_text(json.dumps(STRAIGHT["input"]), encoding="utf-8")
    code, submitted, _ = run_cli(home, "submit", "invoice_approval", "--input", str(input_file))
    assert (code, submitted["status"]) == (0, "queued")
    process_id = submitted["process_id"]
    assert servers(home) == []
    await no_agents(home)
    code, seen, _ = run_cli(home, "state", process_id)
    assert (code, seen["status"]) == (0, "queued")
    async with connect() as client:
        assert (await until_settled(client, process_id))["status"] == "completed"
        code, seen, _ = run_cli(home, "state", process_id)
        assert (code, seen["status"]) == (0, "completed")
    assert_verified(home)
