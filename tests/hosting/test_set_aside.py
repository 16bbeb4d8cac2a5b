"""A process that the engine set aside after a fault says so, and nothing else is harmed; the next engine tries again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest

from hosting.scripted import CLOCK, Script, chain, finished, run, spec, trust
from process_orchestrator.core.facts.events import CallSucceeded, Event
from process_orchestrator.core.facts.state import Process, Transition
from process_orchestrator.core.facts.values import Status
from process_orchestrator.core.ports import Bodies, Host, ProcessQuery, ProcessRow
from process_orchestrator.core.process import apply
from process_orchestrator.hosting.folding import CORE, Core
from process_orchestrator.hosting.open_host import HostParts, open_host
from process_orchestrator.hosting.verification import verify


def faulty(state: Process | None, event: Event) -> Transition:
    """The core with a fault of ours in it, for processes of one label."""
    if state is not None and state.spec.label == "bad" and isinstance(event, CallSucceeded):
        raise ZeroDivisionError("a fault of ours")
    return apply(state, event)


@asynccontextmanager
async def engine(state: Path, core: Core = CORE) -> AsyncGenerator[Host]:
    parts = HostParts(state=state, build_performer=Script().build, clock=CLOCK, verify_proof=trust, core=core)
    async with open_host(parts) as host:
        yield host


async def row_of(host: Host, process: str) -> ProcessRow:
    (row,) = (await host.processes(ProcessQuery(prefix=process))).items
    return row


async def set_aside(host: Host) -> str:
    started = await host.start(msgspec.structs.replace(spec(chain(2)), label="bad"), Bodies())
    process = started.spec.process_id
    with anyio.fail_after(20):
        while not (await row_of(host, process)).set_aside:
            await host.wait(process, since=started.seq, timeout_s=0.05)
    return process


@pytest.mark.behaviour("set-aside")
@pytest.mark.anyio
async def test_a_process_that_was_set_aside_says_so_until_an_engine_goes_on_with_it(state: Path) -> None:
    async with engine(state, replace(CORE, apply=faulty)) as host:
        process = await set_aside(host)
        assert (await host.state(process)).status is Status.RUNNING
        other = await run(host, chain(2))
        assert not (await row_of(host, other.spec.process_id)).set_aside
    assert (await verify(state)).ok
    async with engine(state) as host:
        assert (await finished(host, process)).status is Status.COMPLETED
        assert not (await row_of(host, process)).set_aside
    assert (await verify(state)).ok
