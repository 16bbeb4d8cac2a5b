"""Random plans, random agents, random people, an engine that ends at random: every law must hold all the while."""

import random
import time
from functools import partial
from pathlib import Path

import anyio
import pytest

from hosting.soaking import KEYED, UNSAFE, World
from process_orchestrator.conformance import gaps, violations
from process_orchestrator.core.errors import RefusedError
from process_orchestrator.core.facts.events import EscalationResolved, Event
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Decision
from process_orchestrator.core.ports import EscalationQuery, Host, JournalRow, ProcessQuery
from process_orchestrator.hosting.verification import verify

ENGINE_S = 1.2
SETTLE_S = 30.0


async def journal_of(host: Host, process: str) -> list[JournalRow]:
    rows: list[JournalRow] = []
    after = 0
    while True:
        page = await host.journal(process, after=after, limit=1000)
        rows.extend(page.items)
        if page.next is None:
            return rows
        after = int(page.next)


async def people(world: World, host: Host, *, abort: bool = False) -> None:
    """Decide whatever is open, as it comes; `abort` ends it instead."""
    while True:
        page = await host.escalations(EscalationQuery(limit=100))
        for row in page.items:
            state = await host.state(row.process_id)
            escalation = state.escalations.get(row.escalation_id)
            if escalation is None:  # listed from the disk a moment before the engine shows it
                continue
            offered = list(escalation.decisions)
            decision = Decision.ABORT if abort else world.draw.choice(offered)
            if decision is Decision.ABORT and not abort and world.draw.random() < 0.8:
                decision = offered[0]
            try:
                await world.decide(host, state, escalation, decision)
            except RefusedError as refused:
                world.refused[refused.code] += 1
        await anyio.sleep(0.01)


async def whims(world: World, host: Host) -> None:
    """Start processes and cancel some, at any moment."""
    while True:
        state = await world.start(host)
        if world.draw.random() < 0.1:
            await anyio.sleep(world.draw.random() * 0.05)
            await world.cancel(host, state.spec.process_id)
        await anyio.sleep(world.draw.random() * 0.02)


async def live_through(world: World, state: Path, seconds: float) -> None:
    """Engine after engine; each ends in the middle of whatever goes on."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        async with world.engine(state) as host, anyio.create_task_group() as tasks:
            tasks.start_soon(people, world, host)
            tasks.start_soon(whims, world, host)
            await anyio.sleep(world.draw.random() * ENGINE_S)
            tasks.cancel_scope.cancel()


async def settle(world: World, host: Host) -> list[str]:
    """Answer everything until all have ended; who has not is stuck."""
    left = await everyone(host)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(people, world, host)
        with anyio.move_on_after(SETTLE_S / 2):
            left = await ended(host, left)
        tasks.start_soon(partial(people, world, host, abort=True))
        with anyio.move_on_after(SETTLE_S / 2):
            left = await ended(host, left)
        tasks.cancel_scope.cancel()
    return left


async def everyone(host: Host) -> list[str]:
    """Every process, also those whose start nobody was there to hear acknowledged."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await host.processes(ProcessQuery(limit=100, cursor=cursor))
        found += [row.process_id for row in page.items]
        if page.next is None:
            return found
        cursor = page.next


async def ended(host: Host, processes: list[str]) -> list[str]:
    for process in list(processes):
        state = await host.state(process)
        while not state.finished:
            state = await host.wait(process, since=state.seq, timeout_s=5)
        processes.remove(process)
    return processes


def wrongs(world: World, process: str, rows: list[JournalRow], state: Process) -> list[str]:
    events: list[Event] = [event for row in rows for event in row.events]
    found = [str(each) for each in (*gaps(rows), *violations(events, projection=state))]
    fresh = {event.escalation for event in events if isinstance(event, EscalationResolved) and event.fresh_key}
    again = {
        state.escalations[event.escalation].unit
        for event in events
        if isinstance(event, EscalationResolved) and event.decision is Decision.RETRY
    }
    for unit in state.units.values():
        done = [key for (name, key), _ in world.effects.items() if name == f"{process}/{unit.id}"]
        times = sum(times for (name, _), times in world.effects.items() if name == f"{process}/{unit.id}")
        step = state.plan.steps[unit.place] if state.plan else None
        contract = step.contract.name if step and step.contract else ""
        if contract in KEYED and len(done) > 1 and not fresh:
            found.append(f"{unit.id} was booked under {done}")
        if contract == UNSAFE and times > 1 and unit.id not in again:
            found.append(f"{unit.id} was sent {times} times, nobody asked for it")
    return [f"{process}: {each}" for each in found]


async def soak(state: Path, *, seed: int, seconds: float, types: int) -> World:
    print(f"seed {seed}")
    world = World(seed, types=types)
    await live_through(world, state, seconds)
    found: list[str] = []
    async with world.engine(state) as host:
        stuck = await settle(world, host)
        for process in stuck:
            seen = await host.state(process)
            phases = {unit.id: unit.phase.value for unit in seen.units.values()}
            found.append(f"{process} is {seen.status} ({seen.why}): {phases}")
        live = {process: await host.state(process) for process in await everyone(host)}
        for process, seen in live.items():
            found += wrongs(world, process, await journal_of(host, process), seen)
    async with world.engine(state) as host:
        found += [f"{each} folds otherwise" for each, seen in live.items() if await host.state(each) != seen]
    report = await verify(state)
    assert found == [], f"seed {seed}: {found[:10]} ({len(found)})"
    assert report.ok, f"seed {seed}: {report.first_bad}"
    return world


@pytest.mark.behaviour("P2-once")
@pytest.mark.anyio
async def test_a_short_soak_breaks_no_law(state: Path) -> None:
    world = await soak(state, seed=20261, seconds=4, types=12)
    assert world.asked_for > 20
    assert len(world.decided) > 5


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_long_soak_from_a_new_seed_breaks_no_law(state: Path) -> None:
    world = await soak(state, seed=random.SystemRandom().randrange(1_000_000), seconds=60, types=40)
    assert world.asked_for > 300
    assert len(world.decided) > 7
