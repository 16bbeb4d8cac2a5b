"""Programs that we start: supervised, ended with us, none left behind however we end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import psutil
import pytest

from performing.fleet import FOLDER, Directory, agent, local_http, one_call, open_pool, stdio, tool, until
from process_orchestrator.checking.documents.definitions import Transport
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.performing.child_process import KILL_GRACE_S, LOG_BYTES_MAX, ChildLog

GET = {"method": "GET", "path": "/x"}


async def test_a_local_http_agent_is_started_on_a_free_port_and_ended_with_the_pool(tmp_path: Path) -> None:
    async with open_pool(Directory(local_http()), tmp_path) as pool:
        first = (await pool.call("local", GET, {}, one_call())).value["pid"]
        second = (await pool.call("local", GET, {}, one_call())).value["pid"]
        assert first == second
        assert pool.health()[0].pid == first
        began = time.monotonic()
    assert not psutil.pid_exists(first)
    assert time.monotonic() - began < KILL_GRACE_S / 2, "it was asked to end, not left to notice"


async def test_a_local_http_agent_that_crashed_is_started_anew_by_the_next_call(tmp_path: Path) -> None:
    async with open_pool(Directory(local_http()), tmp_path) as pool:
        first = (await pool.call("local", GET, {}, one_call())).value["pid"]
        with pytest.raises(AgentCallError) as raised:
            await pool.call("local", {"method": "GET", "path": "/die"}, {}, one_call())
        assert raised.value.code == "lost"
        await until(lambda: pool.health()[0].pid is None)
        assert (await pool.call("local", GET, {}, one_call())).value["pid"] != first
        assert "dying now" in (tmp_path / "logs" / "local.log").read_text()


async def test_a_local_http_agent_that_does_not_come_up_was_not_reached(tmp_path: Path) -> None:
    async with open_pool(Directory(local_http("never")), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("local", GET, {}, one_call())
    assert raised.value.code == "unreachable"
    assert "exit status 5" in raised.value.message
    assert "no licence" in str(raised.value.stderr)


async def test_leaving_the_pool_ends_even_an_agent_that_ignores_every_request_to_end(tmp_path: Path) -> None:
    async with open_pool(Directory(stdio("breeder", "breeder.py")), tmp_path) as pool:
        child = (await tool(pool, "breeder", "any")).value["child"]
        parent = pool.health()[0].pid
        assert parent is not None
    assert not psutil.pid_exists(parent)
    await until(lambda: gone(child))


def test_kill_9_of_the_engine_leaves_no_agent(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(FOLDER / "small_engine.py"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as engine:
        assert engine.stdout is not None
        pids = json.loads(engine.stdout.readline())
        assert len(pids) == 4
        assert not any(gone(pid) for pid in pids)
        engine.send_signal(signal.SIGKILL)
    left = psutil.wait_procs([psutil.Process(pid) for pid in pids if not gone(pid)], timeout=5)[1]
    assert [process for process in left if not gone(process.pid)] == []


def gone(pid: int) -> bool:
    """Whether a process has ended; an ended one that nobody has waited for counts."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_an_agents_log_rotates_once_and_keeps_both_parts_bounded(tmp_path: Path) -> None:
    class Lines:
        def __init__(self) -> None:
            self.left = 3000

        async def receive(self, max_bytes: int = 65536) -> bytes:
            if not self.left:
                raise anyio.EndOfStream
            self.left -= 1
            return b"w" * 999 + b"\n"

    log = ChildLog(tmp_path / "logs" / "talker.log", mask=str)
    await log.pump(Lines())  # pyright: ignore[reportArgumentType]  the part of a stream that is read
    sizes = sorted(file.stat().st_size for file in (tmp_path / "logs").iterdir())
    assert [file.name for file in sorted((tmp_path / "logs").iterdir())] == ["talker.log", "talker.log.1"]
    assert sizes[-1] <= LOG_BYTES_MAX
    assert str(log.tail()).count("\n") == 19


async def test_a_local_agent_without_a_ready_path_is_ready_when_its_port_opens(tmp_path: Path) -> None:
    whole = local_http()
    bare = Transport(kind="http", url="http://127.0.0.1:{port}", start_command=whole.transport.start_command)
    async with open_pool(Directory(agent("local", bare)), tmp_path) as pool:
        assert "pid" in (await pool.call("local", GET, {}, one_call())).value


async def test_a_local_agent_whose_program_is_not_there_was_not_reached(tmp_path: Path) -> None:
    missing = Transport(kind="http", url="http://127.0.0.1:{port}", start_command=("/nowhere/at-all",))
    async with open_pool(Directory(agent("local", missing)), tmp_path) as pool:
        with pytest.raises(AgentCallError) as raised:
            await pool.call("local", GET, {}, one_call())
    assert (raised.value.code, "does not start" in raised.value.message) == ("unreachable", True)
