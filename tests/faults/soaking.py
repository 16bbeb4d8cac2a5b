"""Soak: the simulation's world in real time, over real threads and a synced disk; engines are programs, killed -9.

Each engine program has clients, people and failing agents of its own seed, and writes what agents did and what was
acknowledged into a book beside the database, line by line. At last one engine lets everything end, and the whole is
judged. Run by hand as `./dev faults soak --minutes 10`; `python -m faults.soaking STATE SEED` is one engine program.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import anyio

from faults.catalogue import catalogue
from faults.disk import SimulatedJournal
from faults.network import Deed
from faults.simulation import Report, Setting, Simulation
from process_orchestrator.assemble import Fleet, open_engine
from process_orchestrator.core.facts.values import Decision
from process_orchestrator.core.ports import Host

BOOK: Final = "book.jsonl"
PROCESSES: Final = 40
HURRY_S, CALM_S = 30.0, 120.0


class Soak(Simulation):
    """A world whose engine is a real one; its books outlive it."""

    def __init__(self, setting: Setting, state: Path) -> None:
        super().__init__(setting, state)
        self.hurry_s, self.calm_s = HURRY_S, CALM_S
        self._book = state.parent / BOOK
        self._read()
        self._told = os.open(self._book, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.network.noted = lambda deed: self._note("deed", list(deed))

    def _note(self, what: str, value: Any) -> None:
        os.write(self._told, json.dumps([what, value]).encode() + b"\n")

    def _read(self) -> None:
        """What earlier engines wrote; of one that was killed the last line may be cut."""
        for line in self._book.read_bytes().splitlines() if self._book.exists() else []:
            what, value = json.loads(line)
            if what == "deed":
                self.network.remember(Deed(*value))
            elif what == "resolved":
                request, process, escalation, decision = value
                self.heard.resolved[request] = (process, escalation, Decision(decision))
            else:
                getattr(self.heard, what).add(value)

    async def live(self) -> None:
        """Be an engine among clients and people until killed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._life, 3600.0)
            tasks.start_soon(self._keep_books)

    async def _keep_books(self) -> None:
        """Note what was acknowledged, soon after: a line that is missing proves nothing, one that is there does."""
        noted = set[Any]()
        while True:
            heard = [("started", each) for each in self.heard.started]
            heard += [("cancelled", each) for each in self.heard.cancelled]
            heard += [("resolved", (request, *told)) for request, told in self.heard.resolved.items()]
            for what, value in set(heard) - noted:
                noted.add((what, value))
                self._note(what, value)
            await anyio.sleep(0.005)

    def engine(self) -> AbstractAsyncContextManager[tuple[Host, SimulatedJournal]]:
        return cast("AbstractAsyncContextManager[tuple[Host, SimulatedJournal]]", self._real_engine())

    @asynccontextmanager
    async def _real_engine(self) -> AsyncGenerator[tuple[Host, None]]:
        fleet = Fleet(lambda: catalogue().registry, home=self.disk.state, in_process=self.network.agents())
        async with open_engine(self.disk.state, fleet, listener=self._hear) as host:
            yield host, None

    async def end(self) -> None:
        """Let everything come to its end in a calm world, and judge it."""
        self.network.calm = True
        async with self.engine() as (host, _):
            await self._settle(host)
            await self._judge(host)


def setting_of(seed: int, *, processes: int = PROCESSES) -> Setting:
    return Setting(seed=seed, processes=processes, disk=False, kills=False, clock=False)


def soak(home: Path, *, seed: int, seconds: float, say: Callable[[str], None] = print) -> Report:
    """Engine programs one after the other, each killed -9 at a random moment; then the end of all, and judgement."""
    say(f"seed {seed}")
    state, draw, ends = home / "state", random.Random(seed), time.monotonic() + seconds
    state.mkdir(mode=0o700)
    engines = 0
    while time.monotonic() < ends:
        engines += 1
        command = [sys.executable, "-m", "faults.soaking", str(state), str(seed + engines)]
        paths = os.pathsep.join(str(each) for each in (Path(__file__).parents[1], Path(__file__).parents[2] / "server"))
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            program.stdout.readline()  # it has begun
            time.sleep(draw.random() * 4)
            program.kill()
    last = Soak(setting_of(seed, processes=0), state)
    anyio.run(last.end)
    last.report.kills = engines
    return last.report


async def _be_an_engine(state: Path, seed: int) -> None:
    world = Soak(setting_of(seed), state)
    print("ready", flush=True)
    await world.live()


if __name__ == "__main__":
    anyio.run(_be_an_engine, Path(sys.argv[1]), int(sys.argv[2]))
