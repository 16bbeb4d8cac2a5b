"""The servers of a home, seen from outside: who is the engine, how far its work is, what it leaves behind."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec
import psutil

from process_orchestrator.home import Home
from process_orchestrator.hosting.packing import unpack

LOOK_S: Final = 0.001
"""How often a moment is looked for: far below the time that a step takes."""
GONE_S: Final = 3.0
"""From the end of an engine until nothing that it started may live."""


@contextmanager
def tables(home: Home, name: str) -> Generator[sqlite3.Connection]:
    """A database of the home, opened for reading alone."""
    with closing(sqlite3.connect(f"{(home.state / name).as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        yield connection


def events(home: Home, process_id: str) -> list[str]:
    """The events of a process so far, as its journal has them: `CallSucceeded extract.1`, `EngineResumed`."""
    with tables(home, "orchestrator.db") as journal:
        turns = journal.execute("SELECT turn FROM journal WHERE process = ? ORDER BY seq", (process_id,)).fetchall()
    found = [event for (turn,) in turns for event in msgspec.json.decode(unpack(turn))["events"]]
    return [f"{event['type']} {event.get('call') or ''}".strip() for event in found]


def postings(home: Home, process_id: str) -> list[str]:
    """The keys under which the ledger has booked for a process."""
    try:
        with tables(home, "ledger.db") as books:
            rows = books.execute("SELECT request_id FROM posting WHERE request_id LIKE ?", (f"{process_id}/%",))
            return [key for (key,) in rows]
    except sqlite3.OperationalError:  # nothing was ever booked
        return []


def servers(home: Home) -> list[psutil.Process]:
    """Every `serve` on a home, oldest first."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "serve" in words and str(home.path) in words:
            found.append(process)
    return sorted(found, key=lambda process: process.create_time())


def agents(home: Home) -> list[psutil.Process]:
    """Every program that was started from the home's registry."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            folder = process.cwd()
        except psutil.Error:
            continue
        if folder.startswith(str(home.path / "agents_registry")) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


async def engine_of(home: Home, *, timeout_s: float = 15) -> psutil.Process:
    """The server that answers at the home's socket."""
    with anyio.fail_after(timeout_s):
        while True:
            try:
                return psutil.Process((await greeting(home))["pid"])
            except (OSError, anyio.EndOfStream, anyio.IncompleteRead, psutil.NoSuchProcess):
                await anyio.sleep(0.02)


async def greeting(home: Home, **hello: Any) -> dict[str, Any]:
    """What the engine says to a door that introduces itself so."""
    async with await anyio.connect_unix(home.state / "engine.sock") as stream:
        said = msgspec.msgpack.encode({"protocol": 1, "version": "0.0.0", "pid": os.getpid(), "token": ""} | hello)
        await stream.send(len(said).to_bytes(4, "big") + said)
        return msgspec.msgpack.decode((await stream.receive())[4:])


async def gone(*processes: psutil.Process) -> None:
    """Wait until some processes have ended; whatever still runs then is a failed test, and is ended."""
    with anyio.move_on_after(GONE_S):
        while any(lives(process) for process in processes):
            await anyio.sleep(0.02)
    alive = [process for process in processes if lives(process)]
    for left in alive:
        left.kill()
    assert not alive


def lives(process: psutil.Process) -> bool:
    """Whether it runs. Looks only: to wait for a child is the business of who started it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def no_agents(home: Home) -> None:
    """Wait until no agent of the home runs."""
    with anyio.move_on_after(GONE_S):
        while agents(home):
            await anyio.sleep(0.02)
    assert [process.cmdline() for process in agents(home)] == []


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Kills a server in the moment in which something is seen."""

    server: psutil.Process
    seen: Callable[[], bool]

    async def kill(self, *, timeout_s: float = 30) -> float:
        """When it was killed, as `time.perf_counter` has it; returns once nothing that it started lives."""
        killed_at, family = await anyio.to_thread.run_sync(self._kill, timeout_s)
        await gone(self.server, *family)
        return killed_at

    def _kill(self, timeout_s: float) -> tuple[float, list[psutil.Process]]:
        until = time.monotonic() + timeout_s
        while not self.seen():
            assert time.monotonic() < until, "the moment never came"
            time.sleep(LOOK_S)
        family = self.server.children(recursive=True)
        self.server.kill()
        return time.perf_counter(), family
