"""When the disk is full, a caller leaves, or a row does not fit: what was acknowledged stays, and writing goes on."""

import gc
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from hosting.scripted import Script, chain, finished, opened, resolution, run, spec, until
from process_orchestrator.core.errors import StorageError, StorageFullError
from process_orchestrator.core.facts.commands import InvokeAgent
from process_orchestrator.core.facts.events import CancelRequested, Event
from process_orchestrator.core.facts.specs import Gate
from process_orchestrator.core.facts.state import Process
from process_orchestrator.core.facts.values import Assurance, Decision, Status
from process_orchestrator.core.ports import Bodies, Host, ProcessQuery
from process_orchestrator.hosting.journal import Journal
from process_orchestrator.hosting.live import Live
from process_orchestrator.hosting.verification import verify
from process_orchestrator.hosting.writer import Lane, TurnWrite

if sys.platform != "win32":
    import resource

ASKS_FIRST = Gate(role="approver", min_assurance=Assurance.A0)
posix = pytest.mark.skipif(os.name != "posix", reason="file-size limits are POSIX's")


@contextmanager
def no_room(state: Path) -> Generator[None]:
    """No file of this program may grow beyond the size that the log has now."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((state / "orchestrator.db-wal").stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def parked(host: Host) -> str:
    started = await host.start(spec(chain(1)), Bodies())
    process = started.spec.process_id
    await until(host, process, lambda seen: seen.status is Status.WAITING_HUMAN)
    return process


@posix
@pytest.mark.anyio
async def test_a_full_disk_refuses_by_name_keeps_what_was_acknowledged_and_writes_again_alone(state: Path) -> None:
    async with opened(state) as host:
        before = await run(host, chain(2))
        with no_room(state):
            with pytest.raises(StorageFullError):
                await host.start(spec(chain(2), key="k"), Bodies())
            assert await host.state(before.spec.process_id) == before
        again = await host.start(spec(chain(2), key="k"), Bodies())
        assert (await finished(host, again.spec.process_id)).status is Status.COMPLETED
    assert (await verify(state)).ok


@posix
@pytest.mark.anyio
async def test_an_answer_that_met_a_full_disk_is_kept_and_its_process_goes_on_without_asking_again(state: Path) -> None:
    began, release = anyio.Event(), anyio.Event()

    async def work(call: InvokeAgent, delivery: int) -> Event | None:
        began.set()
        await release.wait()
        return None

    script = Script(work=work)
    async with opened(state, script) as host:
        started = await host.start(spec(chain(2)), Bodies())
        process = started.spec.process_id
        await began.wait()
        with no_room(state):
            release.set()
            with pytest.raises(StorageFullError):
                await host.start(spec(chain(1)), Bodies())
            assert (await host.state(process)).seq == started.seq
        assert (await finished(host, process)).status is Status.COMPLETED
    assert script.calls == [("s0.1", 1), ("s1.1", 1)]
    assert (await verify(state)).ok


@posix
@pytest.mark.anyio
async def test_a_resolution_that_met_a_full_disk_was_not_let_in_and_may_be_sent_again(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        process = await parked(host)
        (escalation,) = (await host.state(process)).escalations
        event = resolution(escalation, Decision.APPROVE)
        with no_room(state), pytest.raises(StorageFullError):
            await host.deliver(process, event, Bodies(), request_id="r1", proof=None)
        await host.deliver(process, event, Bodies(), request_id="r1", proof=None)
        assert (await finished(host, process)).status is Status.COMPLETED
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_a_row_that_does_not_fit_takes_only_its_own_process_with_it(state: Path) -> None:
    told: dict[str, StorageError | None] = {}
    everything = anyio.Event()

    def row(lane: Lane, process: str, seq: int, name: str) -> TurnWrite:
        def done(error: StorageError | None) -> None:
            told[name] = error
            if len(told) == 5:
                everything.set()

        return TurnWrite(lane=lane, process=process, seq=seq, at=1, turn=b"{}", done=done)

    one, other = Lane(), Lane()
    async with Journal(state) as journal:
        journal.append(row(one, "p_one", 1, "first"))
        journal.append(row(one, "p_one", 1, "the same again"))
        journal.append(row(one, "p_one", 2, "after it"))
        journal.append(row(other, "p_other", 1, "another process"))
        journal.append(row(Lane(), "p_one", 2, "folded again"))
        with anyio.fail_after(10):
            await everything.wait()
        assert journal.head[0] == 3
    assert {name: error is None for name, error in told.items()} == {
        "first": True,
        "the same again": False,
        "after it": False,
        "another process": True,
        "folded again": True,
    }


@pytest.mark.anyio
async def test_a_caller_who_leaves_finds_the_thing_done_or_not_done(state: Path) -> None:
    async def leave(ask: Callable[[], Coroutine[Any, Any, Process]], after: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            for _ in range(after):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        for turns in range(12):
            key = f"left after {turns}"
            start = partial(host.start, spec(chain(1), key=key), Bodies())
            await leave(start, turns)
            process = (await start()).spec.process_id
            event = CancelRequested(at=0, by="me", reason="left", request_id=key)
            cancel = partial(host.deliver, process, event, Bodies(), request_id=key, proof=None)
            await leave(cancel, turns)
            await cancel()
            assert (await finished(host, process)).status is Status.CANCELLED
        assert len((await host.processes(ProcessQuery(limit=100))).items) == 12
    assert (await verify(state)).ok


@pytest.mark.anyio
async def test_parked_processes_cost_no_memory(state: Path) -> None:
    async with opened(state, Script(gate=ASKS_FIRST)) as host:
        processes = [await parked(host) for _ in range(80)]
        gc.collect()
        assert sum(isinstance(each, Live) and each.process in processes for each in gc.get_objects()) <= 32
        (escalation,) = (await host.state(processes[0])).escalations
        event = resolution(escalation, Decision.APPROVE)
        await host.deliver(processes[0], event, Bodies(), request_id="r", proof=None)
        assert (await finished(host, processes[0])).status is Status.COMPLETED
