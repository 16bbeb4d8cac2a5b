"""A client that is cancelled at any of its awaits finds its wish done or not done, never half."""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faults.crash_points import request
from faults.disk import Disk
from faults.engines import MEMORY, World, everyone, settled, simulated_engine
from faults.network import SteadyNetwork
from faults.people import steady
from faults.virtual_time import VirtualClock, run_virtual
from process_orchestrator.conformance import gaps, violations
from process_orchestrator.core.facts.events import CancelRequested
from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.ports import Bodies, Host
from process_orchestrator.hosting.verification import verify_now

STEPS_MAX = 400
"""More loop steps than any of these requests takes."""


async def cut_off(ask: Callable[[], Awaitable[Any]], after: int) -> bool:
    """Ask, and cancel the asking after some steps of the loop. Whether it was done before."""
    asking = asyncio.ensure_future(ask())
    for _ in range(after):
        if asking.done():
            break
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    done = asking.done()
    asking.cancel()
    await asyncio.wait([asking])
    return done


async def lived(state: Path, after: int) -> tuple[bool, str]:
    """Start, answer, look and cancel, each cut off after so many steps and asked again. Whether all were done first."""
    network, draw = SteadyNetwork({}), random.Random(after)
    world = World(disk=Disk(state=state, draw=draw), clock=VirtualClock(draw), agents=network.agents())
    spec, bodies = request("approval")
    async with simulated_engine(world) as (host, _):
        done = [await cut_off(lambda: host.start(spec, bodies), after)]
        started = await host.start(spec, bodies)
        process = started.spec.process_id
        assert await everyone(host) == [process]
        asking = await asked(host, process)
        decided = steady(asking, next(iter(asking.escalations.values())), [])
        event = decided.event

        async def resolve() -> Any:
            return await host.deliver(process, event, decided.bodies, request_id=event.request_id, proof=decided.proof)

        done.append(await cut_off(resolve, after))
        resolved = await resolve()
        kept = resolved.escalations[event.escalation].resolution
        assert kept is not None
        assert kept.request_id == event.request_id
        done.append(await cut_off(lambda: host.state(process), after))
        whim = CancelRequested(at=0, by="client", reason="a whim", request_id="whim")

        async def cancel() -> Any:
            return await host.deliver(process, whim, Bodies(), request_id="whim", proof=None)

        done.append(await cut_off(cancel, after))
        state_now = await cancel()
        while not state_now.finished:
            state_now = await host.wait(process, since=state_now.seq, timeout_s=10)
        seen, rows = await settled(host, process)
        assert gaps(rows) == ()
        assert violations([each for row in rows for each in row.events], projection=seen) == ()
    assert verify_now(state).ok
    return all(done), seen.status.value


async def asked(host: Host, process: str) -> Any:
    state = await host.state(process)
    while state.status is not Status.WAITING_HUMAN:
        state = await host.wait(process, since=state.seq, timeout_s=10)
    return state


@pytest.mark.behaviour("P3")
@pytest.mark.behaviour("P4-same")
def test_a_client_may_be_cancelled_at_every_await() -> None:
    complaints: list[str] = []
    for after in range(STEPS_MAX):
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            done, status = run_virtual(partial(lived, Path(folder), after), complain=complaints.append)
        assert status in ("completed", "cancelled")
        assert complaints == []
        if done:
            assert after > 10
            return
    pytest.fail("the requests never ended")
