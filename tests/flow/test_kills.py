"""An engine that is killed while a child runs, and while a round waits: what was done stays done, and once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flow.home import PATIENCE_S, SYSTEM_CLOCK, Agents, Flow, open_flow
from flow.types_for_kills import LIST, PART, POLL, WHOLE
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Status

TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def engine(folder: Path, *arguments: str) -> Generator[str]:
    """A program that drives; killed -9 when this context ends. Gives the process that it started."""
    paths = os.pathsep.join((str(TESTS), str(TESTS.parent / "server")))
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("flow_program.py")), str(folder), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as running:
        assert running.stdout is not None
        try:
            yield running.stdout.readline().strip()
        finally:
            running.send_signal(signal.SIGKILL)
            running.wait(timeout=10)


def effects(folder: Path) -> list[str]:
    log = folder.parent / "effects.log"
    return log.read_text().splitlines() if log.exists() else []


def until_effects(folder: Path, count: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while len(effects(folder)) < count:
        assert time.monotonic() < end, effects(folder)
        time.sleep(0.02)


async def ended(flow: Flow, process: str) -> Process:
    state = await flow.ended(process)
    await flow.is_sound(process)
    return state


async def test_a_child_whose_engine_is_killed_goes_on_under_its_key_and_its_parent_hears_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with engine(folder, "whole", "{}") as process:
        until_effects(folder, 1)
    with engine(folder):
        until_effects(folder, 2)
    async with open_flow(folder, PART, WHOLE, LIST, POLL, agents=Agents(), clock=SYSTEM_CLOCK) as flow:
        state = await ended(flow, process)
        assert state.status is Status.COMPLETED
        child = state.units["part"].child
        assert child is not None
        assert (await ended(flow, child)).status is Status.COMPLETED
        assert set(effects(folder)) == {f"{child}/add/g1"}
        assert flow.agents.asked == [("adder", f"{child}/add/g1"), ("adder", f"{process}/add/g1")]


@pytest.mark.parametrize("rounds", range(3))
async def test_every_child_of_a_list_ends_once_however_often_the_engine_is_killed(tmp_path: Path, rounds: int) -> None:
    folder = tmp_path / "state"
    with engine(folder, "lists", '{"amounts": [1, 2, 3, 4, 5, 6]}') as process:
        until_effects(folder, 1 + rounds)
    (tmp_path / "go").touch()
    with engine(folder):
        until_effects(folder, 4 + rounds)
    async with open_flow(folder, PART, WHOLE, LIST, POLL, agents=Agents(), clock=SYSTEM_CLOCK) as flow:
        state = await ended(flow, process)
        assert state.status is Status.COMPLETED
        children = [unit.child for unit in state.units.values() if unit.child is not None]
        assert len(set(children)) == 6
        for child in children:
            assert (await ended(flow, child)).status is Status.COMPLETED
        seen = Counter([*effects(folder), *(key for _, key in flow.agents.asked)])
        assert set(seen) == {f"{child}/add/g1" for child in children}
        assert state.usd_micros == 600_000


async def test_a_round_that_waits_when_the_engine_is_killed_is_called_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with engine(folder, "poll", "{}") as process:
        until_effects(folder, 1)
    with engine(folder):
        until_effects(folder, 3)
    async with open_flow(folder, PART, WHOLE, LIST, POLL, agents=Agents(), clock=SYSTEM_CLOCK) as flow:
        state = await ended(flow, process)
        assert state.status is Status.COMPLETED
        keys = [key for key in effects(folder) if key.endswith(("#1/g1", "#2/g1"))]
        assert max(Counter(keys).values()) <= 2
