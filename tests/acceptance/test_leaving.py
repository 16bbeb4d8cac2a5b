"""Clients that leave or give up in the middle of a call, and servers that are told to end."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Literal

import anyio
import psutil
import pytest

from acceptance.driving import Connect, call, document, environment, run_cli, until_settled
from acceptance.engines import engine_of, events, gone, no_agents, postings
from acceptance.wire import wired
from process_orchestrator.home import Home

pytestmark = pytest.mark.anyio

END_S: Final = 3.0
ASSISTANT: Final = Path(__file__).with_name("assistant_program.py")
STRAIGHT: Final = {"process_type": "invoice_approval", "input": {"document": document("straight.xml")}}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stdin closed", "SIGTERM"])
@pytest.mark.skipif(os.name != "posix", reason="the signals are POSIX's")
async def test_a_server_told_to_end_ends_cleanly_and_leaves_nothing_running(home: Home, how: str) -> None:
    with wired(home) as wire:
        assert wire.call("submit_process", **STRAIGHT, wait_s=20)["status"] == "completed"
        family = psutil.Process(wire.server.pid).children(recursive=True)
        assert len(family) > 3
        began = time.perf_counter()
        if how == "SIGTERM":
            wire.server.send_signal(signal.SIGTERM)
        else:
            assert wire.server.stdin is not None
            wire.server.stdin.close()
        code = await anyio.to_thread.run_sync(lambda: wire.server.wait(20))
        took_s = time.perf_counter() - began
        print(f"{how}: ended after {took_s:.2f} s")
    assert code == 0
    assert took_s < END_S
    await gone(*family)
    await no_agents(home)
    assert not (home.state / "orchestrator.db-wal").exists(), "the journal was closed"
    assert not (home.state / "engine.sock").exists()
    assert run_cli(home, "verify")[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
async def test_an_assistant_killed_in_mid_call_leaves_no_server_and_a_process_that_the_next_one_ends(
    home: Home, connect: Connect
) -> None:
    """The program that started the server, and waits for its answer, is killed -9; nobody tells the server."""
    paths = os.pathsep.join((str(ASSISTANT.parents[1]), *sys.path))
    command = [sys.executable, str(ASSISTANT), str(home.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment() | {"PYTHONPATH": paths}
    ) as assistant:
        try:
            assert assistant.stdout is not None
            process_id = assistant.stdout.readline().strip()
            server = await engine_of(home)
            with anyio.fail_after(30):
                while "CallSucceeded extract.1" not in events(home, process_id):
                    await anyio.sleep(0.001)
            family = server.children(recursive=True)
        finally:
            assistant.kill()
    assert family
    await gone(server, *family)
    await no_agents(home)
    assert "OutputBuilt" not in events(home, process_id), "it was killed in the middle"
    async with connect() as client:
        assert (await until_settled(client, process_id))["status"] == "completed"
    assert postings(home, process_id) == [f"{process_id}/post/g1"]
    assert run_cli(home, "verify")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("leaving", ["submit_process", "get_state"])
async def test_a_client_that_hangs_up_in_mid_call_leaves_it_done_or_not_done(
    home: Home, connect: Connect, leaving: Literal["submit_process", "get_state"]
) -> None:
    async with connect() as client:
        engine = await engine_of(home)
        for number in range(3):
            key = f"{leaving} {number}"
            with wired(home) as wire:
                if leaving == "submit_process":
                    wire.ask("tools/call", name=leaving, arguments={**STRAIGHT, "idempotency_key": key})
                else:
                    process_id = wire.call("submit_process", **STRAIGHT, idempotency_key=key)["process_id"]
                    wire.ask("tools/call", name=leaving, arguments={"process_id": process_id, "wait_s": 20})
                wire.server.kill()
            view = await call(client, "submit_process", **STRAIGHT, idempotency_key=key)
            assert (await until_settled(client, view["process_id"]))["status"] == "completed"
        assert await engine_of(home) == engine
        assert len((await call(client, "list_processes"))["processes"]) == 3
    assert run_cli(home, "verify")[0] == 0


@pytest.mark.slow
async def test_calls_given_up_at_any_moment_are_done_or_not_done_and_the_server_works_on(
    home: Home, connect: Connect
) -> None:
    seed = 20261122
    draw = random.Random(seed)
    print(f"seed {seed}")
    async with connect() as client, connect() as door:
        for number in range(12):
            giving_up = client if number % 2 else door
            with anyio.move_on_after(draw.uniform(0, 0.02)):
                await giving_up.call_tool("submit_process", {**STRAIGHT, "idempotency_key": f"{number}", "wait_s": 20})
        views = [await call(client, "submit_process", **STRAIGHT, idempotency_key=f"{number}") for number in range(12)]
        for view in views:
            with anyio.move_on_after(draw.uniform(0, 0.02)):
                await door.call_tool("get_state", {"process_id": view["process_id"], "wait_s": 20})
        for view in views:
            assert (await until_settled(door, view["process_id"]))["status"] == "completed"
        assert len((await call(client, "list_processes", limit=50))["processes"]) == 12
    assert run_cli(home, "verify")[0] == 0
