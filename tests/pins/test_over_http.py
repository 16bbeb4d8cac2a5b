"""Pins of MCP agents over HTTP: compared over the same connection, told of changes by a subscription."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from performing.fleet import Directory, agent, closed_port, one_call, until
from pins.test_watching import AGENTS, MINUTES, open_compared
from process_orchestrator.checking.documents.definitions import Transport
from process_orchestrator.checking.documents.pins import Pins, pin
from process_orchestrator.core.errors import AgentCallError
from process_orchestrator.core.facts.values import Effect

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(*flags: str) -> AsyncGenerator[str]:
    port = closed_port()
    command = [sys.executable, str(AGENTS / "shifty_http.py"), str(port), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with anyio.fail_after(20):
            while True:
                try:
                    await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    await anyio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("json",)], ids=["events", "json"])
async def test_a_change_over_http_is_told_or_found_at_the_next_connection(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    async with serving(*flags) as url:
        directory = Directory(agent("desk", Transport(kind="mcp_http", url=url, allow_loopback=True)))
        async with open_compared(directory, tmp_path, every_s=MINUTES) as pool:
            live = await pool.definitions("desk", timeout_s=10)
        assert set(live) == {"book", "look"}
        directory.pins = Pins(agents={"desk": {name: pin(each) for name, each in live.items()}})
        async with open_compared(directory, tmp_path, every_s=MINUTES) as pool:
            given = {"number": "7"}
            assert (await pool.call("desk", {"tool": "look"}, dict(given), one_call(effect=Effect.READ))).value
            assert (await pool.call("desk", {"tool": "book"}, dict(given), one_call(effect=Effect.WRITE))).value
            if not flags:  # an agent that answers in JSON alone has no way to tell
                await until(lambda: next(iter(pool.health())).pin == "missing: look")
            began = anyio.current_time()
        assert anyio.current_time() - began < 3, "an open subscription holds nobody up"
        async with open_compared(directory, tmp_path, every_s=MINUTES) as pool:
            with pytest.raises(AgentCallError) as raised:
                await pool.call("desk", {"tool": "look"}, dict(given), one_call(effect=Effect.READ))
            assert raised.value.code == "drifted"
